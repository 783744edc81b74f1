# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Which tables, indexes, views and triggers a migration takes, and which it leaves out and why."""

from __future__ import annotations

import difflib
import fnmatch
import re
import sqlite3
import typing as t
from dataclasses import dataclass, field

from .errors import DatabaseError
from .sqlite_schema import Schema, SchemaObject, Table, quote

_MISSING = re.compile(r"no such (?:table|view): (?:main\.)?(.*)")


@dataclass
class Selection:
    """What is taken, in creation order; omitted: {kind, name, reason} of what is not."""

    tables: t.List[Table] = field(default_factory=list)
    objects: t.List[SchemaObject] = field(default_factory=list)
    omitted: t.List[t.Dict[str, str]] = field(default_factory=list)
    filtered: bool = False


def select(schema: Schema, tables: t.Sequence[str], exclude: t.Sequence[str]) -> Selection:
    """Apply the options tables and exclude: names or shell patterns, without regard to case.

    Raises DatabaseError for one that matches nothing, and for a definition that cannot be carried over.
    """
    selection = Selection(filtered=bool(tables or exclude))
    wanted = _matching(schema, tables, "tables") if tables else None
    unwanted = _matching(schema, exclude, "exclude")
    left_out: t.Set[str] = set()
    for key, table in schema.tables.items():
        # A virtual table and the tables that hold its contents go together; statistics go with the rest.
        owner = schema.shadows.get(key, key)
        if table.internal or ((wanted is None or owner in wanted) and owner not in unwanted):
            selection.tables.append(table)
            continue
        left_out.add(key)
        selection.omitted.append({"kind": "table", "name": table.name, "reason": "tables and exclude leave it out"})
    for name in schema.reserved:
        selection.omitted.append({"kind": "table", "name": name, "reason": "the name is reserved for bookkeeping"})
    for item in schema.objects.values():
        if item.table.lower() not in left_out:
            selection.objects.append(item)
        else:
            _omit(selection, item, "it belongs to the table %s" % item.table)
    _rehearse(selection, left_out)
    return selection


def _matching(schema: Schema, patterns: t.Sequence[str], option: str) -> t.Set[str]:
    names = [key for key, table in schema.tables.items() if not table.internal and key not in schema.shadows]
    found: t.Set[str] = set()
    for pattern in patterns:
        wanted = pattern.lower()
        hits = {wanted} & set(names) or set(fnmatch.filter(names, wanted))
        if not hits:
            near = difflib.get_close_matches(wanted, names, 1, 0.5)
            hint = (
                "did you mean %s?" % schema.tables[near[0]].name
                if near
                else "the source has %s" % (", ".join(schema.tables[name].name for name in names[:10]) or "no tables")
            )
            raise DatabaseError("no table of the source matches; %s" % hint, option, pattern)
        found |= hits
    return found


def _omit(selection: Selection, item: SchemaObject, reason: str) -> None:
    selection.omitted.append({"kind": item.kind, "name": item.name, "reason": reason})


def _rehearse(selection: Selection, left_out: t.Set[str]) -> None:
    """Build the schema once in memory, without rows.

    What fails here would fail half-way through the run. Views and triggers that need a table which is left out
    are moved to the omitted ones; those that are broken in the source as well stay as they are.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute("PRAGMA writable_schema = ON")
        for table in selection.tables:
            _rehearse_table(connection, table)
        kept = []
        for item in selection.objects:
            reason = _rehearse_object(connection, item, left_out)
            if reason is None:
                kept.append(item)
            else:
                left_out = left_out | {item.name.lower()}
                _omit(selection, item, reason)
        selection.objects = kept
    finally:
        connection.close()


def _rehearse_table(connection: sqlite3.Connection, table: Table) -> None:
    if table.name.lower() == "sqlite_stat4":
        return
    try:
        connection.execute(table.sql)
        if table.module is None:
            # Preparing it looks up the collations and functions of constraints and generated columns.
            names = ", ".join(quote(column.name) for column in table.columns)
            connection.execute(
                "EXPLAIN INSERT INTO %s (%s) SELECT %s FROM %s" % (quote(table.name), names, names, quote(table.name))
            )
    except sqlite3.Error as exc:
        if table.module is None and "already exists" not in str(exc):
            raise DatabaseError("the table %s cannot be carried over: %s" % (table.name, exc), "source") from exc


def _rehearse_object(connection: sqlite3.Connection, item: SchemaObject, left_out: t.Set[str]) -> t.Optional[str]:
    """Why this object must be left out, or None."""
    try:
        connection.execute(item.sql)
    except sqlite3.Error as exc:
        if item.kind == "index":
            raise DatabaseError("the index %s cannot be carried over: %s" % (item.name, exc), "source") from exc
        missing = _missing(exc, left_out)
        return "it needs %s" % missing if missing else None
    if not left_out:
        return None
    try:
        for statement in _uses(connection, item):
            try:
                # Each text but once: Python keeps statements, and an EXPLAIN is not prepared again.
                connection.execute("EXPLAIN /* %s */ %s" % (item.name.encode("utf-8").hex(), statement))
            except sqlite3.Error as exc:
                missing = _missing(exc, left_out)
                if missing:
                    connection.execute("DROP %s %s" % (item.kind.upper(), quote(item.name)))
                    return "it needs %s" % missing
    except sqlite3.Error:
        # It is broken in the source as well.
        return None
    return None


def _uses(connection: sqlite3.Connection, item: SchemaObject) -> t.List[str]:
    """Statements that make SQLite look at all that a view or a trigger needs."""
    if item.kind == "view":
        return ["SELECT * FROM %s" % quote(item.name)]
    if item.kind != "trigger":
        return []
    table = quote(item.table)
    columns = ", ".join(quote(str(row[1])) for row in connection.execute("PRAGMA table_info(%s)" % table))
    return [
        "INSERT INTO {0} ({1}) SELECT {1} FROM {0}".format(table, columns),
        "UPDATE {0} SET ({1}) = ({1})".format(table, columns),
        "DELETE FROM {0}".format(table),
    ]


def _missing(exc: sqlite3.Error, left_out: t.Set[str]) -> t.Optional[str]:
    match = _MISSING.search(str(exc))
    return match.group(1) if match and match.group(1).lower() in left_out else None
