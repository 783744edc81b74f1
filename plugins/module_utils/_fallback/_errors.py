# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The two kinds of failure: of the whole job, and of one entry in it."""

from __future__ import annotations

from typing import Optional

# After these a rerun goes on from what is done.
RESUMABLE = frozenset(
    [
        "cancelled",
        "timeout",
        "memory_exceeded",
        "disk_full",
        "partial_failure",
        "source_changed",
        "database_error",
        "io_error",
        "unreachable",
        "snapshot_lost",
    ]
)


class JobError(Exception):
    """Ends the job with an ``error`` event.

    ``code`` is one of the protocol's error codes, ``message`` one clear line, ``path`` the entry or table concerned.
    """

    def __init__(self, code: str, message: str, path: Optional[str] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path

    @property
    def resumable(self) -> bool:
        return self.code in RESUMABLE


class ItemError(Exception):
    """One entry failed: it becomes a ``warning`` event, is counted, and the work goes on.

    ``needed`` are the bytes of a file that could not be written.
    """

    def __init__(self, code: str, message: str, needed: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.needed = needed


def reason(error: BaseException) -> str:
    """The cause of an error without numbers and paths, as the system words it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
