# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The SQL by which an executor creates, copies, compares and repairs one table.

It runs on one connection: ``main`` is the destination, ``src`` the source. Values never leave SQLite.
"""

from __future__ import annotations

import typing as t

from .sqlite_schema import Column, KeyColumn, Table, literal, quote

INSERTED, DELETED, UPDATED = 1, 2, 3


def statements(table: Table, number: int) -> t.Dict[str, t.Any]:
    """The statements of *table*, as the job's parameters name them. *number* tells tables apart."""
    result: t.Dict[str, t.Any] = {"create": create(table), "drop": drop(table)}
    if table.module is None:
        result.update(_copy(table))
        result.update(_compare(table, "_migration_assistant_diff_%d" % number))
    if table.autoincrement:
        result.update(_sequence(table))
    return result


def create(table: Table) -> t.List[str]:
    if table.module is not None:
        # Only the catalog's row: its tables are copied like others, and its module need not be there.
        return _beside_the_guard(
            "INSERT INTO main.sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', %s, %s, 0, %s)"
            % (literal(table.name), literal(table.name), literal(table.sql))
        )
    return _beside_the_guard(table.sql) if table.internal else [table.sql]


def drop(table: Table) -> t.List[str]:
    if table.module is not None:
        return _beside_the_guard(
            "DELETE FROM main.sqlite_master WHERE type = 'table' AND name = %s" % literal(table.name)
        )
    return ["DROP TABLE main.%s" % quote(table.name)]


def create_sequences() -> t.List[str]:
    return _beside_the_guard("CREATE TABLE sqlite_sequence(name,seq)")


# Any schema statement makes other connections read the catalog anew, where a change of its rows alone does not.
TOUCH_SCHEMA = (
    "CREATE VIEW main._migration_assistant_touch AS SELECT 1",
    "DROP VIEW main._migration_assistant_touch",
)


def _beside_the_guard(sql: str) -> t.List[str]:
    return ["PRAGMA writable_schema = ON", sql, "PRAGMA writable_schema = OFF"]


def _copy(table: Table) -> t.Dict[str, t.Any]:
    """Where there is a next, it and first take the number of rows as parameter (-1: all)."""
    name = quote(table.name)
    columns = ", ".join(_columns(table))
    insert = "INSERT INTO main.%s (%s) SELECT %s FROM src.%s" % (name, columns, columns, name)
    count = "SELECT count(*) FROM %s.%s"
    result: t.Dict[str, t.Any] = {"count": count % ("src", name), "count_written": count % ("main", name)}
    if table.key is None:
        # Without a key there is no place to go on from: all rows at once.
        result["first"] = insert
        return result
    if not table.generated:
        # SQLite moves whole records where a statement says no more than this, which is far quicker.
        result["all"] = "INSERT INTO main.%s SELECT * FROM src.%s" % (name, name)
        if table.implicit_rowid:
            # It then counts rowids from one.
            rowid = quote(table.key[0].name)
            result["all_if"] = "SELECT ifnull(min(%s) = 1 AND max(%s) = count(*), 1) FROM src.%s" % (
                rowid,
                rowid,
                name,
            )
    order = ", ".join(_ordered(column) for column in table.key)
    result.update(
        first="%s ORDER BY %s LIMIT ?" % (insert, order),
        next="%s WHERE %s ORDER BY %s LIMIT ?" % (insert, _after_position(table.key), order),
        locate=_locate(table),
    )
    return result


def _locate(table: Table) -> t.List[str]:
    key = table.key or ()
    names = ", ".join(quote(column.name) for column in key)
    backwards = ", ".join(_ordered(column, reverse=True) for column in key)
    position = _position(key)
    return [
        *_empty_temporary(position, ["k%d" % index for index in range(len(key))]),
        "INSERT INTO temp.%s SELECT %s FROM main.%s ORDER BY %s LIMIT 1"
        % (position, names, quote(table.name), backwards),
    ]


def _position(key: t.Sequence[KeyColumn]) -> str:
    return "_migration_assistant_position_%d" % len(key)


def _empty_temporary(name: str, columns: t.Sequence[str]) -> t.List[str]:
    """Emptied, not dropped: SQLite drops no table while a statement reads, and one holds the snapshot."""
    return [
        "CREATE TEMP TABLE IF NOT EXISTS %s (%s)" % (name, ", ".join(columns)),
        "DELETE FROM temp.%s" % name,
    ]


def _after_position(key: t.Sequence[KeyColumn]) -> str:
    """Rows behind the position. One row value comparison where all directions agree, which the key's tree serves."""
    position = "temp.%s" % _position(key)
    places = ["(SELECT k%d FROM %s)" % (index, position) for index in range(len(key))]
    names = [_collated(column) for column in key]
    signs = ["<" if column.descending else ">" for column in key]
    if len(key) == 1:
        return "%s %s %s" % (names[0], signs[0], places[0])
    if len(set(signs)) == 1:
        return "(%s) %s (SELECT %s FROM %s)" % (
            ", ".join(names),
            signs[0],
            ", ".join("k%d" % index for index in range(len(key))),
            position,
        )
    condition = "%s %s %s" % (names[-1], signs[-1], places[-1])
    for name, sign, place in list(zip(names, signs, places))[-2::-1]:
        condition = "%s %s= %s AND (%s %s %s OR %s)" % (name, sign, place, name, sign, place, condition)
    return condition


