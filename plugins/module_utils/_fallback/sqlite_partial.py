# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The file in which a new SQLite database is built until it is complete."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from typing import Any, Dict

from ._errors import JobError
from .sqlite_session import BUSY_SECONDS, Job, Session, uri

_SIDE_FILES = ("-journal", "-wal", "-shm")
_LEDGER = "_migration_assistant"
# A file that was written this short a time ago may change again without a new time stamp.
_SETTLED_SECONDS = 2.0


class Partial:
    """Holds the lock on the file, which vanishes with the process, and moves it to its name when it is complete."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.path: str = job.parameters["partial"]
        # Kept open until the end: closing any descriptor of a file drops this process's POSIX locks on it.
        self.descriptor = self._open()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as exc:
            raise JobError("destination_unwritable", "unable to create %s: %s" % (self.path, exc.strerror)) from exc
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here, named = os.fstat(descriptor), os.lstat(self.path)
            taken = (here.st_dev, here.st_ino) != (named.st_dev, named.st_ino)
        except ImportError:
            taken = False
        except OSError:
            taken = True
        if taken:
            os.close(descriptor)
            raise JobError("destination_busy", "another job is building %s" % self._job.destination)
        return descriptor

    @property
    def is_empty(self) -> bool:
        return os.fstat(self.descriptor).st_size == 0

    def discard(self) -> None:
        """Empty the file. Its journal goes first, lest it be rolled back into the new content."""
        for suffix in _SIDE_FILES:
            if os.path.lexists(self.path + suffix):
                os.unlink(self.path + suffix)
        os.ftruncate(self.descriptor, 0)

    def publish(self) -> None:
        """Give the file its final owner, mode and name; the old destination is whole until then."""
        job = self._job
        os.fsync(self.descriptor)
        replaced = os.stat(job.destination) if os.path.exists(job.destination) else None
        self._set_access(replaced or os.stat(job.source), replaced is not None)
        job.record_of(self.path)
        job.write_record()
        if replaced is None:
            for suffix in _SIDE_FILES:
                if os.path.lexists(job.destination + suffix):
                    raise JobError(
                        "database_error", "%s%s is left over from another database" % (job.destination, suffix)
                    )
            os.replace(self.path, job.destination)
        else:
            self._replace()
        directory = os.open(os.path.dirname(job.destination), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _set_access(self, like: os.stat_result, replaced: bool) -> None:
        here = os.fstat(self.descriptor)
        # A database that root moves stays that of the application.
        wanted = replaced or getattr(os, "geteuid", lambda: 1)() == 0
        if wanted and (here.st_uid, here.st_gid) != (like.st_uid, like.st_gid):
            try:
                os.fchown(self.descriptor, like.st_uid, like.st_gid)
            except OSError:
                self._job.context.warning(
                    "owner_not_preserved", "the owner %d:%d cannot be given" % (like.st_uid, like.st_gid)
                )
        os.fchmod(self.descriptor, stat.S_IMODE(like.st_mode))

    def _replace(self) -> None:
        """Rename over a database that nobody uses, after its own -wal is worked in: it would spoil the new one."""
        old = sqlite3.connect(uri(self._job.destination, "rw"), uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        try:
            # A database in use keeps its mode, with or without an error.
            in_use = old.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",)
            if not in_use:
                old.execute("BEGIN EXCLUSIVE")
                os.replace(self.path, self._job.destination)
                old.execute("ROLLBACK")
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            in_use = True
        finally:
            old.close()
        if in_use:
            raise JobError("destination_busy", "%s is in use and cannot be replaced" % self._job.destination)

    def close(self) -> None:
        os.close(self.descriptor)


class Ledger:
    """How far the partial file is, in a table of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.entries: Dict[str, Any] = {}

    def load(self) -> None:
        """Empty if the file is none of ours, or damaged."""
        try:
            rows = self._session.connection.execute("SELECT key, value FROM main." + _LEDGER).fetchall()
        except sqlite3.Error:
            rows = []
        self.entries = {str(key): value for key, value in rows}

    def create(self) -> None:
        self._session.execute("CREATE TABLE %s (key TEXT PRIMARY KEY, value) WITHOUT ROWID" % _LEDGER)

    def write(self, key: str, value: Any) -> None:
        self._session.execute("INSERT OR REPLACE INTO main.%s VALUES (?, ?)" % _LEDGER, key, value)
        self.entries[key] = value

    def drop(self) -> None:
        # The page stays in the file as a free one, but nothing of ours in it.
        self._session.execute("PRAGMA main.secure_delete = ON")
        self._session.execute("DROP TABLE main." + _LEDGER)


def fingerprint(path: str) -> str:
    """Tells two states of the source apart. Of one that has only just been written it never says that it is equal."""
    parts = []
    for name in (path, path + "-wal"):
        try:
            status = os.stat(name)
        except OSError:
            continue
        if not status.st_size:
            continue
        parts.append("%d:%d:%d:%d" % (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        if time.time() - status.st_mtime < _SETTLED_SECONDS:
            parts.append("unsettled:%d:%d" % (os.getpid(), time.time_ns()))
    return " ".join(parts)
