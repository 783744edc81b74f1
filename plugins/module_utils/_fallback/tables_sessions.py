# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The two connections of one worker: made when they are needed, and made anew when they are lost."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple, TypeVar

from ._errors import JobError
from .tables_job import Job
from .tables_server import Connection, ServerError, connect

_LONGEST_PAUSE = 30.0
_STEP = 0.1

Result = TypeVar("Result")


class Sessions:
    """For one thread at a time."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.tally = job.context.meter.tally()
        self._connections: Dict[str, Connection] = {}
        self._had_source = False

    def source(self) -> Connection:
        """The connection to the source, in its snapshot."""
        connection = self._connections.get("source")
        if connection is not None and connection.usable:
            return connection
        self._drop("source")
        snapshot = self.job.parameters["snapshot"]
        if self._had_source and not snapshot["renewable"]:
            raise _snapshot_lost("its connection was lost")
        connection = self._connect("source")
        try:
            for statement in snapshot["begin"]:
                connection.execute(statement)
        except ServerError as error:
            self._drop("source")
            if self.job.snapshot_begun and not error.transient:
                raise _snapshot_lost(error.message) from error
            error.connecting = True
            raise
        self.job.snapshot_begun = self._had_source = True
        return connection

    def destination(self) -> Connection:
        connection = self._connections.get("destination")
        if connection is not None and connection.usable:
            return connection
        self._drop("destination")
        return self._connect("destination")

    def _connect(self, side: str) -> Connection:
        server: Dict[str, Any] = self.job.parameters[side]
        connection = connect(server, side, self.job.check)
        try:
            for statement in server["session"]:
                connection.execute(statement)
        except ServerError as error:
            connection.close()
            error.connecting = True
            raise
        except BaseException:
            connection.close()
            raise
        self._connections[side] = connection
        return connection

    def _drop(self, side: str) -> None:
        connection = self._connections.pop(side, None)
        if connection is not None:
            connection.close()

    def abandon(self, blocks: Iterator[bytes]) -> None:
        """Give up what the source is sending, without losing its snapshot."""
        if self._connections["source"].usable:
            return  # it had not begun
        if self.job.parameters["snapshot"]["renewable"]:
            self._drop("source")
        else:
            for _block in blocks:
                continue

    def close(self) -> None:
        for side in ("source", "destination"):
            self._drop(side)

    def attempts(self, attempt: Callable[[bool], Result]) -> Result:
        """What *attempt* gives, which is tried again after failures that pass. It is told whether it is tried again.

        Whatever it raises, the destination is in no transaction afterwards.
        """
        again = 0
        while True:
            try:
                return attempt(again > 0)
            except ServerError as error:
                self._leave()
                if not error.transient or again >= self.job.parameters["retries"]:
                    raise
                if error.lost:
                    self.job.warn_once(error.side, "%s; trying again" % error.message)
            except BaseException:
                self._leave()
                raise
            again += 1
            self.tally.retries += 1
            self._pause(min(2.0 ** (again - 1), _LONGEST_PAUSE))

    def _leave(self) -> None:
        destination = self._connections.get("destination")
        if destination is not None:
            destination.end()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(_STEP)
            self.job.check()


def _snapshot_lost(cause: str) -> JobError:
    return JobError("snapshot_lost", "the source's snapshot cannot be read any more: %s; run again" % cause)


def at_once(first: Callable[[], Result], second: Callable[[], Result]) -> Tuple[Result, Result]:
    """The results of both, which run at the same time: each asks another server."""
    outcome: List[Result] = []
    failures: List[BaseException] = []

    def work() -> None:
        try:
            outcome.append(first())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="source", daemon=True)
    thread.start()
    try:
        there = second()
    finally:
        thread.join()
    if failures:
        raise failures[0]
    return outcome[0], there
