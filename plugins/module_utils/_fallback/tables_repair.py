# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Compares a chunk of an existing table by hash, and writes the rows that differ."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from ._errors import ItemError
from .tables_job import Chunk, Job, Table, batches, fill
from .tables_load import commit, relay
from .tables_server import Connection, Row, ServerError
from .tables_sessions import Sessions, at_once

_BATCH_KEYS = 1000
_FEW_KEYS = 1000


class Difference:
    """What differs in one chunk. ``hashed``: rows and hash of the source; keys as SQL text."""

    def __init__(self, chunk: Chunk, hashed: Row) -> None:
        self.chunk = chunk
        self.hashed = hashed
        self.inserted: List[str] = []
        self.updated: List[str] = []
        self.deleted: List[str] = []
        self.rows = _count(hashed)
        # Of a table without keys: all rows of both sides.
        self.surplus = 0
        self.missing = 0
        # Whether writing the whole chunk is less work than writing single rows.
        self.is_large = False

    @property
    def figures(self) -> List[int]:
        """Rows to insert, to update, to delete."""
        return [len(self.inserted) + self.missing, len(self.updated), len(self.deleted) + self.surplus]


def hashes(table: Table, chunk: Chunk, sessions: Sessions) -> List[Row]:
    """Rows and hash of a chunk, of the source and of the destination."""
    source, destination = sessions.source(), sessions.destination()
    here, there = table.sql("hash_source", "source", chunk), table.sql("hash_destination", "destination", chunk)
    answers = at_once(lambda: list(source.query(here)), lambda: list(destination.query(there)))
    return [rows[0] for rows in answers]


def sync_chunk(job: Job, table: Table, chunk: Chunk, sessions: Sessions) -> None:
    """Make a chunk of an existing table equal; in a dry run only find out what differs."""
    job.add(chunks_compared=1)
    try:
        rows = _sync(job, table, [chunk], sessions)
    except ServerError as error:
        if not error.conflict:
            raise
        # Rows that swap unique values with those of other chunks: together, when all others are done.
        table.postponed.append(chunk)
        return
    _passed(job, table, sessions, rows)


def sync_postponed(job: Job, table: Table, sessions: Sessions) -> None:
    """Make the chunks equal whose rows stand in each other's way: in one transaction, after all deletions."""
    chunks, table.postponed = sorted(table.postponed), []
    _passed(job, table, sessions, _sync(job, table, chunks, sessions))


def _passed(job: Job, table: Table, sessions: Sessions, rows: int) -> None:
    job.saw(table, rows)
    sessions.tally.items_done += rows


def _sync(job: Job, table: Table, chunks: Sequence[Chunk], sessions: Sessions) -> int:
    """Compare and repair; the source's rows in the chunks."""
    # Rows inserted, updated and deleted, bytes, chunks; as soon as they may be committed.
    written: List[int] = []

    def attempt(_again: bool) -> int:
        rows = 0
        differences = []
        for chunk in chunks:
            here, there = hashes(table, chunk, sessions)
            rows += _count(here)
            if here != there:
                differences.append(_difference(table, chunk, here, there, sessions))
        if differences:
            written.clear()
            if not job.dry_run:
                job.unhook(table, sessions)
            destination = sessions.destination()
            size = 0 if job.dry_run else _repair(job, table, differences, sessions, destination)
            figures = [sum(values) for values in zip(*(difference.figures for difference in differences))]
            written.extend([*figures, size, len(differences)])
            if not job.dry_run:
                commit(destination, is_known_later=True)
        # Else all was equal, or what was committed when the connection was lost is there.
        return rows

    total = sessions.attempts(attempt)
    if written:
        *figures, repaired = written
        job.wrote(table, *figures)
        job.add(chunks_repaired=repaired)
    return total


def _difference(table: Table, chunk: Chunk, here: Row, there: Row, sessions: Sessions) -> Difference:
    found = Difference(chunk, here)
    if not table.is_keyed:
        found.missing, found.surplus = _count(here), _count(there)
        return found
    # The digests of one side at a time are in memory.
    expected: Dict[Optional[str], Optional[str]] = {}
    for key, digest in sessions.source().query(table.sql("digests_source", "source", chunk)):
        expected[key] = digest
    for key, digest in sessions.destination().query(table.sql("digests_destination", "destination", chunk)):
        wanted = expected.pop(key, None)
        if wanted is None:
            found.deleted.append(key or "NULL")
        elif wanted != digest:
            found.updated.append(key or "NULL")
    found.inserted = [key or "NULL" for key in expected]
    differing = sum(found.figures)
    if not differing:
        raise ItemError("verification_failed", "its hashes differ, but none of its rows does")
    found.is_large = differing > _FEW_KEYS and 2 * differing > max(_count(here), _count(there))
    return found


def _repair(
    job: Job, table: Table, differences: Sequence[Difference], sessions: Sessions, destination: Connection
) -> int:
    """Write what differs, in a transaction that is left open; the bytes that this took."""
    size = 0
    destination.begin()
    for statement in table["before_repair"]:
        destination.execute(statement)
    # All that goes is gone before anything comes: unique values may change places.
    for difference in differences:
        _delete(table, difference, destination)
    for difference in differences:
        size += _insert(table, difference, sessions, destination)
    for statement in table["after_repair"]:
        destination.execute(statement)
    if job.parameters["verify"] in ("checksum", "full"):
        for difference in differences:
            _check(table, difference, destination)
    return size


def _delete(table: Table, difference: Difference, destination: Connection) -> None:
    if not table.is_keyed:
        if not table["replace"]:
            raise ItemError("database_error", "it has no key, and nothing that empties it")
        for statement in table["replace"]:
            destination.execute(statement)
    elif difference.is_large:
        destination.execute(table.sql("delete_range", "destination", difference.chunk))
    else:
        for keys in batches(difference.updated + difference.deleted, _BATCH_KEYS):
            destination.execute(fill(table["delete_keys"], keys=", ".join(keys)))


def _insert(table: Table, difference: Difference, sessions: Sessions, destination: Connection) -> int:
    if not table.is_keyed or difference.is_large:
        return relay(sessions, destination, table.sql("read", "source", difference.chunk), table["load"]).size
    return sum(
        relay(sessions, destination, fill(table["read_keys"], keys=", ".join(keys)), table["load"]).size
        for keys in batches(difference.updated + difference.inserted, _BATCH_KEYS)
    )


def _check(table: Table, difference: Difference, destination: Connection) -> None:
    sql = table.sql("hash_destination", "destination", difference.chunk)
    (written,) = destination.query(sql)
    if written != difference.hashed:
        figures = (difference.rows, _count(written))
        raise ItemError(
            "verification_failed",
            "the rows that were written differ from the source's, and were rolled back (%d rows there, %d here)"
            % figures,
        )


def _count(hashed: Row) -> int:
    return int(hashed[0] or 0)
