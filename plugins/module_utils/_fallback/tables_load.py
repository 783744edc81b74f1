# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Moves rows from one server to the other: a chunk of a new table, exactly once."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional

from ._errors import ItemError
from ._meter import Tally
from .tables_job import Chunk, Job, Table, fill
from .tables_server import Blocks, Connection, ServerError
from .tables_sessions import Sessions
from .tables_split import recorded


class Relayed(NamedTuple):
    """How much went from one server to the other."""

    rows: int = 0
    size: int = 0


def relay(sessions: Sessions, destination: Connection, read: str, load: str) -> Relayed:
    """Send what *read* gives into *load*, in the transaction that is open at the destination."""
    outgoing = sessions.source().copy_out(read)
    before = sessions.tally.bytes_done
    blocks = _counted(sessions.tally, outgoing)
    try:
        written = destination.copy_in(load, blocks)
    except ServerError as error:
        if error.side == "destination":
            sessions.abandon(blocks)
        raise
    if written != outgoing.rows:
        raise ItemError("database_error", "%d rows were read, but %d were written" % (outgoing.rows, written))
    return Relayed(written, sessions.tally.bytes_done - before)


def _counted(tally: Tally, blocks: Blocks) -> Iterator[bytes]:
    for block in blocks:
        tally.bytes_done += len(block)
        yield block


def commit(destination: Connection, is_known_later: bool) -> None:
    """Commit. is_known_later: whether it can be seen afterwards if it was done, so that it may be tried again."""
    try:
        destination.commit()
    except ServerError as error:
        if error.lost and not is_known_later:
            error.transient = False
            error.message += "; whether this was written is not known, run again"
        raise


def load_chunk(job: Job, table: Table, chunk: Chunk, sessions: Sessions) -> None:
    """Write one chunk and, in the same transaction, the record that it is written."""
    rows, size = sessions.attempts(lambda again: _load_once(table, chunk, sessions, again))
    job.wrote(table, inserted=rows, size=size)
    job.saw(table, rows)
    job.add(chunks=1)
    sessions.tally.items_done += rows


def _load_once(table: Table, chunk: Chunk, sessions: Sessions, again: bool) -> Relayed:
    if again:
        rows = _rows_if_done(table, chunk, sessions)
        if rows is not None:
            return Relayed(rows)
    destination = sessions.destination()
    destination.begin()
    relayed = relay(sessions, destination, table.sql("read", "source", chunk), table["load"])
    if table["done"] and destination.execute(fill(table["done"], number=chunk.number, rows=relayed.rows)) != 1:
        destination.end()
        earlier = _rows_if_done(table, chunk, sessions)
        if earlier is None:
            raise ItemError("database_error", "the record of chunk %d is gone" % chunk.number)
        return Relayed(earlier)
    commit(destination, is_known_later=bool(table["done"] and table["chunks"]))
    return relayed


def _rows_if_done(table: Table, chunk: Chunk, sessions: Sessions) -> Optional[int]:
    for known in recorded(sessions, table):
        if known.number == chunk.number and known.done:
            return known.rows
    return None
