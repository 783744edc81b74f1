# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Where the chunks of a table begin and end, and the record of them at the destination."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Optional

from ._errors import ItemError
from .tables_job import Chunk, Job, Table, fill
from .tables_server import ServerError
from .tables_sessions import Sessions


class Splitter:
    """Gives the chunks of one table, one after the other: those that are recorded, then new ones behind them."""

    def __init__(self, job: Job, table: Table) -> None:
        self._job = job
        self._table = table
        self._recorded: Optional[Deque[Chunk]] = None
        self._number = 0
        self._low: Optional[str] = None
        self._ended = False

    @property
    def is_whole(self) -> bool:
        """Whether the table is one chunk: one that cannot be repaired by ranges is compared as a whole."""
        table = self._table
        if table["range_source"] is None or not (table["next"] or table["bounds"]):
            return True
        return table.action == "sync" and not (table.is_keyed and table.has_ranges)

    def next(self, sessions: Sessions) -> Optional[Chunk]:
        """The next chunk, None after the last. A new one is recorded before it is given."""
        if self._recorded is None:
            self._recorded = deque(self._read_recorded(sessions))
        if self._recorded:
            return self._take(self._recorded.popleft())
        if self._ended:
            return None
        high = None if self.is_whole else self._upper(sessions)
        chunk = Chunk(self._number + 1, self._low, high)
        if self._table["split"] and self._table.action == "load" and not self._job.dry_run:
            sessions.attempts(lambda again: self._record(sessions, chunk, again))
        return self._take(chunk)

    def _take(self, chunk: Chunk) -> Chunk:
        self._number, self._low, self._ended = chunk.number, chunk.high, chunk.high is None
        self._table.highs.append(chunk.high)
        return chunk

    def _read_recorded(self, sessions: Sessions) -> List[Chunk]:
        # Also where the plan resumes none: it has cleared the record.
        if self._table.action != "load":
            return []
        return sessions.attempts(lambda _again: recorded(sessions, self._table))

    def _upper(self, sessions: Sessions) -> Optional[str]:
        """The upper bound of the chunk above the last one; None where it is the last."""
        bounds: List[str] = self._table["bounds"]
        if bounds:
            place = self._number
            if place and self._low not in bounds[place - 1 : place]:
                # Recorded by another plan: up to the end where it knew other bounds.
                place = bounds.index(self._low) + 1 if self._low in bounds else len(bounds)
            return bounds[place] if place < len(bounds) else None
        above = Chunk(self._number + 1, self._low, None)
        sql = self._table.sql("next", "source", above, rows=self._job.parameters["chunk_rows"])
        rows = sessions.attempts(lambda _again: list(sessions.source().query(sql)))
        return rows[0][0] if rows else None

    def _record(self, sessions: Sessions, chunk: Chunk, again: bool) -> None:
        """Say at the destination that the chunk exists. again: that may have been done already."""
        if again and any(earlier.number == chunk.number for earlier in recorded(sessions, self._table)):
            return
        destination = sessions.destination()
        low, high = ("NULL" if key is None else destination.literal(key) for key in (chunk.low, chunk.high))
        destination.execute(fill(self._table["split"], number=chunk.number, low=low, high=high))


def recorded(sessions: Sessions, table: Table) -> List[Chunk]:
    """The chunks that the destination knows of, by number."""
    if not table["chunks"]:
        return []
    found = []
    for number, low, high, done, rows in sessions.destination().query(table["chunks"]):
        found.append(Chunk(int(number or 0), low, high, done == "t", int(rows or 0)))
    for earlier, chunk in zip([Chunk(0, None, None), *found], found):
        if chunk.number != earlier.number + 1 or chunk.low != earlier.high:
            raise ItemError("database_error", "the records of its chunks have a gap before number %d" % chunk.number)
    return found


def recorded_quietly(sessions: Sessions, table: Table) -> List[Chunk]:
    """The same before anything was prepared: where the records are not there yet, there are none."""
    try:
        return sessions.attempts(lambda _again: recorded(sessions, table))
    except ServerError as error:
        if error.code != "database_error":
            raise
        return []
