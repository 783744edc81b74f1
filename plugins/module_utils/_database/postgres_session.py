# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The planner's own connections to PostgreSQL, and how every session of a migration is set up."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .endpoint import Server
from .errors import DatabaseError

if t.TYPE_CHECKING:
    import psycopg

Row = t.Tuple[t.Any, ...]

APPLICATION = "migration.assistant"
# What text is rendered by, and what must not end a migration that takes hours. Rows that a policy hides would be
# missing in silence: with row_security off such a read fails. Names are qualified throughout, as pg_dump's are.
SESSION = (
    "SELECT pg_catalog.set_config('search_path', '', false)",
    "SET client_encoding = 'UTF8'",
    "SET DateStyle = 'ISO, MDY'",
    "SET IntervalStyle = 'postgres'",
    "SET TimeZone = 'UTC'",
    "SET extra_float_digits = 3",
    "SET bytea_output = 'hex'",
    "SET xmloption = 'content'",
    "SET standard_conforming_strings = on",
    "SET row_security = off",
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET idle_session_timeout = 0",
    # A host that has died without a word must not keep its locks for hours.
    "SET tcp_keepalives_idle = 60",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 6",
    "SET lc_monetary = 'C'",
    # There from version 17 on.
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'",
    "SET synchronize_seqscans = off",
)
LOADING = ("SET maintenance_work_mem = '256MB'", "SET check_function_bodies = off")
OLDEST = 140000


class Session:
    """One connection of the planner. Raises DatabaseError, which names the side and never the password."""

    def __init__(self, server: Server, connect_timeout: float = 30) -> None:
        import psycopg

        self._server = server
        self._errors = psycopg.Error
        tls = server.tls
        try:
            with _plain_environment():
                self._connection: psycopg.Connection[Row] = psycopg.connect(
                    host=server.host,
                    port=server.port,
                    user=server.user,
                    password=server.password,
                    dbname=server.database,
                    sslmode=tls.get("mode"),
                    sslrootcert=tls.get("root_certificate"),
                    sslcert=tls.get("certificate"),
                    sslkey=tls.get("key"),
                    application_name=APPLICATION,
                    # The snapshot is held by a connection on which nothing is said until the job is done.
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=6,
                    connect_timeout=max(2, round(connect_timeout)) if connect_timeout else 0,
                    autocommit=True,
                )
        except psycopg.Error as exc:
            raise self._explain(exc, login=True) from exc
        try:
            self.version = self._connection.info.server_version
            if self.version < OLDEST:
                found = str(self._connection.info.parameter_status("server_version"))
                raise DatabaseError("it is PostgreSQL %s; 14 is the oldest that can be used" % found, server.option)
            for sql in SESSION:
                self.run(sql)
        except BaseException:
            self.close()
            raise

    @property
    def server(self) -> Server:
        """Where it leads."""
        return self._server

    def run(self, sql: str, *values: t.Any) -> None:
        """Carry one statement out."""
        try:
            self._connection.execute(sql.encode(), values or None)
        except self._errors as exc:
            raise self._explain(exc) from exc

    def rows(self, sql: str, *values: t.Any) -> t.List[Row]:
        """All rows of one statement."""
        try:
            return self._connection.execute(sql.encode(), values or None).fetchall()
        except self._errors as exc:
            raise self._explain(exc) from exc

    def value(self, sql: str, *values: t.Any) -> t.Any:
        """The first value of the first row."""
        return self.rows(sql, *values)[0][0]

    def close(self) -> None:
        self._connection.close()

    def _explain(self, exc: t.Any, login: bool = False) -> DatabaseError:
        """One line: libpq repeats itself for each address that a name has."""
        state = exc.sqlstate or ""
        diagnosed = exc.diag.message_primary
        hint = "Is the server running"
        lines = [line.strip() for line in str(exc).splitlines() if line.strip() and hint not in line]
        reason = diagnosed or (lines[-1] if lines else type(exc).__name__)
        code = "access_denied" if state.startswith("28") or state == "42501" else "database_error"
        if login and not state:
            # libpq tells what the server said of a login as text only.
            refused = any(word in str(exc) for word in ("authentication failed", "no pg_hba.conf entry", "password"))
            answered = "FATAL: " in str(exc)
            code = "access_denied" if refused else "database_error" if answered else "unreachable"
            reason = reason.split("FATAL: ")[-1].strip()
        return DatabaseError(reason, self._server.option, self._server, code)


class Snapshot:
    """One state of the source, which other sessions can take part in for as long as this transaction is open.

    position: the same text means that nothing was written in the whole cluster between two snapshots; None where
    writers were at work, so that nothing can be said.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.name = str(session.value("SELECT pg_export_snapshot()"))
        self.position = position(session)

    @property
    def begin(self) -> t.List[str]:
        """What makes another session see the same state."""
        return ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET TRANSACTION SNAPSHOT '%s'" % self.name]

    def lock(self, tables: t.Sequence[str]) -> None:
        """Keep the definitions of tables (quoted names) as they are; rows can be written as ever."""
        for first in range(0, len(tables), 500):
            self.session.run("LOCK TABLE %s IN ACCESS SHARE MODE" % ", ".join(tables[first : first + 500]))


def position(session: Session) -> t.Optional[str]:
    """How far the cluster has come: every transaction that writes takes a number, whose highest is told here.

    What takes none is told beside it: a start of the server, which may be one from a backup, and sequences. Unlogged
    tables are emptied by a crash that no number tells of: with one of them nothing can be said.
    """
    first, after, running, start, line, counters, unlogged = session.rows(
        "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text, (SELECT count(*) FROM pg_snapshot_xip(s)),"
        " extract(epoch FROM pg_postmaster_start_time())::text, (SELECT timeline_id FROM pg_control_checkpoint()),"
        " (SELECT md5(coalesce(string_agg(seqrelid || ':' || coalesce(pg_sequence_last_value(seqrelid)::text, ''),"
        " ' ' ORDER BY seqrelid), '')) FROM pg_sequence WHERE has_sequence_privilege(seqrelid, 'SELECT, USAGE')),"
        " (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u') FROM pg_current_snapshot() s"
    )[0]
    if first != after or running or unlogged:
        return None
    return "%s/%s/%s/%s" % (after, start, line, counters)


@contextlib.contextmanager
def _plain_environment() -> t.Iterator[None]:
    """Without what libpq takes from the environment: a task says itself where it goes. A file of passwords may stay."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith("PG") and name != "PGPASSFILE"}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def is_same_server(one: Session, other: Session) -> bool:
    """Whether two sessions are of one server: a copy of it has the same identity."""
    pid, since = other.rows("SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()")[0]
    found = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s::timestamptz"
    return bool(one.value(found, pid, since))


def identity(session: Session) -> str:
    """The database among all that there are."""
    return str(
        session.value(
            "SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid FROM pg_database"
            " WHERE datname = current_database()"
        )
    )
