# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Judge the performance facts of a job against the thresholds of the user."""

from __future__ import annotations

import os
import typing as t

from . import _units

MIB = 1024 * 1024
# A rate over less than this many seconds says nothing about the link or the disk.
_SHORTEST_RATED = 1.0


def alerts(
    performance: t.Mapping[str, t.Any],
    samples: t.Sequence[t.Mapping[str, t.Any]],
    thresholds: t.Mapping[str, t.Any],
) -> t.List[t.Dict[str, t.Any]]:
    """Thresholds that were crossed, as a list of {alert, threshold, value, message}.

    thresholds: low_transfer_rate (a rate), high_memory_usage (per cent of the host's memory),
    high_cpu_usage (per cent of all its processors), connection_failures (a count); absent ones are not
    judged. Raises ValueError for a threshold that cannot be read.
    """
    crossed = []
    for name, judge in _JUDGES.items():
        threshold = thresholds.get(name)
        if threshold is None:
            continue
        alert = judge("alerts.%s" % name, threshold, performance, samples)
        if alert is not None:
            value, message = alert
            crossed.append({"alert": name, "threshold": threshold, "value": value, "message": message})
    return crossed


_Alert = t.Optional[t.Tuple[float, str]]


def _low_transfer_rate(
    option: str, threshold: t.Any, performance: t.Mapping[str, t.Any], _samples: t.Sequence[t.Mapping[str, t.Any]]
) -> _Alert:
    lowest = _units.parse_rate(threshold, option) / MIB
    rate = float(performance.get("transfer_rate_mbps", 0.0))
    rated = performance.get("bytes_transferred", 0) and performance.get("duration_seconds", 0) >= _SHORTEST_RATED
    if not rated or rate >= lowest:
        return None
    return rate, "the transfer rate was %.2f MB/s, below %s" % (rate, threshold)


def _high_memory_usage(
    option: str, threshold: t.Any, performance: t.Mapping[str, t.Any], _samples: t.Sequence[t.Mapping[str, t.Any]]
) -> _Alert:
    highest = _units.parse_percentage(threshold, option)
    total = _memory_of_host()
    if not total:
        return None
    used = 100.0 * performance.get("memory_usage_bytes", 0) / total
    return (used, "memory use reached %.0f %% of the host's, above %s" % (used, threshold)) if used > highest else None


def _high_cpu_usage(
    option: str, threshold: t.Any, performance: t.Mapping[str, t.Any], samples: t.Sequence[t.Mapping[str, t.Any]]
) -> _Alert:
    highest = _units.parse_percentage(threshold, option)
    processors = os.cpu_count() or 1
    loads = [float(sample["cpu_usage_percent"]) for sample in samples] or [
        float(performance.get("cpu_usage_percent", 0.0))
    ]
    used = max(loads) / processors
    return (used, "processor use reached %.0f %%, above %s" % (used, threshold)) if used > highest else None


def _connection_failures(
    option: str, threshold: t.Any, performance: t.Mapping[str, t.Any], _samples: t.Sequence[t.Mapping[str, t.Any]]
) -> _Alert:
    most = _units.parse_count(threshold, option)
    failures = int(performance.get("retry_count", 0))
    return (
        (failures, "%d operations had to be tried again, %d or more" % (failures, most)) if failures >= most else None
    )


_JUDGES: t.Dict[str, t.Callable[..., _Alert]] = {
    "low_transfer_rate": _low_transfer_rate,
    "high_memory_usage": _high_memory_usage,
    "high_cpu_usage": _high_cpu_usage,
    "connection_failures": _connection_failures,
}


def _memory_of_host() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
