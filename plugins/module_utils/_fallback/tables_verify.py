# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Compares what is written with the source's snapshot once more."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional

from ._errors import ItemError
from .tables_board import Board, Task
from .tables_job import Chunk, Guarded, Job, Table
from .tables_repair import hashes
from .tables_sessions import Sessions, at_once


def verify(job: Job, board: Board) -> None:
    """Compare all tables that did not fail, at the level that the job asks for; one that differs has failed."""
    level = job.parameters["verify"]
    tables = [table for table in job.tables if table.action != "keep" and table.failure is None]
    if level == "none":
        return
    job.phase("verify")
    for table in tables:
        if job.dry_run or (level == "checksum" and table.action == "sync"):
            # Compared chunk by chunk just now; in a dry run those that differ still do.
            table.verified = 0 if job.dry_run and (table.action == "load" or table.is_told) else table.rows
        elif level == "counts":
            board.put(_task(job, table, None))
        else:
            for chunk in _chunks(table):
                board.put(_task(job, table, chunk))
    board.run()
    job.add(rows_verified=sum(table.verified for table in tables if table.failure is None))


def _task(job: Job, table: Table, chunk: Optional[Chunk]) -> Task:
    """Compare a chunk; None: count the whole table."""

    def task(sessions: Sessions) -> None:
        if table.failure is not None:
            return
        job.phase("verify", table.name)
        with Guarded(job, table):
            rows = _rows_if_equal(job, table, chunk, sessions)
            if rows is None:
                figures = tuple(_count_both(table, sessions))
                message = "the rows differ: the source has %d, the destination %d" % figures
                raise ItemError("verification_failed", message)
            job.verified(table, rows)

    return task


def _rows_if_equal(job: Job, table: Table, chunk: Optional[Chunk], sessions: Sessions) -> Optional[int]:
    if chunk is None:
        here, there = _count_both(table, sessions)
        return here if here == there else None
    if job.parameters["verify"] == "full" and table.is_keyed:
        return sessions.attempts(lambda _again: _equal_digests(table, chunk, sessions))
    hashed = sessions.attempts(lambda _again: hashes(table, chunk, sessions))
    return int(hashed[0][0] or 0) if hashed[0] == hashed[1] else None


def _chunks(table: Table) -> Iterator[Chunk]:
    """The table in pieces that both sides know."""
    if not table.has_ranges:
        yield Chunk(1, None, None)
        return
    low: Optional[str] = None
    for number, high in enumerate(table.highs, 1):
        yield Chunk(number, low, high)
        low = high


def _equal_digests(table: Table, chunk: Chunk, sessions: Sessions) -> Optional[int]:
    """How many rows both sides have in the chunk; None where one differs."""
    source, destination = sessions.source(), sessions.destination()
    expected: Dict[Optional[str], Optional[str]] = {}
    for key, digest in source.query(table.sql("digests_source", "source", chunk)):
        expected[key] = digest
    rows, equal = len(expected), True
    # To its end in any case, so that the connection can be used for more.
    for key, digest in destination.query(table.sql("digests_destination", "destination", chunk)):
        equal = equal and expected.pop(key, None) == digest
    return rows if equal and not expected else None


def _count_both(table: Table, sessions: Sessions) -> List[int]:
    """Rows of the source and of the destination."""

    def attempt(_again: bool) -> List[int]:
        source, destination = sessions.source(), sessions.destination()
        answers = at_once(
            lambda: list(source.query(table["count"])), lambda: list(destination.query(table["count_written"]))
        )
        return [int(rows[0][0] or 0) for rows in answers]

    return sessions.attempts(attempt)
