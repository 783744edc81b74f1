# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a job is, as one line now and then for each host."""

from __future__ import annotations

import math
import os
import sys
import time
import typing as t
from collections import deque

from ansible.utils.display import Display

from ansible_collections.migration.assistant.plugins.module_utils import _units
from ansible_collections.migration.assistant.plugins.module_utils._job_result import on_one_line

Event = t.Mapping[str, t.Any]

_PHASES = {
    "scan": "reading",
    "copy": "copying",
    "links": "linking",
    "delete": "deleting",
    "finish": "finishing",
    "connect": "connecting",
    "prepare": "preparing",
    "load": "loading",
    "compare": "comparing",
    "schema": "making the schema",
    "verify": "verifying",
    "checksum": "computing checksums",
    "wait": "waiting for another job",
}
# Only in these does the number of items and bytes grow from none to all.
_MEASURED = ("scan", "copy", "links", "load", "compare", "checksum")
# The rate is that of the last so many lines.
_RATED_LINES = 5
_BAR = 20
_NARROWEST = 60

display = Display()

# Workers of Ansible have no terminal, so this is found out when the strategy loads the plugin. What runs under
# ansible-runner has a terminal that nobody looks at, and keeps every line.
ON_TERMINAL = sys.stderr.isatty() and "AWX_ISOLATED_DATA_DIR" not in os.environ


class ProgressLine:
    """Shows the progress of one host's job.

    hosts: names of all hosts of the task. interval: seconds between lines, 0 for none, None for what suits the number
    of hosts and the length of the job. names: whether to show the path or table in hand.
    """

    def __init__(
        self,
        host: str,
        hosts: t.Sequence[str] = (),
        interval: float | None = None,
        *,
        names: bool = True,
        on_terminal: bool = ON_TERMINAL,
    ) -> None:
        self._host = host
        self._column = min(max(map(len, [*hosts, host])), 30)
        self._crowd = max(len(hosts), 1)
        self._interval = interval
        self._names = names
        self._on_terminal = on_terminal
        self._started = time.monotonic()
        self._shown = -math.inf
        self._seen: deque[tuple[float, int]] = deque(maxlen=_RATED_LINES)
        self._phase = ""

    def pause(self) -> float:
        """Seconds until the next line is due; for no lines, until it is worth while to look again."""
        if self._interval is not None:
            return max(self._interval or 10.0, 1.0)
        elapsed = time.monotonic() - self._started
        least = 2.0 if self._on_terminal else 5.0
        # About one line in a second at most, however many hosts there are.
        return min(max(least, elapsed / 30, self._crowd / 2), 30.0)

    def show(self, event: Event | None) -> None:
        """Show how far the job is, if a line is due."""
        if event is None or self._interval == 0:
            return
        now = time.monotonic()
        if now - self._shown < 0.9 * self.pause():
            return
        self._shown = now
        shown = event if self._names else {**event, "current": None}
        self.say(describe(shown, self._rate(event), gauge=self._on_terminal))

    def say(self, text: str) -> None:
        """Show a line about this host's job, unless the user wants none."""
        if self._interval == 0:
            return
        line = f"{self._host:<{self._column}}  {text}" if self._crowd > 1 else f"{self._host}  {text}"
        if self._on_terminal:
            line = shorten(line, max(display.columns, _NARROWEST))
        display.display(line, color="bright gray" if self._on_terminal else None, stderr=True)

    def _rate(self, event: Event) -> float:
        """What is done in a second now: bytes where those are counted, else items."""
        if event["phase"] != self._phase:
            self._phase = event["phase"]
            self._seen.clear()
        self._seen.append((event["elapsed"], event["bytes_done" if counts_bytes(event) else "items_done"]))
        (first, before), (last, now) = self._seen[0], self._seen[-1]
        return max(now - before, 0) / (last - first) if last > first else 0.0


def counts_bytes(event: Event) -> bool:
    return bool(event["bytes_total"])


def describe(event: Event, rate: float, gauge: bool = False) -> str:
    """A progress event in words: phase, per cent, done of total, rate, time left, current path or table."""
    phase = str(_PHASES.get(event["phase"], event["phase"]))
    done, total = _amounts(event)
    parts = []
    if event["phase"] not in _MEASURED:
        parts.append(phase)
    elif event.get("totals_known") and total > 0:
        share = min(done / total, 1.0)
        drawn = f"[{'#' * int(share * _BAR):.<{_BAR}}] " if gauge else ""
        parts.append(f"{drawn}{phase} {int(share * 100)} %, {_amount(done, event)} of {_amount(total, event)}")
    elif done or total:
        parts.append(f"{phase}, {_amount(done, event)} so far")
    else:
        parts.append(phase)
    if rate > 0 and event["phase"] in _MEASURED:
        parts.append(f"{_units.format_rate(rate)}" if counts_bytes(event) else f"{rate:.0f}/s")
        if event.get("totals_known") and total - done >= rate:
            parts.append(f"{_units.format_duration(round((total - done) / rate))} left")
    if event.get("current"):
        parts.append(on_one_line(event["current"]))
    return ", ".join(parts)


def _amounts(event: Event) -> tuple[int, int]:
    kind = "bytes" if counts_bytes(event) else "items"
    return event[f"{kind}_done"], event[f"{kind}_total"]


def _amount(number: int, event: Event) -> str:
    return _units.format_size(number) if counts_bytes(event) else f"{number:,}".replace(",", " ")


def shorten(line: str, width: int) -> str:
    """The line in *width* columns: what is too much is taken from its end, where the path stands, but for the name."""
    if len(line) <= width:
        return line
    kept = width * 3 // 4
    return line[:kept] + "…" + line[len(line) - (width - kept - 1) :]
