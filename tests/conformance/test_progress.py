# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A job that takes a while tells how much there is to do in all, and how much of it is done."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import typing as t
from pathlib import Path

import pytest

from .databases import migrate
from .executors import EXECUTORS, FAR_SIDES, Executor, Run, run
from .trees import write

KB = 1024


def progress(done: Run) -> list[dict[str, t.Any]]:
    assert done.terminal["event"] == "result", done.terminal
    return [event for event in done.events if event["event"] == "progress"]


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """A source of which a third is at the destination already, and that has links, holes and what is left out."""
    source, destination = tmp_path / "source", tmp_path / "destination"
    for number in range(90):
        write(source / f"d{number % 3}" / f"file{number:02}", os.urandom(20 * KB))
        if number % 3 == 0:
            write(destination / "d0" / f"file{number:02}", (source / "d0" / f"file{number:02}").read_bytes())
    os.link(source / "d1" / "file01", source / "d1" / "linked")
    write(source / "left out" / "file", b"x" * 500 * KB)
    with open(source / "sparse", "wb") as stream:
        stream.truncate(300 * KB)
        stream.write(b"data")
    os.symlink("d0", source / "link")
    return source, destination


@pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])
def test_the_whole_of_a_tree_is_known_after_a_moment(executor: Executor, trees: tuple[Path, Path]) -> None:
    source, destination = trees
    done = run(
        executor,
        "file_sync",
        {
            "source": str(source),
            "destination": str(destination),
            "filters": [{"action": "exclude", "regex": "left out", "directories_only": True}],
            "bandwidth_limit": 400 * KB,
        },
        progress_interval=0.1,
    )
    events = progress(done)
    known = [event for event in events if event.get("totals_known")]
    assert known and not events[0].get("totals_known")
    # All that is there but what is left out: 91 names of files with content, a sparse one, 3 directories, 1 link.
    assert {event["items_total"] for event in known} == {91 + 1 + 3 + 1}
    assert {event["bytes_total"] for event in known} == {91 * 20 * KB + 300 * KB}
    for event in known:
        assert event["items_done"] <= event["items_total"]
        assert event["bytes_done"] <= event["bytes_total"]
        assert event["current"]
    for name in ("items_done", "bytes_done"):
        values = [event[name] for event in events]
        assert values == sorted(values)
    assert events[-1]["items_done"] <= 91 + 1 + 3 + 1
    # What was equal and what is a hole counts as done: at the end there is nothing left.
    assert known[-1]["bytes_done"] > 0.9 * known[-1]["bytes_total"]
    assert done.terminal["performance"]["bytes_transferred"] < 62 * 20 * KB + 8 * KB


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_whole_of_a_database_is_known_before_a_row_moves(executor: Executor, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "source.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        connection.executemany("INSERT INTO t (v) VALUES (?)", ((str(number) * 20,) for number in range(150_000)))
        connection.execute("COMMIT")
    done = migrate(executor, tmp_path / "source.db", tmp_path / "copy.db", chunk_rows=250, progress_interval=0.02)
    loading = [event for event in progress(done) if event["phase"] == "load" and event["items_done"]]
    assert loading
    assert {event["items_total"] for event in loading} == {150_000}
    assert all(event["totals_known"] for event in loading)
