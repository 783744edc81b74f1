# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Which definitions a PostgreSQL destination lacks, and when each of them is made."""

from __future__ import annotations

import typing as t

from . import postgres_catalog as catalog
from .errors import DatabaseError
from .options import Options
from .postgres_catalog import Table, literal, quote
from .postgres_dump import Definitions, Entry
from .postgres_selection import Selection
from .postgres_session import Session

Step = t.Dict[str, t.Any]

# By what a user calls them, where pg_dump has its own word.
_KINDS = {"FK CONSTRAINT": "foreign_key", "CHECK CONSTRAINT": "constraint", "TABLE ATTACH": "partition"}
# Parts of something that is told already.
_SILENT = ("SEQUENCE OWNED BY", "INDEX ATTACH", "DEFAULT")
# What a table gets as soon as its own rows are there.
_WITH_ROWS = ("INDEX", "CONSTRAINT")
_OF_ROWS = "MATERIALIZED VIEW DATA"
# A definition of these can be given again.
_RENEWABLE = ("COMMENT",)


class Schema:
    """Compares the definitions of both sides. Raises DatabaseError for those that are there, but differ."""

    def __init__(
        self,
        source: Session,
        destination: Session,
        selection: Selection,
        there: Definitions,
        existing: t.Sequence[Table],
        options: Options,
    ) -> None:
        self._source = source
        self._destination = destination
        self._selection = selection
        self._options = options
        self._there = {table.label: table for table in existing}
        self._tables = {(table.schema, table.name): table for table in selection.tables}
        known = {entry.key: entry.sql for entry in [*there.before, *there.after]}
        self._owners = catalog.owners(source)
        self._foreign_keys = catalog.foreign_keys(destination) if existing else []
        self._claims: t.Dict[t.Tuple[str, str], t.List[str]] = {}
        self._remade = self._to_make_again(known)
        self._before = [entry for entry in selection.definitions.before if self._is_missing(entry, known)]
        self._after = [
            entry for entry in selection.definitions.after if entry.kind != _OF_ROWS and self._is_missing(entry, known)
        ]
        self._with_rows = [entry for entry in self._after if entry.kind in _WITH_ROWS and self._is_of_rows(entry)]

    def _to_make_again(self, known: t.Mapping[t.Tuple[str, str, str], str]) -> t.Set[t.Tuple[str, str]]:
        """The tables whose definitions differ, if they may be made anew."""
        entries = [*self._selection.definitions.before, *self._selection.definitions.after]
        differing = [
            entry
            for entry in entries
            if entry.key in known and known[entry.key] != entry.sql and entry.kind not in _RENEWABLE
        ]
        tables = {(entry.schema, entry.name) for entry in differing if entry.kind == "TABLE"}
        may = self._options.if_exists == "replace"
        wrong = [
            entry
            for entry in differing
            if (entry.kind == "TABLE" and not may) or (entry.kind != "TABLE" and self._owner(entry) not in tables)
        ]
        if wrong:
            names = ["%s %s" % (_kind(entry), _name(entry)) for entry in wrong]
            more = "" if len(names) <= 5 else " and %d more" % (len(names) - 5)
            advice = (
                "" if not all(entry.kind == "TABLE" for entry in wrong) else "; if_exists: replace makes tables anew"
            )
            raise DatabaseError(
                "what is there is defined in another way than in the source: %s%s%s"
                % (", ".join(names[:5]), more, advice),
                "destination",
                self._destination.server,
                "destination_exists",
            )
        return tables

    def _owner(self, entry: Entry) -> t.Optional[t.Tuple[str, str]]:
        """The table to which an entry belongs, or that it is."""
        if (entry.schema, entry.name) in self._tables:
            return (entry.schema, entry.name)
        oid = self._owners.get((entry.schema, entry.name))
        return next(((t_.schema, t_.name) for t_ in self._selection.tables if t_.oid == oid), None)

    def _is_missing(self, entry: Entry, known: t.Mapping[t.Tuple[str, str, str], str]) -> bool:
        return known.get(entry.key) != entry.sql or self._owner(entry) in self._remade

    def _is_of_rows(self, entry: Entry) -> bool:
        """Whether it belongs to a table that holds rows itself."""
        owner = self._owner(entry)
        return owner is not None and not self._tables[owner].is_partitioned

    def has(self, table: Table) -> bool:
        """Whether the destination has that table, and keeps it."""
        return table.label in self._there and (table.schema, table.name) not in self._remade

    def claim(self, table: Table, sql: t.List[str]) -> None:
        """What is to be put down when the table is made, or before it is filled."""
        if sql:
            self._claims[table.schema, table.name] = sql

    def of_table(self, table: Table) -> t.Tuple[t.List[Step], t.List[Step]]:
        """What is to be made when the table's rows are there, all at once: its key, and the rest."""
        own = [entry for entry in self._with_rows if self._owner(entry) == (table.schema, table.name)]
        keys = [entry for entry in own if entry.kind == "CONSTRAINT"]
        return [_step(entry) for entry in keys], [_step(entry) for entry in own if entry not in keys]

    def before(self) -> t.List[Step]:
        """What is made before any row, in this order."""
        made = []
        remade = [self._there["%s.%s" % name] for name in sorted(self._remade)]
        if remade:
            made.append(self.drop(remade))
        claims = dict(self._claims)
        for entry in self._before:
            step = _step(entry)
            if entry.kind == "TABLE":
                step["sql"] += claims.pop((entry.schema, entry.name), [])
            made.append(step)
        made += [_silent("table", "%s.%s" % name, sql) for name, sql in claims.items()]
        return made

    def after(self) -> t.List[t.List[Step]]:
        """What is made when all rows are there: foreign keys at the same time, all else one by one."""
        stages: t.List[t.List[Step]] = []
        last = ""
        for entry in self._after:
            if entry in self._with_rows:
                continue
            if entry.kind == last == "FK CONSTRAINT":
                stages[-1].append(_step(entry))
            else:
                stages.append([_step(entry)])
            last = entry.kind
        return [*stages, *self._sequences()]

    def refresh(self) -> t.List[t.List[Step]]:
        """What follows from rows, and so is made again where any was written."""
        return [[_step(entry, "update")] for entry in self._selection.definitions.after if entry.kind == _OF_ROWS]

    def _sequences(self) -> t.List[t.List[Step]]:
        """Counters that are elsewhere. A new one is told by its definition."""
        names = [(e.schema, e.name) for e in self._selection.definitions.before if e.kind == "SEQUENCE"]
        here = catalog.sequences(self._source)
        there = catalog.sequences(self._destination)
        steps = []
        for name in names:
            wanted, found = here.get(name), there.get(name)
            if wanted is None or (found is not None and found[2:] == wanted[2:]):
                continue
            target = literal("%s.%s" % (quote(wanted.schema), quote(wanted.name)))
            sql = "SELECT setval(%s, %d, %s)" % (target, wanted.value, "true" if wanted.is_called else "false")
            step = _silent("sequence", "%s.%s" % name, [sql])
            if found is not None:
                step["action"] = "update"
            steps.append(step)
        return [steps] if steps else []

    def foreign_keys(self, table: Table) -> t.Dict[str, t.Any]:
        """What of the destination would stand in the way of a repair, and how it comes back."""
        there = self._there[table.label]
        by_oid = {other.oid: other for other in self._there.values()}
        found = [key for key in self._foreign_keys if there.oid in (key.table, key.referenced)]
        away, back = [], []
        for key in found:
            owner = by_oid[key.table]
            name = "%s.%s" % (owner.label, key.name)
            only = "" if owner.is_partitioned else "ONLY "
            drop = "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s" % (owner.quoted, quote(key.name))
            add = "ALTER TABLE %s%s ADD CONSTRAINT %s %s" % (only, owner.quoted, quote(key.name), key.definition)
            away.append(_silent("foreign_key", name, [drop]))
            back.append(_silent("foreign_key", name, [add]))
        return {"unhook": away, "rehook": [back] if back else []}

    def drop(self, tables: t.Sequence[Table]) -> Step:
        """All at once, since they may refer to each other; what else needs them stands in the way."""
        names = ", ".join(table.quoted for table in tables)
        labels = ", ".join(table.label for table in tables)
        return {"action": "delete", "kind": "table", "name": labels, "sql": ["DROP TABLE " + names]}


def _step(entry: Entry, action: str = "create") -> Step:
    silent = entry.kind in _SILENT or entry.kind == "COMMENT"
    return {
        "action": "none" if silent else action,
        "kind": _kind(entry),
        "name": _name(entry),
        "sql": [entry.sql],
    }


def _silent(kind: str, name: str, sql: t.List[str]) -> Step:
    return {"action": "none", "kind": kind, "name": name, "sql": sql}


def _kind(entry: Entry) -> str:
    return _KINDS.get(entry.kind) or entry.kind.lower().replace(" ", "_")


def _name(entry: Entry) -> str:
    return entry.name if entry.schema == "-" else "%s.%s" % (entry.schema, entry.name)
