# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""table_copy of a table that is larger than the memory that it may take."""

from __future__ import annotations

import typing as t

import pytest

from .executors import EXECUTORS, Executor
from .servers import Database
from .table_jobs import RECORDS, copy, succeeded, table

MEBIBYTE = 1 << 20
# Of the executor's process.
MOST = {"go": 200 * MEBIBYTE, "python": 300 * MEBIBYTE}
MAKE = "CREATE TABLE big (id int PRIMARY KEY, a text, b text)"


def fill(database: Database) -> None:
    """325 MB in 1 000 000 rows."""
    database.execute(
        MAKE,
        "ALTER TABLE big ALTER a SET STORAGE plain, ALTER b SET STORAGE plain",
        "INSERT INTO big SELECT n, repeat(md5(n::text), 5), repeat(md5((-n)::text), 4)"
        " FROM generate_series(1, 1000000) AS n",
    )
    assert database.value("SELECT pg_relation_size('big')") > 300 * MEBIBYTE


@pytest.mark.parametrize("executor", EXECUTORS)
def test_memory_stays_flat(executor: Executor, source: Database, destination: Database) -> None:
    fill(source)
    destination.execute(RECORDS, MAKE)
    options: t.Dict[str, t.Any] = {"workers": 4, "chunk_rows": 100_000, "patience": 300}
    loaded = succeeded(copy(executor, source, destination, [table("big", "load")], verify="counts", **options))
    assert loaded.statistics["rows_verified"] == 1_000_000
    assert loaded.terminal["performance"]["memory_usage_bytes"] < MOST[executor]
    # A difference in every chunk: the digests of all rows are needed.
    destination.execute("UPDATE big SET a = '' WHERE id % 50000 = 0")
    hashed = "SELECT count(*), sum(hashtextextended(a, 0)) FROM big WHERE {range}"
    compared = table("big", "sync", hash_source=hashed, hash_destination=hashed)
    repaired = succeeded(copy(executor, source, destination, [compared], **options))
    assert repaired.statistics["rows_updated"] == 20
    assert repaired.terminal["performance"]["memory_usage_bytes"] < MOST[executor]
    # As one chunk.
    destination.execute("TRUNCATE big", "DELETE FROM chunk")
    whole = table("big", "load", range_source=None, range_destination=None, next=None)
    options["chunk_rows"] = 10_000_000
    loaded = succeeded(copy(executor, source, destination, [whole], verify="none", **options))
    assert loaded.statistics["rows_inserted"] == 1_000_000
    assert loaded.terminal["performance"]["memory_usage_bytes"] < MOST[executor]
