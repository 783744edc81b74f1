# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The plan of a migration from PostgreSQL to PostgreSQL."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import typing as t

from . import endpoint, postgres_catalog, postgres_dump, postgres_selection, proof
from . import postgres_bookkeeping as bookkeeping
from .errors import DatabaseError
from .options import Options
from .plan import Plan, forget
from .postgres_catalog import BOOKKEEPING, Table
from .postgres_losses import losses
from .postgres_obstacles import Obstacles
from .postgres_schema import Schema, silent
from .postgres_selection import without_event_triggers
from .postgres_session import LOADING, SESSION, Session, Snapshot, identity, is_same_server, position
from .postgres_statements import Sizes, plan_table

METHOD = {"chosen": "streaming", "reason": "rows go from server to server as they are"}

_CHUNK_ROWS = 200000
# The keys of a chunk that is repaired are in memory.
_MOST_COMPARED = 100000
_PLACEHOLDERS = tuple("{%s}" % name for name in ("range", "key", "keys", "rows", "number", "low", "high"))
# Of this collection, among the advisory locks of a database.
_LOCK = 0x6D6967726174696F
ADVICE = "if_exists: sync makes it equal"


def plan(source: t.Mapping[str, t.Any], destination: t.Mapping[str, t.Any], options: Options) -> Plan:
    """Inspect both sides and decide. Raises DatabaseError, before anything is written, for what can be known then."""
    servers = endpoint.server(source, "source"), endpoint.server(destination, "destination")
    with contextlib.ExitStack() as stack:
        sessions = []
        for server in servers:
            sessions.append(Session(server, options.connect_timeout))
            stack.callback(sessions[-1].close)
        made = _Planner(sessions[0], sessions[1], options).plan()
        made.held = stack.pop_all()
        return made


