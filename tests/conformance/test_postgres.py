# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations from PostgreSQL to PostgreSQL: what arrives, what a rerun does, what is refused."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import pairs
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options
from ansible_collections.migration.assistant.plugins.module_utils._database.plan import Plan

from . import postgres_nasty as nasty
from .executors import EXECUTORS, Executor, Run, run
from .servers import PASSWORD, Database, PostgreSQL

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the planner keeps of a user is kept here."""
    monkeypatch.setattr(
        "ansible_collections.migration.assistant.plugins.module_utils._executor.places.state_directories",
        lambda: [str(tmp_path / "migration-assistant")],
    )
    return tmp_path


def _fresh(server: PostgreSQL) -> t.Iterator[Database]:
    """A database of which nothing was taken away, neither extensions nor large objects."""
    database = server.database()
    yield database
    database.drop()


@pytest.fixture
def source(source_server: PostgreSQL) -> t.Iterator[Database]:
    yield from _fresh(source_server)


@pytest.fixture
def destination(destination_server: PostgreSQL) -> t.Iterator[Database]:
    yield from _fresh(destination_server)


def planned(source: Database, destination: Database, **options: t.Any) -> Plan:
    return pairs.plan(source.address(), destination.address(), Options(**options))


def migrate(executor: Executor, source: Database, destination: Database, **options: t.Any) -> Run:
    """Plan a migration and have it carried out, as the module does."""
    with planned(source, destination, **options) as plan:
        done = run(executor, plan.operation, plan.parameters, dry_run=options.get("dry_run", False))
        if done.code == 0 and not done.terminal["changed"]:
            plan.remember(done.statistics)
    return done


def succeeded(done: Run) -> dict[str, int]:
    assert done.code == 0, (done.terminal, done.warnings, done.stderr)
    return done.statistics


def written(database: Database) -> t.Any:
    """How many transactions have written to the server. Reading may clean pages up, which is no change."""
    return database.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_everything_arrives_and_a_rerun_writes_nothing(
    executor: Executor, source: Database, destination: Database
) -> None:
    nasty.build(source)
    first = succeeded(migrate(executor, source, destination))
    assert nasty.definitions(destination) == nasty.definitions(source)
    assert nasty.rows(destination) == nasty.rows(source)
    assert first["rows_inserted"] == first["rows_total"] == first["rows_verified"] > 6000
    before = written(destination)
    done = migrate(executor, source, destination)
    again = succeeded(done)
    assert not done.terminal["changed"] and done.changes == []
    assert again["rows_total"] == first["rows_total"] == again["rows_verified"] and again["tables"] == first["tables"]
    assert written(destination) == before


@pytest.mark.parametrize("executor", EXECUTORS)
def test_where_nobody_has_written_nothing_is_compared(
    executor: Executor, source: Database, destination: Database
) -> None:
    source.execute("CREATE TABLE t (id serial PRIMARY KEY, v text)", "INSERT INTO t (v) VALUES ('a'), ('b')")
    succeeded(migrate(executor, source, destination))
    for level in ("", "fingerprint"):  # by hashes, and then by the proof that nothing was written
        with planned(source, destination) as plan:
            assert plan.level == level
        done = migrate(executor, source, destination)
        assert (succeeded(done)["rows_total"], succeeded(done)["tables"]) == (2, 1)
        assert not done.terminal["changed"]
    for change in ("SELECT nextval('t_id_seq')", "UPDATE t SET v = 'c' WHERE id = 1", "CREATE TABLE u (id integer)"):
        source.execute(change)
        assert migrate(executor, source, destination).terminal["changed"], change
        assert not migrate(executor, source, destination).terminal["changed"]
    destination.execute("DELETE FROM t WHERE id = 2")
    assert migrate(executor, source, destination).terminal["changed"]
    assert nasty.rows(destination) == nasty.rows(source)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_only_what_differs_is_repaired(executor: Executor, source: Database, destination: Database) -> None:
    nasty.build(source)
    succeeded(migrate(executor, source, destination))
    source.execute(
        "SET search_path = nasty, public",
        "UPDATE parent SET note = 'changed' WHERE name = 'p7'",
        "DELETE FROM parent WHERE name = 'p9'",  # and its children, by the foreign key
        "UPDATE later SET other = CASE id WHEN 1 THEN 1 ELSE 2 END WHERE id < 3",
        "INSERT INTO worded VALUES ('new', 1)",
        "DELETE FROM worded WHERE v = 17",
        "INSERT INTO keyless VALUES ('new', 1)",
        "UPDATE every SET c3 = 1.00 WHERE c3 = 1.0",  # numbers that are equal, and not the same
        "SELECT setval('lone', -7)",
        "REFRESH MATERIALIZED VIEW counted",
    )
    destination.execute("DELETE FROM nasty.log", "INSERT INTO nasty.log VALUES (-1, 'not of the source')")
    checked = migrate(executor, source, destination, dry_run=True)
    foretold = succeeded(checked)
    assert nasty.rows(destination) != nasty.rows(source)
    done = migrate(executor, source, destination)
    statistics = succeeded(done)
    assert nasty.rows(destination) == nasty.rows(source)
    assert nasty.definitions(destination) == nasty.definitions(source)
    for deed in ("rows_inserted", "rows_updated", "rows_deleted"):
        assert foretold[deed] == statistics[deed]
    changed = {change["path"]: change["after"] for change in done.changes if change["kind"] == "rows"}
    gone = source.value("SELECT 3000 - count(*) FROM nasty.child")
    assert changed["nasty.parent"] == {"inserted": 0, "updated": 1, "deleted": 1}
    assert changed["nasty.child"]["deleted"] == gone > 0 and changed["nasty.child"]["inserted"] == 0
    assert changed["nasty.worded"] == {"inserted": 1, "updated": 0, "deleted": 1}
    assert changed["nasty.log"]["deleted"] == 1
    assert "nasty.wide" not in changed
    before = written(destination)
    assert not migrate(executor, source, destination).terminal["changed"]
    assert written(destination) == before


@pytest.mark.parametrize("executor", EXECUTORS)
def test_check_mode_touches_neither_side(executor: Executor, source: Database, destination: Database) -> None:
    nasty.build(source)
    before = written(source), written(destination)
    checked = migrate(executor, source, destination, dry_run=True)
    assert (written(source), written(destination)) == before
    done = migrate(executor, source, destination)
    assert succeeded(checked)["rows_inserted"] == succeeded(done)["rows_inserted"]

    def told(run: Run) -> list[t.Any]:
        return sorted((change["action"], change["kind"], change["path"]) for change in run.changes)

    assert told(checked) == told(done)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_foreign_table_is_refused_or_made_equal(executor: Executor, source: Database, destination: Database) -> None:
    for database, value in ((source, "ours"), (destination, "theirs")):
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, v text)", f"INSERT INTO t VALUES (1, '{value}')")
    refused = migrate(executor, source, destination)
    assert refused.terminal["code"] == "destination_exists"
    assert (
        "its table public.t differs from the source, and this collection did not write it"
        in refused.terminal["message"]
    )
    assert destination.rows("SELECT * FROM t") == [(1, "theirs")]
    assert succeeded(migrate(executor, source, destination, if_exists="sync"))["rows_updated"] == 1
    assert destination.rows("SELECT * FROM t") == [(1, "ours")]
    # Now it is this collection's to change.
    source.execute("UPDATE t SET v = 'again'")
    assert succeeded(migrate(executor, source, destination))["rows_updated"] == 1


def test_a_table_that_is_defined_otherwise(source: Database, destination: Database) -> None:
    source.execute("CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'x')")
    destination.execute("CREATE TABLE t (id integer PRIMARY KEY, v integer)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    with pytest.raises(DatabaseError, match="is defined in another way than in the source: table public.t"):
        planned(source, destination, if_exists="sync")
    with pytest.raises(DatabaseError, match="if_exists: replace: a database of PostgreSQL is not replaced"):
        planned(source, destination, if_exists="replace")
    assert destination.rows("SELECT * FROM t") == [(1, 1), (2, 2)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_some_tables_only(executor: Executor, source: Database, destination: Database) -> None:
    nasty.build(source)
    with planned(source, destination, exclude=["parent", "nasty.measured_rest", "w*"]) as plan:
        omitted = {(item["kind"], item["name"]) for item in plan.omitted}
        succeeded(run(executor, plan.operation, plan.parameters))
    assert omitted == {
        ("table", "nasty.parent"), ("table", "nasty.measured_rest"), ("table", "nasty.wide"), ("table", "nasty.worded"),
        ("view", "nasty.seen"), ("view", "nasty.seen_twice"), ("foreign key", "nasty.child child_up_fkey"),
    }  # fmt: skip
    left = {name for name in nasty.rows(source) if name not in nasty.rows(destination)}
    assert left == {"nasty.parent", "nasty.measured_rest", "nasty.wide", "nasty.worded", "nasty.parent_id_seq"}
    with planned(source, destination, tables=["measured"]) as plan:
        assert {table["name"] for table in plan.parameters["tables"]} == {
            "nasty.measured_old_0", "nasty.measured_old_1", "nasty.measured_rest",
        }  # fmt: skip
    with pytest.raises(DatabaseError, match="tables: parnt: it matches no table of the source; did you mean parent?"):
        planned(source, destination, tables=["parnt"])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_prune_and_bookkeeping(executor: Executor, source: Database, destination: Database) -> None:
    source.execute("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    destination.execute("CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id integer REFERENCES a)")
    with planned(source, destination) as plan:
        assert plan.extra_tables == ["public.a", "public.b"]
    done = migrate(executor, source, destination, prune=True, bookkeeping="remove")
    assert succeeded(done)["rows_inserted"] == 1
    assert [change["path"] for change in done.changes if change["action"] == "delete"] == ["public.a, public.b"]
    assert list(nasty.rows(destination)) == ["public.t"]
    assert destination.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'migration_assistant'") == 0
    before = written(destination)
    assert not migrate(executor, source, destination, prune=True, bookkeeping="remove").terminal["changed"]
    assert written(destination) == before


def test_what_would_be_lost_is_refused(source: Database, destination: Database) -> None:
    source.execute("CREATE TABLE t (id integer PRIMARY KEY)", "SELECT lo_create(0)", "CREATE PUBLICATION p FOR TABLE t")
    with pytest.raises(
        DatabaseError, match=r"lost: large_objects \(1 large objects\); publications \(p\); allow_losses"
    ):
        planned(source, destination)
    assert nasty.rows(destination) == {}
    with planned(source, destination, allow_losses=["large_objects", "publications"]) as plan:
        assert [item["name"] for item in plan.omitted] == ["1 large objects", "p"]


def test_what_cannot_be_reached_is_one_line_without_the_password(source: Database, destination: Database) -> None:
    other = destination.address
    for changed, code, words in (
        ({"password": "wrong-horse"}, "access_denied", "password authentication failed"),
        ({"database": "none"}, "database_error", 'database "none" does not exist'),
        ({"port": 1}, "unreachable", "refused"),
        ({"user": None}, "database_error", "destination.user: it is needed"),
    ):
        with pytest.raises(DatabaseError) as caught:
            pairs.plan(source.address(), other(**changed), Options())
        text = str(caught.value)
        assert caught.value.code == code and words in text and "\n" not in text
        assert PASSWORD not in text and "wrong-horse" not in text
    with pytest.raises(DatabaseError, match="it is the same database as the source"):
        pairs.plan(source.address(), source.address(), Options())


def test_tables_that_may_not_be_read_are_named(source: Database, destination: Database) -> None:
    with source.server.admin(source.name) as connection:
        connection.execute("CREATE TABLE secret (id integer)")
    with pytest.raises(DatabaseError, match="this user may not read public.secret") as caught:
        planned(source, destination)
    assert caught.value.code == "access_denied"
    with planned(source, destination, exclude=["secret"]) as plan:
        assert plan.parameters["tables"] == []


def test_two_migrations_to_one_destination(source: Database, destination: Database) -> None:
    with planned(source, destination):
        with pytest.raises(DatabaseError, match="another migration writes to it") as caught:
            planned(source, destination)
        assert caught.value.code == "destination_busy"
        planned(source, destination, dry_run=True).close()
    planned(source, destination).close()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_source_is_read_as_it_was(executor: Executor, source: Database, destination: Database) -> None:
    nasty.build(source)
    with planned(source, destination) as plan:
        was = nasty.rows(source)
        source.execute(
            "UPDATE nasty.parent SET note = 'later'", "DELETE FROM nasty.worded", "DELETE FROM nasty.keyless"
        )
        succeeded(run(executor, plan.operation, plan.parameters))
    assert {name: rows for name, rows in nasty.rows(destination).items() if "_seq" not in name} == {
        name: rows for name, rows in was.items() if "_seq" not in name
    }


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("changed", [False, True])
def test_an_interrupted_run_goes_on(executor: Executor, changed: bool, source: Database, destination: Database) -> None:
    source.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, v text)",
        "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n",
        "CREATE TABLE u (id integer, v text)",
        "INSERT INTO u SELECT n, repeat('x', 100) FROM generate_series(1, 2000) n",
        "ANALYZE",
    )
    # What a run leaves that was killed: definitions, some chunks, no index.
    with planned(source, destination, chunk_rows=1000) as plan:
        parameters = dict(plan.parameters, verify="none", finish=[])
        for table in parameters["tables"]:
            table["complete"], table["finish"] = [], []
        succeeded(run(executor, plan.operation, parameters))
    low = destination.value("SELECT low FROM migration_assistant.chunks WHERE name = 'public.t' AND number = 5")
    first = source.value(f"SELECT min(id) FROM t WHERE ctid >= {low}")
    destination.execute(
        f"DELETE FROM t WHERE id >= {first}",
        "DELETE FROM u",
        "UPDATE migration_assistant.chunks SET done = false WHERE number >= 5 OR name = 'public.u'",
        "DELETE FROM migration_assistant.chunks WHERE number > 8",
    )
    if changed:
        source.execute("UPDATE t SET v = 'changed' WHERE id = 17")
    left = destination.value("SELECT count(*) FROM t")
    assert 1000 < left < 20000
    # With chunks of another size, too.
    statistics = succeeded(migrate(executor, source, destination, chunk_rows=1700))
    assert nasty.rows(destination) == nasty.rows(source)
    assert nasty.definitions(destination) == nasty.definitions(source)
    if changed:
        assert statistics["rows_inserted"] == 22000 - left and statistics["rows_updated"] == 1
    else:
        assert statistics["resumed_rows"] == left and statistics["rows_inserted"] == 22000 - left
    assert not migrate(executor, source, destination).terminal["changed"]
