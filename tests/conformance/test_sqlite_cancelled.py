# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database job that is cancelled, or runs out of time, stops at a chunk; the next run goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options

from .databases import connect, content, leftovers, migrate
from .executors import EXECUTORS, Executor, command, environment, job

ROWS = 150_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        connection.execute(
            "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?)"
            " INSERT INTO t SELECT n, n || 'x' FROM s",
            (ROWS,),
        )
    os.utime(path, (1, 1))
    return path


def plan_job(source: Path, destination: Path, **options: t.Any) -> bytes:
    sides = [{"engine": "sqlite", "database": str(path)} for path in (source, destination)]
    with sqlite.plan(sides[0], sides[1], Options(chunk_rows=250)) as plan:
        return job("database_migrate", plan.parameters, **options)


def goes_on(executor: Executor, source: Path, destination: Path) -> int:
    """Run again and check the outcome; give the rows that the first run had brought."""
    again = migrate(executor, source, destination, chunk_rows=250)
    assert again.terminal["event"] == "result", again.terminal
    assert content(destination) == content(source)
    assert leftovers(destination.parent, source.name, destination.name) == []
    return again.statistics["resumed_rows"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_cancelled(executor: Executor, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.db"
    wire = plan_job(source, destination, progress_interval=0.01)
    with subprocess.Popen(
        command(executor), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(wire)
        process.stdin.close()
        events = []
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "progress" and events[-1]["phase"] == "load" and events[-1]["items_done"] > 0:
                process.send_signal(signal.SIGTERM)
                break
        events += [json.loads(line) for line in process.stdout]
    assert events[-1]["event"] == "error"
    assert (events[-1]["code"], events[-1]["resumable"]) == ("cancelled", True)
    assert not destination.exists()
    assert 0 < goes_on(executor, source, destination) < ROWS


@pytest.mark.parametrize("executor", EXECUTORS)
def test_out_of_time(executor: Executor, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination.db"
    done = subprocess.run(
        command(executor),
        input=plan_job(source, destination, timeout=0.05),
        env=environment(),
        capture_output=True,
        check=False,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["code"], last["resumable"]) == ("error", "timeout", True)
    assert not destination.exists()
    goes_on(executor, source, destination)
