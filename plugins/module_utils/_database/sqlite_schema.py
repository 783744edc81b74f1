# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What a SQLite database holds, read from its catalog."""

from __future__ import annotations

import re
import sqlite3
import typing as t
from dataclasses import dataclass, field

from .errors import DatabaseError
from .sqlite_connection import Reader

RESERVED = "_migration_assistant"
ROWID_NAMES = ("rowid", "oid", "_rowid_")
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "docsize", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "parent", "rowid"),
    "rtree_i32": ("node", "parent", "rowid"),
    "geopoly": ("node", "parent", "rowid"),
}
_MODULE = re.compile(
    r"""\s*CREATE\s+VIRTUAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?
    (?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|\S+)\s+USING\s+["'`\[]?(\w+)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class KeyColumn:
    """collation: of the key where the column has another one, else empty."""

    name: str
    collation: str
    descending: bool


@dataclass(frozen=True)
class Column:
    """affinity: text, numeric, real or none."""

    name: str
    affinity: str


@dataclass(frozen=True)
class Table:
    """A table. columns: without generated ones; generated: whether there are such. key: what orders and identifies
    its rows, None if nothing accessible does. implicit_rowid: the key is a rowid that is no column. without_rowid:
    declared so. module: of a virtual table."""

    name: str
    sql: str
    columns: t.Tuple[Column, ...] = ()
    generated: bool = False
    key: t.Optional[t.Tuple[KeyColumn, ...]] = None
    implicit_rowid: bool = False
    without_rowid: bool = False
    autoincrement: bool = False
    module: t.Optional[str] = None

    @property
    def internal(self) -> bool:
        return self.name.lower().startswith("sqlite_")


@dataclass(frozen=True)
class SchemaObject:
    """An index, a view or a trigger, and the table that it belongs to."""

    kind: str
    name: str
    table: str
    sql: str


@dataclass
class Schema:
    """The catalog in creation order. All names compare without regard to case, as in SQLite: keys are lower case."""

    tables: t.Dict[str, Table] = field(default_factory=dict)
    objects: t.Dict[str, SchemaObject] = field(default_factory=dict)
    shadows: t.Dict[str, str] = field(default_factory=dict)
    version: int = 0
    has_sequences: bool = False
    reserved: t.List[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.tables and not self.objects


def read(reader: Reader) -> Schema:
    """The whole schema behind *reader*. Raises DatabaseError."""
    schema = Schema(version=int(reader.value("PRAGMA schema_version")))
    catalog = reader.rows("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY rowid")
    _check_text(reader, catalog)
    names = {row[1] for row in catalog if row[0] == "index"}
    for kind, name, table, root, sql in catalog:
        key = name.lower()
        if key.startswith(RESERVED) or table.lower().startswith(RESERVED):
            if kind != "index" or sql is not None:
                schema.reserved.append(name)
        elif kind == "table" and key == "sqlite_sequence":
            schema.has_sequences = True
        elif kind == "table" and not root:
            schema.tables[key] = Table(name, sql, module=_module(sql))
        elif kind == "table":
            schema.tables[key] = _table(reader, name, sql, names)
        elif sql is not None:
            # A trigger's catalog row has the table's name as it was written there.
            owner = schema.tables.get(table.lower())
            schema.objects[key] = SchemaObject(kind, name, owner.name if owner else table, sql)
    for table in schema.tables.values():
        for suffix in _SHADOWS.get(table.module or "", ()):
            shadow = "%s_%s" % (table.name.lower(), suffix)
            if shadow in schema.tables:
                schema.shadows[shadow] = table.name.lower()
    return schema


def _check_text(reader: Reader, catalog: t.Iterable[t.Tuple[t.Any, ...]]) -> None:
    for row in catalog:
        for text in row:
            if isinstance(text, str):
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError as exc:
                    raise DatabaseError(
                        "the definition of %r is not valid UTF-8" % row[1], reader.option, reader.path
                    ) from exc


def _module(sql: str) -> str:
    match = _MODULE.match(sql or "")
    return match.group(1).lower() if match else "unknown"


def _table(reader: Reader, name: str, sql: str, indexes: t.Set[str]) -> Table:
    quoted = quote(name)
    # cid, name, type, notnull, default, pk, hidden (2 and 3: generated)
    columns = reader.rows("PRAGMA table_xinfo(%s)" % quoted)
    plain = tuple(Column(str(column[1]), _affinity(str(column[2]))) for column in columns if column[6] < 2)
    primary = [str(row[1]) for row in reader.rows("PRAGMA index_list(%s)" % quoted) if row[3] == "pk"]
    key: t.Optional[t.Tuple[KeyColumn, ...]]
    implicit = False
    members = [str(column[1]) for column in columns if column[5]]
    # The primary key of a table without rowid is the table itself, so its index is not in the catalog.
    without_rowid = bool(primary) and primary[0] not in indexes
    if without_rowid:
        key = _key_of_index(reader, primary[0], sql)
    elif len(members) == 1 and not primary:
        key = (KeyColumn(members[0], "", False),)
    else:
        taken = {str(column[1]).lower() for column in columns}
        free = [alias for alias in ROWID_NAMES if alias not in taken]
        implicit = bool(free)
        key = (KeyColumn(free[0], "", False),) if free else None
    if name.lower().startswith("sqlite_"):
        # Statistics are a set of rows: their rowids mean nothing.
        key, implicit = None, False
    counted = bool(re.search(r"\bAUTOINCREMENT\b", sql, re.IGNORECASE))
    return Table(name, sql, plain, len(plain) < len(columns), key, implicit, without_rowid, counted)


def _affinity(declared: str) -> str:
    """SQLite's own rules; ANY is none in a STRICT table, and taking it for that elsewhere only costs time."""
    upper = declared.upper()
    if "INT" in upper:
        return "numeric"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if not upper or "BLOB" in upper or upper == "ANY":
        return "none"
    if any(part in upper for part in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "numeric"


def _key_of_index(reader: Reader, index: str, sql: str) -> t.Tuple[KeyColumn, ...]:
    # seqno, cid, name, desc, coll, key
    rows = [row for row in reader.rows("PRAGMA index_xinfo(%s)" % quote(index)) if row[5]]
    names = [str(row[2]) for row in rows]
    own = _collations(sql, names)
    return tuple(
        KeyColumn(name, "" if str(row[4]).lower() == own.get(name) else str(row[4]), bool(row[3]))
        for name, row in zip(names, rows)
    )


def _collations(sql: str, names: t.Sequence[str]) -> t.Dict[str, str]:
    """The columns' own collations, in lower case, as an index on an empty copy of the table tells them.

    The catalog does not say; and a comparison that names a collation is slower than one that need not.
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(sql)
        table = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        columns = ", ".join(quote(name) for name in names)
        connection.execute("CREATE INDEX _migration_assistant_index ON %s (%s)" % (quote(table), columns))
        rows = connection.execute("PRAGMA index_xinfo(_migration_assistant_index)").fetchall()
        return {str(row[2]): str(row[4]).lower() for row in rows if row[5]}
    except sqlite3.Error:
        return {}
    finally:
        connection.close()


def quote(name: str) -> str:
    return '"%s"' % name.replace('"', '""')


def literal(text: str) -> str:
    return "'%s'" % text.replace("'", "''")
