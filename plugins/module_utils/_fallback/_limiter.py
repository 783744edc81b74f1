# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Holds a stream of bytes to a rate."""

from __future__ import annotations

import threading
import time
from typing import Callable


class Limiter:
    """Paces all threads together to a number of bytes per second."""

    def __init__(self, rate: int, check: Callable[[], None]) -> None:
        self.rate = rate
        self._check = check
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, size: int) -> None:
        """Wait until ``size`` more bytes may be moved."""
        with self._lock:
            start = max(self._free_at, time.monotonic())
            self._free_at = start + size / self.rate
        while True:
            self._check()
            wait = start - time.monotonic()
            if wait <= 0:
                return
            time.sleep(min(wait, 0.1))
