# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""A connection that holds both databases, and what all SQLite jobs count and check."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import urllib.parse
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ._context import Context
from ._errors import JobError

BUSY_SECONDS = 10.0
INSTRUCTIONS_BETWEEN_CHECKS = 200000
# Held un-finished, this statement keeps the read transaction on the source open while chunks are committed.
_ANCHOR = "SELECT 1 FROM src.sqlite_master CROSS JOIN (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)"
_CREATED = {"index": "indexes_created", "trigger": "triggers_created", "view": "views_created"}
COUNTERS = (
    "tables", "rows_total", "rows_copied", "rows_inserted", "rows_updated", "rows_deleted", "tables_created",
    "indexes_created", "triggers_created", "views_created", "chunks", "resumed_rows", "rows_verified",
    "foreign_key_violations", "changes",
)  # fmt: skip

# SQLite's own words and the protocol's codes; error numbers are known to Python 3.11 and later only.
_CODES = (
    ("disk is full", "disk_full"),
    ("locked", "destination_busy"),
    ("not a database", "not_a_database"),
    ("malformed", "not_a_database"),
    ("readonly", "destination_unwritable"),
    ("unable to open", "io_error"),
)

Table = Dict[str, Any]


class Job:
    """The parameters of the job, and its figures."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.parameters = context.parameters
        self.source: str = self.parameters["source"]["database"]
        self.destination: str = self.parameters["destination"]["database"]
        self.tables: List[Table] = self.parameters["tables"]
        self.objects: List[Dict[str, Any]] = self.parameters["objects"]
        self.tally = context.meter.tally()
        self.count = dict.fromkeys(COUNTERS, 0)
        context.statistics = self.count
        context.meter.rows_copied = 0
        self.reset()

    def reset(self) -> None:
        """Begin the figures anew."""
        self.count.update(dict.fromkeys(COUNTERS, 0))
        self.count["tables"] = sum(1 for table in self.tables if not internal(table["name"]))
        self.tally.items_done = self.tally.items_total = 0

    @property
    def dry_run(self) -> bool:
        return self.context.dry_run

    def copied(self, inserted: int, updated: int = 0, deleted: int = 0) -> None:
        self.count["rows_inserted"] += inserted
        self.count["rows_updated"] += updated
        self.count["rows_deleted"] += deleted
        self.count["rows_copied"] += inserted + updated
        self.context.meter.rows_copied = self.count["rows_copied"]

    def created(self, item: Dict[str, Any]) -> None:
        """Count and report an index, a view or a trigger."""
        self.count[_CREATED[item["kind"]]] += 1
        self.context.change("create", item["kind"], item["name"])

    def created_table(self, table: Table, rows: int, action: str = "create") -> None:
        if not internal(table["name"]):
            self.count["tables_created"] += 1
        self.context.change(action, "table", table["name"], after={"rows": rows} if table["count"] else None)

    def phase(self, name: str, current: Optional[str] = None) -> None:
        self.context.meter.phase = name
        self.context.meter.current = current
        self.context.check()

    def write_record(self) -> None:
        """Say beside the destination which tables this collection wrote; before the change, lest a crash forget it."""
        record, path = self.parameters["record"], self.parameters["record_path"]
        if record is None:
            return
        temporary = path + ".tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            json.dump(record, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)

    def record_of(self, path: str) -> None:
        """Fill in the record which file it is about."""
        if self.parameters["record"] is not None:
            status = os.stat(path)
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.parameters["record"].update(device=status.st_dev, inode=status.st_ino, finished_at=moment)

    def forget_record(self) -> None:
        """Remove the record where the task wants none."""
        path = self.parameters["record_path"]
        if self.parameters["record"] is None and os.path.lexists(path):
            if not self.dry_run:
                os.unlink(path)
            self.context.change("delete", "file", os.path.basename(path))


class Session:
    """One connection: main is the destination, src the source."""

    def __init__(self, job: Job, main: str) -> None:
        self._context = job.context
        self._anchor: Optional[sqlite3.Cursor] = None
        self.connection = sqlite3.connect(
            main, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
        )
        self.connection.set_progress_handler(self._unwanted, INSTRUCTIONS_BETWEEN_CHECKS)
        for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON", "temp_store = MEMORY"):
            self.execute("PRAGMA " + pragma)

    def _unwanted(self) -> int:
        try:
            self._context.check()
        except JobError:
            return 1
        return 0

    def attach(self, job: Job) -> None:
        """Attach the source, read-only."""
        with _source_lock(job):
            self.execute("ATTACH DATABASE ? AS src", uri(job.source, "ro"))

    def check_source(self, job: Job) -> None:
        """Begin to read the source, and check that it still has the schema that was planned for."""
        with _source_lock(job):
            version = self.value("PRAGMA src.schema_version")
        if version != job.parameters["source_schema_version"]:
            raise JobError("source_changed", "the source's schema was changed after it was planned for; run again")

    def hold_snapshot(self, job: Job) -> None:
        """Read one state of the source until release_snapshot, over all commits on the destination."""
        self.check_source(job)
        self._anchor = self.connection.execute(_ANCHOR)

    def release_snapshot(self) -> None:
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def execute(self, sql: str, *values: Any) -> int:
        """Run one statement to its end; the number of rows that it changed."""
        cursor = self.connection.execute(sql, values)
        count = cursor.rowcount
        cursor.close()
        return count

    def run(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.execute(statement)

    def row(self, sql: str, *values: Any) -> Tuple[Any, ...]:
        cursor = self.connection.execute(sql, values)
        rows = cursor.fetchall()
        return tuple(rows[0])

    def value(self, sql: str, *values: Any) -> Any:
        return self.row(sql, *values)[0]

    @contextlib.contextmanager
    def transaction(self, kind: str = "DEFERRED") -> Iterator[None]:
        self.execute("BEGIN " + kind)
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.execute_quietly("ROLLBACK")
            raise

    def execute_quietly(self, sql: str) -> None:
        """For clearing up after an error, which is the one to tell."""
        try:
            self.execute(sql)
        except sqlite3.Error:
            return

    def differences(self, table: Table) -> Tuple[int, int, int]:
        """Rows to insert, to update and to delete."""
        self.run(table["compare"])
        inserted, updated, deleted = self.row(table["differences"])
        return inserted, updated, deleted

    def close(self) -> None:
        self.release_snapshot()
        self.connection.close()


def verify(job: Job, session: Session, tables: Sequence[Table], rows: Dict[str, int]) -> None:
    """Compare *tables* of both databases at the level that the job asks for; *rows* counts the source's."""
    level = job.parameters["verify"]
    if level == "none":
        return
    # What is compared shall come from the file, and not from this connection's memory.
    session.execute("PRAGMA shrink_memory")
    for table in tables:
        if table["count"] is None:
            continue
        job.phase("verify", table["name"])
        if level == "counts":
            found = session.value(table["count_written"])
            problem = "%d rows instead of %d" % (found, rows[table["name"]]) if found != rows[table["name"]] else ""
        else:
            changed = session.differences(table)
            problem = "%d missing, %d differing, %d surplus rows" % changed if any(changed) else ""
        if problem:
            raise JobError("verification_failed", "%s: %s" % (table["name"], problem), table["name"])
        if table["sequence_values"] and level != "counts":
            here, there = session.row(table["sequence_values"])
            if here != there:
                raise JobError("verification_failed", "%s: another AUTOINCREMENT counter" % table["name"])
        job.count["rows_verified"] += rows[table["name"]]
    _check_structure(job, session)


