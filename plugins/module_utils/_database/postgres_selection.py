# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Which tables of a PostgreSQL database go, and which definitions cannot go without those that stay."""

from __future__ import annotations

import difflib
import fnmatch
import typing as t

from . import postgres_catalog as catalog
from .errors import DatabaseError
from .postgres_catalog import Table
from .postgres_dump import Definitions, Entry
from .postgres_session import Session

# Below a parent come its partitions, and the tables that inherit from it.
_CHILDREN = "SELECT inhparent, inhrelid FROM pg_inherits"
# Views that read from what stays, directly or through others; and sequences that belong to it.
_DEPENDENT = (
    "WITH RECURSIVE gone (oid, seen) AS (SELECT unnest(%s::oid[]), false UNION SELECT w.ev_class, true FROM gone g"
    " JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = g.oid"
    " AND d.classid = 'pg_rewrite'::regclass JOIN pg_rewrite w ON w.oid = d.objid)"
    " SELECT c.oid, n.nspname, c.relname, c.relkind::text FROM gone g JOIN pg_class c ON c.oid = g.oid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE g.seen AND c.relkind IN ('v', 'm')"
    " UNION SELECT c.oid, n.nspname, c.relname, c.relkind::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE d.classid = 'pg_class'::regclass AND c.relkind = 'S'"
    " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (%s::oid[]) AND d.deptype IN ('a', 'i')"
)
_OF_A_RELATION = (
    "TABLE",
    "TABLE ATTACH",
    "VIEW",
    "MATERIALIZED VIEW",
    "MATERIALIZED VIEW DATA",
    "SEQUENCE",
    "ROW SECURITY",
)
_VIEWS = {"v": "view", "m": "materialized view"}


class Selection(t.NamedTuple):
    """omitted: {kind, name, reason} of what does not go."""

    tables: t.List[Table]
    definitions: Definitions
    omitted: t.List[t.Dict[str, str]]


def without_event_triggers(selection: Selection) -> Selection:
    """The same without what only a superuser may make."""

    def goes(entry: Entry) -> bool:
        return entry.kind != "EVENT TRIGGER" and not (
            entry.kind == "COMMENT" and entry.name.startswith("EVENT TRIGGER ")
        )

    before, after = ([entry for entry in part if goes(entry)] for part in selection.definitions)
    return selection._replace(definitions=Definitions(before, after))


def choose(session: Session, found: t.Sequence[Table], tables: t.Sequence[str], exclude: t.Sequence[str]) -> t.Set[int]:
    """The numbers of those tables that go. Patterns match a table's name, or schema.name; its partitions go with it.

    Raises DatabaseError for a pattern that matches nothing.
    """
    children: t.Dict[int, t.List[int]] = {}
    for parent, child in session.rows(_CHILDREN):
        children.setdefault(parent, []).append(child)
    chosen = _matching(found, tables, "tables", children) if tables else {table.oid for table in found}
    return chosen - _matching(found, exclude, "exclude", children)


def _matching(
    found: t.Sequence[Table], patterns: t.Sequence[str], option: str, children: t.Mapping[int, t.Sequence[int]]
) -> t.Set[int]:
    matched: t.Set[int] = set()
    for pattern in patterns:
        new = {
            table.oid
            for table in found
            if fnmatch.fnmatchcase(table.name, pattern) or fnmatch.fnmatchcase(table.label, pattern)
        }
        if not new:
            names = [name for table in found for name in (table.name, table.label)]
            near = difflib.get_close_matches(pattern, names, 1)
            hint = "; did you mean %s?" % near[0] if near else ""
            raise DatabaseError("it matches no table of the source%s" % hint, option, pattern)
        matched |= new
    waiting = list(matched)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in matched:
                matched.add(child)
                waiting.append(child)
    return matched


def select(session: Session, found: t.Sequence[Table], chosen: t.Set[int], definitions: Definitions) -> Selection:
    """The tables that go, and the definitions that can go with them."""
    staying = {table.oid: table for table in found if table.oid not in chosen}
    omitted = [
        {"kind": "table", "name": table.label, "reason": "tables and exclude leave it out"}
        for table in staying.values()
    ]
    going = [table for table in found if table.oid in chosen]
    if not staying:
        return Selection(going, definitions, omitted)
    relations = {(table.schema, table.name) for table in staying.values()}
    gone = set(staying)
    for oid, schema, name, kind in session.rows(_DEPENDENT, list(staying), list(staying)):
        gone.add(oid)
        relations.add((schema, name))
        if kind in _VIEWS:
            reason = "it needs a table that is left out"
            omitted.append({"kind": _VIEWS[kind], "name": "%s.%s" % (schema, name), "reason": reason})
    owners = catalog.owners(session)
    barred = {
        (table.schema, "%s %s" % (table.name, key.name))
        for key in catalog.foreign_keys(session)
        for table in found
        if table.oid == key.table and key.referenced in staying and key.table not in staying
    }
    for schema, name in sorted(barred):
        reason = "it refers to a table that is left out"
        omitted.append({"kind": "foreign key", "name": "%s.%s" % (schema, name), "reason": reason})

    def goes(entry: Entry) -> bool:
        place = (entry.schema, entry.name)
        if entry.kind in (*_OF_A_RELATION, "SEQUENCE OWNED BY"):
            return place not in relations
        if entry.kind == "COMMENT":
            of, _space, name = entry.name.partition(" ")
            subject = name.split(".")[0] if of == "COLUMN" else name
            return (entry.schema, subject) not in relations and owners.get((entry.schema, name)) not in gone
        return place not in barred and owners.get(place) not in gone

    return Selection(
        going,
        Definitions([e for e in definitions.before if goes(e)], [e for e in definitions.after if goes(e)]),
        omitted,
    )
