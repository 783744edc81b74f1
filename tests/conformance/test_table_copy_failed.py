# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""table_copy when something is wrong: refused logins, servers that are not there, tables and steps that fail."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, Run, command, environment, job, run
from .servers import PASSWORD, Database
from .table_jobs import RECORDS, changes, contents, copy, parameters, step, succeeded, table, unwritten

MAKE = "CREATE TABLE {name} (id int PRIMARY KEY, v text)"
FILL = "INSERT INTO {name} SELECT n, 'row ' || n FROM generate_series(1, 250) AS n"


def make(database: Database, *names: str, filled: bool = True) -> None:
    for name in names:
        database.execute(MAKE.format(name=name), *([FILL.format(name=name)] if filled else []))


def failed(done: Run, code: str) -> str:
    """The message of a job that failed with a code; it is one line without the password."""
    assert done.terminal["event"] == "error", done.terminal
    assert done.terminal["code"] == code, done.terminal
    message = str(done.terminal["message"])
    assert "\n" not in message
    assert PASSWORD not in json.dumps(done.events) + done.stderr
    assert done.stderr == ""
    return message


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("other", "code", "words"),
    [
        ({"password": "wrong-4711"}, "access_denied", "password authentication failed"),
        ({"user": "nobody_here"}, "access_denied", "nobody_here"),
        ({"database": "not_there"}, "database_error", "not_there"),
        ({"database": "postgres"}, "", ""),
        ({"port": 1}, "unreachable", "refused"),
        ({"host": "/nowhere", "port": 5432}, "unreachable", "no such file"),
        ({"host": "no-such-host.invalid"}, "unreachable", "no-such-host.invalid"),
        ({"tls": {"mode": "require"}}, "database_error", "ssl"),
        ({"session": ["SET no_such_parameter = 1"]}, "database_error", "no_such_parameter"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_in_one_line(
    executor: Executor,
    side: str,
    other: t.Dict[str, t.Any],
    code: str,
    words: str,
    source: Database,
    destination: Database,
) -> None:
    wire = parameters(source, destination, [], retries=0)
    wire[side] = {**wire[side], **other}
    done = run(executor, "table_copy", wire, patience=60)
    if not code:
        succeeded(done)
        return
    message = failed(done, code)
    assert words in message.lower().replace("tls", "ssl")
    assert side in message
    assert str(wire[side]["port"]) in message
    assert "wrong-4711" not in json.dumps(done.events)
    assert done.terminal["changed"] is False


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_server_that_is_not_there_is_tried_again(executor: Executor, source: Database, destination: Database) -> None:
    wire = parameters(source, destination, [], retries=2)
    wire["destination"]["port"] = 1
    started = time.monotonic()
    done = run(executor, "table_copy", wire)
    assert 3 <= time.monotonic() - started < 20  # pauses of one and of two seconds
    failed(done, "unreachable")
    assert done.terminal["performance"]["retry_count"] == 2
    assert [event["code"] for event in done.warnings] == ["connection_lost"]
    assert done.terminal["resumable"] is True


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_server_that_is_full_for_a_moment(executor: Executor, source: Database, destination: Database) -> None:
    def limit(connections: int) -> None:
        with destination.server.admin("postgres") as connection:
            connection.execute(f"ALTER DATABASE {destination.name} CONNECTION LIMIT {connections}")

    def lift() -> None:
        end = time.monotonic() + 60
        while refused() == before and time.monotonic() < end:
            time.sleep(0.05)
        limit(-1)

    def refused() -> int:
        return (destination.server.directory / "log").read_text(errors="replace").count("too many connections")

    make(source, "t")
    destination.execute(RECORDS, MAKE.format(name="t"))
    before = refused()
    limit(0)
    later = threading.Thread(target=lift)
    later.start()
    try:
        done = succeeded(copy(executor, source, destination, [table("t", "load")]))
    finally:
        later.join()
    assert done.terminal["performance"]["retry_count"] >= 1
    assert ["destination" in event["message"] for event in done.warnings] == [True]
    assert contents(destination, "t") == contents(source, "t")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_host_that_does_not_answer(executor: Executor, source: Database, destination: Database) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        wire = parameters(source, destination, [], retries=0)
        wire["source"].update(port=silent.getsockname()[1], connect_timeout=1)
        started = time.monotonic()
        done = run(executor, "table_copy", wire, patience=60)
    assert time.monotonic() - started < 10
    failed(done, "unreachable")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_failed_table_does_not_hide_the_others(executor: Executor, source: Database, destination: Database) -> None:
    names = ["good", "forbidden", "fine", "missing", "narrow", "last"]
    make(source, *names)
    make(destination, *names, filled=False)
    with source.server.admin(source.name) as connection:
        connection.execute("ALTER TABLE forbidden OWNER TO postgres")
    destination.execute(RECORDS, "DROP TABLE missing", "ALTER TABLE narrow ADD CHECK (id < 120)")
    tables = [table(name, "load") for name in names]
    tables[0]["finish"] = [[step("index", "broken", "CREATE INDEX broken ON good (no_such_column)")]]
    tables[2]["finish"] = [[step("index", "sound", "CREATE INDEX sound ON fine (v)")]]
    finish = [[step("view", "v", "CREATE VIEW v AS SELECT 1")]]
    done = copy(executor, source, destination, tables, finish=finish)
    message = failed(done, "partial_failure")
    assert message.startswith("4 tables failed; the first: public.good: ")
    codes = {event["path"]: event["code"] for event in done.warnings}
    assert codes == {
        "public.good": "database_error",
        "public.forbidden": "access_denied",
        "public.missing": "database_error",
        "public.narrow": "database_error",
    }
    for name in ("fine", "last"):
        assert contents(destination, name) == contents(source, name)
    # What was committed before it failed stays, with its record.
    assert destination.value("SELECT count(*) FROM narrow") in (0, 100)
    told = changes(done)
    assert ("create", "index", "sound") in told and ("create", "index", "broken") not in told
    # Not before all tables are whole.
    assert ("create", "view", "v") not in told
    assert done.terminal["performance"]["error_count"] == 4
    assert done.terminal["resumable"] is True

    destination.execute("ALTER TABLE narrow DROP CONSTRAINT narrow_id_check", MAKE.format(name="missing"))
    with source.server.admin(source.name) as connection:
        connection.execute("ALTER TABLE forbidden OWNER TO migrator")
    tables[0]["finish"] = tables[2]["finish"] = []
    again = succeeded(copy(executor, source, destination, tables, finish=finish, prepare=[]))
    assert again.statistics["resumed_rows"] >= 250 * 3
    for name in names:
        assert contents(destination, name) == contents(source, name)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_one_failed_table(executor: Executor, source: Database, destination: Database) -> None:
    make(source, "one")
    destination.execute(RECORDS)
    message = failed(copy(executor, source, destination, [table("one", "load")]), "partial_failure")
    assert message.startswith("1 table failed; the first: public.one: ")
    assert '"one" does not exist' in message


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_that_must_not_be_changed(
    executor: Executor, dry_run: bool, source: Database, destination: Database
) -> None:
    make(source, "ours", "foreign_rows", "empty")
    make(destination, "ours", "foreign_rows")
    destination.execute("UPDATE ours SET v = 'old'", "UPDATE foreign_rows SET v = 'theirs' WHERE id = 200")
    tables = [table("ours", "sync"), table("foreign_rows", "sync", refusal="not from here")]
    job: t.Dict[str, t.Any] = {"tables": tables, "prepare": [step("table", "t", "CREATE TABLE t (x int)")]}
    with unwritten(destination):
        done = copy(executor, source, destination, dry_run=dry_run, **job)
    assert failed(done, "destination_exists") == "not from here"
    assert done.changes == []
    assert done.terminal["changed"] is False
    # Once they are equal there is nothing to refuse, and the others are written.
    destination.execute("UPDATE foreign_rows SET v = 'row 200' WHERE id = 200")
    done = succeeded(copy(executor, source, destination, dry_run=dry_run, **job))
    assert changes(done) == [("create", "table", "t"), ("update", "rows", "public.ours")]
    assert done.statistics["rows_total"] == 500
    assert (contents(destination, "ours") == contents(source, "ours")) is not dry_run


TAMPER = (
    "CREATE FUNCTION tamper() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN IF new.id = 142 THEN new.v = 'tampered'; END IF; RETURN new; END $$",
    "CREATE TRIGGER tampering BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION tamper()",
)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("verify", ["none", "counts", "checksum", "full"])
def test_a_destination_that_changes_what_is_loaded(
    executor: Executor, verify: str, source: Database, destination: Database
) -> None:
    make(source, "t", "u")
    make(destination, "t", "u", filled=False)
    destination.execute(RECORDS, *(sql.format(name="t") for sql in TAMPER))
    done = copy(executor, source, destination, [table("u", "load"), table("t", "load")], verify=verify)
    if verify in ("none", "counts"):
        succeeded(done)
        return
    message = failed(done, "verification_failed")
    assert "public.t" in message and "250" in message
    assert done.terminal["path"] == "public.t"
    # What was written is told all the same.
    assert ("update", "rows", "public.t") in changes(done)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("verify", ["counts", "checksum", "full"])
def test_a_destination_that_has_more_rows_afterwards(
    executor: Executor, verify: str, source: Database, destination: Database
) -> None:
    make(source, "t")
    make(destination, "t", filled=False)
    destination.execute(RECORDS)
    items = table("t", "load", finish=[[step("data", "more", "INSERT INTO t VALUES (-1, 'more')", action="none")]])
    message = failed(copy(executor, source, destination, [items], verify=verify), "verification_failed")
    assert "public.t" in message and "250" in message and "251" in message


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("differing", [1, 250])
@pytest.mark.parametrize("key", ["id", None])
def test_a_repair_that_does_not_hold_is_rolled_back(
    executor: Executor, differing: int, key: t.Optional[str], source: Database, destination: Database
) -> None:
    make(source, "t")
    make(destination, "t")
    destination.execute(f"UPDATE t SET v = 'old' WHERE id > {142 - differing} AND id <= 142")
    destination.execute(*(sql.format(name="t") for sql in TAMPER))
    before = contents(destination, "t")
    done = copy(executor, source, destination, [table("t", "sync", key=key)], chunk_rows=1000)
    assert "public.t" in failed(done, "verification_failed")
    assert contents(destination, "t") == before
    assert done.changes == []
    assert done.statistics["rows_copied"] == done.statistics["chunks_repaired"] == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_rows_that_the_destination_swallows(executor: Executor, source: Database, destination: Database) -> None:
    make(source, "t")
    make(destination, "t", filled=False)
    destination.execute(
        RECORDS,
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF new.id = 142 THEN RETURN NULL; END IF; RETURN new; END $$",
        "CREATE TRIGGER swallowing BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    message = failed(copy(executor, source, destination, [table("t", "load")], verify="none"), "partial_failure")
    assert "100" in message and "99" in message
    assert destination.value("SELECT count(*) FROM t WHERE id > 100 AND id <= 200") == 0
    assert destination.value("SELECT count(*) FROM chunk WHERE number = 2 AND done") == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_step_is_one_transaction(executor: Executor, source: Database, destination: Database) -> None:
    prepare = [
        step("table", "a", "CREATE TABLE a (x int)", "INSERT INTO a VALUES (1)"),
        step("table", "b", "CREATE TABLE b (x int)", "INSERT INTO a VALUES (2)", "INSERT INTO b VALUES ('no number')"),
        step("table", "c", "CREATE TABLE c (x int)"),
    ]
    done = copy(executor, source, destination, [], prepare=prepare)
    message = failed(done, "database_error")
    assert "b" in message and "invalid input syntax" in message
    assert changes(done) == [("create", "table", "a")]
    assert destination.rows("SELECT x FROM a") == [(1,)]
    assert destination.rows("SELECT relname FROM pg_class WHERE relname IN ('b', 'c')") == []
    assert done.terminal["changed"] is True


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_step_without_a_transaction(executor: Executor, source: Database, destination: Database) -> None:
    make(destination, "t")
    alone = step("index", "i", "CREATE INDEX CONCURRENTLY i ON t (v)", "VACUUM t", transaction=False)
    done = succeeded(copy(executor, source, destination, [], prepare=[alone]))
    assert changes(done) == [("create", "index", "i")]
    assert done.statistics["indexes_created"] == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_stages_one_after_the_other(executor: Executor, source: Database, destination: Database) -> None:
    """Steps of one stage wait for each other here, which only ends if they run at the same time."""
    destination.execute("CREATE TABLE seen (what text)")

    def meets(name: str) -> t.Dict[str, t.Any]:
        wait = (
            "DO $$ DECLARE other bigint; BEGIN FOR i IN 1..400 LOOP"
            " SELECT count(*) INTO other FROM pg_locks WHERE locktype = 'advisory' AND granted;"
            " EXIT WHEN other >= 2; PERFORM pg_sleep(0.05); END LOOP;"
            " IF other < 2 THEN RAISE 'alone'; END IF; PERFORM pg_sleep(0.5); END $$"
        )
        lock = f"SELECT pg_advisory_xact_lock({ord(name)})"
        return step("index", name, lock, wait, f"INSERT INTO seen VALUES ('{name}')")

    after = step("view", "after", "INSERT INTO seen SELECT 'after ' || count(*) FROM seen")
    done = succeeded(copy(executor, source, destination, [], finish=[[meets("a"), meets("b")], [], [after]]))
    assert sorted(row[0] for row in destination.rows("SELECT what FROM seen")) == ["a", "after 2", "b"]
    assert changes(done)[-1] == ("create", "view", "after")
    assert (done.statistics["indexes_created"], done.statistics["views_created"]) == (2, 1)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_last_step_that_fails(executor: Executor, source: Database, destination: Database) -> None:
    finish = [
        [step("constraint", "bad", "SELECT 1 / 0"), step("constraint", "good", "SELECT 1")],
        [step("view", "v", "CREATE VIEW v AS SELECT 1")],
    ]
    done = copy(executor, source, destination, [], finish=finish, workers=1)
    message = failed(done, "database_error")
    assert "bad" in message and "division by zero" in message
    assert ("create", "view", "v") not in changes(done)


def test_the_fallback_without_its_driver(source: Database, destination: Database, tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available')")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = run("python", "table_copy", parameters(source, destination, []), prefix=["env", f"PYTHONPATH={path}"])
    message = failed(done, "capability_missing")
    assert "psycopg" in message and "pip install" in message


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers"),
        ({"verify": "sometimes"}, "verify"),
        ({"source": {"engine": "oracle", "password": PASSWORD}}, "source"),
        ({"destination": {"passwords": PASSWORD}}, "destination"),
        ({"tables": [{"name": "t"}]}, "tables[0]"),
        ({"finish": [{"sql": PASSWORD}]}, "finish[0]"),
        ({"prepare": [{"kind": "x", "name": "y", "sql": [], "action": PASSWORD}]}, "prepare[0].action"),
    ],
)
def test_a_job_that_is_none(executor: Executor, wrong: t.Dict[str, t.Any], words: str, source: Database) -> None:
    done = run(executor, "table_copy", {**parameters(source, source, []), **wrong})
    assert words in failed(done, "bad_job")


def watched(executor: Executor, wire: bytes, directory: Path, look: t.Callable[[], None]) -> t.Tuple[int, bytes, bytes]:
    with subprocess.Popen(
        command(executor),
        env=environment(),
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(wire)
        process.stdin.flush()
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        output, errors = process.communicate(timeout=60)
        looking.join()
    return process.returncode, output, errors


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_password_is_seen_nowhere(
    executor: Executor, source: Database, destination: Database, tmp_path: Path
) -> None:
    make(source, "t")
    make(destination, "t")
    seen: t.List[str] = []
    looks: t.List[int] = []

    def look() -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for kind in ("cmdline", "environ"):
                for path in Path("/proc").glob(f"[0-9]*/{kind}"):
                    try:
                        if PASSWORD.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                            seen.append(str(path))
                    except OSError:
                        continue
            looks.append(1)

    wire = parameters(source, destination, [table("t", "sync")])
    wire["prepare"] = [step("setting", "slow", "SELECT pg_sleep(2)")]
    code, output, errors = watched(executor, job("table_copy", wire, progress_interval=0.1), tmp_path, look)
    assert code == 0, output
    assert len(looks) > 2
    assert seen == []
    assert PASSWORD.encode() not in output + errors
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_environment_leads_nowhere_else(executor: Executor, source: Database, destination: Database) -> None:
    for database in (source, destination):
        database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    source.execute("INSERT INTO t VALUES (1)")
    elsewhere = {
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c no_such=1",
        "PGSERVICE": "none",
        "PGSSLMODE": "verify-full",
    }
    with source.snapshot() as snapshot:
        wire = parameters(source, destination, [table("t", "sync")], snapshot=snapshot)
        done = run(executor, "table_copy", wire, env=elsewhere)
    assert done.code == 0, (done.terminal, done.stderr)
    assert destination.rows("SELECT * FROM t") == [(1,)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_must_not_change_and_cannot_be_compared(
    executor: Executor, source: Database, destination: Database
) -> None:
    for database in (source, destination):
        database.execute("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
    source.execute("INSERT INTO u VALUES (1)")
    guarded = table("t", "sync", refusal="it must not change", hash_destination="SELECT no_such_column")
    done = copy(executor, source, destination, [guarded, table("u", "sync")])
    assert done.terminal["code"] == "database_error"
    assert "no_such_column" in done.terminal["message"] and done.terminal["path"] == "public.t"
    assert destination.rows("SELECT * FROM u") == []
