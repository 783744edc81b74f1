# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reruns between PostgreSQL databases that have changed: only what was asked for changes, and the next run is quiet."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError

from . import postgres_nasty as nasty
from .executors import run
from .servers import Database
from .test_postgres import destination, migrate, planned, source, state, succeeded

# The fixtures of the other file.
__all__ = ["destination", "source", "state"]

pytestmark = pytest.mark.usefixtures("state")

NOISY = "CREATE FUNCTION noise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.u; RETURN new; END $$"
PARENT = (
    "CREATE TABLE parent (id int PRIMARY KEY, note text) PARTITION BY RANGE (id)",
    "CREATE TABLE parent_a PARTITION OF parent FOR VALUES FROM (0) TO (1000)",
    "INSERT INTO parent SELECT n, 'n' FROM generate_series(1, 10) n",
)
CASES: dict[str, tuple[t.Sequence[str], t.Sequence[str]]] = {
    "foreign keys to a partitioned table": (
        (
            *PARENT,
            "CREATE TABLE child (id int PRIMARY KEY, pid int REFERENCES parent ON DELETE CASCADE)",
            "INSERT INTO child SELECT n, n % 10 + 1 FROM generate_series(1, 1000) n",
            "COMMENT ON CONSTRAINT child_pid_fkey ON child IS 'kept'",
        ),
        ("UPDATE parent SET note = 'changed' WHERE id = 3",),
    ),
    "foreign keys of a partitioned table": (
        (
            "CREATE TABLE parent (id int PRIMARY KEY)",
            "CREATE TABLE child (id int PRIMARY KEY, pid int REFERENCES parent) PARTITION BY RANGE (id)",
            "CREATE TABLE child_a PARTITION OF child FOR VALUES FROM (0) TO (1000)",
            "INSERT INTO parent VALUES (1)",
        ),
        ("INSERT INTO parent VALUES (2)", "INSERT INTO child VALUES (1, 2)"),
    ),
    "rules": (
        (
            "CREATE TABLE t (id int PRIMARY KEY, v text)",
            "INSERT INTO t VALUES (1, 'a'), (2, 'a')",
            "CREATE TABLE u (id int PRIMARY KEY)",
            "INSERT INTO u VALUES (1), (2)",
            "CREATE RULE also AS ON DELETE TO t DO ALSO DELETE FROM u WHERE u.id = old.id",
            "CREATE RULE never AS ON DELETE TO u DO INSTEAD NOTHING",
        ),
        ("UPDATE t SET v = 'b' WHERE id = 1", "INSERT INTO u VALUES (3)"),
    ),
    "triggers, some of which are off or always on": (
        (
            "CREATE TABLE u (id int)",
            "INSERT INTO u VALUES (1)",
            "CREATE TABLE t (id int PRIMARY KEY, v text)",
            "INSERT INTO t VALUES (1, 'a')",
            NOISY,
            "CREATE TRIGGER off BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noise()",
            "ALTER TABLE t DISABLE TRIGGER off",
            "CREATE TRIGGER always BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noise()",
            "ALTER TABLE t ENABLE ALWAYS TRIGGER always",
        ),
        ("UPDATE t SET v = 'b'",),
    ),
    "a new partition of a table with indexes and triggers": (
        (
            "CREATE TABLE u (id int)",
            "INSERT INTO u VALUES (1)",
            "CREATE TABLE p (id int, at int, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
            "CREATE INDEX p_v ON p (v)",
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
            NOISY,
            "CREATE TRIGGER each AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION noise()",
        ),
        (
            "ALTER TABLE p DISABLE TRIGGER each",
            "CREATE TABLE p2 (id int NOT NULL, at int NOT NULL, v text, CONSTRAINT own PRIMARY KEY (id, at))",
            "CREATE INDEX own_v ON p2 (v)",
            "INSERT INTO p2 VALUES (1, 11, 'a')",
            "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)",
            "ALTER TABLE p ENABLE TRIGGER each",
        ),
    ),
    "a key with further columns": (
        (
            "CREATE TABLE t (id int, note text, v text, PRIMARY KEY (id) INCLUDE (note))",
            "INSERT INTO t SELECT n, CASE WHEN n % 2 = 0 THEN 'x' END, 'a' FROM generate_series(1, 100) n",
        ),
        ("UPDATE t SET v = 'b' WHERE id IN (10, 11)",),
    ),
    "blanks at the end": (
        ("CREATE TABLE t (id int PRIMARY KEY, v bpchar)", "INSERT INTO t VALUES (1, 'a')"),
        ("UPDATE t SET v = 'a   '",),
    ),
    "keys by an extension's order": (
        ("CREATE EXTENSION citext", "CREATE TABLE t (k citext PRIMARY KEY, v int)", "INSERT INTO t VALUES ('a', 1)"),
        ("UPDATE t SET v = 2",),
    ),
    "comments": (
        ("CREATE TABLE t (id int PRIMARY KEY)", "COMMENT ON TABLE t IS 'a'"),
        ("COMMENT ON TABLE t IS 'b'", "COMMENT ON COLUMN t.id IS 'c'"),
    ),
    "operators of one name": (
        (
            "CREATE FUNCTION f(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true'",
            "CREATE FUNCTION f(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
            "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = f)",
            "CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = f)",
        ),
        ("CREATE TABLE t (id int)",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_of_the_source_arrives_and_no_other(case: str, source: Database, destination: Database) -> None:
    first, then = CASES[case]
    source.execute(*first)
    succeeded(migrate("go", source, destination))
    source.execute(*then)
    assert migrate("go", source, destination, parallel_chunks=1).terminal["changed"]
    assert nasty.rows(destination) == nasty.rows(source)
    assert nasty.definitions(destination) == nasty.definitions(source)
    again = migrate("go", source, destination)
    assert succeeded(again) and again.changes == []


def test_a_trigger_of_the_destination_sleeps_during_a_repair(source: Database, destination: Database) -> None:
    source.execute("CREATE TABLE u (id int)", "INSERT INTO u VALUES (1)", "CREATE TABLE t (id int PRIMARY KEY, v text)")
    succeeded(migrate("go", source, destination))
    destination.execute(NOISY, "CREATE TRIGGER own BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noise()")
    source.execute("INSERT INTO t VALUES (1, 'a')")
    with planned(source, destination) as plan:
        assert set(plan.extra_tables) == {"function public.noise()", "trigger public.t own"}
        succeeded(run("go", plan.operation, plan.parameters))
    assert nasty.rows(destination) == nasty.rows(source)
    assert destination.value("SELECT tgenabled FROM pg_trigger WHERE tgname = 'own'") == "O"


def test_a_foreign_key_of_the_destination_is_not_lost(source: Database, destination: Database) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    succeeded(migrate("go", source, destination))
    destination.execute("CREATE TABLE b (id int REFERENCES t ON DELETE CASCADE)", "INSERT INTO b VALUES (2)")
    assert not migrate("go", source, destination).terminal["changed"]
    source.execute("DELETE FROM t WHERE id = 2")
    for _run in range(2):
        refused = migrate("go", source, destination)
        assert refused.terminal["code"] == "destination_exists"
        assert "the foreign key b_id_fkey of public.b, which is not of the source" in refused.terminal["message"]
    assert destination.rows("SELECT * FROM b") == [(2,)]
    assert succeeded(migrate("go", source, destination, prune=True))["rows_deleted"] == 1


def test_a_view_that_was_not_filled_is_filled_by_the_next_run(source: Database, destination: Database) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t",
        "CREATE VIEW grouped AS SELECT id, count(*) FROM t GROUP BY id",
    )

    def interrupted() -> None:
        with planned(source, destination) as plan:
            parameters = dict(plan.parameters, finish=[], refresh=[])
            for table in parameters["tables"]:
                table["finish"] = []
            succeeded(run("go", plan.operation, parameters))

    for number in (1, 2):
        interrupted()
        assert migrate("go", source, destination).terminal["changed"]
        assert destination.value("SELECT * FROM m") == number
        assert nasty.definitions(destination) == nasty.definitions(source)
        assert not migrate("go", source, destination).terminal["changed"]
        source.execute("INSERT INTO t SELECT max(id) + 1 FROM t", "REFRESH MATERIALIZED VIEW m")


def test_what_is_not_ours_is_not_touched(source: Database, destination: Database) -> None:
    for database, value in ((source, 1), (destination, 1000)):
        database.execute("CREATE SEQUENCE q", f"SELECT setval('q', {value})")
    with pytest.raises(DatabaseError, match="its sequence public.q is elsewhere, and this collection did not write it"):
        planned(source, destination)
    for database in (source, destination):
        database.execute("DROP SEQUENCE q", "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int)")
    source.execute(NOISY, "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noise()")
    with pytest.raises(DatabaseError, match="its table public.t lacks trigger public.t tr, and this"):
        planned(source, destination)
    assert succeeded(migrate("go", source, destination, if_exists="sync"))["triggers_created"] == 1


def test_a_table_that_came_from_elsewhere_is_refused(
    source: Database, destination: Database, source_server: t.Any
) -> None:
    other = source_server.database()
    for database, value in ((source, "production"), (other, "staging")):
        database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)", f"INSERT INTO t VALUES (1, '{value}')")
    succeeded(migrate("go", source, destination))
    assert migrate("go", other, destination).terminal["code"] == "destination_exists"
    assert destination.rows("SELECT v FROM t") == [("production",)]
    other.drop()


def test_a_partition_that_the_source_has_detached_is_named(source: Database, destination: Database) -> None:
    source.execute(*PARENT)
    succeeded(migrate("go", source, destination))
    source.execute("ALTER TABLE parent DETACH PARTITION parent_a")
    with pytest.raises(DatabaseError, match="public.parent_a is a partition there, and none in the source"):
        planned(source, destination)


def test_encodings_and_orders_that_differ(source: Database, destination: Database) -> None:
    with source.server.admin("postgres") as connection:
        connection.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0 OWNER migrator"
        )
    latin = Database(source.server, "latin")
    try:
        latin.execute(
            "SET client_encoding = 'UTF8'",
            "CREATE TABLE t (k text PRIMARY KEY, v text)",
            "INSERT INTO t SELECT (ARRAY['a', 'B'])[1 + n % 2] || n, 'Größe' FROM generate_series(1, 3000) n",
        )
        succeeded(migrate("go", latin, destination, chunk_rows=500))
        latin.execute("UPDATE t SET v = 'x' WHERE k = 'B7'")
        assert succeeded(migrate("go", latin, destination, chunk_rows=500))["rows_updated"] == 1
        assert not migrate("go", latin, destination).terminal["changed"]
        assert destination.value("SELECT count(*) FROM t WHERE v = 'Größe'") == 2999
    finally:
        latin.drop()


def test_unlogged_tables_that_a_crash_has_emptied(source: Database, destination: Database) -> None:
    source.execute("CREATE UNLOGGED TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 100)")
    for _run in range(2):
        succeeded(migrate("go", source, destination))
    destination.server.kill()
    destination.server.start()
    assert succeeded(migrate("go", source, destination))["rows_inserted"] == 100
