# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What a PostgreSQL database holds rows in, and what belongs to what."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .postgres_session import Session

BOOKKEEPING = "migration_assistant"
# Numbers of types from here on are those of users and extensions, and differ from one database to the other.
FIRST_OF_USERS = 16384

# Schemas that are the server's own, or ours.
_OURS = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname <> '%s'" % BOOKKEEPING
# What an extension brings comes with the extension.
_NO_EXTENSION = (
    "NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass"
    " AND e.objid = c.oid AND e.deptype = 'e')"
)
_TABLES = (
    "SELECT c.oid, n.nspname, c.relname, c.relkind::text, greatest(c.reltuples, 0)::bigint,"
    " CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END,"
    " CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) ELSE 0 END,"
    " has_table_privilege(c.oid, 'SELECT')"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {0} AND {1}"
    " ORDER BY n.nspname, c.relname".format(_OURS, _NO_EXTENSION)
)
# base: the type below a domain; element: that of an array.
_COLUMNS = (
    "SELECT a.attrelid, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', b.oid,"
    " b.typtype::text, CASE WHEN b.typsubscript::text = 'array_subscript_handler' THEN b.typelem ELSE 0 END,"
    " b.typreceive <> 0 AND b.typsend <> 0,"
    " coalesce(l.collname IN ('C', 'POSIX'), true)"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_type y ON y.oid = a.atttypid"
    " JOIN pg_type b ON b.oid = CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END"
    " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
    " WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND {0}"
    " ORDER BY a.attrelid, a.attnum".format(_OURS)
)
# The primary key first, then unique indexes by which each row can be told from all others; short ones first.
_KEYS = (
    "SELECT i.indrelid, (i.indkey[:i.indnkeyatts - 1])::int2[] FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AND {0}"
    " AND NOT EXISTS (SELECT FROM unnest(i.indkey[:i.indnkeyatts - 1]) k JOIN pg_attribute a"
    " ON a.attrelid = i.indrelid AND a.attnum = k WHERE NOT a.attnotnull)"
    " ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid".format(_OURS)
)
# Entries of pg_dump that belong to a table: how it calls them.
_OWNED = (
    "SELECT c.oid, n.nspname, x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
    " JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {0}"
    " UNION ALL SELECT c.oid, n.nspname, c.relname || ' ' || o.conname FROM pg_constraint o"
    " JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {0}"
    " UNION ALL SELECT c.oid, n.nspname, c.relname || ' ' || g.tgname FROM pg_trigger g"
    " JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {0}"
    " UNION ALL SELECT c.oid, n.nspname, c.relname || ' ' || w.rulename FROM pg_rewrite w"
    " JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {0}"
    " UNION ALL SELECT c.oid, n.nspname, c.relname || ' ' || p.polname FROM pg_policy p"
    " JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {0}"
    " UNION ALL SELECT c.oid, n.nspname, c.relname || ' ' || a.attname FROM pg_attribute a"
    " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND {0}".format(_OURS)
)
_FOREIGN_KEYS = (
    "SELECT o.conrelid, o.confrelid, o.conname, pg_get_constraintdef(o.oid),"
    " quote_literal(obj_description(o.oid, 'pg_constraint')) FROM pg_constraint o"
    " WHERE o.contype = 'f' AND o.conparentid = 0"
)
_SEQUENCES = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {0} AND {1}"
    " ORDER BY n.nspname, c.relname".format(_OURS, _NO_EXTENSION)
)


class Column(t.NamedTuple):
    """kind: pg_type.typtype of the type below a domain; element: the type of an array's elements, else 0. is_c: whether
    it is ordered by bytes."""

    name: str
    number: int
    type: str
    generated: bool
    base: int
    kind: str
    element: int
    has_binary: bool
    is_c: bool


@dataclass
class Table:
    """rows: the server's own estimate; pages: of the heap; bytes: with what is kept aside of long values."""

    oid: int
    schema: str
    name: str
    is_partitioned: bool
    rows: int
    heap_bytes: int
    bytes: int
    readable: bool
    columns: t.List[Column] = field(default_factory=list)
    key: t.List[Column] = field(default_factory=list)

    @property
    def label(self) -> str:
        """As it is shown, and as patterns match it; no other has the same."""
        return self.quoted if "." in self.schema + self.name else "%s.%s" % (self.schema, self.name)

    @property
    def quoted(self) -> str:
        return "%s.%s" % (quote(self.schema), quote(self.name))

    @property
    def stored(self) -> t.List[Column]:
        """The columns whose values are data."""
        return [column for column in self.columns if not column.generated]


class ForeignKey(t.NamedTuple):
    """comment: as SQL writes it."""

    table: int
    referenced: int
    name: str
    definition: str
    comment: t.Optional[str]


class Sequence(t.NamedTuple):
    schema: str
    name: str
    value: int
    is_called: bool


def quote(name: str) -> str:
    """A name as SQL writes it."""
    return '"%s"' % name.replace('"', '""')


def literal(value: t.Optional[str]) -> str:
    """A text as SQL writes it."""
    return "NULL" if value is None else "'%s'" % value.replace("'", "''")


def tables(session: Session) -> t.List[Table]:
    """All that hold rows, and partitioned ones, in which only their partitions do."""
    found = {
        oid: Table(oid, schema, name, kind == "p", rows, heap, size, readable)
        for oid, schema, name, kind, rows, heap, size, readable in session.rows(_TABLES)
    }
    for oid, *described in session.rows(_COLUMNS):
        if oid in found:
            found[oid].columns.append(Column(*described))
    for oid, numbers in session.rows(_KEYS):
        table = found.get(oid)
        if table is not None and not table.key and not table.is_partitioned:
            by_number = {column.number: column for column in table.columns}
            key = [by_number.get(number) for number in numbers]
            # What an extension compares by is not found without its schema.
            if all(column is not None and (column.kind != "b" or column.base < FIRST_OF_USERS) for column in key):
                table.key = [column for column in key if column is not None]
    return list(found.values())


def owners(session: Session) -> t.Dict[t.Tuple[str, str], int]:
    """The table to which an entry of pg_dump belongs, by the entry's schema and name."""
    return {(schema, " ".join(name.split("\n"))): oid for oid, schema, name in session.rows(_OWNED)}


def parents(session: Session) -> t.Dict[int, int]:
    """Of each partition the table that it is one of."""
    return dict(
        session.rows(
            "SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE c.relispartition"
        )
    )


def filled_views(session: Session) -> t.Set[t.Tuple[str, str]]:
    """The materialized views that have been filled."""
    return set(
        session.rows(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'm' AND c.relispopulated"
        )
    )


def foreign_keys(session: Session) -> t.List[ForeignKey]:
    """All of them, each once: not those that a partition has of its table."""
    return [ForeignKey(*row) for row in session.rows(_FOREIGN_KEYS)]


def sequences(session: Session) -> t.Dict[t.Tuple[str, str], Sequence]:
    """All sequences with where they are. They are part of no snapshot."""
    found = {}
    for schema, name in session.rows(_SEQUENCES):
        value, called = session.rows("SELECT last_value, is_called FROM %s.%s" % (quote(schema), quote(name)))[0]
        found[schema, name] = Sequence(schema, name, value, called)
    return found
