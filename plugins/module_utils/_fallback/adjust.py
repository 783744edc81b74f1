# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""How many files are copied at a time, suited to the rate: fewer where it is below a threshold and fewer do no harm,
more where it is above."""

from __future__ import annotations

from typing import Any

from ._context import Context
from ._watch import Watch
from .workers import Pool

# How long a rate is measured before the number is reconsidered, and for how many measurements it stays where another
# has turned out to be worse.
_SECONDS = 2.0
REST = 15
# What an entry counts for besides its content, in bytes, since small files are slow for what they are.
_ENTRY_WORTH = 64 << 10
# The share of the earlier rate below which a change has done harm.
_WORSE = 0.75
_MEBIBYTE = 1 << 20


class Adjuster:
    """Decides the number. ``threshold`` and rates: bytes per second."""

    def __init__(self, threshold: float, most: int) -> None:
        self._threshold = threshold
        self._most = most
        self.allowed = most
        # The rate with the earlier number, while a change is being tried.
        self._before = 0.0
        self._earlier = most
        self._rest = 0

    def next(self, rate: float) -> int:
        """Take the rate of one measurement; give the number from now on."""
        if self._before > 0 and rate < self._before * _WORSE:
            self.allowed, self._rest, self._before = self._earlier, REST, 0.0
        elif self._rest > 0:
            self._rest -= 1
        elif rate < self._threshold and self.allowed > 1:
            self._try(rate, self.allowed // 2)
        elif rate >= self._threshold and self.allowed < self._most:
            self._try(rate, min(self.allowed * 2, self._most))
        else:
            self._before = 0.0
        return self.allowed

    def _try(self, rate: float, allowed: int) -> None:
        self._before, self._earlier, self.allowed = max(rate, 1.0), self.allowed, allowed


class Adjusting(Watch):
    """Keeps the workers of a pool suited to the rate while entered; without a threshold it does nothing."""

    def __init__(self, context: Context, pool: Pool[Any]) -> None:
        self._threshold: int = context.parameters["performance_threshold"]
        super().__init__("adjusting", _SECONDS, self._threshold > 0 and pool.allowed > 1)
        self._context = context
        self._pool = pool
        self._adjuster = Adjuster(self._threshold, pool.allowed)
        self._last = 0

    def begin(self) -> None:
        self._last = self._worth()

    def look(self) -> None:
        worth = self._worth()
        rate, self._last = (worth - self._last) / _SECONDS, worth
        earlier = self._adjuster.allowed
        allowed = self._adjuster.next(rate)
        if allowed != earlier:
            self._pool.allow(allowed)
            message = "%d instead of %d files at a time: at %.2f MB/s, and a performance_threshold of %.2f MB/s"
            figures = (allowed, earlier, rate / _MEBIBYTE, self._threshold / _MEBIBYTE)
            self._context.warning("parallelism_adjusted", message % figures)

    def _worth(self) -> int:
        """What was done so far, in bytes."""
        meter = self._context.meter
        return meter.total("bytes_done") + _ENTRY_WORTH * meter.total("items_done")
