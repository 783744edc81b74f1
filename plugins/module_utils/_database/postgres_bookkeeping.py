# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What is kept at the destination, in a schema of this collection's own: which tables it wrote, and which of their
chunks are done."""

from __future__ import annotations

import typing as t

from .postgres_catalog import BOOKKEEPING, literal
from .postgres_session import Session

_TABLES = BOOKKEEPING + ".tables"
_CHUNKS = BOOKKEEPING + ".chunks"

# In the place of a table's name, which has a dot.
VIEWS = "materialized views"
CREATE = (
    "CREATE SCHEMA IF NOT EXISTS " + BOOKKEEPING,
    "COMMENT ON SCHEMA %s IS 'written by the Ansible collection migration.assistant'" % BOOKKEEPING,
    "CREATE TABLE IF NOT EXISTS %s (name text PRIMARY KEY, source text NOT NULL, position text,"
    " complete boolean NOT NULL DEFAULT false, begun_at timestamptz NOT NULL DEFAULT now())" % _TABLES,
    "CREATE TABLE IF NOT EXISTS %s (name text NOT NULL, number bigint NOT NULL, low text, high text,"
    " done boolean NOT NULL DEFAULT false, rows bigint, PRIMARY KEY (name, number))" % _CHUNKS,
)
REMOVE = "DROP SCHEMA IF EXISTS %s CASCADE" % BOOKKEEPING


class Record(t.NamedTuple):
    """What is known of a table that this collection wrote. position: of the source when it was begun, see Snapshot."""

    source: str
    position: t.Optional[str]
    complete: bool


def exists(session: Session) -> bool:
    return bool(session.value("SELECT count(*) FROM pg_namespace WHERE nspname = %s", BOOKKEEPING))


def records(session: Session) -> t.Dict[str, Record]:
    """All tables that this collection wrote there, by their labels."""
    rows = session.rows("SELECT name, source, position, complete FROM " + _TABLES)
    return {name: Record(*rest) for name, *rest in rows}


def first_bound(session: Session, label: str) -> t.Optional[str]:
    """The upper bound of the first chunk of a table that is being written; None where nothing is known of it."""
    rows = session.rows("SELECT high FROM %s WHERE name = %%s AND number = 1" % _CHUNKS, label)
    return rows[0][0] if rows else None


def claim(label: str, source: str, position: t.Optional[str]) -> t.List[str]:
    """What says that a table is being written; nothing is known of its chunks then."""
    values = ", ".join(literal(value) for value in (label, source, position))
    return [
        "DELETE FROM %s WHERE name = %s" % (_CHUNKS, literal(label)),
        "INSERT INTO %s (name, source, position) VALUES (%s) ON CONFLICT (name) DO UPDATE SET source = excluded.source,"
        " position = excluded.position, complete = false, begun_at = now()" % (_TABLES, values),
    ]


def adopt(label: str, source: str) -> t.List[str]:
    """What says that a table, which was there already, is this collection's to change from now on."""
    values = ", ".join(literal(value) for value in (label, source))
    return [
        "INSERT INTO %s (name, source, complete) VALUES (%s, true) ON CONFLICT (name) DO NOTHING" % (_TABLES, values)
    ]


def owe(source: str) -> t.List[str]:
    """What says that views are to be refreshed, before the rows change that they show."""
    values = "%s, %s, false" % (literal(VIEWS), literal(source))
    return [
        "INSERT INTO %s (name, source, complete) VALUES (%s) ON CONFLICT (name) DO UPDATE SET complete = false"
        % (_TABLES, values)
    ]


def paid() -> t.List[str]:
    """What says that they were."""
    return ["UPDATE %s SET complete = true WHERE name = %s" % (_TABLES, literal(VIEWS))]


def of_chunks(label: str) -> t.Dict[str, t.Any]:
    """The statements of a table of the job that keep its chunks."""
    name = literal(label)
    return {
        "chunks": "SELECT number, low, high, done, rows FROM %s WHERE name = %s ORDER BY number" % (_CHUNKS, name),
        "split": "INSERT INTO %s (name, number, low, high) VALUES (%s, {number}, {low}, {high})" % (_CHUNKS, name),
        "done": "UPDATE %s SET done = true, rows = {rows} WHERE name = %s AND number = {number} AND NOT done"
        % (_CHUNKS, name),
        "complete": complete(label),
    }


def complete(label: str) -> t.List[str]:
    """What says that a table is written."""
    return [
        "UPDATE %s SET complete = true WHERE name = %s" % (_TABLES, literal(label)),
        "DELETE FROM %s WHERE name = %s" % (_CHUNKS, literal(label)),
    ]
