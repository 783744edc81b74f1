# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Keeps a job within its memory limit."""

from __future__ import annotations

import gc
import time

from ._context import Context
from ._errors import JobError
from ._meter import MEBIBYTE, resident_memory
from ._watch import Watch

_LOOK_SECONDS = 0.1
# How long after collecting garbage the next time comes: that stops all work for a moment.
_REST_SECONDS = 2.0


class MemoryWatch(Watch):
    """Watches the memory of this process while entered; with a ``limit`` of 0 it does nothing.

    limit: bytes. threshold: per cent of them from which on garbage is collected. If that is not enough, the job ends.
    """

    def __init__(self, context: Context, limit: int, threshold: float) -> None:
        super().__init__("memory", _LOOK_SECONDS, limit > 0)
        self._context = context
        self._limit = limit
        self._threshold = limit * threshold / 100
        self._collected = 0.0

    def begin(self) -> None:
        self.look()

    def look(self) -> None:
        used = resident_memory()
        rested = time.monotonic() - self._collected > _REST_SECONDS
        if used > self._limit or (used > self._threshold and rested):
            gc.collect()
            self._collected = time.monotonic()
            used = resident_memory()
        if used > self._limit:
            figures = (used / MEBIBYTE, self._limit / MEBIBYTE)
            message = "the job takes %.1f MB of memory; memory_limit allows %.1f MB" % figures
            self._context.end_by(JobError("memory_exceeded", message))
            self.end()
