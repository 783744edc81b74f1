# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Steps of a table_copy job: statements on the destination, one after the other or in stages."""

from __future__ import annotations

import functools
import threading
from typing import Any, Callable, Dict, List

from .tables_board import Board
from .tables_job import Job
from .tables_load import commit
from .tables_server import ServerError
from .tables_sessions import Sessions

Step = Dict[str, Any]


def run_step(job: Job, step: Step, sessions: Sessions) -> None:
    """Run a step and report it; in a dry run only report it. A failure names the step."""
    if not job.dry_run:
        try:
            if step["transaction"]:
                run_together(step["sql"], sessions)
            else:
                for statement in step["sql"]:
                    _run_alone(statement, sessions)
        except ServerError as error:
            error.message = "%s %s: %s" % (step["kind"], step["name"], error.message)
            raise
    job.tell(step)


def run_together(statements: List[str], sessions: Sessions) -> None:
    """Run statements in one transaction."""

    def attempt(_again: bool) -> None:
        destination = sessions.destination()
        destination.begin()
        for statement in statements:
            destination.execute(statement)
        commit(destination, is_known_later=False)

    if statements:
        sessions.attempts(attempt)


def _run_alone(statement: str, sessions: Sessions) -> None:
    def attempt(_again: bool) -> None:
        destination = sessions.destination()
        try:
            destination.execute(statement)
        except ServerError as error:
            # What a statement outside of a transaction has left behind is not known.
            error.transient = error.transient and not error.lost
            raise

    sessions.attempts(attempt)


class Stages:
    """Stages of steps on the board: those of one stage at the same time, the next stage when all are done.

    failed: takes what a step raised; after a stage with such a step ``then`` is not called, nor is the next begun.
    """

    def __init__(
        self,
        job: Job,
        board: Board,
        stages: List[List[Step]],
        failed: Callable[[BaseException], None],
        then: Callable[[], None],
    ) -> None:
        self._job = job
        self._board = board
        self._stages = [stage for stage in stages if stage]
        self._failed = failed
        self._then = then
        self._lock = threading.Lock()
        self._left = 0
        self._has_failed = False

    def begin(self) -> None:
        """Begin the next stage."""
        if not self._stages:
            self._then()
            return
        stage = self._stages.pop(0)
        self._left = len(stage)
        for step in stage:
            self._board.put(functools.partial(self._run, step), first=True)

    def _run(self, step: Step, sessions: Sessions) -> None:
        self._job.check()
        try:
            run_step(self._job, step, sessions)
        except Exception as error:
            self._failed(error)
            self._has_failed = True
        with self._lock:
            self._left -= 1
            ended = not self._left
        if ended and not self._has_failed:
            self.begin()
