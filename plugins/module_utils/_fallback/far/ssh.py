# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What one ssh gets beside its command: a kept connection, one that is made for it, the password of its login."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Optional

from .._context import Context
from . import login, pool
from .proxy import Proxy, Socket


class Ssh:
    """One ssh, which may be started more than once; a context manager."""

    def __init__(self, context: Context) -> None:
        self._far: Dict[str, Any] = context.parameters["far"]
        self.socket = Socket.of(context)
        self.slot = pool.take(self._far["pool"])
        self.proxy: Optional[Proxy] = None
        self._login: Optional[login.Login] = None
        self._given = contextlib.ExitStack()

    def words(self) -> List[str]:
        """The words that a start of it gets before all others; they are good for that start."""
        self._given.close()
        self._login = self._given.enter_context(login.login_of(self._far["login"]))
        self.proxy = self.socket.proxy()
        if self.proxy is not None:
            self._given.callback(self.proxy.close)
        return [*(self.slot.words() if self.slot else ()), *(self.proxy.words() if self.proxy else ())]

    def environment(self) -> Optional[Dict[str, str]]:
        """What it is started with; None for that of this process."""
        return self._login.environment() if self._login is not None else None

    def started(self, group: int) -> None:
        """Say which group of processes it is in."""
        if self._login is not None:
            self._login.serve(group)

    def patience(self, timeout: float) -> float:
        """Seconds for the first answer; 0 for no limit."""
        return self.slot.patience(timeout) if self.slot is not None else timeout

    def explain(self, said: str) -> str:
        """Why it has reached nothing. said: what it said itself. Raises LoginRefused."""
        if self.proxy is not None and self.proxy.failure is not None:
            return self.proxy.failure  # ssh says only that it was given no connection
        if self._login is not None:
            self._login.explain(self._far["name"], said)
        return said

    def ended(self) -> None:
        """End what was given to a start of it."""
        self._given.close()

    def __enter__(self) -> Ssh:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave all to others. It may be called again."""
        self.ended()
        if self.slot is not None:
            self.slot.release()
