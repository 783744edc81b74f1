# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""table_copy between PostgreSQL servers: what is loaded, compared and repaired."""

from __future__ import annotations

import typing as t

import pytest

from .executors import EXECUTORS, Executor, run
from .servers import Database
from .table_jobs import RECORDS, changes, contents, copy, parameters, step, succeeded, table, unwritten

ITEMS = "CREATE TABLE items (id bigint PRIMARY KEY, name text, amount numeric(12,2), raw bytea, at timestamptz)"
FILL = (
    "INSERT INTO items SELECT n, CASE WHEN n % 7 = 0 THEN NULL ELSE 'Größe 価格 ' || n END, n * 1.25,"
    " decode(md5(n::text), 'hex'), timestamptz '2020-01-01 00:00:00+00' + n * interval '1 second'"
    " FROM generate_series(1, {rows}) AS n"
)


def fill(database: Database, rows: int = 1050) -> None:
    database.execute(ITEMS, FILL.format(rows=rows))


@pytest.fixture
def filled(source: Database, destination: Database) -> t.Tuple[Database, Database]:
    """Both sides have the same rows."""
    fill(source)
    fill(destination)
    return source, destination


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_new_table_is_loaded_in_chunks(executor: Executor, source: Database, destination: Database) -> None:
    fill(source)
    destination.execute(RECORDS)
    items = table(
        "items",
        "load",
        complete=["DELETE FROM chunk"],
        finish=[[step("index", "by_name", "CREATE INDEX ON items (name)")]],
    )
    finish = [[step("constraint", "named", "ALTER TABLE items ADD CONSTRAINT named CHECK (name <> '')")]]
    done = succeeded(
        copy(executor, source, destination, [items], prepare=[step("table", "public.items", ITEMS)], finish=finish)
    )
    assert contents(destination, "items") == contents(source, "items")
    assert destination.value("SELECT count(*) FROM chunk") == 0
    assert changes(done) == [
        ("create", "table", "public.items"),
        ("update", "rows", "public.items"),
        ("create", "index", "by_name"),
        ("create", "constraint", "named"),
    ]
    rows = [event for event in done.changes if event["kind"] == "rows"]
    assert rows[0]["after"] == {"inserted": 1050, "updated": 0, "deleted": 0}
    figures = done.statistics
    assert figures["bytes_copied"] > 1050 * 50
    del figures["bytes_copied"]
    assert figures == {
        "tables": 1, "rows_total": 1050, "rows_copied": 1050, "rows_inserted": 1050, "rows_updated": 0,
        "rows_deleted": 0, "tables_created": 1, "indexes_created": 1, "constraints_created": 1, "triggers_created": 0,
        "views_created": 0, "chunks": 11, "chunks_compared": 0, "chunks_repaired": 0, "resumed_rows": 0,
        "rows_verified": 1050, "changes": 4,
    }  # fmt: skip
    assert done.terminal["changed"] is True
    assert done.terminal["performance"]["rows_copied"] == 1050


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("way", "verify"),
    [
        *(("next", verify) for verify in ("none", "counts", "checksum", "full")),
        ("bounds", "full"),
        ("whole", "checksum"),
    ],
)
def test_however_a_table_is_cut(
    executor: Executor, way: str, verify: str, source: Database, destination: Database
) -> None:
    fill(source, 300)
    destination.execute(RECORDS, ITEMS)
    cut: t.Dict[str, t.Dict[str, t.Any]] = {
        "next": {},
        # Pages of the source, which say nothing about the destination.
        "bounds": {
            "next": None,
            "bounds": ["'(1,0)'", "'(3,0)'"],
            "range_source": {"above": "ctid > {key}", "upto": "ctid <= {key}"},
            "range_destination": None,
        },
        "whole": {"range_source": None, "range_destination": None, "next": None},
    }
    done = succeeded(copy(executor, source, destination, [table("items", "load", **cut[way])], verify=verify))
    assert contents(destination, "items") == contents(source, "items")
    assert done.statistics["chunks"] == {"next": 4, "bounds": 3, "whole": 1}[way]
    assert done.statistics["rows_verified"] == (0 if verify == "none" else 300)
    recorded = destination.rows("SELECT number, low, high, done, rows FROM chunk ORDER BY number")
    assert [row[0] for row in recorded] == list(range(1, len(recorded) + 1))
    assert sum(row[4] for row in recorded) == 300 and all(row[3] for row in recorded)
    assert recorded[0][1] is None and recorded[-1][2] is None
    assert [row[1] for row in recorded[1:]] == [row[2] for row in recorded[:-1]]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_keys_of_any_text(executor: Executor, source: Database, destination: Database) -> None:
    keys = [
        "",
        " ",
        "'",
        "''",
        "\\",
        "\\'",
        "{key}",
        "{keys}",
        "{range}",
        "a\nb",
        "Größe",
        "NULL",
        "--",
        ";",
        "$1",
        "%s",
    ]
    source.execute("CREATE TABLE words (word text PRIMARY KEY, v int)")
    destination.execute(RECORDS, "CREATE TABLE words (word text PRIMARY KEY, v int)")
    values = ", ".join("(convert_from('\\x%s', 'UTF8'), %d)" % (key.encode().hex(), at) for at, key in enumerate(keys))
    source.execute(f"INSERT INTO words VALUES {values}")
    loaded = copy(executor, source, destination, [table("words", "load", key="word")], chunk_rows=1)
    assert succeeded(loaded).statistics["rows_verified"] == len(keys)
    assert contents(destination, "words") == contents(source, "words")
    destination.execute(
        "UPDATE words SET v = -v", "DELETE FROM words WHERE v = -3", "INSERT INTO words VALUES ('x''\\', 1)"
    )
    synced = copy(executor, source, destination, [table("words", "sync", key="word")], chunk_rows=5)
    figures = succeeded(synced).statistics
    assert (figures["rows_inserted"], figures["rows_updated"], figures["rows_deleted"]) == (1, len(keys) - 2, 1)
    assert contents(destination, "words") == contents(source, "words")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("verify", ["none", "checksum", "full"])
