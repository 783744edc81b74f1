# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at every phase of a migration, then a rerun: it completes, both are equal, nothing is left behind."""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options

from .databases import connect, content, execute, leftovers, migrate
from .executors import FALLBACK, environment, job

# So that a renamed failpoint cannot make the tests hollow.
BUILD_PHASES = {
    "database.partial_created", "database.table_created", "database.chunk_written", "database.chunk_committed",
    "database.index_created", "database.view_created", "database.trigger_created", "database.verified",
    "database.ledger_dropped", "database.record_written", "database.renamed", "before_result",
}  # fmt: skip
SYNC_PHASES = {
    "database.rows_removed", "database.rows_written", "database.verified", "database.record_written",
    "database.before_commit", "database.committed", "before_result",
}  # fmt: skip

# Kills its own process before the N-th statement that changes the destination.
SUICIDAL_FALLBACK = f"""
import os, runpy, signal, sys
from {FALLBACK} import sqlite_session
fatal, count = int(sys.argv[1]), 0
execute = sqlite_session.Session.execute
def counted(session, sql, *values):
    global count
    if not sql.startswith(("PRAGMA foreign", "PRAGMA ignore", "PRAGMA temp", "ATTACH", "ROLLBACK")):
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return execute(session, sql, *values)
sqlite_session.Session.execute = counted
sys.argv[1:] = []
try:
    runpy.run_module({FALLBACK!r}, run_name="__main__", alter_sys=True)
finally:
    sys.stderr.write("statements: %d" % count)
"""


def build(source: Path) -> None:
    with connect(source) as connection:
        connection.executescript(
            """
            CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE);
            CREATE TABLE b (k TEXT, n INT, v, PRIMARY KEY (k, n DESC)) WITHOUT ROWID;
            CREATE TABLE c (v);
            CREATE INDEX i ON a (v, id);
            CREATE VIEW w AS SELECT * FROM a;
            CREATE TRIGGER tr AFTER INSERT ON a BEGIN INSERT INTO c VALUES ('fired'); END;
            """
        )
        for number in range(7):
            connection.execute("INSERT INTO a (v) VALUES (?)", (number,))
            connection.execute("INSERT INTO b VALUES (?, ?, ?)", (str(number % 2), number, None))
    # Old enough for its time stamp to tell the next change.
    os.utime(source, (1, 1))


def change(source: Path) -> None:
    execute(
        source, "UPDATE a SET v = v + 100", "DELETE FROM b WHERE n = 3", "INSERT INTO c VALUES (1)",
        "CREATE TABLE d (x)", "INSERT INTO d VALUES (1)", "CREATE INDEX j ON b (v)", "PRAGMA user_version = 5",
    )  # fmt: skip


def plan_job(source: Path, destination: Path) -> bytes:
    here, there = {"database": str(source)}, {"database": str(destination)}
    with sqlite.plan(here, there, Options(chunk_rows=3, if_exists="sync")) as plan:
        return job("database_migrate", plan.parameters)


def launch(command: t.Sequence[str], wire: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=wire, capture_output=True, env=environment(**env), timeout=120, check=False)


def finish(source: Path, destination: Path, executor: t.Literal["go", "python"]) -> dict[str, int]:
    """Run again by the ordinary executor and check the outcome."""
    done = migrate(executor, source, destination, chunk_rows=3, if_exists="sync")
    assert done.terminal["event"] == "result", done.terminal
    assert content(destination, ordered=False) == content(source, ordered=False)
    assert leftovers(destination.parent, destination.name) == []
    assert migrate(executor, source, destination, if_exists="fail").terminal["changed"] is False
    return done.statistics


def prepare(directory: Path, update: bool) -> tuple[Path, Path]:
    source, destination = directory / "source" / "a.db", directory / "destination" / "b.db"
    source.parent.mkdir(parents=True)
    destination.parent.mkdir()
    build(source)
    if update:
        assert migrate("python", source, destination).code == 0
        change(source)
    return source, destination


