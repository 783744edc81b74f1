# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""table_copy when connections, servers or the executor itself go away in the middle: no row twice, none missing."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import typing as t

import pytest

from .executors import EXECUTORS, FALLBACK, Event, Executor, Run, command, environment, job
from .servers import ROLE, Database, PostgreSQL, running
from .table_jobs import RECORDS, contents, copy, parameters, step, succeeded, table

MAKE = "CREATE TABLE IF NOT EXISTS {name} (id int PRIMARY KEY, v text)"
ROWS = 2000
SLOW = (
    "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.15); RETURN NULL; END $$",
    "CREATE TRIGGER slow AFTER INSERT ON {name} FOR EACH STATEMENT EXECUTE FUNCTION pause()",
)


def fill(database: Database, name: str, rows: int = ROWS) -> None:
    database.execute(
        MAKE.format(name=name),
        f"INSERT INTO {name} SELECT n, repeat('row ' || n, 20) FROM generate_series(1, {rows}) n",
    )


@pytest.fixture
def slow(source: Database, destination: Database) -> t.Tuple[Database, Database]:
    """A table of 20 chunks, each of which takes a while to be loaded."""
    fill(source, "t")
    destination.execute(MAKE.format(name="t"), RECORDS, *(sql.format(name="t") for sql in SLOW))
    return source, destination


class Running:
    """An executor at work on a job."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.events: t.List[Event] = []

    def loads(self) -> None:
        """Wait until rows are there, and not all."""
        for event in self._read():
            if event["event"] == "progress" and event["phase"] == "load" and event["items_done"] >= 200:
                assert event["items_done"] < ROWS
                return
        raise AssertionError(self.events[-1])

    def end(self) -> Run:
        for _event in self._read():
            continue
        assert self.process.stderr is not None
        return Run(self.process.wait(), self.events, self.process.stderr.read().decode())

    def _read(self) -> t.Iterator[Event]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            yield self.events[-1]


@contextlib.contextmanager
def at_work(
    executor: Executor, source: Database, destination: Database, tables: t.List[t.Dict[str, t.Any]], **other: t.Any
) -> t.Iterator[Running]:
    options = {name: other.pop(name) for name in ("timeout",) if name in other}
    with contextlib.ExitStack() as stack:
        snapshot = other.pop("snapshot", None) or stack.enter_context(source.snapshot())
        wire = parameters(source, destination, tables, snapshot=snapshot, **other)
        process = stack.enter_context(
            subprocess.Popen(
                command(executor),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        assert process.stdin is not None
        process.stdin.write(job("table_copy", wire, progress_interval=0.05, **options))
        process.stdin.close()
        try:
            yield Running(process)
        finally:
            process.kill()


def settled(*databases: Database) -> None:
    """Wait until the servers have noticed that nobody is there any more."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' AND datname = current_database()"
    end = time.monotonic() + 20
    for database in databases:
        while database.value(query):
            assert time.monotonic() < end, database.rows("SELECT pid, state, query FROM pg_stat_activity")
            time.sleep(0.05)


def recorded(destination: Database) -> int:
    return int(destination.value("SELECT coalesce(sum(rows), 0) FROM chunk WHERE done"))


def goes_on(executor: Executor, source: Database, destination: Database) -> None:
    """A rerun copies what is missing, and that only."""
    settled(destination)
    there = recorded(destination)
    assert destination.value("SELECT count(*) FROM t") == there
    done = succeeded(copy(executor, source, destination, [table("t", "load")]))
    assert done.statistics["resumed_rows"] == there
    assert done.statistics["rows_inserted"] == ROWS - there
    assert contents(destination, "t") == contents(source, "t")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("often", [1, 3])