def test_equal_tables_are_left_alone(executor: Executor, verify: str, filled: t.Tuple[Database, Database]) -> None:
    source, destination = filled
    with unwritten(destination):
        done = succeeded(copy(executor, source, destination, [table("items", "sync")], verify=verify))
    assert done.changes == []
    assert done.terminal["changed"] is False
    figures = done.statistics
    assert (figures["rows_total"], figures["chunks"], figures["chunks_compared"]) == (1050, 0, 11)
    assert (figures["chunks_repaired"], figures["rows_copied"], figures["bytes_copied"]) == (0, 0, 0)
    assert figures["rows_verified"] == (0 if verify == "none" else 1050)


MEDDLE = (
    "UPDATE items SET amount = amount + 1 WHERE id IN (5, 105, 106)",
    "DELETE FROM items WHERE id IN (7, 700, 1050)",
    "INSERT INTO items (id, name) VALUES (0, 'below'), (-5, 'further below'), (5000, 'above')",
    "INSERT INTO items (id, name) SELECT n, 'surplus' FROM generate_series(6000, 6006) AS n",
)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("verify", ["none", "checksum", "full"])
def test_what_differs_is_repaired_and_counted(
    executor: Executor, verify: str, filled: t.Tuple[Database, Database]
) -> None:
    source, destination = filled
    destination.execute(*MEDDLE)
    with unwritten(destination):
        foretold = succeeded(copy(executor, source, destination, [table("items", "sync")], verify=verify, dry_run=True))
    done = succeeded(copy(executor, source, destination, [table("items", "sync")], verify=verify))
    assert contents(destination, "items") == contents(source, "items")
    assert done.changes == foretold.changes
    assert changes(done) == [("update", "rows", "public.items")]
    assert done.changes[0]["after"] == {"inserted": 3, "updated": 3, "deleted": 10}
    for name in (
        "rows_inserted",
        "rows_updated",
        "rows_deleted",
        "rows_copied",
        "chunks_repaired",
        "rows_total",
        "chunks",
    ):
        assert done.statistics[name] == foretold.statistics[name], name
    assert done.statistics["chunks_repaired"] == 4
    assert done.statistics["rows_total"] == 1050
    again = succeeded(copy(executor, source, destination, [table("items", "sync")], verify=verify))
    assert again.changes == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_only_the_rows_that_differ_are_written(executor: Executor, filled: t.Tuple[Database, Database]) -> None:
    source, destination = filled
    before = dict(destination.rows("SELECT id, ctid::text FROM items"))
    destination.execute("UPDATE items SET name = 'other' WHERE id = 500")
    succeeded(copy(executor, source, destination, [table("items", "sync")]))
    after = dict(destination.rows("SELECT id, ctid::text FROM items"))
    assert [key for key, place in after.items() if before[key] != place] == [500]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("differing", [1000, 2900, 6000])
