# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line that tells how far a job is."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.plugin_utils import progress_line
from ansible_collections.migration.assistant.plugins.plugin_utils.progress_line import ProgressLine, describe, shorten

MB = 1 << 20


def event(**members: t.Any) -> t.Dict[str, t.Any]:
    found = {"event": "progress", "phase": "copy", "elapsed": 1.0}
    return {**found, "items_done": 0, "items_total": 0, "bytes_done": 0, "bytes_total": 0, **members}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> t.List[t.Tuple[str, bool]]:
    """Lines that were displayed, each with whether it went to standard error."""
    lines: t.List[t.Tuple[str, bool]] = []

    def display(text: str, color: t.Optional[str] = None, stderr: bool = False) -> None:
        lines.append((text, stderr))

    monkeypatch.setattr(progress_line.display, "display", display)
    return lines


@pytest.mark.parametrize(
    ("members", "rate", "text"),
    [
        (
            {"bytes_done": 42 * MB, "bytes_total": 100 * MB, "totals_known": True, "current": "images/a.jpg"},
            2.0 * MB,
            "copying 42 %, 42.0 MB of 100.0 MB, 2.0 MB/s, 29 s left, images/a.jpg",
        ),
        ({"bytes_done": 42 * MB, "bytes_total": 50 * MB}, 0.0, "copying, 42.0 MB so far"),
        (
            {"phase": "load", "items_done": 1200000, "items_total": 7100000, "totals_known": True, "current": "orders"},
            88000.0,
            "loading 16 %, 1 200 000 of 7 100 000, 88000/s, 1 min 7 s left, orders",
        ),
        ({"phase": "wait"}, 0.0, "waiting for another job"),
        ({"phase": "telepathy"}, 0.0, "telepathy"),
        ({"bytes_done": 9, "bytes_total": 3, "totals_known": True}, 1.0, "copying 100 %, 9 B of 3 B, 1 B/s"),
        ({"current": "odd\udcffname\nline"}, 0.0, "copying, odd\\xffname\\nline"),
    ],
)
def test_progress_in_words(members: t.Dict[str, t.Any], rate: float, text: str) -> None:
    assert describe(event(**members), rate) == text


def test_a_bar_on_a_terminal() -> None:
    members = {"bytes_done": 25, "bytes_total": 100, "totals_known": True}
    assert describe(event(**members), 0, gauge=True).startswith("[#####...............] copying 25 %, ")


def test_lines_go_to_standard_error_and_name_the_host(shown: t.List[t.Tuple[str, bool]]) -> None:
    line = ProgressLine("web1", ["web1", "database-1"], on_terminal=False)
    line.show(event(bytes_done=MB, bytes_total=2 * MB))
    assert shown == [("web1        copying, 1.0 MB so far", True)]


def test_lines_come_no_faster_than_they_are_to(
    shown: t.List[t.Tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = ProgressLine("web1", interval=5)
    for second in range(61):
        now[0] = 1000.0 + second
        line.show(event(elapsed=float(second), bytes_done=second * MB, bytes_total=99 * MB))
    assert len(shown) == 13
    assert "1.0 MB/s" in shown[-1][0]


def test_no_lines_where_none_are_wanted(shown: t.List[t.Tuple[str, bool]]) -> None:
    line = ProgressLine("web1", interval=0)
    line.show(event(bytes_done=1))
    line.say("the connection is lost")
    assert shown == []


@pytest.mark.parametrize(
    ("hosts", "elapsed", "on_terminal", "pause"),
    [(1, 0, True, 2), (1, 0, False, 5), (20, 0, True, 10), (20, 0, False, 10), (1, 300, True, 10), (1, 9000, True, 30)],
)
def test_the_more_hosts_and_the_longer_the_job_the_fewer_lines(
    hosts: int, elapsed: int, on_terminal: bool, pause: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = ProgressLine("web1", [f"web{number}" for number in range(hosts)], on_terminal=on_terminal)
    now[0] = elapsed
    assert line.pause() == pause


def test_the_rate_is_that_of_the_phase(shown: t.List[t.Tuple[str, bool]]) -> None:
    line = ProgressLine("web1", interval=0.0001)
    for phase, elapsed, done in (("compare", 1, 50), ("copy", 2, 0), ("copy", 3, 3), ("verify", 4, 9)):
        line.show(event(phase=phase, elapsed=float(elapsed), bytes_done=done * MB, bytes_total=99 * MB))
        time.sleep(1)
    assert "/s" not in shown[1][0]
    assert "3.0 MB/s" in shown[2][0]
    assert shown[3][0] == "web1  verifying"


def test_a_long_line_loses_its_middle() -> None:
    line = "web1  copying, " + "a/" * 100 + "name.jpg"
    assert len(shorten(line, 80)) == 80
    assert shorten(line, 80).endswith("name.jpg")
    assert shorten("short", 80) == "short"


def test_a_task_with_no_log_names_no_paths(shown: t.List[t.Tuple[str, bool]]) -> None:
    line = ProgressLine("web1", names=False)
    line.show(event(bytes_done=1, bytes_total=2, current="the-secret-table"))
    assert shown == [("web1  copying, 1 B so far", True)]
