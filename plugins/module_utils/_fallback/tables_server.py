# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What ``table_copy`` asks of a database server, whatever its kind. A driver is one module that gives it."""

from __future__ import annotations

import abc
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

Row = Tuple[Optional[str], ...]


class ServerError(Exception):
    """What a server or the way to it refused.

    ``code`` is one of the protocol's, ``message`` one line that names the ``side``. ``transient``: the same may
    succeed a moment later. ``lost``: the connection is gone. ``connecting``: there was none yet. ``conflict``: a row
    cannot be written beside another one that is there.
    """

    def __init__(
        self,
        code: str,
        message: str,
        side: str = "",
        transient: bool = False,
        lost: bool = False,
        connecting: bool = False,
        conflict: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.side = side
        self.transient = transient
        self.lost = lost
        self.connecting = connecting
        self.conflict = conflict


class Blocks(abc.ABC):
    """Rows on their way out of a server, in blocks of bytes that only its own kind understands. To be read once."""

    rows: int = 0  # known after the last block

    @abc.abstractmethod
    def __iter__(self) -> Iterator[bytes]: ...


class Connection(abc.ABC):
    """One connection, for one thread at a time. All values are text as the server writes it, None for NULL.

    Every method raises ServerError, and what the job's ``check`` raises, which is asked while it waits.
    """

    @abc.abstractmethod
    def execute(self, sql: str) -> int:
        """Run one statement; the number of rows that it wrote."""

    @abc.abstractmethod
    def query(self, sql: str) -> Iterator[Row]:
        """Rows as they come."""

    @abc.abstractmethod
    def copy_out(self, sql: str) -> Blocks: ...

    @abc.abstractmethod
    def copy_in(self, sql: str, blocks: Iterable[bytes]) -> int:
        """Write *blocks*; the number of rows written. If reading them fails, nothing is written."""

    @abc.abstractmethod
    def begin(self) -> None: ...

    @abc.abstractmethod
    def commit(self) -> None: ...

    @abc.abstractmethod
    def end(self) -> None:
        """Leave the transaction that may be open. Raises nothing: what cannot be rolled back is closed."""

    @abc.abstractmethod
    def literal(self, text: str) -> str:
        """*text* as a string literal of SQL."""

    @property
    @abc.abstractmethod
    def usable(self) -> bool:
        """Whether it is open, idle, and in no transaction that has failed."""

    @abc.abstractmethod
    def close(self) -> None:
        """End what is under way on the server, and the connection. Raises nothing."""


def connect(server: Dict[str, Any], side: str, check: Callable[[], None]) -> Connection:
    """A new connection to a server of the job. side: source or destination, for messages."""
    # The one engine so far; others come beside it.
    from . import postgres

    return postgres.connect(server, side, check)