def test_sessions_that_are_terminated(
    executor: Executor, side: str, often: int, slow: t.Tuple[Database, Database]
) -> None:
    source, destination = slow
    with at_work(executor, source, destination, [table("t", "load")]) as work:
        work.loads()
        assert (source if side == "source" else destination).end_sessions() > 0
        for _time in range(often - 1):
            time.sleep(1.2)
            (source if side == "source" else destination).end_sessions()
        done = succeeded(work.end())
    assert contents(destination, "t") == contents(source, "t")
    assert done.statistics["rows_inserted"] + done.statistics["resumed_rows"] == ROWS
    assert done.statistics["rows_verified"] == ROWS
    assert done.terminal["performance"]["retry_count"] > 0
    lost = [event for event in done.warnings if event["code"] == "connection_lost"]
    assert len(lost) == 1 and side in lost[0]["message"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_destination_that_crashes_and_comes_back(
    executor: Executor, source: Database, destination_server: PostgreSQL, slow: t.Tuple[Database, Database]
) -> None:
    _source, destination = slow
    with at_work(executor, source, destination, [table("t", "load")]) as work:
        work.loads()
        destination_server.kill()
        time.sleep(0.5)
        destination_server.start()
        done = succeeded(work.end())
    assert contents(destination, "t") == contents(source, "t")
    assert done.statistics["rows_verified"] == ROWS


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_destination_that_is_gone(executor: Executor, source: Database) -> None:
    with running() as server:
        destination = server.database()
        fill(source, "t")
        destination.execute(MAKE.format(name="t"), RECORDS, *(sql.format(name="t") for sql in SLOW))
        with at_work(executor, source, destination, [table("t", "load")], retries=1) as work:
            work.loads()
            server.kill()
            done = work.end()
        assert (done.terminal["code"], done.terminal["resumable"]) == ("unreachable", True)
        assert done.terminal["changed"] is True
        server.start()
        assert destination.value("SELECT count(*) FROM t") == recorded(destination) > 0
        goes_on(executor, source, destination)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_source_that_crashes_takes_the_snapshot_along(executor: Executor, destination: Database) -> None:
    with running() as server:
        source = server.database()
        fill(source, "t")
        destination.execute(MAKE.format(name="t"), RECORDS, *(sql.format(name="t") for sql in SLOW))
        with contextlib.ExitStack() as stack:
            snapshot = stack.enter_context(source.snapshot())
            work = stack.enter_context(at_work(executor, source, destination, [table("t", "load")], snapshot=snapshot))
            work.loads()
            server.kill()
            time.sleep(0.5)
            server.start()
            done = work.end()
        assert (done.terminal["code"], done.terminal["resumable"]) == ("snapshot_lost", True)
        goes_on(executor, source, destination)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_snapshot_that_cannot_be_entered_again(executor: Executor, slow: t.Tuple[Database, Database]) -> None:
    source, destination = slow
    with source.snapshot() as snapshot:
        once = {**snapshot, "renewable": False}
        with at_work(executor, source, destination, [table("t", "load")], snapshot=once) as work:
            work.loads()
            source.end_sessions()
            done = work.end()
    assert (done.terminal["code"], done.terminal["resumable"]) == ("snapshot_lost", True)
    goes_on(executor, source, destination)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_destination_that_is_lost_costs_no_snapshot(executor: Executor, slow: t.Tuple[Database, Database]) -> None:
    """One that could not be entered again."""
    source, destination = slow
    with source.snapshot() as snapshot:
        once = {**snapshot, "renewable": False}
        with at_work(executor, source, destination, [table("t", "load")], snapshot=once) as work:
            work.loads()
            destination.end_sessions()
            succeeded(work.end())
    assert contents(destination, "t") == contents(source, "t")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_sessions_that_are_terminated_while_rows_are_repaired(
    executor: Executor, source: Database, destination: Database
) -> None:
    fill(source, "t")
    fill(destination, "t")
    destination.execute(*(sql.format(name="t") for sql in SLOW), "UPDATE t SET v = 'old' WHERE id % 10 = 0")
    with at_work(executor, source, destination, [table("t", "sync")]) as work:
        end = time.monotonic() + 20
        while destination.value("SELECT count(*) FROM t WHERE v = 'old'") == ROWS // 10:
            assert time.monotonic() < end
        destination.end_sessions()
        done = succeeded(work.end())
    assert contents(destination, "t") == contents(source, "t")
    assert done.changes[0]["after"] == {"inserted": 0, "updated": ROWS // 10, "deleted": 0}
    assert (done.statistics["chunks_compared"], done.statistics["chunks_repaired"]) == (21, 20)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_deadlock_is_tried_again(executor: Executor, source: Database, destination: Database) -> None:
    fill(source, "t", 10)
    fill(destination, "t", 10)
    destination.execute("CREATE TABLE other (x int)", "INSERT INTO other VALUES (1)", "UPDATE t SET v = 'old'")
    items = table("t", "sync", after_repair=["UPDATE other SET x = 2"])
    with destination.server.admin(destination.name) as rival:
        rival.execute("SET deadlock_timeout = '20s'")
        rival.execute("BEGIN")
        rival.execute("UPDATE other SET x = 3")
        with at_work(executor, source, destination, [items]) as work:
            end = time.monotonic() + 20
            while not destination.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert time.monotonic() < end
                time.sleep(0.02)
            # Waits for the rows that the job has deleted; the server ends the job's transaction, which waits longer.
            rival.execute("UPDATE t SET v = 'rival' WHERE id = 1")
            rival.execute("COMMIT")
            done = succeeded(work.end())
    assert contents(destination, "t") == contents(source, "t")
    assert done.terminal["performance"]["retry_count"] == 1
    assert done.warnings == []


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("way", ["signal", "timeout"])
def test_a_cancelled_job_leaves_nothing_at_work(
    executor: Executor, way: str, source: Database, destination: Database
) -> None:
    """Statements are ended on the servers too, which would not notice by themselves."""
    fill(source, "t")
    fill(destination, "t")
    items = table("t", "sync", hash_source="SELECT count(*), pg_sleep(60)::text FROM t")
    other = table("t", "sync", hash_destination="SELECT count(*), pg_sleep(60)::text FROM t")
    asleep = (
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND usename = '{ROLE}'"
    )
    prepare = [step("table", "made", "CREATE TABLE made (x int)")]
    limit = {"timeout": 6} if way == "timeout" else {}
    with at_work(executor, source, destination, [items, other], chunk_rows=10_000, prepare=prepare, **limit) as work:
        end = time.monotonic() + 20
        while not (source.value(asleep) and destination.value(asleep)):
            assert time.monotonic() < end
            time.sleep(0.05)
        if way == "signal":
            work.process.send_signal(signal.SIGTERM)
        done = work.end()
    code = "cancelled" if way == "signal" else "timeout"
    assert (done.terminal["code"], done.terminal["resumable"]) == (code, True)
    assert done.terminal["changed"] is True
    settled(source, destination)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_cancelled_load_goes_on_later(executor: Executor, slow: t.Tuple[Database, Database]) -> None:
    source, destination = slow
    with at_work(executor, source, destination, [table("t", "load")]) as work:
        work.loads()
        work.process.send_signal(signal.SIGTERM)
        done = work.end()
    assert done.terminal["code"] == "cancelled"
    assert done.terminal["changed"] is True
    rows = [event for event in done.changes if event["kind"] == "rows"]
    settled(destination)
    assert rows[0]["after"]["inserted"] == recorded(destination) > 0
    goes_on(executor, source, destination)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_killed_load_goes_on_later(executor: Executor, slow: t.Tuple[Database, Database]) -> None:
    source, destination = slow
    with at_work(executor, source, destination, [table("t", "load")]) as work:
        work.loads()
        work.process.kill()
    goes_on(executor, source, destination)


# So that a renamed failpoint cannot make the test hollow.
FAILPOINTS = {
    "table_copy.prepared", "table_copy.chunk_loaded", "table_copy.chunk_committed", "table_copy.table_complete",
    "table_copy.repaired", "table_copy.finished",
}  # fmt: skip

# Kills its own process before the N-th statement for the destination.
SUICIDAL_FALLBACK = f"""
import os, runpy, signal, sys, threading
from {FALLBACK} import postgres
fatal, count, lock = int(sys.argv[1]), 0, threading.Lock()
send = postgres._Connection._send
def counted(connection, sql):
    global count
    if connection._side == "destination":
        with lock:
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
    return send(connection, sql)
postgres._Connection._send = counted
sys.argv[1:] = []
try:
    runpy.run_module({FALLBACK!r}, run_name="__main__", alter_sys=True)
finally:
    sys.stderr.write("statements: %d" % count)
"""


class Migration:
    """A job with a new and an existing table, whose steps can be run again."""

    def __init__(self, source: Database, destination: Database) -> None:
        self.source = source
        self.destination = destination

    def begin(self) -> None:
        for name in ("t", "u"):
            fill(self.source, name, 250)
        fill(self.destination, "u", 200)
        self.destination.execute("UPDATE u SET v = 'old' WHERE id = 5", RECORDS)

    def wire(self, snapshot: t.Dict[str, t.Any]) -> bytes:
        tables = [
            table("t", "load", finish=[[step("index", "i", "CREATE INDEX IF NOT EXISTS i ON t (v)")]]),
            table("u", "sync"),
        ]
        finish = [[step("view", "v", "CREATE OR REPLACE VIEW v AS SELECT 1")]]
        other = {"snapshot": snapshot, "workers": 1, "finish": finish, "retries": 0}
        prepare = [step("table", "t", MAKE.format(name="t"))]
        return job("table_copy", parameters(self.source, self.destination, tables, prepare=prepare, **other))

    def launch(self, words: t.Sequence[str], **env: str) -> subprocess.CompletedProcess[bytes]:
        with self.source.snapshot() as snapshot:
            return subprocess.run(
                words, input=self.wire(snapshot), capture_output=True, env=environment(**env), timeout=60, check=False
            )

    def finish(self, executor: Executor) -> None:
        """Run again by the ordinary executor, and check the outcome."""
        settled(self.destination)
        there = recorded(self.destination)
        exists = self.destination.value("SELECT to_regclass('t') IS NOT NULL")
        assert (self.destination.value("SELECT count(*) FROM t") if exists else 0) == there
        done = self.launch(command(executor))
        last = json.loads(done.stdout.splitlines()[-1])
        assert last["event"] == "result", last
        assert last["statistics"]["resumed_rows"] == there
        for name in ("t", "u"):
            assert contents(self.destination, name) == contents(self.source, name)
        assert self.destination.rows("SELECT number, done, rows FROM chunk ORDER BY 1") == [
            (1, True, 100),
            (2, True, 100),
            (3, True, 50),
        ]


def test_the_engine_killed_at_every_failpoint(
    failing_engine: t.Any, source: Database, destination_server: PostgreSQL, tmp_path: t.Any
) -> None:
    log = tmp_path / "log"
    with fresh(source, destination_server) as migration:
        migration.launch([str(failing_engine), "run"], MIGRATION_FAILPOINT_LOG=str(log))
    hits = {line for line in log.read_text().split() if line.startswith("table_copy.")}
    assert hits == FAILPOINTS
    for phase in sorted(hits):
        for hit in range(1, log.read_text().split().count(phase) + 1):
            with fresh(source, destination_server) as migration:
                env = {"MIGRATION_FAILPOINT": f"{phase}:{hit}"}
                killed = migration.launch([str(failing_engine), "run"], **env)
                assert killed.returncode == -signal.SIGKILL, (phase, hit, killed.stdout)
                migration.finish("go")


@pytest.mark.parametrize("part", range(4))
def test_the_fallback_killed_before_every_statement(
    part: int, source: Database, destination_server: PostgreSQL
) -> None:
    words = [*command("python")[:1], "-c", SUICIDAL_FALLBACK]
    with fresh(source, destination_server) as migration:
        whole = migration.launch([*words, "0"])
    count = int(whole.stderr.decode().rpartition("statements: ")[2])
    assert count > 30
    for fatal in range(1 + part, count + 1, 4):
        with fresh(source, destination_server) as migration:
            killed = migration.launch([*words, str(fatal)])
            assert killed.returncode == -signal.SIGKILL, (fatal, killed.stdout)
            migration.finish("python")


@contextlib.contextmanager
def fresh(source: Database, server: PostgreSQL) -> t.Iterator[Migration]:
    """A migration that has not begun."""
    for name in ("t", "u"):
        source.execute(f"DROP TABLE IF EXISTS {name}")
    destination = server.database()
    migration = Migration(source, destination)
    migration.begin()
    yield migration
    destination.drop()
