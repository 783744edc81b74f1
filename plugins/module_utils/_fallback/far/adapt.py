# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The rate of a transfer, suited to the network: it is lowered while a queue of ours stands there."""

from __future__ import annotations

import contextlib
import time
from typing import Callable, NamedTuple

from .._context import Context
from .._watch import Watch
from .frames import ConnectionLost
from .tcp import Connection

# How long a new rate stands before it is measured what it does, and how long that takes.
_SETTLE = _LOOK = 1.0
_EVERY = 0.1
# The most that is waited for a queue to empty.
_LONGEST_DRAIN = 15.0
# How much longer than at best a round trip takes at least when a queue stands in the network. A host that has nothing
# to say acknowledges after 40 ms.
_LEAST_QUEUE = 0.05
# The share of packets that may be lost without the rate being to blame, and from how many on that tells something.
_MOST_LOST = 0.02
_LEAST_PACKETS = 50
_LOWER, _RAISE = 0.8, 1.1
# The share of a limit above which it is the limit that holds a transfer back.
_USED = 0.8
# What is never gone below, in bytes per second and as a share of the best rate so far.
_LEAST_RATE, _LEAST_SHARE = 64 << 10, 1 / 8
_MEBIBYTE = 1 << 20
# What may wait in this host's own buffer, where it cannot be held back any more.
_MOST_UNSENT = 128 << 10


class Reading(NamedTuple):
    """What one look shows. round_trip: the least of the look in seconds, so that only a queue that stands counts, 0
    where nothing tells; last_round_trip at its end; least_round_trip that the kernel has seen; lost: share of the
    packets; rate: bytes per second that the network delivered."""

    round_trip: float
    last_round_trip: float
    least_round_trip: float
    lost: float
    rate: float


class Adapter:
    """Decides the rate: it is lowered until no queue of ours stands in the network, and raised by small steps until one
    does; then it stays until the next look. most: of the task; limit: now, 0 for none but that."""

    def __init__(self, interval: float, most: float) -> None:
        self._interval = interval
        self._most = most
        self.limit = 0.0
        # Of a round trip without a queue.
        self.base = 0.0
        self._best = 0.0
        # The rate was lowered, and what that does is awaited.
        self._easing = False
        # Before the last time that it was lowered for the packets that are lost.
        self._lost_before = 0.0
        self._limit_before = 0.0

    def next(self, reading: Reading) -> float:
        """Take a reading; give the seconds until the next one begins."""
        self._learn(reading)
        queue = reading.round_trip - self.base
        stands = reading.round_trip > 0 and queue > max(_LEAST_QUEUE, self.base / 2)
        lost_before, self._lost_before = self._lost_before, 0.0
        if lost_before and not stands and reading.lost > lost_before / 2:
            # They are lost as before: it is not the rate.
            self.limit, self._easing = self._limit_before, False
            return self._interval
        floor = self._at_most(max(_LEAST_RATE, self._best * _LEAST_SHARE))
        if stands and 0 < self.limit <= floor:
            # So little makes no queue: it is another's, or the way has become longer.
            self.base = reading.round_trip
        elif (stands or reading.lost > _MOST_LOST) and reading.rate >= _LEAST_RATE:
            return self._lower(reading, floor, stands)
        elif not self._easing and self._is_used(reading):
            self.limit = self._at_most(self.limit * _RAISE)
            return _SETTLE
        self._easing = False
        return self._interval

    def _lower(self, reading: Reading, floor: float, stands: bool) -> float:
        if not stands:
            self._lost_before, self._limit_before = reading.lost, self.limit
        delivered = min(reading.rate, self.limit) if self.limit else reading.rate
        self.limit, self._easing = self._at_most(max(delivered * _LOWER, floor)), True
        return _SETTLE + min(max(reading.last_round_trip - self.base, 0) / (1 - _LOWER), _LONGEST_DRAIN)

    def _is_used(self, reading: Reading) -> bool:
        """Whether it is the limit, and not the task's own, that holds the transfer back."""
        if not self.limit or (self._most and self.limit >= self._most):
            return False
        return reading.rate >= self.limit * _USED

    def _learn(self, reading: Reading) -> None:
        if not self.base:
            self.base = reading.least_round_trip
        if reading.round_trip and (not self.base or reading.round_trip < self.base):
            self.base = reading.round_trip
        self._best = max(self._best, reading.rate)

    def _at_most(self, limit: float) -> float:
        return min(limit, self._most) if self._most else limit


class Adapting(Watch):
    """Keeps the rate suited to the network while entered. sends: it is this end that sends the contents."""

    def __init__(
        self,
        context: Context,
        connection: Connection,
        interval: float,
        sends: bool,
        set_rate: Callable[[float], None],
    ) -> None:
        super().__init__("adapting", _SETTLE, True)
        self._context = context
        self._connection = connection
        self._sends = sends
        self._set_rate = set_rate
        self._adapter = Adapter(interval, context.parameters["bandwidth_limit"])

    def begin(self) -> None:
        if self._sends:
            with contextlib.suppress(OSError):
                self._connection.limit_unsent(_MOST_UNSENT)

    def look(self) -> None:
        try:
            reading = self._take()
            earlier, wait = self._adapter.limit, self._adapter.next(reading)
            self.wait(wait)
            if self._adapter.limit != earlier:
                self._set_rate(self._adapter.limit)
                self._tell(earlier, reading)
        except (OSError, ConnectionLost):
            self.end()  # that the connection is gone is for others to tell

    def _tell(self, earlier: float, reading: Reading) -> None:
        message = "%s instead of %s: %.2f MB/s arrived, a round trip took %s, %.1f %% was lost"
        trip = "an unknown time"
        if reading.round_trip:
            trip = "%d ms, %d at best" % (reading.round_trip * 1000, self._adapter.base * 1000)
        figures = (_text(self._adapter.limit), _text(earlier), reading.rate / _MEBIBYTE, trip, reading.lost * 100)
        self._context.warning("bandwidth_adjusted", message % figures)

    def _take(self) -> Reading:
        """Measure for a while. Raises OSError once the connection is closed."""
        began = time.monotonic()
        first = last = self._connection.info()
        trip = last_trip = 0.0
        while time.monotonic() - began < _LOOK and not self.is_ended(_EVERY):
            now = self._connection.info()
            # A round trip is measured when something of ours is acknowledged.
            if now.acknowledged != last.acknowledged and now.round_trip:
                last_trip = now.round_trip
                trip = min(trip, last_trip) if trip else last_trip
            last = now
        delivered = last.acknowledged - first.acknowledged if self._sends else last.received - first.received
        sent, resent = last.segments - first.segments, last.retransmitted - first.retransmitted
        return Reading(
            round_trip=trip,
            last_round_trip=last_trip,
            least_round_trip=last.least_round_trip,
            lost=resent / sent if sent >= _LEAST_PACKETS else 0.0,
            rate=delivered / (time.monotonic() - began),
        )


def _text(limit: float) -> str:
    return "%.2f MB/s" % (limit / _MEBIBYTE) if limit else "no limit"