class _Planner:
    def __init__(self, source: Session, destination: Session, options: Options) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._identities = identity(source), identity(destination)
        if options.if_exists == "replace":
            message = "a database of PostgreSQL is not replaced; drop what is to be made anew, or give sync"
            raise DatabaseError(message, "if_exists", "replace")
        if self._identities[0] == self._identities[1] and is_same_server(source, destination):
            raise DatabaseError("it is the same database as the source", "destination", destination.server)
        self._encodings = [str(session.value("SHOW server_encoding")) for session in (source, destination)]
        self._snapshot = Snapshot(source)
        self._position = position(destination)
        self._kept = bookkeeping.exists(destination)
        self._records = bookkeeping.records(destination) if self._kept else {}

    def plan(self) -> Plan:
        if not self._options.dry_run:
            self._lock()
        proven = self._proven()
        if proven is not None:
            parameters = {**self._connections(), "tables": [], "proven": {"tables": proven.tables, "rows": proven.rows}}
            return self._plan(parameters, level="fingerprint")
        found = postgres_catalog.tables(self._source)
        chosen = postgres_selection.choose(self._source, found, self._options.tables, self._options.exclude)
        self._check(table for table in found if table.oid in chosen)
        self._snapshot.lock([table.quoted for table in found if table.oid in chosen])
        lost = losses(self._source, self._destination, self._options)
        tool, _major = postgres_dump.find(max(self._source.version, self._destination.version))
        staying = [table.quoted for table in found if table.oid not in chosen]
        here = postgres_dump.dump(tool, self._source.server, self._snapshot.name, staying)
        there = postgres_dump.dump(tool, self._destination.server, None)
        selection = postgres_selection.select(self._source, found, chosen, here)
        if any(item["kind"] == "event trigger" for item in lost):
            selection = without_event_triggers(selection)
        existing = postgres_catalog.tables(self._destination)
        is_ours = self._options.if_exists != "fail" or any(
            record.source == self._identities[0] for record in self._records.values()
        )
        schema = Schema((self._source, self._destination), selection, there, existing, is_ours)
        names = {table.label for table in found}
        extra = [table for table in existing if table.label not in names]
        going = extra if self._options.prune else []
        obstacles = Obstacles(self._destination, selection.definitions, existing, going)
        parameters = {**self._connections(), **self._work(schema, obstacles, selection.tables, going)}
        kept = [table.label for table in extra if table not in going]
        return self._plan(parameters, selection.omitted + lost, kept + schema.extra)

    def _lock(self) -> None:
        """Keep other migrations away from the destination until its session is closed."""
        until = time.monotonic() + self._options.lock_timeout
        while not self._destination.value("SELECT pg_try_advisory_lock(%d)" % _LOCK):
            if time.monotonic() >= until:
                message = "another migration writes to it; lock_timeout says how long to wait"
                raise DatabaseError(message, "destination", self._destination.server, "destination_busy")
            time.sleep(0.2)

    def _plan(
        self,
        parameters: t.Dict[str, t.Any],
        omitted: t.Sequence[t.Dict[str, str]] = (),
        extra: t.Sequence[str] = (),
        level: str = "",
    ) -> Plan:
        sides = str(self._source.server), str(self._destination.server)
        snapshot = {"kind": "exported snapshot", "writers": "continue"}
        return Plan(
            operation="table_copy",
            parameters=parameters,
            sides=sides,
            method=METHOD,
            snapshot=snapshot,
            omitted=list(omitted),
            extra_tables=list(extra),
            level=level,
            remember=forget if level or self._options.dry_run else self._remember,
        )

    def _check(self, tables: t.Iterable[Table]) -> None:
        tables = list(tables)
        unreadable = [table.label for table in tables if not table.readable]
        if unreadable:
            message = "this user may not read %s" % ", ".join(unreadable[:5])
            more = "" if len(unreadable) <= 5 else " and %d more" % (len(unreadable) - 5)
            raise DatabaseError(message + more, "source", self._source.server, "access_denied")
        for table in tables:
            for name in (table.schema, table.name, *(column.name for column in table.columns)):
                if any(placeholder in name for placeholder in _PLACEHOLDERS):
                    raise DatabaseError("the name %s of %s cannot be handled" % (name, table.label), "source")

    def _connections(self) -> t.Dict[str, t.Any]:
        options = self._options
        source, destination = (session.server.as_parameters() for session in (self._source, self._destination))
        for side in (source, destination):
            side["connect_timeout"] = options.connect_timeout
        return {
            "source": {**source, "session": list(SESSION)},
            "destination": {**destination, "session": [*SESSION, *LOADING]},
            "snapshot": {"begin": self._snapshot.begin, "renewable": True},
            "workers": options.parallel_chunks,
            "chunk_rows": min(options.chunk_rows or _MOST_COMPARED, _MOST_COMPARED),
            "retries": options.retries,
            "verify": options.verify,
            "resume": options.resume,
        }

    def _work(
        self, schema: Schema, obstacles: Obstacles, tables: t.Sequence[Table], going: t.Sequence[Table]
    ) -> t.Dict[str, t.Any]:
        there = {table.label: table for table in postgres_catalog.tables(self._destination)}
        claims = {}
        planned = []
        early: t.List[t.Dict[str, t.Any]] = []
        for table in tables:
            if table.is_partitioned:
                continue
            action, claim, refusal = self._judge(schema, table)
            keys, rest = schema.of_table(table)
            if refusal is not None and schema.lacking(table):
                message = "its table %s lacks %s, and this collection did not write it; %s"
                text = message % (table.label, ", ".join(schema.lacking(table)), ADVICE)
                raise DatabaseError(text, "destination", self._destination.server, "destination_exists")
            job = self._table(table, action, bool(claim), refusal)
            if action == "sync" and keys:
                # What is there of an interrupted run is found by its key.
                early += keys
            else:
                rest = keys + rest
            job["finish"] = [stage for stage in (rest, _analyze(table, action)) if stage]
            if action == "sync":
                self._guard(job, table, there[table.label], obstacles, bool(schema.refresh()))
            if claim:
                claims[table.schema, table.name] = claim
            planned.append((table.bytes, job))
        planned.sort(key=lambda pair: -pair[0])
        jobs = [job for _bytes, job in planned]
        writes_books = any(job["action"] == "load" for job in jobs)
        prepare = [self._books()] if writes_books else []
        if going:
            prepare.append(schema.drop(going))
        return {
            "prepare": [*prepare, *schema.before(claims), *early],
            "tables": jobs,
            **self._ending(schema, writes_books),
        }

    def _table(self, table: Table, action: str, is_claimed: bool, refusal: t.Optional[str]) -> t.Dict[str, t.Any]:
        goes_on = action == "load" and not is_claimed
        began = bookkeeping.first_bound(self._destination, table.label) if goes_on else None
        sizes = Sizes(self._options.chunk_rows or _CHUNK_ROWS, began, self._encodings[0] != self._encodings[1])
        job = plan_table(table, action, sizes, refusal)
        if is_claimed and self._options.dry_run:
            # What is recorded would be forgotten first.
            job.update(chunks=None, split=None, done=None)
        return job

    def _guard(
        self, job: t.Dict[str, t.Any], table: Table, there: Table, obstacles: Obstacles, has_views: bool
    ) -> None:
        """What is done around the repairs of a table, and put down of them."""
        for name, part in obstacles.of(there).items():
            job[name] = part
        if not table.key:
            # So that a second try sees what the first has committed, if its answer was lost.
            job["before_repair"].insert(0, "LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE" % table.quoted)
        fixed = obstacles.immovable(there)
        if fixed is not None and job["refusal"] is None:
            message = (
                "destination: %s: its table %s differs from the source, and the foreign key %s, which is not of the"
            )
            message += " source or leads to what is left out, stands in the way of a repair"
            job["refusal"] = message % (self._destination.server, table.label, fixed)
        record = self._records.get(table.label)
        if record is not None and not record.complete:
            job["complete"] = bookkeeping.complete(table.label)
        if self._options.bookkeeping == "remove":
            return
        source = self._identities[0]
        notes = []
        if record is None and job["refusal"] is None:
            notes.append(silent("record", table.label, bookkeeping.adopt(table.label, source)))
        if has_views:
            notes.append(silent("record", bookkeeping.VIEWS, bookkeeping.owe(source)))
        if notes:
            job["unhook"] = [self._books(), *notes, *job["unhook"]]

    def _books(self) -> t.Dict[str, t.Any]:
        return silent("schema", BOOKKEEPING, list(bookkeeping.CREATE))

    def _ending(self, schema: Schema, writes_books: bool) -> t.Dict[str, t.Any]:
        """The stages that follow when all tables are done."""
        finish, refresh = schema.after(), schema.refresh()
        views = self._records.get(bookkeeping.VIEWS)
        if refresh:
            paid = silent("record", bookkeeping.VIEWS, bookkeeping.paid())
            if self._options.bookkeeping == "keep":
                refresh.append([paid])
            if views is not None and not views.complete:
                finish, refresh = finish + refresh, []
        if self._options.bookkeeping == "remove" and (writes_books or self._kept):
            finish.append([silent("schema", BOOKKEEPING, [bookkeeping.REMOVE])])
        return {"finish": finish, "refresh": refresh}

    def _judge(self, schema: Schema, table: Table) -> t.Tuple[str, t.List[str], t.Optional[str]]:
        """What is to be done with a table, what claims it, and why it must not be changed."""
        source, at = self._identities[0], self._snapshot.position
        claim = bookkeeping.claim(table.label, source, at)
        if not schema.has(table):
            return "load", claim, None
        record = self._records.get(table.label)
        if record is None or record.source != source:
            refusal = None
            if self._options.if_exists == "fail":
                refusal = (
                    "destination: %s: its table %s differs from the source, and this collection did not write it; %s"
                )
                refusal = refusal % (self._destination.server, table.label, ADVICE)
            return "sync", [], refusal
        if record.complete:
            return "sync", [], None
        if self._options.resume and record.source == source and at is not None and record.position == at:
            return "load", [], None
        if table.key and self._options.resume:
            return "sync", [], None
        return "load", ["TRUNCATE ONLY %s" % table.quoted, *claim], None

    def _proven(self) -> t.Optional[proof.Proof]:
        """What proves that both sides are equal, if nothing was written on either since."""
        found = proof.read(self._identities)
        known = (
            found is not None and found.plan == self._digest() and None not in (self._snapshot.position, self._position)
        )
        if found is None or not known:
            return None
        return found if (found.source, found.destination) == (self._snapshot.position, self._position) else None

    def _remember(self, statistics: t.Mapping[str, t.Any]) -> None:
        """Keep that both sides were found equal, if no one has written at the destination meanwhile."""
        there = position(self._destination)
        here = self._snapshot.position
        if here is None or there is None or there != self._position or self._options.verify not in ("checksum", "full"):
            return
        rows, tables = statistics.get("rows_total", 0), statistics.get("tables", 0)
        proof.write(self._identities, proof.Proof(self._digest(), here, there, rows, tables))

    def _digest(self) -> str:
        options = self._options
        content = [list(options.tables), list(options.exclude), options.prune, list(options.allow_losses)]
        content.append(options.bookkeeping)
        return hashlib.sha256(json.dumps(content).encode("ascii")).hexdigest()


def _analyze(table: Table, action: str) -> t.List[t.Dict[str, t.Any]]:
    return [silent("statistics", table.label, ["ANALYZE %s" % table.quoted])] if action == "load" else []
