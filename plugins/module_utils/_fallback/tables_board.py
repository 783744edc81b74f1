# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Hands out the work of a table_copy job to its workers."""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Deque, List, Optional, Sequence

from .tables_job import Job
from .tables_sessions import Sessions

_LOOK_SECONDS = 0.2

Task = Callable[[Sessions], None]
# Makes tasks, one at a call, which it puts on the board itself; whether there may be more.
Splitter = Callable[[Sessions], bool]


class Board:
    """Tasks by urgency: those put first, then a step of a splitter while there are fewer tasks than workers, then the
    others in their order. A splitter is used by one worker at a time, so that several are at work if one is not enough.
    """

    def __init__(self, job: Job, workers: Sequence[Sessions]) -> None:
        self._job = job
        self._workers = workers
        self._first: Deque[Task] = deque()
        self._tasks: Deque[Task] = deque()
        self._splitters: List[Splitter] = []
        self._in_work = 0
        self._changed = threading.Condition(threading.Lock())

    def put(self, task: Task, first: bool = False) -> None:
        with self._changed:
            (self._first if first else self._tasks).append(task)
            self._changed.notify()

    def split(self, splitter: Splitter) -> None:
        """Have tasks made by *splitter* when there is room for them."""
        with self._changed:
            self._splitters.append(splitter)
            self._changed.notify()

    def run(self) -> None:
        """Do all tasks, and those that they put. Raises the first exception of one, after which the others stop."""
        threads = [
            threading.Thread(target=self._work, args=(sessions,), name="worker", daemon=True)
            for sessions in self._workers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._job.failure is not None:
            raise self._job.failure

    def _work(self, sessions: Sessions) -> None:
        while True:
            task = None
            try:
                task = self._take()
                if task is None:
                    return
                task(sessions)
            except BaseException as error:
                with self._changed:
                    self._job.failure = self._job.failure or error
                    self._changed.notify_all()
                # By its own thread: what is at work on the servers takes a while to be ended.
                sessions.close()
                return
            finally:
                if task is not None:
                    with self._changed:
                        self._in_work -= 1
                        self._changed.notify_all()

    def _take(self) -> Optional[Task]:
        """The next task; None when nothing is left and nobody is at work who could put more."""
        with self._changed:
            while True:
                self._job.check()
                task = self._choose()
                if task is not None:
                    self._in_work += 1
                    return task
                if not self._in_work:
                    self._changed.notify_all()
                    return None
                self._changed.wait(_LOOK_SECONDS)

    def _choose(self) -> Optional[Task]:
        if self._first:
            return self._first.popleft()
        if self._splitters and len(self._tasks) < len(self._workers):
            return self._step_of(self._splitters.pop(0))
        return self._tasks.popleft() if self._tasks else None

    def _step_of(self, splitter: Splitter) -> Task:
        def step(sessions: Sessions) -> None:
            if splitter(sessions):
                with self._changed:
                    # To its old place: tables are begun in their order, and no sooner than there is room.
                    self._splitters.insert(0, splitter)

        return step
