# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Keep watch over a job from within: its lease, the wish that it ends, the record of its events."""

from __future__ import annotations

import json
import os
import threading
import time
import typing as t

from .._executor import Stop
from .._executor.events import Event
from .directory import JobDirectory

_LOOK_SECONDS = 0.5
# A job that warns of every file must not fill the disk.
_WARNINGS_KEPT = 1000


class Supervision:
    """Watches one job while entered. lease: seconds without the controller after which it stops; limit: seconds after
    which it stops in any case; None for never."""

    def __init__(self, directory: JobDirectory, lease: t.Optional[float], limit: t.Optional[float] = None) -> None:
        self.stop = Stop()
        self._limit = limit
        self._directory = directory
        self._lease = lease
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervision", daemon=True)
        self._events = -1
        self._warnings = 0

    def __enter__(self) -> Supervision:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._events = os.open(self._directory.file("events.jsonl"), flags, 0o600)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._events)

    def record(self, event: Event) -> None:
        """Append an event to the job's file, in one piece."""
        if event["event"] == "warning":
            self._warnings += 1
            if self._warnings > _WARNINGS_KEPT:
                return
        line = json.dumps(event, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            os.write(self._events, line)
        except OSError:
            # A full disk under the record must not end the job: that is for the job itself to notice.
            return

    def _watch(self) -> None:
        # The clock of the system may be set while the job runs, so that only changes of the lease's time count.
        heard, since = self._directory.heard(), time.monotonic()
        begin = since
        while not self._ended.wait(_LOOK_SECONDS):
            now = self._directory.heard()
            if now != heard:
                heard, since = now, time.monotonic()
            reason = self._directory.cancelled()
            if reason is None and self._lease is not None and time.monotonic() - since > self._lease:
                reason = "its controller was not heard of for %g seconds" % self._lease
            if reason is None and self._limit is not None and time.monotonic() - begin > self._limit:
                reason = "its time limit of %g seconds is over" % self._limit
            if reason is not None:
                self.stop.request(reason)
                return
