# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""database_migrate from SQLite to SQLite, by both executors."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import typing as t
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options

from .databases import build_nasty, connect, content, dump, execute, leftovers, migrate, state
from .executors import EXECUTORS, REPOSITORY, Executor, run

both = pytest.mark.parametrize("executor", EXECUTORS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    return directory / "shop.db"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    directory = tmp_path / "destination"
    directory.mkdir()
    return directory / "copy %23?.db"


def succeed(*arguments: t.Any, **options: t.Any) -> t.Any:
    outcome = migrate(*arguments, **options)
    assert outcome.terminal["event"] == "result", outcome.terminal
    assert outcome.code == 0
    return outcome


CHANGES = (
    "UPDATE every SET c0 = 77, c3 = 'new' WHERE rowid % 3 = 0",
    "DELETE FROM every WHERE rowid = 5",
    'UPDATE "Größe" SET "Ä" = \'swap\' WHERE "Ä" = \'Ü1\'',
    'UPDATE "Größe" SET "Ä" = \'Ü1\' WHERE "Ä" = \'Ü2\'',
    'UPDATE "Größe" SET "Ä" = \'Ü2\' WHERE "Ä" = \'swap\'',
    "UPDATE ascending SET v = 'other' WHERE a = 1",
    "DELETE FROM descending WHERE b = 2",
    "INSERT INTO mixed VALUES ('new', 1, 1, 1)",
    "UPDATE oddly_collated SET k = 'Ö' WHERE k = 'a' COLLATE BINARY",
    "UPDATE shadowed SET oid = 5 WHERE oid = 1",
    "UPDATE negative SET v = 'lesser' WHERE rowid < -10",
    "INSERT INTO counted (v) VALUES (99)",
    "INSERT INTO found (rowid, title, body) VALUES (50, 'another', 'text')",
    "UPDATE computed SET a = a + 1",
    "PRAGMA user_version = 43",
    "CREATE TABLE added (id INTEGER PRIMARY KEY, v UNIQUE)",
    "INSERT INTO added VALUES (1, 'x'), (2, 'y')",
    "CREATE INDEX added_index ON every (c3)",
    "DROP INDEX expressed",
    'CREATE INDEX expressed ON "Größe" (upper("Ä"))',
    "DROP TRIGGER logged",
    "CREATE TRIGGER logged AFTER INSERT ON counted BEGIN INSERT INTO log VALUES (new.id + 1); END",
    "ALTER TABLE parent ADD COLUMN more TEXT DEFAULT 'm'",
    "DROP VIEW seen",
    "CREATE VIEW seen AS SELECT id FROM counted",
    "ANALYZE",
)


@both
@pytest.mark.parametrize(("kind", "chunk_rows"), [("delete", 1), ("delete", 1000), ("wal", 3), ("utf16", 3)])
def test_everything_arrives(executor: Executor, kind: str, chunk_rows: int, source: Path, destination: Path) -> None:
    build_nasty(source, wal=kind == "wal", encoding="UTF-16le" if kind == "utf16" else "UTF-8")
    os.chmod(source, 0o640)
    before = state(source.parent)
    outcome = succeed(executor, source, destination, chunk_rows=chunk_rows, verify="full")
    assert state(source.parent) == before
    assert content(destination) == content(source)
    assert dump(destination) == dump(source)
    assert leftovers(destination.parent, destination.name) == []
    assert destination.stat().st_mode & 0o777 == 0o640
    with connect(destination) as copy, connect(source) as original:
        for pragma in ("page_size", "auto_vacuum", "journal_mode"):
            assert copy.execute("PRAGMA " + pragma).fetchone() == original.execute("PRAGMA " + pragma).fetchone()
        assert copy.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migration%'").fetchall() == []
    assert outcome.statistics["rows_verified"] == outcome.statistics["rows_total"] == outcome.statistics["rows_copied"]
    assert {event["code"] for event in outcome.warnings} <= {"foreign_key_violations", "source_not_sound"}

    here = state(destination.parent)
    again = succeed(executor, source, destination)
    assert again.terminal["changed"] is False and again.changes == []
    assert state(destination.parent) == here and state(source.parent) == before


@both
def test_sync_repairs_what_differs(executor: Executor, source: Path, destination: Path) -> None:
    build_nasty(source)
    succeed(executor, source, destination)
    execute(source, *CHANGES)
    before = state(destination.parent)
    predicted = succeed(executor, source, destination, dry_run=True)
    assert state(destination.parent) == before
    done = succeed(executor, source, destination)
    assert content(destination, ordered=False) == content(source, ordered=False)
    assert sorted(map(repr, predicted.changes)) == sorted(map(repr, done.changes))
    assert {**predicted.statistics, "rows_verified": 0, "foreign_key_violations": 0} == {
        **done.statistics, "rows_verified": 0, "foreign_key_violations": 0,
    }  # fmt: skip
    rows = {change["path"]: change["after"] for change in done.changes if change["kind"] == "rows"}
    assert rows["mixed"] == {"inserted": 1, "updated": 0, "deleted": 0}
    assert rows["every"]["deleted"] == 1 and rows["every"]["inserted"] == 0
    assert succeed(executor, source, destination).changes == []


def test_executors_agree(tmp_path: Path) -> None:
    """Same plan, same events, same figures, same contents; also in a dry run, and after a change."""
    seen: dict[str, list[t.Any]] = {}
    executors: tuple[Executor, ...] = ("go", "python")
    for executor in executors:
        directory = tmp_path / executor
        directory.mkdir()
        source, destination = directory / "a.db", directory / "b.db"

        def go(**options: t.Any) -> None:
            outcome = migrate(executor, source, destination, **options)  # noqa: B023
            seen.setdefault(executor, []).append(outcome.comparable({directory: "."}))  # noqa: B023

        build_nasty(source)
        go(dry_run=True, chunk_rows=3)
        go(chunk_rows=3)
        execute(source, *CHANGES)
        go(dry_run=True)
        go()
        go()
        go(bookkeeping="remove")
        go(if_exists="replace")
        execute(source, "DELETE FROM every", "DROP TABLE added")
        go()
        go(if_exists="sync")
        execute(source, "UPDATE computed SET a = 0")
        go(if_exists="replace", prune=True, dry_run=True)
        go(if_exists="replace", prune=True)
        seen[executor].append(content(destination))
    assert seen["go"] == seen["python"]


@both
def test_a_foreign_destination_is_kept(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    execute(destination, "CREATE TABLE t (a)", "INSERT INTO t VALUES (2)", "CREATE TABLE theirs (x)")
    before = state(destination.parent)
    for dry_run in (True, False):
        refused = migrate(executor, source, destination, dry_run=dry_run)
        assert refused.terminal["code"] == "destination_exists"
        assert "its table t differs" in refused.terminal["message"]
    assert state(destination.parent) == before
    done = succeed(executor, source, destination, if_exists="sync")
    assert [change["path"] for change in done.changes] == ["t"]
    assert content(destination)["rows"]["t"] == content(source)["rows"]["t"]
    assert "theirs" in content(destination)["rows"]


@both
def test_an_equal_foreign_destination_is_unchanged(executor: Executor, source: Path, destination: Path) -> None:
    build_nasty(source)
    shutil.copy(source, destination)
    before = state(destination.parent)
    for if_exists in ("fail", "sync", "replace"):
        assert succeed(executor, source, destination, if_exists=if_exists).terminal["changed"] is False
    assert state(destination.parent) == before


@both
def test_replace_keeps_mode_and_drops_the_old_log(executor: Executor, source: Path, destination: Path) -> None:
    build_nasty(source)
    execute(destination, "PRAGMA journal_mode = WAL", 'CREATE TABLE "empty" (other)', 'INSERT INTO "empty" VALUES (1)')
    os.chmod(destination, 0o604)
    done = succeed(executor, source, destination, if_exists="replace")
    assert done.changes[0]["action"] == "update" and done.changes[0]["kind"] == "database"
    assert content(destination) == content(source)
    assert destination.stat().st_mode & 0o777 == 0o604
    assert leftovers(destination.parent, destination.name) == []


@both
def test_prune(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    execute(
        destination, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", "CREATE TABLE x (a)", "CREATE INDEX i ON t (a)",
        "CREATE VIEW v AS SELECT 1", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM x; END",
    )  # fmt: skip
    assert succeed(executor, source, destination, if_exists="sync").changes == []
    done = succeed(executor, source, destination, if_exists="sync", prune=True)
    assert {(c["action"], c["kind"], c["path"]) for c in done.changes} == {
        ("delete", "table", "x"), ("delete", "index", "i"), ("delete", "view", "v"), ("delete", "trigger", "tr"),
    }  # fmt: skip
    assert content(destination)["catalog"] == content(source)["catalog"]


@both
def test_filters(executor: Executor, source: Path, destination: Path) -> None:
    build_nasty(source)
    succeed(
        executor,
        source,
        destination,
        tables=["Count*", "log", "found"],
        exclude=["countless*"][:0],
    )
    names = {row[1] for row in content(destination)["catalog"] if row[0] == "table"}
    assert {"counted", "log", "found", "found_data"} <= names and not {"every", "parent", "places"} & names
    assert succeed(executor, source, destination, tables=["count*", "log", "found"]).changes == []


@both
def test_bookkeeping_can_be_removed(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)")
    succeed(executor, source, destination)
    record = destination.parent / f".{destination.name}.migration-assistant.json"
    assert record.stat().st_mode & 0o777 == 0o600
    for dry_run in (True, False):
        done = succeed(executor, source, destination, bookkeeping="remove", dry_run=dry_run)
        assert [(c["action"], c["kind"]) for c in done.changes] == [("delete", "file")]
        assert record.exists() is dry_run
    assert succeed(executor, source, destination, bookkeeping="remove").terminal["changed"] is False


WRITER = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
c.execute("PRAGMA synchronous = OFF")
print("ready", flush=True)
for n in range(1, 10**9):
    c.execute("BEGIN IMMEDIATE")
    c.execute("INSERT INTO a VALUES (?, randomblob(200))", (n,))
    c.execute("DELETE FROM b WHERE id = ?", (n % 5000,))
    c.execute("INSERT INTO z VALUES (?)", (n,))
    c.execute("UPDATE counter SET n = ?", (n,))
    c.execute("COMMIT")
"""


@both
def test_a_source_that_is_written_to(executor: Executor, source: Path, destination: Path) -> None:
    with connect(source) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.executescript(
            "CREATE TABLE counter (n); INSERT INTO counter VALUES (0); CREATE TABLE a (id INTEGER PRIMARY KEY, v);"
            "CREATE TABLE b (id INTEGER PRIMARY KEY, v); CREATE TABLE z (id INTEGER PRIMARY KEY);"
            "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000)"
            "INSERT INTO b SELECT n, randomblob(300) FROM s;"
        )
    with subprocess.Popen([sys.executable, "-c", WRITER, str(source)], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
            for _round in range(3):
                done = succeed(executor, source, destination, chunk_rows=100, if_exists="sync")
                assert done.terminal["changed"] is True
                with connect(destination) as copy:
                    n = copy.execute("SELECT n FROM counter").fetchone()[0]
                    assert copy.execute("SELECT count(*), max(id) FROM a").fetchone() == (n, n or None)
                    assert copy.execute("SELECT count(*), max(id) FROM z").fetchone() == (n, n or None)
                    gone = min(n, 4999)
                    assert copy.execute("SELECT count(*) FROM b").fetchone() == (5000 - gone,)
            assert writer.poll() is None
        finally:
            writer.kill()


@both
@pytest.mark.parametrize("log", ["closed", "open", "left over"])
def test_check_mode_leaves_no_trace(
    executor: Executor, log: str, source: Path, destination: Path, tmp_path: Path
) -> None:
    for path in (source, destination):
        path.parent.mkdir(exist_ok=True)
        original = tmp_path / ("original-" + path.parent.name)
        with connect(original) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("CREATE TABLE t (a)")
            connection.execute("INSERT INTO t VALUES (?)", (path.parent.name,))
            if log != "closed":
                shutil.copy(original, path)
                shutil.copy(str(original) + "-wal", str(path) + "-wal")
        if log == "closed":
            shutil.copy(original, path)
    holders = [sqlite3.connect(str(path)) for path in (source, destination)] if log == "open" else []
    for holder in holders:
        assert holder.execute("SELECT count(*) FROM t").fetchone() == (1,)
    # Readers of an open database note their marks in the index that all share.
    ignored = "-shm" if log == "open" else "none"
    before = state(source.parent, ignored), state(destination.parent, ignored)
    outcome = succeed(executor, source, destination, dry_run=True, if_exists="sync")
    assert [change["path"] for change in outcome.changes] == ["t"]
    after = state(source.parent, ignored), state(destination.parent, ignored)
    for holder in holders:
        holder.close()
    assert after == before


@both
def test_one_job_at_a_time(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)")
    partial = destination.parent / f".{destination.name}.migration-assistant.partial"
    with open(partial, "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = migrate(executor, source, destination)
    assert refused.terminal["code"] == "destination_busy" and not destination.exists()
    succeed(executor, source, destination)


READER = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
print(c.execute("SELECT a FROM t").fetchone()[0], flush=True)
sys.stdin.readline()
print(c.execute("SELECT a FROM t").fetchone()[0], flush=True)
"""


@both
def test_a_destination_in_use_is_not_replaced(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)")
    execute(destination, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (2)")
    # In a process of its own, as in life: the locks of one process do not shut it out itself.
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(destination)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdin is not None and reader.stdout is not None
        assert reader.stdout.readline() == b"2\n"
        refused = migrate(executor, source, destination, if_exists="replace")
        assert refused.terminal.get("code") == "destination_busy" and "in use" in refused.terminal["message"]
        reader.stdin.write(b"\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == b"2\n"
    succeed(executor, source, destination, if_exists="replace")
    assert content(destination) == content(source)


@both
def test_a_changed_schema_is_noticed(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)")
    with sqlite.plan({"database": str(source)}, {"database": str(destination)}, Options()) as plan:
        execute(source, "CREATE TABLE u (a)")
        refused = run(executor, "database_migrate", plan.parameters)
    assert refused.terminal["code"] == "source_changed" and not destination.exists()


@both
def test_a_full_disk_can_be_resumed(executor: Executor, source: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    with connect(source) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        connection.executemany("INSERT INTO t (v) VALUES (randomblob(1000))", [()] * 3000)
    os.utime(source, (1, 1))
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the right to mount")
    try:
        full = migrate(executor, source, small / "copy.db", chunk_rows=200)
        assert full.terminal["code"] == "disk_full" and full.terminal["resumable"] is True
        assert not (small / "copy.db").exists()
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        done = succeed(executor, source, small / "copy.db", chunk_rows=200)
        assert done.statistics["resumed_rows"] > 0
        assert content(small / "copy.db") == content(source)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_plans_fit_the_schema(source: Path, destination: Path, tmp_path: Path) -> None:
    schema = json.loads((REPOSITORY / "go-engine" / "protocol" / "job.schema.json").read_text())
    build_nasty(source)
    shutil.copy(source, destination)
    execute(source, *CHANGES)
    here, there, elsewhere = ({"database": str(path)} for path in (source, destination, tmp_path / "new.db"))
    for options, target in (
        (Options(if_exists="sync", prune=True), there),
        (Options(if_exists="replace", prune=True), there),
        (Options(tables=["every"], bookkeeping="remove"), elsewhere),
    ):
        with sqlite.plan(here, target, options) as plan:
            job = {"protocol": 1, "id": "x", "operation": "database_migrate", "parameters": plan.parameters}
            jsonschema.validate(job, schema)


@both
def test_unknown_parameters_are_refused(executor: Executor, source: Path, destination: Path) -> None:
    execute(source, "CREATE TABLE t (a)")
    with sqlite.plan({"database": str(source)}, {"database": str(destination)}, Options()) as plan:
        refused = run(executor, "database_migrate", {**plan.parameters, "surprise": 1})
    assert refused.terminal["code"] == "bad_job" and "surprise" in refused.terminal["message"]
    assert os.listdir(destination.parent) == []
