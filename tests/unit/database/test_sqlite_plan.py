# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a migration from SQLite to SQLite: what it refuses, what it leaves out, the SQL that it renders."""

from __future__ import annotations

import os
import sqlite3
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options
from ansible_collections.migration.assistant.plugins.module_utils._database.plan import Plan


def make(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(str(path), isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(
        tmp_path / "source.db",
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer REFERENCES customers (id))",
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE log (what TEXT)",
        "CREATE INDEX by_customer ON orders (customer)",
        "CREATE VIEW who AS SELECT * FROM orders JOIN customers",
        "CREATE VIEW plain AS SELECT * FROM customers",
        "CREATE TRIGGER noted AFTER INSERT ON customers BEGIN INSERT INTO log VALUES (new.name); END",
    )


def refusal(source: t.Mapping[str, t.Any], destination: t.Mapping[str, t.Any], **options: t.Any) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        sqlite.plan(source, destination, Options(**options)).close()
    assert "\n" not in str(caught.value)
    return caught.value


def at(path: Path) -> dict[str, str]:
    return {"engine": "sqlite", "database": str(path)}


def names(plan: Plan, kind: str) -> list[str]:
    return [item["name"] for item in plan.parameters[kind]]


def test_missing_source(tmp_path: Path) -> None:
    error = refusal(at(tmp_path / "none.db"), at(tmp_path / "new.db"))
    assert (error.code, error.option) == ("source_missing", "source")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"<html>" * 100, b"x", os.urandom(4096)])
def test_what_is_no_database(content: bytes, source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(content)
    assert refusal(at(other), at(tmp_path / "new.db")).code == "not_a_database"
    assert refusal(at(source), at(other), if_exists="replace").code == "not_a_database"
    assert other.read_bytes() == content


def test_the_same_file(source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(source)
    hard = tmp_path / "hard.db"
    os.link(source, hard)
    for other in (source, link, hard):
        assert refusal(at(source), at(other), if_exists="replace").code == "paths_overlap"


def test_destinations_that_cannot_be(source: Path, tmp_path: Path) -> None:
    assert refusal(at(source), at(source / "none" / "x.db")).code == "destination_unwritable"
    assert refusal(at(source), at(tmp_path)).code == "not_a_database"
    (tmp_path / "new.db-wal").write_bytes(b"of another database")
    assert "left over" in str(refusal(at(source), at(tmp_path / "new.db")))


def test_a_hot_journal_of_the_source(source: Path, tmp_path: Path) -> None:
    writer = sqlite3.connect(str(source), isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    writer.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO log SELECT i FROM n"
    )
    torn = tmp_path / "torn"
    torn.mkdir()
    # What a crash would have left: the file half written, and the journal that takes it back.
    for suffix in ("", "-journal"):
        (torn / ("a.db" + suffix)).write_bytes(Path(str(source) + suffix).read_bytes())
    writer.execute("ROLLBACK")
    writer.close()
    before = {path.name: path.read_bytes() for path in torn.iterdir()}
    assert "interrupted" in str(refusal(at(torn / "a.db"), at(tmp_path / "new.db")))
    assert {path.name: path.read_bytes() for path in torn.iterdir()} == before


@pytest.mark.parametrize(
    ("connection", "part"),
    [
        ({"engine": "sqlite"}, "path of a database file"),
        ({"engine": "postgresql", "database": "x"}, "only sqlite"),
        ({"url": "postgresql://me:hunter2@host/db"}, "sqlite:///PATH"),
        ({"url": "sqlite:///a.db", "database": "a.db"}, "not both"),
        ({"database": "a.db", "password": "hunter2"}, "no password"),
        ({"database": ":memory:"}, "path of a database file"),
    ],
)
def test_connections_that_cannot_be(connection: t.Mapping[str, t.Any], part: str, tmp_path: Path) -> None:
    error = refusal(connection, at(tmp_path / "x"))
    assert part in str(error) and "hunter2" not in str(error)


def test_a_url_is_a_path(source: Path, tmp_path: Path) -> None:
    with sqlite.plan({"url": "sqlite:///%s" % source}, {"url": "sqlite:///%s/new.db" % tmp_path}, Options()) as plan:
        assert plan.parameters["source"]["database"] == str(source)
        assert plan.parameters["destination"]["database"] == str(tmp_path / "new.db")


def test_a_pattern_without_a_match(source: Path, tmp_path: Path) -> None:
    assert str(refusal(at(source), at(tmp_path / "n"), tables=["ordrs"])).endswith("did you mean orders?")
    assert refusal(at(source), at(tmp_path / "n"), exclude=["zz*"]).option == "exclude"


def test_what_needs_a_left_out_table_is_left_out(source: Path, tmp_path: Path) -> None:
    with sqlite.plan(at(source), at(tmp_path / "n"), Options(exclude=["ORD*", "log"])) as plan:
        assert names(plan, "tables") == ["customers"]
        assert names(plan, "objects") == ["plain"]
        assert {(item["kind"], item["name"]) for item in plan.omitted} == {
            ("table", "orders"),
            ("table", "log"),
            ("index", "by_customer"),
            ("view", "who"),
            ("trigger", "noted"),
        }
        assert all(item["reason"] for item in plan.omitted)


def test_a_definition_that_cannot_be_made_again(tmp_path: Path) -> None:
    connection = sqlite3.connect(str(tmp_path / "a.db"), isolation_level=None)
    connection.create_function("app_secret", 1, lambda value: value, deterministic=True)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("CREATE INDEX i ON t (app_secret(a))")
    connection.close()
    error = refusal(at(tmp_path / "a.db"), at(tmp_path / "n"))
    assert "index i" in str(error) and "app_secret" in str(error)


@pytest.mark.parametrize("if_exists", ["fail", "sync"])
def test_other_encodings_need_replace(if_exists: str, source: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "b.db", "PRAGMA encoding = 'UTF-16le'", "CREATE TABLE t (a)")
    assert "encoding" in str(refusal(at(source), at(other), if_exists=if_exists))


def test_replace_does_not_lose_tables_silently(source: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "b.db", "CREATE TABLE theirs (a)")
    error = refusal(at(source), at(other), if_exists="replace")
    assert error.code == "destination_exists" and "theirs" in str(error)


def test_other_definitions_are_not_ours_to_change(source: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "b.db", "CREATE TABLE log (what TEXT, more)")
    assert "log" in str(refusal(at(source), at(other)))
    with sqlite.plan(at(source), at(other), Options(if_exists="sync")) as plan:
        actions = {table["name"]: table["action"] for table in plan.parameters["tables"]}
    assert actions == {"orders": "create", "customers": "create", "log": "rebuild"}


def test_an_empty_destination_counts_as_none(source: Path, tmp_path: Path) -> None:
    (tmp_path / "b.db").touch()
    with sqlite.plan(at(source), at(tmp_path / "b.db"), Options()) as plan:
        assert plan.parameters["strategy"] == "build" and plan.parameters["destination_exists"] is True


@pytest.mark.parametrize(
    "definition",
    [
        "CREATE TABLE t (a, b, v)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b, v)",
        "CREATE TABLE t (a TEXT, b, v, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE TABLE t (a TEXT COLLATE NOCASE, b, v, PRIMARY KEY (a DESC, b DESC)) WITHOUT ROWID",
        "CREATE TABLE t (a TEXT, b, v, PRIMARY KEY (a COLLATE NOCASE, b DESC)) WITHOUT ROWID",
    ],
)
def test_chunks_need_no_sorting_and_no_scan(definition: str, tmp_path: Path) -> None:
    """The next chunk begins where the position is, by the table's own tree."""
    path = make(tmp_path / "a.db", definition, "CREATE INDEX i ON t (b, a)")
    with sqlite.plan(at(path), at(tmp_path / "n"), Options()) as plan:
        table = plan.parameters["tables"][0]
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("ATTACH ? AS src", (str(path),))
    connection.execute(definition)
    for statement in table["locate"]:
        connection.execute(statement)
    for name in ("first", "next"):
        steps = " | ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + table[name], (10,)))
        assert "TEMP B-TREE" not in steps
        assert "USING INDEX i" not in steps and "COVERING INDEX i" not in steps
        assert name == "first" or "SEARCH" in steps
    connection.close()


def test_no_connection_outlives_the_plan(source: Path, tmp_path: Path) -> None:
    make(source, "PRAGMA journal_mode = WAL")
    before = sorted(os.listdir(tmp_path))
    with sqlite.plan(at(source), at(tmp_path / "new.db"), Options()) as plan:
        assert plan.snapshot == {"kind": "one read transaction", "journal_mode": "wal", "writers": "continue"}
    assert sorted(os.listdir(tmp_path)) == before