def test_a_chunk_of_which_much_differs(
    executor: Executor, differing: int, source: Database, destination: Database
) -> None:
    fill(source, 6000)
    fill(destination, 6000)
    destination.execute(
        f"UPDATE items SET name = 'other' WHERE id <= {differing}",
        "INSERT INTO items (id) SELECT -n FROM generate_series(1, 20) AS n",
        "DELETE FROM items WHERE id > 5990",
    )
    done = succeeded(copy(executor, source, destination, [table("items", "sync")], chunk_rows=10_000))
    figures = done.statistics
    expected = (10, min(differing, 5990), 20)
    assert (figures["rows_inserted"], figures["rows_updated"], figures["rows_deleted"]) == expected
    assert contents(destination, "items") == contents(source, "items")
    moved = destination.value("SELECT count(*) FROM items WHERE xmin <> (SELECT xmin FROM items WHERE id = 5000)")
    # Either those rows alone are written, or the whole chunk is.
    assert (moved == 0) == (differing > 3000)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_table_without_a_key(executor: Executor, source: Database, destination: Database) -> None:
    make = ("CREATE TABLE log (at int, what text)", "INSERT INTO log SELECT n % 50, 'x' FROM generate_series(1, 500) n")
    source.execute(*make)
    destination.execute(*make)
    log = table("log", "sync", key=None)
    with unwritten(destination):
        assert succeeded(copy(executor, source, destination, [log])).changes == []
    destination.execute("DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log)")
    foretold = succeeded(copy(executor, source, destination, [log], dry_run=True))
    done = succeeded(copy(executor, source, destination, [log]))
    assert done.changes == foretold.changes
    assert done.changes[0]["after"] == {"inserted": 500, "updated": 0, "deleted": 499}
    assert contents(destination, "log") == contents(source, "log")


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("distance", [1, 900])
def test_unique_values_change_places(executor: Executor, distance: int, filled: t.Tuple[Database, Database]) -> None:
    """Within a chunk, and between two."""
    source, destination = filled
    for database in filled:
        database.execute("CREATE UNIQUE INDEX ON items (name)")
    source.execute(
        "CREATE TEMPORARY TABLE names AS SELECT id, name FROM items",
        f"UPDATE items SET name = NULL WHERE id IN (1, {1 + distance}, 50)",
        f"UPDATE items SET name = (SELECT n.name FROM names n WHERE n.id = 1) WHERE id = {1 + distance}",
        f"UPDATE items SET name = (SELECT n.name FROM names n WHERE n.id = {1 + distance}) WHERE id = 1",
    )
    done = succeeded(copy(executor, source, destination, [table("items", "sync")]))
    assert contents(destination, "items") == contents(source, "items")
    assert done.statistics["rows_updated"] == 3
    assert done.statistics["chunks_repaired"] == (1 if distance == 1 else 2)
    assert done.warnings == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_repairing_transactions_are_set_up_and_ended(executor: Executor, filled: t.Tuple[Database, Database]) -> None:
    source, destination = filled
    destination.execute(
        "CREATE TABLE audit (what text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO audit VALUES (tg_op); RETURN NULL; END $$",
        "CREATE TRIGGER noted AFTER INSERT OR DELETE ON items FOR EACH STATEMENT EXECUTE FUNCTION note()",
    )
    destination.execute(*MEDDLE)
    destination.execute("DELETE FROM audit")
    items = table(
        "items",
        "sync",
        before_repair=["INSERT INTO audit VALUES ('before')", "ALTER TABLE items DISABLE TRIGGER noted"],
        after_repair=["ALTER TABLE items ENABLE TRIGGER noted", "INSERT INTO audit VALUES ('after')"],
    )
    succeeded(copy(executor, source, destination, [items], workers=1))
    assert [row[0] for row in destination.rows("SELECT what FROM audit")] == ["before", "after"] * 4
    assert contents(destination, "items") == contents(source, "items")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_dry_run_writes_nothing_and_foretells(executor: Executor, source: Database, destination: Database) -> None:
    fill(source)
    source.execute("CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1), (2)", "CREATE TABLE empty (id int)")
    job: t.Dict[str, t.Any] = {
        "tables": [
            table("items", "load", finish=[[step("index", "i", "CREATE INDEX i ON items (name)")]]),
            table("empty", "load"),
            table("kept", "keep"),
        ],
        "prepare": [
            step("record", "chunk", RECORDS, action="none"),
            step("table", "public.items", ITEMS),
            step("table", "public.empty", "CREATE TABLE empty (id int PRIMARY KEY)"),
        ],
        "finish": [[step("view", "v", "CREATE VIEW v AS SELECT id FROM items")]],
    }
    with unwritten(destination):
        foretold = succeeded(copy(executor, source, destination, dry_run=True, **job))
    done = succeeded(copy(executor, source, destination, **job))
    assert sorted(map(str, done.changes)) == sorted(map(str, foretold.changes))
    assert ("update", "rows", "public.empty") not in changes(done)
    differing = {"bytes_copied", "rows_verified", "chunks"}
    assert {name: value for name, value in done.statistics.items() if name not in differing} == {
        name: value for name, value in foretold.statistics.items() if name not in differing
    }
    assert foretold.terminal["changed"] is True
    assert done.statistics["rows_total"] == 1052


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("resume", [True, False])
def test_what_is_recorded_is_not_loaded_again(
    executor: Executor, resume: bool, source: Database, destination: Database
) -> None:
    """By a run that was stopped after two of three chunks, and has recorded a third."""
    fill(source, 250)
    destination.execute(
        RECORDS,
        ITEMS,
        FILL.format(rows=100),
        "INSERT INTO chunk VALUES ('items', 1, NULL, quote_literal(50), true, 50),"
        " ('items', 2, quote_literal(50), quote_literal(100), true, 50),"
        " ('items', 3, quote_literal(100), quote_literal(200), false, NULL)",
    )
    # The plan has them cleared where it does not go on from them.
    clear = [step("record", "chunk", "TRUNCATE chunk, items", action="none")]
    job: t.Dict[str, t.Any] = {
        "tables": [table("items", "load")],
        "resume": resume,
        "prepare": [] if resume else clear,
        "chunk_rows": 60,
    }
    before = destination.rows("SELECT id, xmin::text FROM items ORDER BY id")
    foretold = succeeded(copy(executor, source, destination, dry_run=True, **job))
    done = succeeded(copy(executor, source, destination, **job))
    assert contents(destination, "items") == contents(source, "items")
    there = 100 if resume else 0
    assert done.statistics["resumed_rows"] == there
    assert done.statistics["rows_inserted"] == 250 - there
    assert (destination.rows("SELECT id, xmin::text FROM items ORDER BY id")[:100] == before) is resume
    assert done.changes == foretold.changes
    if resume:
        assert destination.rows("SELECT number, high, rows FROM chunk ORDER BY number") == [
            (1, "'50'", 50),
            (2, "'100'", 50),
            (3, "'200'", 100),
            (4, None, 50),
        ]
        again = succeeded(copy(executor, source, destination, **job))
        assert again.changes == [] and again.statistics["resumed_rows"] == 250


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_whole_is_known_before_a_row_moves(executor: Executor, source: Database, destination: Database) -> None:
    fill(source, 2000)
    destination.execute(RECORDS, ITEMS)
    done = succeeded(copy(executor, source, destination, [table("items", "load", rows=2000, bytes=200_000)]))
    events = [event for event in done.events if event["event"] == "progress" and event["phase"] == "load"]
    assert {event["items_total"] for event in events} <= {2000}
    assert all(event["items_done"] <= 2000 for event in events)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_by_unix_sockets(executor: Executor, filled: t.Tuple[Database, Database]) -> None:
    source, destination = filled
    destination.execute("CREATE TABLE seen AS SELECT ''::text AS name, ''::text AS memory WHERE false")
    sql = "INSERT INTO seen VALUES (current_setting('application_name'), current_setting('work_mem'))"
    wire = parameters(
        source, destination, [table("items", "sync")], prepare=[step("setting", "seen", sql, action="none")]
    )
    for side, database in (("source", source), ("destination", destination)):
        wire[side]["host"] = str(database.server.directory)
    wire["destination"].update(application_name="named", session=["SET work_mem = '5MB'"])
    done = succeeded(run(executor, "table_copy", wire))
    assert done.changes == []
    assert destination.rows("SELECT * FROM seen") == [("named", "5MB")]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_several_tables_at_once(executor: Executor, source: Database, destination: Database) -> None:
    names = [f"small{number}" for number in range(30)]
    for name in names:
        source.execute(f"CREATE TABLE {name} AS SELECT n AS id, n::text AS v FROM generate_series(1, 50) AS n")
        destination.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text)")
    fill(source, 2000)
    destination.execute(RECORDS, ITEMS)
    tables = [table("items", "load"), *(table(name, "load") for name in names)]
    done = succeeded(copy(executor, source, destination, tables, workers=4))
    for name in ["items", *names]:
        assert contents(destination, name) == contents(source, name)
    assert done.statistics["rows_total"] == done.statistics["rows_verified"] == 2000 + 30 * 50
    assert done.statistics["chunks"] == 21 + 30
    assert done.terminal["performance"]["concurrent_operations"] > 1


