# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""ssh connections that are kept for a following job. The processes of ssh that hold them are nobody's children, and end
when nothing has used them for the idle time."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import Any, Dict, List, Optional, Sequence

from .._validate import Field, integer, nested, text

FIELD = Field(
    nested(
        {
            "directory": Field(text(minimum=1), required=True),
            "key": Field(text(minimum=1), required=True),
            "idle": Field(integer(1, 3600), 60),
        }
    )
)

# How many connections of one kind are kept at most.
_MOST_SLOTS = 64
# How long a connection of an earlier job may take to answer: its host may be gone without a word.
_PATIENCE = 10.0
_PATIENCE_HERE = 2.0


class Slot:
    """The place of one connection. It belongs to one job at a time."""

    def __init__(self, path: str, idle: int, lock: int) -> None:
        self._path = path
        self._idle = idle
        self._lock = lock
        # An earlier job has left its connection.
        self.kept = os.path.lexists(path)

    def words(self) -> List[str]:
        """Words of ssh that make it use the slot's connection, or leave its own there."""
        options = ("ControlMaster=auto", "ControlPath=%s" % self._path, "ControlPersist=%d" % self._idle)
        return [word for option in options for word in ("-o", option)]

    def patience(self, timeout: float) -> float:
        """Seconds for the first answer; 0 for no limit."""
        return timeout if not self.kept or 0 < timeout < _PATIENCE else _PATIENCE

    def prove(self, ssh: Sequence[str], host: str) -> None:
        """Make sure that what was kept is still connected to the host; else end it."""
        if not self.kept:
            return
        self.kept = False
        # It asks nobody if it has to make a new one.
        asking_nobody = ("-o", "BatchMode=yes")
        if _run([ssh[0], *asking_nobody, *self.words(), *ssh[1:], host, "true"], _PATIENCE) != 0:
            self.discard(ssh[0])

    def discard(self, ssh: str) -> None:
        """End the connection that was kept."""
        self.kept = False
        _run([ssh, "-O", "exit", "-o", "ControlPath=%s" % self._path, "kept"], _PATIENCE_HERE)
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def release(self) -> None:
        """Leave the slot to others. It may be called again."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def take(pool: Optional[Dict[str, Any]]) -> Optional[Slot]:
    """A slot that no other job has; None without a pool, or where that cannot be had."""
    if pool is None:
        return None
    try:
        import fcntl
    except ImportError:
        return None
    for number in range(_MOST_SLOTS):
        path = os.path.join(pool["directory"], "%s-%d" % (pool["key"], number))
        try:
            lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return Slot(path, pool["idle"], lock)
    return None


def _run(command: Sequence[str], patience: float) -> Optional[int]:
    """The code that a command ends with, None if it takes too long."""
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode
