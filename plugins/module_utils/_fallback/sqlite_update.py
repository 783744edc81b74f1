# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Make an existing SQLite database equal the source, in place and in one transaction."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional, Set, Tuple

from ._errors import JobError
from .sqlite_session import Job, Session, Table, database_errors, uri, verify

Differences = Tuple[int, int, int]


def run(job: Job) -> str:
    """What is left to do: ``build`` where the destination differs and is to be replaced, else ``nothing``."""
    with database_errors(job):
        replace = job.parameters["if_exists"] == "replace"
        reading = job.dry_run or replace
        if not os.path.exists(job.destination):
            raise JobError("source_changed", "the destination %s has vanished; run again" % job.destination)
        session = Session(job, uri(job.destination, "ro" if reading else "rw"))
        try:
            outcome = _Update(job, session).run(replace, "DEFERRED" if reading else "IMMEDIATE")
        finally:
            session.close()
        if outcome == "nothing":
            job.forget_record()
        return outcome


class _Update:
    def __init__(self, job: Job, session: Session) -> None:
        self._job = job
        self._session = session
        self._rows: Dict[str, int] = {}
        self._differing: Dict[str, Differences] = {}
        self._sequences: List[Tuple[Table, Any, Any]] = []
        self._settings: List[Tuple[str, int, int]] = []

    def run(self, replace: bool, transaction: str) -> str:
        job, session = self._job, self._session
        session.execute("PRAGMA main.cache_size = -64000")
        session.attach(job)
        session.execute("BEGIN " + transaction)
        try:
            self._compare()
            if not self._differs():
                self._count_verified()
                return "nothing"
            if replace:
                job.reset()
                return "build"
            self._refuse()
            if not job.dry_run:
                self._apply()
        finally:
            if session.connection.in_transaction:
                session.execute_quietly("ROLLBACK")
        self._report()
        return "nothing"

    def _compare(self) -> None:
        job, session = self._job, self._session
        session.check_source(job)
        if session.value("PRAGMA main.schema_version") != job.parameters["destination_schema_version"]:
            raise JobError("source_changed", "the destination's schema was changed after it was planned for; run again")
        for table in job.tables:
            job.phase("compare", table["name"])
            rows = session.value(table["count"]) if table["count"] else 0
            self._rows[table["name"]] = rows
            job.count["rows_total"] += rows
            job.tally.items_total = job.count["rows_total"]
            if table["action"] == "compare" and table["count"]:
                self._compare_table(table)
            job.tally.items_done += rows
        for name in job.parameters["settings"]:
            here, there = (session.value("PRAGMA %s.%s" % (side, name)) for side in ("main", "src"))
            if here != there:
                self._settings.append((name, here, there))

    def _compare_table(self, table: Table) -> None:
        differences = self._session.differences(table)
        if any(differences):
            self._differing[table["name"]] = differences
        if table["sequence_values"]:
            here, there = self._session.row(table["sequence_values"])
            if here != there:
                self._sequences.append((table, here, there))

    def _differs(self) -> bool:
        parameters = self._job.parameters
        return bool(
            self._differing
            or self._sequences
            or self._settings
            or parameters["removed"]
            or self._new_tables()
            or any(item["action"] in ("create", "update") for item in parameters["objects"])
        )

    def _new_tables(self) -> List[Table]:
        return [table for table in self._job.tables if table["action"] in ("create", "rebuild")]

    def _refuse(self) -> None:
        """With if_exists: fail only what this collection wrote may be written."""
        refusal: Optional[str] = self._job.parameters["settings_refusal"] if self._settings else None
        changed = {table["name"] for table, _here, _there in self._sequences} | set(self._differing)
        for table in self._job.tables:
            if table["name"] in changed:
                refusal = table["refusal"] or refusal
        if refusal:
            raise JobError("destination_exists", refusal)

    def _count_verified(self) -> None:
        if self._job.parameters["verify"] != "none":
            self._job.count["rows_verified"] = self._job.count["rows_total"]

    def _apply(self) -> None:
        job, session = self._job, self._session
        new = self._new_tables()
        touched = set(self._differing) | {table["name"] for table in new}
        for item in job.parameters["removed"]:
            session.run(item["sql"])
        again = [item for item in job.objects if _made_again(item, touched)]
        for item in again:
            session.execute(item["drop"])
        for table in new:
            if table["action"] == "rebuild":
                session.run(table["drop"])
        for table in new:
            session.run(table["create"])
        self._write_rows(new)
        for item in again:
            job.phase("schema", item["name"])
            session.execute(item["create"])
        self._write_settings(touched)
        if new or job.parameters["removed"]:
            session.run(job.parameters["touch_schema"])
        verify(job, session, job.tables, self._rows)
        job.record_of(job.destination)
        job.write_record()
        session.execute("COMMIT")

    def _write_rows(self, new: List[Table]) -> None:
        """Differing rows go first and come back then, so that unique values may change places."""
        job, session = self._job, self._session
        differing = [table for table in job.tables if table["name"] in self._differing]
        for table in differing:
            job.phase("load", table["name"])
            session.execute(table["delete"])
        for table in differing:
            job.phase("load", table["name"])
            session.execute(table["insert"])
        for table in new:
            job.phase("load", table["name"])
            if table["first"]:
                session.execute(table["first"], *([-1] if table["next"] else []))

    def _write_settings(self, touched: Set[str]) -> None:
        sequences = touched | {table["name"] for table, _here, _there in self._sequences}
        for table in self._job.tables:
            if table["name"] in sequences:
                self._session.run(table["sequence"])
        for name, _here, there in self._settings:
            self._session.execute("PRAGMA main.%s = %d" % (name, there))

    def _report(self) -> None:
        job, change = self._job, self._job.context.change
        for item in job.parameters["removed"]:
            change("delete", item["kind"], item["name"])
        for table in job.tables:
            name, rows = table["name"], self._rows[table["name"]]
            if table["action"] in ("create", "rebuild"):
                job.created_table(table, rows, "create" if table["action"] == "create" else "update")
                if table["count"]:
                    job.copied(rows)
                    job.count["chunks"] += 1
            elif name in self._differing:
                inserted, updated, deleted = self._differing[name]
                job.copied(inserted, updated, deleted)
                job.count["chunks"] += 1
                change("update", "rows", name, after={"inserted": inserted, "updated": updated, "deleted": deleted})
        for item in job.objects:
            if item["action"] == "create":
                job.created(item)
            elif item["action"] == "update":
                change("update", item["kind"], item["name"])
        for table, here, there in self._sequences:
            change("update", "setting", "sqlite_sequence.%s" % table["name"], {"value": here}, {"value": there})
        for name, here, there in self._settings:
            change("update", "setting", name, {"value": here}, {"value": there})


def _made_again(item: Dict[str, Any], touched: Set[str]) -> bool:
    """Whether the object is created in this run. Triggers must not see the rows that are written here."""
    if item["action"] == "keep":
        return item["kind"] == "trigger" and item["table"] in touched
    return True