def both(database: Database) -> t.Dict[Executor, Database]:
    """A destination for each executor."""
    return {"go": database, "python": database.server.database()}


def test_both_executors_tell_the_same(source: Database, destination: Database) -> None:
    fill(source)
    source.execute("CREATE TABLE log AS SELECT n % 5 AS at FROM generate_series(1, 50) AS n")
    source.execute("CREATE TABLE broken AS SELECT 1 AS id")
    load: t.Dict[str, t.Any] = {
        "tables": [
            table("items", "load", finish=[[step("index", "i", "CREATE INDEX i ON items (name)")]]),
            table("log", "load", key=None),
            table("broken", "load"),
        ],
        "prepare": [step("table", "items", RECORDS, ITEMS), step("table", "log", "CREATE TABLE log (at int)")],
    }
    sync: t.Dict[str, t.Any] = {"tables": [table("items", "sync"), table("log", "sync", key=None)]}
    finish: t.Dict[str, t.Any] = {"finish": [[step("view", "v", "CREATE VIEW v AS SELECT 1")]]}
    jobs = {
        "foretold": {**load, "dry_run": True},
        "loaded": load,
        "compared": {**sync, **finish},
        "differing": {**sync, "verify": "full", "dry_run": True},
        "repaired": {**sync, "verify": "full"},
        "refused": {"tables": [table("items", "sync", refusal="not these")]},
        "counted": {"tables": [table("items", "keep"), table("log", "sync", key=None)], "verify": "counts"},
    }
    destinations = both(destination)
    for name, job in jobs.items():
        if name == "differing":
            for one in destinations.values():
                one.execute(*MEDDLE, "INSERT INTO log VALUES (9)")
        if name == "refused":
            for one in destinations.values():
                one.execute("UPDATE items SET name = 'theirs' WHERE id = 77")
        told = {
            executor: copy(executor, source, one, workers=1, **job).comparable({})
            for executor, one in destinations.items()
        }
        assert told["go"] == told["python"], name
        assert told["go"]["terminal"]["event"] == ("error" if name in ("loaded", "refused") else "result"), name
    destinations["python"].drop()
