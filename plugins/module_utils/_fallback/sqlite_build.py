# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Build a new SQLite database beside its name, chunk by chunk, and rename it when it is complete."""

from __future__ import annotations

from typing import Dict, List

from . import _platform
from ._errors import JobError
from .sqlite_partial import Ledger, Partial, fingerprint
from .sqlite_session import Job, Session, Table, database_errors, uri, verify

# Nothing here outlives a crash of the system: a partial file of another boot is thrown away.
_SETUP = ("synchronous = OFF", "journal_mode = DELETE", "cache_size = -64000", "secure_delete = OFF")


def run(job: Job) -> None:
    with database_errors(job):
        rows = _predict(job) if job.dry_run else _build(job)
        _report(job, rows)
        job.forget_record()


def _predict(job: Job) -> Dict[str, int]:
    session = Session(job, ":memory:")
    try:
        session.run(job.parameters["prepare"])
        session.attach(job)
        session.hold_snapshot(job)
        rows = _count(job, session)
    finally:
        session.close()
    for table in job.tables:
        if table["count"] is not None:
            job.copied(rows[table["name"]])
            job.count["chunks"] += _chunks(rows[table["name"]], job.parameters["chunk_rows"]) if table["next"] else 1
    return rows


def _chunks(rows: int, size: int) -> int:
    return max((rows + size - 1) // size, 1)


def _report(job: Job, rows: Dict[str, int]) -> None:
    job.context.change("update" if job.parameters["destination_exists"] else "create", "database", ".")
    for item in job.parameters["removed"]:
        job.context.change("delete", item["kind"], item["name"])
    for table in job.tables:
        job.created_table(table, rows[table["name"]])
    for item in job.objects:
        job.created(item)


def _count(job: Job, session: Session) -> Dict[str, int]:
    rows = {}
    for table in job.tables:
        job.phase("load", table["name"])
        rows[table["name"]] = session.value(table["count"]) if table["count"] else 0
    job.count["rows_total"] = sum(rows.values())
    job.tally.items_total = job.count["rows_total"]
    job.context.meter.set_totals(job.count["rows_total"], 0)
    return rows


def _build(job: Job) -> Dict[str, int]:
    partial = Partial(job)
    try:
        builder = _Builder(job, partial)
        try:
            rows = builder.build()
        except JobError as error:
            if error.code == "verification_failed":
                builder.session.close()
                partial.discard()
            raise
        finally:
            builder.session.close()
        job.tally.bytes_done += builder.size
        partial.publish()
        return rows
    finally:
        partial.close()


class _Builder:
    def __init__(self, job: Job, partial: Partial) -> None:
        self._job = job
        self._source_state = fingerprint(job.source)
        self._changed_source = False
        self.size = 0
        fresh = partial.is_empty
        self.session = Session(job, uri(partial.path, "rw"))
        self._ledger = Ledger(self.session)
        if not fresh:
            self._ledger.load()
            fresh = not self._can_continue()
            if fresh:
                self.session.close()
                partial.discard()
                self.session = Session(job, uri(partial.path, "rw"))
                self._ledger = Ledger(self.session)
        self._fresh = fresh

    def _can_continue(self) -> bool:
        entries, parameters = self._ledger.entries, self._job.parameters
        boot = _platform.boot_id()
        return bool(
            parameters["resume"]
            and boot is not None
            and entries.get("boot") == boot
            and entries.get("digest") == parameters["digest"]
        )

    def build(self) -> Dict[str, int]:
        job, session = self._job, self.session
        if self._fresh:
            session.run(job.parameters["prepare"])
        session.run(["PRAGMA main." + pragma for pragma in _SETUP])
        session.attach(job)
        session.hold_snapshot(job)
        if self._fresh:
            with session.transaction():
                self._ledger.create()
                for key, value in (
                    ("boot", _platform.boot_id()),
                    ("digest", job.parameters["digest"]),
                    ("source", self._source_state),
                ):
                    self._ledger.write(key, value)
        rows = _count(job, session)
        self._repair()
        for number, table in enumerate(job.tables):
            self._load(number, table, rows[table["name"]])
        self._add_objects()
        with session.transaction():
            for name in job.parameters["settings"]:
                session.execute("PRAGMA main.%s = %d" % (name, session.value("PRAGMA src.%s" % name)))
        verify(job, session, job.tables, rows)
        session.release_snapshot()
        self._ledger.drop()
        self.size = session.value("PRAGMA main.page_count") * session.value("PRAGMA main.page_size")
        session.value("PRAGMA main.journal_mode = %s" % job.parameters["journal_mode"])
        return rows

    def _repair(self) -> None:
        """Take over what an earlier run has loaded; where the source has changed since, repair it row by row."""
        entries = self._ledger.entries
        started: List[int] = [number for number in range(len(self._job.tables)) if entries.get("rows:%d" % number)]
        if entries.get("source") == self._source_state:
            for number in started:
                self._resumed(int(entries["rows:%d" % number]))
            return
        for number in started:
            table = self._job.tables[number]
            self._job.phase("compare", table["name"])
            with self.session.transaction():
                inserted, updated, deleted = self.session.differences(table)
                self.session.execute(table["delete"])
                self.session.execute(table["insert"])
                kept = int(entries["rows:%d" % number]) - updated - deleted
                self._finish(number, table, kept + updated + inserted)
            self._job.copied(inserted, updated, deleted)
            self._job.tally.items_done += inserted + updated
            self._resumed(kept)
        with self.session.transaction():
            self._ledger.write("source", self._source_state)

    def _resumed(self, rows: int) -> None:
        self._job.count["resumed_rows"] += rows
        self._job.tally.items_done += rows

    def _load(self, number: int, table: Table, total: int) -> None:
        job, session, entries = self._job, self.session, self._ledger.entries
        rows = entries.get("rows:%d" % number)
        if rows is None:
            rows = 0
            with session.transaction():
                session.run(table["create"])
                self._ledger.write("rows:%d" % number, 0)
        finished = bool(entries.get("finished:%d" % number)) or not table["count"]
        while not finished:
            job.phase("load", table["name"])
            with session.transaction():
                added = self._load_chunk(table, rows, total)
                rows += added
                finished = not table["next"] or rows >= total
                if finished:
                    self._finish(number, table, rows)
                else:
                    self._ledger.write("rows:%d" % number, rows)
            if rows != total and (finished or not added):
                raise JobError("database_error", "%s: %d rows came instead of %d" % (table["name"], rows, total))
            job.copied(added)
            job.count["chunks"] += 1
            job.tally.items_done += added

    def _load_chunk(self, table: Table, rows: int, total: int) -> int:
        session, size = self.session, self._job.parameters["chunk_rows"]
        if not table["next"]:
            return session.execute(table["first"])
        if rows:
            session.run(table["locate"])
            return session.execute(table["next"], size)
        if table["all"] and total <= size and (not table["all_if"] or session.value(table["all_if"])):
            return session.execute(table["all"])
        return session.execute(table["first"], size)

    def _finish(self, number: int, table: Table, rows: int) -> None:
        self.session.run(table["sequence"])
        self._ledger.write("rows:%d" % number, rows)
        self._ledger.write("finished:%d" % number, 1)

    def _add_objects(self) -> None:
        for number, item in enumerate(self._job.objects):
            if self._ledger.entries.get("object:%d" % number):
                continue
            self._job.phase("schema", item["name"])
            with self.session.transaction():
                self.session.execute(item["create"])
                self._ledger.write("object:%d" % number, 1)
