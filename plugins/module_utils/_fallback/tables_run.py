# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Carries a table_copy job out, from the first connection to the last step."""

from __future__ import annotations

import functools
import threading
from typing import Callable, List

from ._errors import JobError
from .tables_board import Board
from .tables_hooks import Hooks
from .tables_job import Chunk, Guarded, Job, Table, as_job_error, concerns_all
from .tables_load import load_chunk
from .tables_repair import hashes, sync_chunk, sync_postponed
from .tables_sessions import Sessions
from .tables_split import Splitter, recorded_quietly
from .tables_steps import Stages, run_step, run_together
from .tables_verify import verify


def run(job: Job) -> None:
    """Raises JobError."""
    if job.is_proven:
        return
    workers = [Sessions(job) for _number in range(job.parameters["workers"])]
    try:
        _run(job, workers, Board(job, workers))
    except Exception as error:
        failure = as_job_error(error)
        if failure is error:
            raise
        raise failure from error
    finally:
        for sessions in workers:
            sessions.close()
        for table in job.tables:
            job.tell_rows(table)
        job.count["changes"] = job.context.changes


def _run(job: Job, workers: List[Sessions], board: Board) -> None:
    first = workers[0]
    job.phase("connect")
    _reach_source(first)
    first.attempts(lambda _again: first.destination())
    if not job.parameters["snapshot"]["renewable"]:
        # Each begins its own: the sooner, the closer to each other.
        for sessions in workers[1:]:
            _reach_source(sessions)
    _refuse(job, board)
    job.phase("prepare")
    for step in job.parameters["prepare"]:
        job.check()
        run_step(job, step, first)
    hooks = Hooks(job)
    job.unhook = hooks.unhook
    try:
        _move(job, board)
        verify(job, board)
        job.outcome()
    except BaseException:
        hooks.rehook(workers, failed=True)
        raise
    hooks.rehook(workers, failed=False)
    job.phase("finish")
    stages = list(job.parameters["finish"])
    if any(job.count["rows_%s" % deed] for deed in ("inserted", "updated", "deleted")):
        stages += job.parameters["refresh"]
    failures: List[BaseException] = []
    Stages(job, board, stages, failures.append, lambda: None).begin()
    board.run()
    if failures:
        raise failures[0]


def _reach_source(sessions: Sessions) -> None:
    sessions.attempts(lambda _again: sessions.source())


def _refuse(job: Job, board: Board) -> None:
    """Compare the tables that must not be changed, before anything is."""
    tables = [table for table in job.tables if table.action == "sync" and table["refusal"]]
    if not tables:
        return
    job.phase("compare")
    differing: List[Table] = []

    def compare(table: Table, chunk: Chunk, sessions: Sessions) -> None:
        if table in differing:
            return
        job.phase("compare", table.name)
        here, there = sessions.attempts(lambda _again: hashes(table, chunk, sessions))
        job.add(chunks_compared=1)
        if here != there:
            differing.append(table)
            return
        rows = int(here[0] or 0)
        job.saw(table, rows)
        sessions.tally.items_done += rows

    for table in tables:
        _Progress(job, board, table, compare, lambda _sessions: None).begin()
    board.run()
    for table in tables:
        if table in differing:
            raise JobError("destination_exists", table["refusal"], table.name)
        if table.failure is not None:
            raise as_job_error(table.failure, table.name)
        table.is_equal = True


def _move(job: Job, board: Board) -> None:
    """Load, compare and repair all tables, and run what each has to be finished with."""
    for table in job.tables:
        if table.action == "keep" or (table.action == "load" and job.dry_run):
            board.put(functools.partial(_count, job, board, table))
        elif table.is_equal:
            board.put(functools.partial(_complete, job, board, table))
        else:
            handle = _load if table.action == "load" else _sync
            closing = functools.partial(_complete, job, board, table)
            _Progress(job, board, table, functools.partial(handle, job), closing).begin()
    board.run()


def _load(job: Job, table: Table, chunk: Chunk, sessions: Sessions) -> None:
    job.phase("load", table.name)
    if chunk.done:
        job.saw(table, chunk.rows)
        job.add(resumed_rows=chunk.rows)
        sessions.tally.items_done += chunk.rows
    else:
        load_chunk(job, table, chunk, sessions)


def _sync(job: Job, table: Table, chunk: Chunk, sessions: Sessions) -> None:
    job.phase("compare", table.name)
    sync_chunk(job, table, chunk, sessions)


def _count(job: Job, board: Board, table: Table, sessions: Sessions) -> None:
    """A table of which nothing but the source's rows is looked at."""

    def count(_again: bool) -> int:
        (row,) = sessions.source().query(table["count"])
        return int(row[0] or 0)

    job.phase("compare", table.name)
    with Guarded(job, table):
        rows = sessions.attempts(count)
        job.saw(table, rows)
        if table.action == "load":
            sessions.tally.items_done += rows
            done = min(sum(chunk.rows for chunk in _resumed(job, table, sessions)), rows)
            job.add(resumed_rows=done, chunks=_chunks_of(job, table, rows - done))
            job.wrote(table, inserted=rows - done)
        _finish(job, board, table)


def _resumed(job: Job, table: Table, sessions: Sessions) -> List[Chunk]:
    if not job.parameters["resume"]:
        return []
    return [chunk for chunk in recorded_quietly(sessions, table) if chunk.done]


def _chunks_of(job: Job, table: Table, rows: int) -> int:
    """About how many chunks a run would load."""
    if Splitter(job, table).is_whole:
        return 1
    return len(table["bounds"]) + 1 if table["bounds"] else max(-(-rows // job.parameters["chunk_rows"]), 1)


def _complete(job: Job, board: Board, table: Table, sessions: Sessions) -> None:
    with Guarded(job, table):
        if table.postponed:
            job.phase("compare", table.name)
            sync_postponed(job, table, sessions)
        if not job.dry_run:
            run_together(table["complete"], sessions)
        job.tell_rows(table)
        _finish(job, board, table)


def _finish(job: Job, board: Board, table: Table) -> None:
    def failed(error: BaseException) -> None:
        if concerns_all(error):
            raise error
        job.fail(table, error)

    Stages(job, board, table["finish"], failed, lambda: None).begin()


class _Progress:
    """One table on the board: its splitter, its chunks, and what follows when all of them are done."""

    def __init__(
        self,
        job: Job,
        board: Board,
        table: Table,
        handle: Callable[[Table, Chunk, Sessions], None],
        then: Callable[[Sessions], None],
    ) -> None:
        self._job = job
        self._board = board
        self._table = table
        self._handle = handle
        self._then = then
        self._splitter = Splitter(job, table)
        self._lock = threading.Lock()
        # One more until all chunks are known.
        self._left = 1

    def begin(self) -> None:
        self._board.split(self._split)

    def _split(self, sessions: Sessions) -> bool:
        chunk = None
        with Guarded(self._job, self._table):
            if self._table.failure is None:
                chunk = self._splitter.next(sessions)
        if chunk is None:
            self._passed(sessions)
            return False
        with self._lock:
            self._left += 1
        self._board.put(functools.partial(self._work, chunk))
        return True

    def _work(self, chunk: Chunk, sessions: Sessions) -> None:
        meter = self._job.context.meter
        meter.begin()
        try:
            with Guarded(self._job, self._table):
                if self._table.failure is None:
                    self._handle(self._table, chunk, sessions)
        finally:
            meter.end()
        self._passed(sessions)

    def _passed(self, sessions: Sessions) -> None:
        with self._lock:
            self._left -= 1
            ended = not self._left
        if ended and self._table.failure is None:
            self._then(sessions)
