# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Threads that take tasks last in, first out: a tree is walked depth first and few directories stay open."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable, Dict, Generic, List, Optional, TypeVar

from ._context import Context
from ._meter import Tally


class Counters:
    """Statistics as far as one worker made them; no other thread writes them."""

    files_total = 0
    directories_total = 0
    symlinks_total = 0
    specials_total = 0
    bytes_total = 0
    files_copied = 0
    bytes_copied = 0
    files_resumed = 0
    bytes_resumed = 0
    bytes_reused = 0
    files_unchanged = 0
    files_newer = 0
    metadata_updated = 0
    directories_created = 0
    symlinks_created = 0
    hard_links_created = 0
    specials_created = 0
    deleted = 0
    temporaries_removed = 0
    skipped = 0
    files_verified = 0
    checksums_cached = 0

    def add(self, other: Counters) -> None:
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> Dict[str, int]:
        return {name: getattr(self, name) for name in COUNTERS}


COUNTERS = tuple(name for name, value in vars(Counters).items() if value == 0)
# Those that count what was done, and not what there is.
DEEDS = (
    *("files_copied", "bytes_copied", "files_resumed", "bytes_resumed", "bytes_reused", "metadata_updated"),
    *("directories_created", "checksums_cached"),
    *("symlinks_created", "hard_links_created", "specials_created", "deleted", "temporaries_removed", "files_verified"),
)


class Worker:
    """What one thread owns: its counters, its buffer and its series of temporary names."""

    def __init__(self, context: Context, buffer_size: int) -> None:
        self.tally: Tally = context.meter.tally()
        self.counters = Counters()
        # What a run would take of the destination's file system, in a dry run.
        self.needed_bytes = 0
        self.needed_entries = 0
        self._buffer_size = buffer_size
        self._buffer: Optional[memoryview] = None
        self._series = int.from_bytes(os.urandom(8), "big")

    @property
    def buffer(self) -> memoryview:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(self._buffer_size))
        return self._buffer

    def temporary_name(self) -> str:
        self._series = (self._series + 1) & 0xFFFFFFFFFFFFFFFF
        return ".migration-assistant-%016x.tmp" % self._series


AnyWorker = TypeVar("AnyWorker")
Task = Callable[[AnyWorker], None]


class _Idleness:
    """Whether this process mostly waits, for a disk or a file server, so that another thread has room."""

    _INTERVAL = 0.05
    _BUSY = 0.8

    def __init__(self) -> None:
        self._moment = time.monotonic()
        self._processor = time.process_time()

    def found(self) -> bool:
        """Answer for the time since the last question, once per interval; in between there is nothing to say."""
        span = time.monotonic() - self._moment
        if span < self._INTERVAL:
            return False
        used = time.process_time() - self._processor
        self._moment += span
        self._processor += used
        return used < self._BUSY * span


class Pool(Generic[AnyWorker]):
    """Runs tasks, which may add further tasks, in the caller's thread and in up to ``count - 1`` more.

    Threads are only started where they help: Python runs one at a time, and many that do nothing but short system
    calls slow each other down.
    """

    def __init__(self, count: int, make_worker: Callable[[], AnyWorker]) -> None:
        self._count = count
        self._make_worker = make_worker
        self._tasks: List[Task[AnyWorker]] = []
        self._threads: List[threading.Thread] = []
        self._waiting = 0
        self._allowed = count
        self._changed = threading.Condition(threading.Lock())
        self._failure: Optional[BaseException] = None
        self._ended = False
        self._idleness = _Idleness()

    def add(self, *tasks: Task[AnyWorker], heavy: bool = False) -> None:
        """Give tasks to the workers; the last one given is taken first. ``heavy`` ones move so much data that they
        mostly run outside of Python."""
        with self._changed:
            if self._failure is not None:
                return
            self._tasks.extend(tasks)
            if self._waiting:
                self._changed.notify(len(tasks))
            # One of them is for the worker that gives them.
            for _task in tasks[1:] if heavy else ():
                self._grow(needed=True)

    def _grow(self, needed: bool) -> None:
        """Start one more thread, if there are tasks for it and it is needed or has room."""
        if len(self._tasks) <= self._waiting or len(self._threads) >= self._count - 1:
            return
        if needed or self._idleness.found():
            thread = threading.Thread(target=self._work, name="worker", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The system allows no more: those that there are do the work.
                self._count = len(self._threads) + 1
            else:
                self._threads.append(thread)

    @property
    def allowed(self) -> int:
        """How many workers may be at work."""
        return min(self._allowed, self._count)

    def allow(self, count: int) -> None:
        """Let so many workers be at work from now on, at least one. Those that are first do what they have in hand."""
        with self._changed:
            self._allowed = max(count, 1)
            self._changed.notify_all()

    def is_crowded(self) -> bool:
        """Whether more workers are at work than may be."""
        return len(self._threads) + 1 - self._waiting > self._allowed

    def run(self) -> None:
        """Return when no task is left; raise what the first failing task raised."""
        self._work()
        for thread in self._threads:
            thread.join()
        failure, self._failure = self._failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            # Else the failure keeps its own frames alive, and with them open directories.
            del failure

    def _work(self) -> None:
        worker = self._make_worker()
        while True:
            task = self._take()
            if task is None:
                return
            try:
                task(worker)
            except BaseException as error:
                self._fail(error)
            # Dropped at once: a task keeps its directory open.
            del task

    def _take(self) -> Optional[Task[AnyWorker]]:
        """The next task, or None when all are done: when every worker waits, nobody can add another."""
        with self._changed:
            while not self._ended and (not self._tasks or self._is_enough()):
                if not self._tasks and self._waiting == len(self._threads):
                    self._ended = True
                    self._changed.notify_all()
                    return None
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            if self._ended:
                return None
            task = self._tasks.pop()
            self._grow(needed=False)
            return task

    def _is_enough(self) -> bool:
        """Whether there is enough at work without the worker that asks."""
        return len(self._threads) - self._waiting >= self._allowed

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._failure is None:
                self._failure = error
            self._tasks.clear()