def _check_structure(job: Job, session: Session) -> None:
    if job.parameters["integrity"] == "none":
        return
    job.phase("verify")
    pragma = "PRAGMA %s.integrity_check" if job.parameters["integrity"] == "full" else "PRAGMA %s.quick_check"
    answer = session.value(pragma % "main")
    if answer != "ok":
        if session.value(pragma % "src") == "ok":
            raise JobError("verification_failed", "the destination's structure is not sound: %s" % answer)
        job.context.warning("source_not_sound", "the source has the same fault as the destination: %s" % answer)
    try:
        here = sum(1 for _row in session.connection.execute("PRAGMA main.foreign_key_check"))
        there = sum(1 for _row in session.connection.execute("PRAGMA src.foreign_key_check")) if here else 0
    except sqlite3.OperationalError as exc:
        if "interrupted" in str(exc):
            raise
        job.context.warning("foreign_keys_unchecked", "the foreign keys cannot be checked: %s" % exc)
        return
    job.count["foreign_key_violations"] = here
    if here:
        job.context.warning(
            "foreign_key_violations", "%d rows break foreign keys; in the source it is %d" % (here, there)
        )


@contextlib.contextmanager
def _source_lock(job: Job) -> Iterator[None]:
    """Say which of the two databases is locked."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if "locked" not in str(exc):
            raise
        raise JobError("destination_busy", "the source %s is locked by a writer" % job.source) from exc


@contextlib.contextmanager
def database_errors(job: Job) -> Iterator[None]:
    """Turn what SQLite and the system raise into one clear line."""
    try:
        yield
    except sqlite3.Error as exc:
        job.context.check()
        message = str(exc)
        code = next((code for sign, code in _CODES if sign in message), "database_error")
        subject = job.context.meter.current or job.destination
        if code == "destination_busy":
            raise JobError(code, "%s is locked by another process" % subject) from exc
        raise JobError(code, "%s: %s" % (subject, message)) from exc
    except OSError as exc:
        code = "disk_full" if exc.errno == 28 else "io_error"
        raise JobError(code, "%s: %s" % (exc.filename or job.destination, exc.strerror)) from exc


def uri(path: str, mode: str) -> str:
    return "file:%s?mode=%s" % (urllib.parse.quote(os.fsencode(path)), mode)


def internal(name: str) -> bool:
    return name.lower().startswith("sqlite_")
