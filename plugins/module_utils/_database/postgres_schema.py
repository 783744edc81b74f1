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
from .postgres_catalog import Table, literal, quote
from .postgres_dump import Definitions, Entry
from .postgres_selection import Selection
from .postgres_session import Session

Step = t.Dict[str, t.Any]
Place = t.Tuple[str, str]

# By what a user calls them, where pg_dump has its own word.
_KINDS = {"FK CONSTRAINT": "foreign key", "CHECK CONSTRAINT": "constraint", "TABLE ATTACH": "partition"}
# What a table gets as soon as its own rows are there.
_WITH_ROWS = ("INDEX", "CONSTRAINT")
_OF_ROWS = "MATERIALIZED VIEW DATA"
# A definition of these can be given again.
_RENEWABLE = ("COMMENT",)


class Schema:
    """Compares the definitions of both sides. is_ours: whether what is there may be changed. Raises DatabaseError for
    definitions that are there, but differ, and for what must not be changed."""

    def __init__(
        self,
        sessions: t.Tuple[Session, Session],
        selection: Selection,
        there: Definitions,
        existing: t.Sequence[Table],
        is_ours: bool,
    ) -> None:
        self._source, self._destination = sessions
        self._is_ours = is_ours
        self._there = {table.label: table for table in existing}
        self._tables = {(table.schema, table.name): table for table in selection.tables}
        self._known = _texts([*there.before, *there.after])
        self._owners = catalog.owners(self._source)
        self._parents = catalog.parents(self._source)
        # Some are but a remark, such as that of the schema public.
        before, after = ([e for e in part if e.has_statement] for part in selection.definitions)
        wanted = _texts([*before, *after])
        # Two versions of the server may print one definition in two ways: then what is there is taken as it is.
        if self._source.version // 10000 == self._destination.version // 10000:
            self._refuse_differing([*before, *after], wanted)
        self._sequences_wanted = [(e.schema, e.name) for e in before if e.kind == "SEQUENCE"]
        self._of_rows = [entry for entry in after if entry.kind == _OF_ROWS]
        missing = [entry for entry in before if self._is_missing(entry, wanted)]
        self._late = [entry for entry in missing if entry.kind == "TABLE ATTACH" and self._has_parent(entry)]
        self._before = [entry for entry in missing if entry not in self._late]
        self._after = [entry for entry in after if entry.kind != _OF_ROWS and self._is_missing(entry, wanted)]
        self._with_rows = [entry for entry in self._after if entry.kind in _WITH_ROWS and self._is_of_rows(entry)]
        self.extra = self._only_there(there, wanted, {table.label for table in existing})

    def _refuse_differing(self, entries: t.Sequence[Entry], wanted: t.Mapping[t.Any, t.Set[str]]) -> None:
        differing = []
        for entry in entries:
            known = self._known.get(entry.key)
            if known is None or entry.sql in known or entry.kind in _RENEWABLE:
                continue
            # What several have in common tells none of them apart; and a view that is made in two steps may be half
            # made.
            rule = ("RULE", entry.schema, "%s _RETURN" % entry.name)
            if len(known) == len(wanted[entry.key]) == 1 and not (rule in wanted and rule not in self._known):
                differing.append("%s %s" % (_kind(entry), _name(entry)))
        if differing:
            more = "" if len(differing) <= 5 else " and %d more" % (len(differing) - 5)
            raise self._refusal(
                "what is there is defined in another way than in the source: %s%s" % (", ".join(differing[:5]), more)
            )

    def _refusal(self, message: str) -> DatabaseError:
        return DatabaseError(message, "destination", self._destination.server, "destination_exists")

    def _only_there(self, there: Definitions, wanted: t.Mapping[t.Any, t.Set[str]], labels: t.Set[str]) -> t.List[str]:
        """What the destination alone has, apart from tables and what belongs to them."""
        owners = catalog.owners(self._destination)
        shared = {(table.schema, table.name) for table in self._tables.values()}
        by_oid = {table.oid: (table.schema, table.name) for table in self._there.values()}
        found = []
        for entry in [*there.before, *there.after]:
            if entry.key in wanted or not entry.has_statement or entry.kind in ("TABLE", "COMMENT", _OF_ROWS):
                continue
            place = (entry.schema, entry.name)
            owner = place if "%s.%s" % place in labels else by_oid.get(owners.get(place, 0))
            if owner is not None and owner not in shared:
                continue
            if entry.kind == "TABLE ATTACH":
                raise self._refusal("the table %s.%s is a partition there, and none in the source" % place)
            found.append("%s %s" % (_kind(entry), _name(entry)))
        return found

    def _owner(self, entry: Entry) -> t.Optional[Place]:
        """The table to which an entry belongs, or that it is."""
        place = (entry.schema, entry.name)
        if place in self._tables:
            return place
        oid = self._owners.get(place)
        return next((other for other, table in self._tables.items() if table.oid == oid), None)

    def _has_parent(self, entry: Entry) -> bool:
        """Whether the destination has the table of which another is to be made a partition. What that has for its rows,
        such as triggers, must not see the rows of the new one come."""
        table = self._tables.get((entry.schema, entry.name))
        parent = None if table is None else self._parents.get(table.oid)
        return any(other.oid == parent and self.has(other) for other in self._tables.values())

    def _is_missing(self, entry: Entry, wanted: t.Mapping[t.Any, t.Set[str]]) -> bool:
        known = self._known.get(entry.key)
        if known is None:
            return True
        several = len(wanted[entry.key]) > 1 or len(known) > 1
        return (several or entry.kind in _RENEWABLE) and entry.sql not in known

    def _is_of_rows(self, entry: Entry) -> bool:
        """Whether it belongs to a table that holds rows itself."""
        owner = self._owner(entry)
        return owner is not None and not self._tables[owner].is_partitioned

    def has(self, table: Table) -> bool:
        """Whether the destination has that table."""
        return table.label in self._there

    def lacking(self, table: Table) -> t.List[str]:
        """What the destination's table has not, and would get."""
        place = (table.schema, table.name)
        entries = [*self._before, *self._late, *self._after]
        return ["%s %s" % (_kind(entry), _name(entry)) for entry in entries if self._owner(entry) == place]

    def of_table(self, table: Table) -> t.Tuple[t.List[Step], t.List[Step]]:
        """What is to be made when the table's rows are there, all at once: its key, and the rest."""
        own = [entry for entry in self._with_rows if self._owner(entry) == (table.schema, table.name)]
        keys = [entry for entry in own if entry.kind == "CONSTRAINT"]
        return [self._step(entry) for entry in keys], [self._step(entry) for entry in own if entry not in keys]

    def before(self, claims: t.Mapping[Place, t.List[str]]) -> t.List[Step]:
        """What is made before any row, in this order. claims: what is to be put down when a table is made."""
        made = []
        left = dict(claims)
        for entry in self._before:
            step = self._step(entry)
            if entry.kind == "TABLE":
                step["sql"] += left.pop((entry.schema, entry.name), [])
            made.append(step)
        return made + [silent("table", "%s.%s" % place, sql) for place, sql in left.items()]

    def after(self) -> t.List[t.List[Step]]:
        """What is made when all rows are there: foreign keys at the same time, all else one by one."""
        stages: t.List[t.List[Step]] = []
        last = ""
        for entry in [*self._late, *self._after]:
            if entry in self._with_rows:
                continue
            if entry.kind == last == "FK CONSTRAINT":
                stages[-1].append(self._step(entry))
            else:
                stages.append([self._step(entry)])
            last = entry.kind
        full = catalog.filled_views(self._destination)
        stages += [[self._step(entry)] for entry in self._of_rows if (entry.schema, entry.name) not in full]
        return stages + self._sequences()

    def refresh(self) -> t.List[t.List[Step]]:
        """What follows from rows, and so is made again where any was written."""
        full = catalog.filled_views(self._destination)
        return [[_told(entry, "update")] for entry in self._of_rows if (entry.schema, entry.name) in full]

    def _sequences(self) -> t.List[t.List[Step]]:
        """Counters that are elsewhere. A new one is told by its definition."""
        here = catalog.sequences(self._source)
        there = catalog.sequences(self._destination)
        steps = []
        for place in self._sequences_wanted:
            wanted, found = here.get(place), there.get(place)
            if wanted is None or (found is not None and found[2:] == wanted[2:]):
                continue
            if found is not None and not self._is_ours:
                message = (
                    "its sequence %s.%s is elsewhere, and this collection did not write it; if_exists: sync sets it"
                )
                raise self._refusal(message % place)
            target = literal("%s.%s" % (quote(wanted.schema), quote(wanted.name)))
            sql = "SELECT setval(%s, %d, %s)" % (target, wanted.value, "true" if wanted.is_called else "false")
            step = silent("sequence", "%s.%s" % place, [sql])
            if found is not None:
                step["action"] = "update"
            steps.append(step)
        return [steps] if steps else []

    def drop(self, tables: t.Sequence[Table]) -> Step:
        """All at once, since they may refer to each other; what else needs them stands in the way."""
        names = ", ".join(table.quoted for table in tables)
        labels = ", ".join(table.label for table in tables)
        return {"action": "delete", "kind": "table", "name": labels, "sql": ["DROP TABLE " + names]}

    def _step(self, entry: Entry) -> Step:
        return _told(entry, "update" if entry.key in self._known and entry.kind in _RENEWABLE else "create")


def silent(kind: str, name: str, sql: t.List[str]) -> Step:
    """A step that is told nobody."""
    return {"action": "none", "kind": kind.replace(" ", "_"), "name": name, "sql": sql}


def _told(entry: Entry, action: str) -> Step:
    return {"action": action, "kind": _kind(entry).replace(" ", "_"), "name": _name(entry), "sql": [entry.sql]}


def _texts(entries: t.Iterable[Entry]) -> t.Dict[t.Tuple[str, str, str], t.Set[str]]:
    """By how pg_dump calls them, which a few have in common."""
    found: t.Dict[t.Tuple[str, str, str], t.Set[str]] = {}
    for entry in entries:
        found.setdefault(entry.key, set()).add(entry.sql)
    return found


def _kind(entry: Entry) -> str:
    return _KINDS.get(entry.kind) or entry.kind.lower()


def _name(entry: Entry) -> str:
    return entry.name if entry.schema == "-" else "%s.%s" % (entry.schema, entry.name)
