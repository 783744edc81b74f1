# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Where a SQLite database lies, and a connection that leaves no trace of itself."""

from __future__ import annotations

import os
import re
import stat
import typing as t
import urllib.parse

from .endpoint import redacted
from .errors import DatabaseError

if t.TYPE_CHECKING:
    import sqlalchemy

MAGIC = b"SQLite format 3\0"
_WAL_VERSION = 2
_PENDING_BYTE = 0x40000000
_LOCKED_BYTES = 512
BUSY_SECONDS = 5.0
SIDE_FILES = ("-journal", "-wal", "-shm")


def locate(connection: t.Mapping[str, t.Any], option: str) -> str:
    """Absolute path, symbolic links resolved, of the database that {engine, database} or {url} names."""
    engine, database, url = (connection.get(key) for key in ("engine", "database", "url"))
    for name in ("host", "port", "user", "password", "tls"):
        if connection.get(name):
            raise DatabaseError("a SQLite file has no %s" % name, "%s.%s" % (option, name))
    if url:
        if database:
            raise DatabaseError("give url or database, not both", option)
        match = re.match(r"(\w+)(?:\+\w+)?://(.*)", str(url))
        if not match or match.group(1) != "sqlite" or engine not in (None, "sqlite"):
            raise DatabaseError("only sqlite:///PATH can be used", option + ".url", redacted(str(url)))
        # Three slashes stand before a relative path, four before an absolute one, as SQLAlchemy reads them.
        if not match.group(2).startswith("/") or "?" in match.group(2):
            raise DatabaseError("it must be sqlite:///PATH, without host or query", option + ".url", redacted(str(url)))
        database = match.group(2)[1:]
    elif engine not in (None, "sqlite"):
        raise DatabaseError("only sqlite can be used", option + ".engine", engine)
    if not database or database == ":memory:":
        raise DatabaseError("the path of a database file is needed", option + ".database", database or None)
    if "\0" in str(database):
        raise DatabaseError("a path cannot hold a NUL", option + ".database")
    return os.path.realpath(os.path.expanduser(str(database)))


def uri(path: str, mode: str) -> str:
    """SQLite's own URI of a file; mode: ro, rw or rwc."""
    return "file:%s?mode=%s" % (urllib.parse.quote(os.fsencode(path)), mode)


def is_empty(path: str) -> bool:
    return os.stat(path).st_size == 0


def check_header(path: str, option: str) -> bool:
    """Whether the database at *path* is in WAL mode. Raises DatabaseError for what is no SQLite database."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise DatabaseError("this is not a regular file", option, path, "not_a_database")
        # Closing a descriptor drops this process's POSIX locks on the file: so before any connection is opened.
        with open(path, "rb") as stream:
            header = stream.read(100)
    except OSError as exc:
        code = "source_missing" if option == "source" else "destination_unwritable"
        raise DatabaseError("it cannot be read: %s" % exc.strerror, option, path, code) from exc
    if not header:
        return False
    if len(header) < 100 or not header.startswith(MAGIC):
        raise DatabaseError(
            "this is not a SQLite 3 database (another format, or encrypted)", option, path, "not_a_database"
        )
    return header[18] == _WAL_VERSION


class Reader:
    """A reading connection through SQLAlchemy, held open while the executor works.

    It leaves both the database and the names beside it as they were: a WAL database without a -wal file is opened
    for writing (with query_only), since only such a connection removes -wal and -shm when it is the last to close;
    everything else is opened read-only.
    """

    def __init__(self, path: str, option: str) -> None:
        self.path = path
        self.option = option
        self.is_wal = check_header(path, option)
        self._had_index = os.path.lexists(path + "-shm")
        self._had_log = os.path.lexists(path + "-wal")
        self._mode = "rw" if self.is_wal and not self._had_log else "ro"
        self._engine = self._make_engine()
        self._connection: t.Optional[sqlalchemy.engine.Connection] = None
        try:
            self._connection = self._engine.connect()
            self.rows("SELECT count(*) FROM sqlite_master")
        except Exception as exc:
            self.close()
            raise self._explain(exc) from exc

    def _make_engine(self) -> sqlalchemy.engine.Engine:
        import sqlite3

        import sqlalchemy
        import sqlalchemy.pool

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(uri(self.path, self._mode), uri=True, timeout=BUSY_SECONDS)
            if self._mode == "rw":
                connection.execute("PRAGMA query_only = ON")
            connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            return connection

        return sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=sqlalchemy.pool.NullPool)

    def rows(self, sql: str) -> t.List[t.Tuple[t.Any, ...]]:
        """All rows of one statement; nothing stays open behind it."""
        if self._connection is None:
            raise ValueError("the connection is closed")
        return [tuple(row) for row in self._connection.exec_driver_sql(sql).all()]

    def value(self, sql: str) -> t.Any:
        return self.rows(sql)[0][0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()
        if self._had_log and not self._had_index:
            _remove_index(self.path)

    def _explain(self, exc: Exception) -> DatabaseError:
        cause = str(getattr(exc, "orig", None) or exc)
        if "not a database" in cause or "malformed" in cause:
            return DatabaseError(
                "this is not a usable SQLite database: %s" % cause, self.option, self.path, "not_a_database"
            )
        if "locked" in cause:
            return DatabaseError(
                "it was locked by a writer for %d seconds" % BUSY_SECONDS, self.option, self.path, "destination_busy"
            )
        if os.path.lexists(self.path + "-journal"):
            return DatabaseError(
                "a transaction was interrupted here and its -journal must be rolled back first; "
                "open it once with its application, or with the sqlite3 shell",
                self.option,
                self.path,
            )
        hint = "; a WAL database needs a directory that can be written" if self.is_wal else ""
        return DatabaseError("it cannot be read: %s%s" % (cause, hint), self.option, self.path)


def _remove_index(path: str) -> None:
    """Remove the -shm file that reading beside a leftover -wal has made, if nobody has the database open.

    The lock is the one that SQLite itself takes before it removes the file.
    """
    if os.name != "posix":
        return
    import fcntl

    try:
        with open(path, "rb+") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCKED_BYTES, _PENDING_BYTE)
            os.unlink(path + "-shm")
    except OSError:
        # Somebody uses the database: then the file is theirs.
        return