def _compare(table: Table, diff: str) -> t.Dict[str, t.Any]:
    """compare fills *diff* with one row per differing row; delete and insert then repair main from it."""
    key = table.key
    places = ["k%d" % index for index in range(len(key or ()))]
    result: t.Dict[str, t.Any] = {
        "compare": [
            *_empty_temporary(diff, ["action", *places]),
            *(_bag_differences(table, diff) if key is None else _keyed_differences(table, key, diff)),
        ],
        "differences": (
            "SELECT count(CASE action WHEN %d THEN 1 END), count(CASE action WHEN %d THEN 1 END), "
            "count(CASE action WHEN %d THEN 1 END) FROM temp.%s" % (INSERTED, UPDATED, DELETED, diff)
        ),
    }
    name = quote(table.name)
    columns = ", ".join(_columns(table))
    delete = "DELETE FROM main.%s" % name
    insert = "INSERT INTO main.%s (%s) SELECT %s FROM src.%s" % (name, columns, columns, name)
    if key is not None:
        left = ", ".join(_collated(column) for column in key)
        chosen = "(%s) IN (SELECT %s FROM temp.%s WHERE action <> %%d)" % (left, ", ".join(places), diff)
        if len(key) == 1:
            chosen = chosen.replace("(%s)" % left, left, 1)
        delete += " WHERE " + chosen % INSERTED
        insert += " WHERE " + chosen % DELETED
    result.update(delete=delete, insert=insert)
    return result


def _keyed_differences(table: Table, key: t.Sequence[KeyColumn], diff: str) -> t.List[str]:
    name = quote(table.name)
    same = " AND ".join("m.%s = s.%s" % (_collated(column), quote(column.name)) for column in key)
    missing = "m.%s IS NULL" % quote(key[0].name)
    by_rowid = not table.without_rowid
    # An index that covers the columns would be walked instead, and the other table searched out of order.
    plain = " NOT INDEXED" if by_rowid else ""
    parts = [missing]
    for column in table.columns:
        if not (by_rowid and column.name == key[0].name):
            parts.append(_differs(column))
    in_source = ", ".join("s.%s" % quote(column.name) for column in key)
    in_destination = ", ".join("m.%s" % quote(column.name) for column in key)
    surplus = (
        "(SELECT count(*) FROM main.%s) > (SELECT count(*) FROM src.%s) - "
        "(SELECT count(*) FROM temp.%s WHERE action = %d)" % (name, name, diff, INSERTED)
    )
    return [
        "INSERT INTO temp.%s SELECT CASE WHEN %s THEN %d ELSE %d END, %s "
        "FROM src.%s AS s%s LEFT JOIN main.%s AS m%s ON %s WHERE %s"
        % (diff, missing, INSERTED, UPDATED, in_source, name, plain, name, plain, same, _any_of(parts)),
        "INSERT INTO temp.%s SELECT %d, %s FROM main.%s AS m%s "
        "WHERE %s AND NOT EXISTS (SELECT 1 FROM src.%s AS s%s WHERE %s)"
        % (diff, DELETED, in_destination, name, plain, surplus, name, plain, same),
    ]


def _differs(column: Column) -> str:
    """Exactly: values of one type by their bytes, and 1 is not 1.0.

    A column that turns one of these into the other needs no look at the types, but for the one whole number that
    SQLite lets stand as either.
    """
    values = "s.{0} COLLATE BINARY IS NOT m.{0} COLLATE BINARY"
    types = "typeof(s.{0}) IS NOT typeof(m.{0})"
    if column.affinity == "none":
        values = "(%s OR %s)" % (values, types)
    elif column.affinity == "numeric":
        values = "(%s OR (s.{0} = -9223372036854775808 AND %s))" % (values, types)
    return values.format(quote(column.name))


def _bag_differences(table: Table, diff: str) -> t.List[str]:
    """Rows without a key are compared as a bag, and replaced as a whole."""
    name = quote(table.name)
    values = ", ".join("typeof({0}), {0} COLLATE BINARY".format(quote(column.name)) for column in table.columns)
    groups = ", ".join(str(index + 1) for index in range(2 * len(table.columns)))
    counted = "SELECT %s, count(*) FROM %%s.%s GROUP BY %s" % (values, name, groups)
    there, here = counted % "src", counted % "main"
    differ = "(EXISTS (%s EXCEPT %s) OR EXISTS (%s EXCEPT %s))" % (there, here, here, there)
    return [
        "INSERT INTO temp.%s SELECT %d FROM main.%s WHERE %s" % (diff, DELETED, name, differ),
        "INSERT INTO temp.%s SELECT %d FROM src.%s WHERE %s" % (diff, INSERTED, name, differ),
    ]


def _sequence(table: Table) -> t.Dict[str, t.Any]:
    """The AUTOINCREMENT counter: sequence_values gives that of the destination and that of the source."""
    name = literal(table.name)
    return {
        "sequence_values": (
            "SELECT (SELECT seq FROM main.sqlite_sequence WHERE name = %s), "
            "(SELECT seq FROM src.sqlite_sequence WHERE name = %s)" % (name, name)
        ),
        "sequence": [
            "DELETE FROM main.sqlite_sequence WHERE name = %s" % name,
            "INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM src.sqlite_sequence WHERE name = %s"
            % name,
        ],
    }


def _columns(table: Table) -> t.List[str]:
    columns = [quote(column.name) for column in table.columns]
    return [quote(table.key[0].name), *columns] if table.implicit_rowid and table.key else columns


def _collated(column: KeyColumn) -> str:
    """The column with the key's own collation, which may differ from the column's."""
    name = quote(column.name)
    return "%s COLLATE %s" % (name, quote(column.collation)) if column.collation else name


def _ordered(column: KeyColumn, reverse: bool = False) -> str:
    return _collated(column) + (" DESC" if column.descending != reverse else "")


def _any_of(parts: t.Sequence[str]) -> str:
    """A balanced tree of ORs: SQLite limits the depth of an expression, and tables have up to 2000 columns."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return "(%s OR %s)" % (_any_of(parts[:middle]), _any_of(parts[middle:]))