@pytest.mark.parametrize("update", [False, True], ids=["build", "sync"])
def test_engine_killed_at_every_failpoint(failing_engine: Path, update: bool, tmp_path: Path) -> None:
    source, destination = prepare(tmp_path / "count", update)
    log = tmp_path / "log"
    launch([str(failing_engine), "run"], plan_job(source, destination), MIGRATION_FAILPOINT_LOG=str(log))
    hits = collections.Counter(log.read_text().split())
    assert (SYNC_PHASES if update else BUILD_PHASES) <= set(hits)
    resumed = 0
    for name, count in sorted(hits.items()):
        # Every hit of the phases with the most of them would only repeat itself.
        for number in sorted({1, 2, count // 2, count} & set(range(1, count + 1))):
            source, destination = prepare(tmp_path / f"{name}-{number}", update)
            old = content(destination) if update else None
            killed = launch(
                [str(failing_engine), "run"], plan_job(source, destination), MIGRATION_FAILPOINT=f"{name}:{number}"
            )
            assert killed.returncode == -signal.SIGKILL, (name, number, killed.stdout)
            if name not in ("database.renamed", "database.committed", "before_result"):
                # What bears the final name is the old state, whole.
                assert (content(destination) if destination.exists() else None) == old
            # The rest by the other executor: the partial file means the same to both.
            resumed += finish(source, destination, "python" if number % 2 else "go")["resumed_rows"]
    assert update or resumed > 0


@pytest.mark.parametrize("update", [False, True], ids=["build", "sync"])
def test_fallback_killed_at_every_statement(update: bool, tmp_path: Path) -> None:
    source, destination = prepare(tmp_path / "count", update)
    command = [sys.executable, "-c", SUICIDAL_FALLBACK]
    counted = launch([*command, "0"], plan_job(source, destination))
    assert counted.returncode == 0, counted.stderr
    total = int(counted.stderr.rsplit(b" ", 1)[1])
    assert total > 40
    # A step that fits into no loop of the work, so that each kind of statement is met.
    for fatal in range(1, total + 1, 7):
        source, destination = prepare(tmp_path / str(fatal), update)
        old = content(destination) if update else None
        killed = launch([*command, str(fatal)], plan_job(source, destination))
        assert killed.returncode == -signal.SIGKILL, (fatal, killed.stderr)
        assert (content(destination) if destination.exists() else None) == old
        finish(source, destination, "go" if fatal % 2 else "python")


@pytest.mark.parametrize("executor", ["go", "python"])
def test_a_source_that_changed_before_the_rerun(
    failing_engine: Path, executor: t.Literal["go", "python"], tmp_path: Path
) -> None:
    source, destination = prepare(tmp_path / "x", False)
    killed = launch(
        [str(failing_engine), "run"], plan_job(source, destination), MIGRATION_FAILPOINT="database.chunk_committed:5"
    )
    assert killed.returncode == -signal.SIGKILL
    execute(
        source, "UPDATE a SET v = v + 100 WHERE id < 3", "DELETE FROM a WHERE id = 4", "UPDATE b SET v = 1 WHERE n = 6"
    )
    statistics = finish(source, destination, executor)
    assert statistics["rows_updated"] >= 2 and statistics["rows_deleted"] == 1 and statistics["resumed_rows"] > 0


def test_resume_false_begins_anew(failing_engine: Path, tmp_path: Path) -> None:
    source, destination = prepare(tmp_path / "x", False)
    launch(
        [str(failing_engine), "run"], plan_job(source, destination), MIGRATION_FAILPOINT="database.chunk_committed:3"
    )
    done = migrate("python", source, destination, resume=False)
    assert done.statistics["resumed_rows"] == 0 and done.statistics["rows_copied"] == done.statistics["rows_total"]
    assert content(destination) == content(source)
