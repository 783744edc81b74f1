# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The SQL by which the rows of one table go from PostgreSQL to PostgreSQL.

A table's contents are compared by 64-bit hashes of its rows, of which the sum and the exclusive or are taken. What of a
value is hashed is what it is printed as, so that 1.0 differs from 1.00, which PostgreSQL's own hash of a number does
not tell; values of types whose equality is identity are hashed as they are, which is faster.
"""

from __future__ import annotations

import re
import typing as t

from . import postgres_bookkeeping as bookkeeping
from .postgres_catalog import FIRST_OF_USERS, Column, Table, quote

PAGE = 8192
# A chunk holds no more than this, where its rows are long: it is what is done again after a lost connection.
_CHUNK_BYTES = 128 << 20
# For tables whose rows nobody has counted.
_GUESSED_ROW = 100
# Chunks in which a table without an ordered key is compared, so that the keys of one fit into memory.
_BUCKET_ROWS = 500000
_MOST_BUCKETS = 65536
_BOUND = re.compile(r"'\(([1-9][0-9]*),0\)'\Z")

# Types by their numbers, which are the same everywhere.
_INTEGERS = (21, 23, 20, 26)
_TEXTS = (25, 1043)
_CHARACTER = 1042
# Equal values of these are the same to the bit.
_IDENTICAL = frozenset((16, 17, 18, 19, *_INTEGERS, *_TEXTS, 1082, 1083, 1114, 1184, 2950))
# Ordered alike on every host.
_ORDERED = frozenset((16, 17, *_INTEGERS, 1700, 1082, 1083, 1114, 1184, 2950))
# Numbers of objects, which differ from one database to the other: these go by name. aclitem is one of roles.
_BY_NAME = frozenset((24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 1033))


class Sizes(t.NamedTuple):
    """chunk_rows: rows of a chunk, as the user wishes. first_bound: where the first chunk ended of the run that is gone
    on with, whatever the user wished then. recoded: whether the servers keep letters in different encodings."""

    chunk_rows: int
    first_bound: t.Optional[str] = None
    recoded: bool = False


def plan_table(table: Table, action: str, sizes: Sizes, refusal: t.Optional[str]) -> t.Dict[str, t.Any]:
    """The table of a job ``table_copy``. action: load or sync."""
    columns = ", ".join(quote(column.name) for column in table.stored)
    binary = all(_has_portable_binary(column) for column in table.stored)
    form = "(FORMAT binary)" if binary else "(FORMAT text)"
    if not table.stored:
        # Rows without a column can be counted, and that is all that can be said of them.
        form = "(FORMAT text)"
    planned: t.Dict[str, t.Any] = {
        "name": table.label,
        "action": action,
        "rows": table.rows,
        "bytes": table.bytes,
        "count": "SELECT count(*) FROM ONLY %s" % table.quoted,
        "count_written": "SELECT count(*) FROM ONLY %s" % table.quoted,
        "read": _read(table, columns, "{range}", form),
        "load": "COPY %s %s FROM STDIN %s" % (table.quoted, "(%s)" % columns if columns else "", form),
        "hash_source": _hash(table, sizes.recoded),
        "hash_destination": _hash(table, sizes.recoded),
        "refusal": refusal,
    }
    if action == "load":
        planned.update(_by_pages(table, sizes), **bookkeeping.of_chunks(table.label))
    else:
        if table.key:
            planned.update(_by_key(table, sizes))
            planned["read_keys"] = _read(table, columns, _key(table) + " IN ({keys})", form)
        else:
            planned["replace"] = ["DELETE FROM ONLY " + table.quoted]
    return planned


def _by_pages(table: Table, sizes: Sizes) -> t.Dict[str, t.Any]:
    """Chunks of neighbouring pages: nothing is sorted, and no index is read."""
    pages = -(-table.heap_bytes // PAGE)
    rows = table.rows or max(table.heap_bytes // _GUESSED_ROW, 1)
    by_rows = pages * sizes.chunk_rows // rows
    by_bytes = pages * _CHUNK_BYTES // max(table.bytes, 1)
    began = _BOUND.match(sizes.first_bound or "")
    step = int(began.group(1)) if began else max(1, min(by_rows, by_bytes))
    condition = {"above": "ctid >= {key}", "upto": "ctid < {key}"}
    return {
        "range_source": condition,
        # Where a row lies there is no matter at the destination: what was loaded is compared as a whole.
        "range_destination": None,
        "bounds": ["'(%d,0)'" % page for page in range(step, pages, step)],
    }


def _read(table: Table, columns: str, condition: str, form: str) -> str:
    return "COPY (SELECT %s FROM ONLY %s WHERE %s) TO STDOUT %s" % (columns, table.quoted, condition, form)


def _key(table: Table) -> str:
    names = [quote(column.name) for column in table.key]
    return names[0] if len(names) == 1 else "(%s)" % ", ".join(names)


def _by_key(table: Table, sizes: Sizes) -> t.Dict[str, t.Any]:
    names = [quote(column.name) for column in table.key]
    key = _key(table)
    literals = ["quote_literal(%s)" % name for name in names]
    text = literals[0] if len(names) == 1 else "'(' || %s || ')'" % " || ', ' || ".join(literals)
    only = "ONLY " + table.quoted
    digest = "SELECT %s, (%s)::text FROM %s WHERE {range}" % (text, _row_hash(table, sizes.recoded), only)
    planned: t.Dict[str, t.Any] = {
        "digests_source": digest,
        "digests_destination": digest,
        "delete_keys": "DELETE FROM %s WHERE %s IN ({keys})" % (only, key),
        "delete_range": "DELETE FROM %s WHERE {range}" % only,
    }
    if all(_is_ordered(column) for column in table.key):
        condition = {"above": "%s > {key}" % key, "upto": "%s <= {key}" % key}
        order = ", ".join(names)
        planned["next"] = "SELECT %s FROM %s WHERE {range} ORDER BY %s OFFSET {rows} - 1 LIMIT 1" % (text, only, order)
    else:
        # Order by letters differs between hosts, and a hash of the letters does not.
        bucket = "(hashtextextended(ROW(%s)::text, 0) & %d)" % (", ".join(names), _MOST_BUCKETS - 1)
        condition = {"above": "%s > {key}" % bucket, "upto": "%s <= {key}" % bucket}
        buckets = min(_MOST_BUCKETS, -(-table.rows // max(sizes.chunk_rows, _BUCKET_ROWS)) or 1)
        width = _MOST_BUCKETS // buckets
        planned["bounds"] = [str(number * width) for number in range(1, buckets)]
    planned["range_source"] = planned["range_destination"] = condition
    return planned


def _hash(table: Table, recoded: bool) -> str:
    rows = "SELECT %s AS h FROM ONLY %s WHERE {range}" % (_row_hash(table, recoded), table.quoted)
    return "SELECT count(*), coalesce(sum(h)::text, '') || '/' || coalesce(bit_xor(h)::text, '') FROM (%s) q" % rows


def _row_hash(table: Table, recoded: bool) -> str:
    if not table.stored:
        return "0::bigint"
    return "hash_record_extended(ROW(%s), 0)" % ", ".join(_hashed(column, recoded) for column in table.stored)


def _hashed(column: Column, recoded: bool) -> str:
    name = quote(column.name)
    if column.kind == "b" and column.base in _IDENTICAL and column.base not in _TEXTS:
        return name
    # A cast would take the blanks off the end.
    text = "bpcharout(%s)::text" % name if column.base == _CHARACTER else name + "::text"
    if recoded:
        return "convert_to(%s, 'UTF8')" % text
    # The hash of a collation may be one of what that takes for the same.
    return '%s COLLATE pg_catalog."C"' % text


def _is_ordered(column: Column) -> bool:
    letters = column.base in (*_TEXTS, _CHARACTER)
    return column.kind == "b" and (column.base in _ORDERED or (letters and column.is_c))


def _has_portable_binary(column: Column) -> bool:
    """Whether what one database writes in binary means the same to another: it does not where it names types or objects
    by number, as composite values, and arrays of what users have made, do."""
    if not column.has_binary or column.base in _BY_NAME or column.element in _BY_NAME:
        return False
    if column.element >= FIRST_OF_USERS:
        return False
    return column.kind in ("b", "e") or (column.kind in ("r", "m") and column.base < FIRST_OF_USERS)
