# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What an operation is given: its parameters, and the ways to report, to count, and to notice that it must stop."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple

from ._errors import ItemError, JobError, reason
from ._meter import Meter

Event = Dict[str, Any]


class Context:
    """One job at work.

    An operation fills ``statistics``, calls ``change`` for everything that it changed (or, with ``dry_run``, would
    change), ``failure`` for an entry that failed and ``warning`` for what is only worth saying. It calls ``check``
    between items and buffers. All methods may be called from any thread.
    """

    def __init__(
        self,
        parameters: Dict[str, Any],
        dry_run: bool,
        emit: Callable[[Event], None],
        cancelled: Callable[[], bool],
        timeout: float = 0,
        meter: Optional[Meter] = None,
    ) -> None:
        self.parameters = parameters
        self.dry_run = dry_run
        self.meter = meter or Meter()
        self.statistics: Dict[str, Any] = {}
        self.changes = 0
        self.first_failure: Optional[Tuple[str, str]] = None
        # Something was gone from the source when it was to be read.
        self.vanished = False
        self.emit_error: Optional[BaseException] = None
        # The job as it was given, for one that another host carries out; then its events and figures are told.
        self.job: Dict[str, Any] = {}
        self.elsewhere = False
        self.figures: Optional[Dict[str, Any]] = None
        # The end that has the source, where that has given the job; and whether there was a connection to another.
        self.near: Any = None
        self.connected = False
        # What is asked of the connections to it.
        self.socket: Any = None
        self._emit = emit
        self._lock = threading.Lock()
        self._cancelled = cancelled
        self._timeout = timeout
        self._end: Optional[JobError] = None
        self._deadline = time.monotonic() + timeout if timeout else None

    def emit(self, event: Event) -> None:
        with self._lock:
            self._send(event)

    def tick(self, event: Event) -> None:
        """Report progress, unless another host does."""
        if not self.elsewhere:
            self.emit(event)

    def relay(self, event: Event) -> None:
        """Report what another host has reported."""
        with self._lock:
            self.changes += event["event"] == "change"
            self._send(event)

    def again(self) -> None:
        """Begin a further try, in which entries that failed may succeed."""
        with self._lock:
            self.first_failure = None
            self.vanished = False
            self.meter.again()

    def _send(self, event: Event) -> None:
        # An exception of the receiver, in whatever thread, must end the job and reach the caller of run().
        try:
            self._emit(event)
        except BaseException as error:
            self.emit_error = self.emit_error or error
            raise

    def take_emit_error(self) -> Optional[BaseException]:
        """What the receiver of the events raised, if it did. Given away, since it keeps its own frames alive."""
        error, self.emit_error = self.emit_error, None
        return error

    def change(
        self, action: str, kind: str, path: str, before: Optional[Event] = None, after: Optional[Event] = None
    ) -> None:
        """Report one change. ``path`` is relative to the destination, or names a table or object."""
        event: Event = {"event": "change", "action": action, "kind": kind, "path": path}
        if before:
            event["before"] = before
        if after:
            event["after"] = after
        with self._lock:
            self.changes += 1
            self._send(event)

    def difference(self, difference: str, path: str, expected: str = "", found: str = "") -> None:
        """Report that a tree is not as a manifest says."""
        event: Event = {"event": "difference", "difference": difference, "path": path}
        if expected:
            event["expected"] = expected
        if found:
            event["found"] = found
        self.emit(event)

    def warning(self, code: str, message: str, path: Optional[str] = None) -> None:
        """Report what does not make the job fail."""
        event: Event = {"event": "warning", "code": code, "message": message}
        if path is not None:
            event["path"] = path
        self.emit(event)

    def setting(self, setting: Event) -> None:
        """Report what has become of a setting that was wanted; a warning too where that is not what was."""
        self.emit({"event": "setting", **setting})
        if setting["status"] != "ok":
            self.warning("connection_setting", "%s is %s: %s" % (setting["id"], setting["status"], setting["reason"]))

    def failure(self, path: str, error: BaseException) -> None:
        """Count and report an entry that failed; the work goes on, and the job ends with ``partial_failure``."""
        code = error.code if isinstance(error, ItemError) else "io_error"
        message = reason(error)
        with self._lock:
            self.meter.error_count += 1
            # The first by path and not by time, so that the same tree always gives the same message.
            if self.first_failure is None or path < self.first_failure[0]:
                self.first_failure = (path, message)
            self._send({"event": "warning", "code": code, "message": message, "path": path})

    def partial_failure(self) -> Optional[JobError]:
        """What ends a job in which entries failed."""
        if self.first_failure is None:
            return None
        count = self.meter.error_count
        noun = "entry" if count == 1 else "entries"
        return JobError("partial_failure", "%d %s failed; the first: %s: %s" % ((count, noun) + self.first_failure))

    def end_by(self, error: JobError) -> None:
        """Have the job end by an error of its own, from the next ``check`` on."""
        self._end = self._end or error

    def check(self) -> None:
        """Raise when the job is no longer wanted or its time is over."""
        if self.emit_error is not None or self._cancelled():
            raise JobError("cancelled", "the job was cancelled")
        if self._end is not None:
            raise self._end
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise JobError("timeout", "the job took longer than its limit of %g seconds" % self._timeout)
