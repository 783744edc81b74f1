# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Figures of a running job: what is done, how fast, with how much memory and processor time."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

MEBIBYTE = 1048576


class Tally:
    """Counters of one worker. Only that worker writes them, so they need no lock.

    ``bytes_done`` are the bytes written, ``bytes_total`` those that are to be written, as far as known;
    ``bytes_passed`` those of files that are done without being written.
    """

    __slots__ = ("bytes_done", "bytes_passed", "bytes_total", "files_copied", "items_done", "items_total", "retries")

    def __init__(self) -> None:
        self.items_done = 0
        self.items_total = 0
        self.bytes_done = 0
        self.bytes_passed = 0
        self.bytes_total = 0
        self.files_copied = 0
        self.retries = 0


class Meter:
    """Sums of all workers' tallies, and the process's own use of the machine."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._processor_at_start = time.process_time()
        self._sampled = self._started
        self._processor_at_sample = self._processor_at_start
        self._tallies: List[Tally] = []
        self._lock = threading.Lock()
        self.phase = "scan"
        self.current: Optional[str] = None
        self.error_count = 0
        self.concurrent_operations = 0
        self._in_work = 0
        self.rows_copied: Optional[int] = None
        self._totals: Optional[Tuple[int, int]] = None

    def set_totals(self, items: int, size: int) -> None:
        """Tell how many items and bytes there are in all."""
        self._totals = (items, size)

    def tally(self) -> Tally:
        """A new set of counters for one worker."""
        tally = Tally()
        with self._lock:
            self._tallies.append(tally)
        return tally

    def total(self, name: str) -> int:
        with self._lock:
            return sum(getattr(tally, name) for tally in self._tallies)

    def again(self) -> None:
        """Begin a further try of the job: what it comes by counts anew, and what was written stays written."""
        with self._lock:
            for tally in self._tallies:
                tally.items_done = tally.items_total = tally.bytes_passed = 0
                tally.bytes_total = tally.bytes_done
            again = Tally()
            again.retries = 1
            self._tallies.append(again)
        self.error_count = 0
        self.phase = "scan"

    def begin(self) -> None:
        """Count one more file, table or chunk in work; ``end`` counts it off."""
        with self._lock:
            self._in_work += 1
            if self._in_work > self.concurrent_operations:
                self.concurrent_operations = self._in_work

    def end(self) -> None:
        with self._lock:
            self._in_work -= 1

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def progress(self) -> Dict[str, Any]:
        event: Dict[str, Any] = {"event": "progress", "phase": self.phase, "elapsed": round(self.elapsed(), 3)}
        for name in ("items_done", "items_total", "bytes_done", "bytes_total"):
            event[name] = self.total(name)
        passed = self.total("bytes_passed")
        event["bytes_done"] += passed
        event["bytes_total"] += passed
        if self._totals is not None:
            # More than was counted can only have come since.
            event["items_total"] = max(self._totals[0], event["items_done"])
            event["bytes_total"] = max(self._totals[1], event["bytes_done"])
            event["totals_known"] = True
        if self.current is not None:
            event["current"] = self.current
        return event

    def sample(self) -> Dict[str, Any]:
        """One point of the curves; the processor figure covers the time since the sample before."""
        now, processor = time.monotonic(), time.process_time()
        span = now - self._sampled
        percent = 100 * (processor - self._processor_at_sample) / span if span > 0 else 0.0
        self._sampled, self._processor_at_sample = now, processor
        return {
            "event": "sample",
            "elapsed": round(self.elapsed(), 3),
            "items_done": self.total("items_done"),
            "bytes_done": self.total("bytes_done"),
            "memory_usage_bytes": resident_memory(),
            "cpu_usage_percent": round(max(percent, 0.0), 1),
        }

    def performance(self) -> Dict[str, Any]:
        """The figures of the whole job, as the protocol's ``performance`` object."""
        duration = max(self.elapsed(), 1e-6)
        transferred = self.total("bytes_done")
        result: Dict[str, Any] = {
            "files_copied": self.total("files_copied"),
            "bytes_transferred": transferred,
            "transfer_rate_mbps": round(transferred / duration / MEBIBYTE, 3),
            "concurrent_operations": self.concurrent_operations,
            "memory_usage_bytes": peak_memory(),
            "cpu_usage_percent": round(100 * (time.process_time() - self._processor_at_start) / duration, 1),
            "error_count": self.error_count,
            "retry_count": self.total("retries"),
            "duration_seconds": round(duration, 6),
        }
        if self.rows_copied is not None:
            result["rows_copied"] = self.rows_copied
            result["rows_per_second"] = round(self.rows_copied / duration, 3)
        return result


class Ticker:
    """A thread that emits progress and samples at their intervals, also when nothing moves: the sign of life."""

    def __init__(
        self, meter: Meter, emit: Callable[[Dict[str, Any]], None], progress_interval: float, sample_interval: float
    ) -> None:
        self._meter = meter
        self._emit = emit
        self._intervals = {"progress": progress_interval, "sample": sample_interval}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="ticker", daemon=True)

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _tick(self) -> None:
        due = {name: time.monotonic() + seconds for name, seconds in self._intervals.items() if seconds > 0}
        while True:
            # A wait beyond TIMEOUT_MAX raises OverflowError.
            wait = min(max(min(due.values()) - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
            if self._stopped.wait(wait):
                return
            now = time.monotonic()
            for name, moment in list(due.items()):
                if now >= moment:
                    due[name] = now + self._intervals[name]
                    try:
                        self._emit(self._meter.progress() if name == "progress" else self._meter.sample())
                    except Exception:
                        # The context keeps what the receiver raised and ends the job with it.
                        return


def peak_memory() -> int:
    """Greatest resident memory of this process so far, in bytes; 0 where the system does not tell."""
    try:
        # Linux counts in ru_maxrss what the process that started this one had.
        with open("/proc/self/status", "rb") as stream:
            return next(int(line.split()[1]) * 1024 for line in stream if line.startswith(b"VmHWM:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_memory() -> int:
    """Resident memory of this process now, in bytes; the peak where only that is known."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return peak_memory()
