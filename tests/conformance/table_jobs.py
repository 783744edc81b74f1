# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs of table_copy, with SQL by hand, and ways to tell whether two databases have the same rows."""

from __future__ import annotations

import contextlib
import json
import typing as t

import jsonschema

from .executors import REPOSITORY, Executor, Run, run
from .servers import Database

PROTOCOL = REPOSITORY / "go-engine" / "protocol"
_JOBS = json.loads((PROTOCOL / "job.schema.json").read_text(encoding="utf-8"))["$defs"]
# Made once: that takes longer than an event does.
_PARAMETERS = jsonschema.Draft202012Validator({**_JOBS["table_copy"], "$defs": _JOBS})
_EVENTS = jsonschema.Draft202012Validator(json.loads((PROTOCOL / "event.schema.json").read_text(encoding="utf-8")))

RECORDS = (
    "CREATE TABLE chunk (name text, number bigint, low text, high text, done boolean NOT NULL DEFAULT false,"
    " rows bigint, PRIMARY KEY (name, number))"
)

Parameters = t.Dict[str, t.Any]


def table(name: str, action: str, key: str | None = "id", **other: t.Any) -> Parameters:
    """One table as the plan has it, with a chunk's record for a new one. key: its only key column, None for none."""
    order = key or name
    rows = f"SELECT * FROM {name} WHERE {{range}}"
    hashed = (
        f"SELECT count(*), coalesce(md5(string_agg(md5(one::text), '' ORDER BY md5(one::text))), '')"
        f" FROM ({rows}) AS one"
    )
    made: Parameters = {
        "name": f"public.{name}",
        "action": action,
        "count": f"SELECT count(*) FROM {name}",
        "count_written": f"SELECT count(*) FROM {name}",
        "read": f"COPY ({rows} ORDER BY {order}) TO STDOUT (FORMAT binary)",
        "load": f"COPY {name} FROM STDIN (FORMAT binary)",
        "hash_source": hashed,
        "hash_destination": hashed,
        "replace": [f"TRUNCATE {name}"] if key is None else [],
    }
    if key is not None:
        bounds = {"above": f"{key} > {{key}}", "upto": f"{key} <= {{key}}"}
        digests = f"SELECT quote_literal({key}), md5(one::text) FROM ({rows}) AS one"
        made.update(
            range_source=bounds,
            range_destination=bounds,
            next=f"SELECT quote_literal({key}) FROM {name} WHERE {{range}} ORDER BY {key} OFFSET {{rows}} - 1 LIMIT 1",
            digests_source=digests,
            digests_destination=digests,
            read_keys=f"COPY (SELECT * FROM {name} WHERE {key} IN ({{keys}})) TO STDOUT (FORMAT binary)",
            delete_keys=f"DELETE FROM {name} WHERE {key} IN ({{keys}})",
            delete_range=f"DELETE FROM {name} WHERE {{range}}",
        )
    if action == "load":
        made.update(
            chunks=f"SELECT number, low, high, done, rows FROM chunk WHERE name = '{name}' ORDER BY number",
            split=f"INSERT INTO chunk (name, number, low, high) VALUES ('{name}', {{number}}, {{low}}, {{high}})",
            done=f"UPDATE chunk SET done = true, rows = {{rows}}"
            f" WHERE name = '{name}' AND number = {{number}} AND NOT done",
        )
    return {**made, **other}


def step(kind: str, name: str, *sql: str, **other: t.Any) -> Parameters:
    return {"action": "create", "kind": kind, "name": name, "sql": list(sql), **other}


def parameters(source: Database, destination: Database, tables: list[Parameters], **other: t.Any) -> Parameters:
    return {
        "source": source.address(),
        "destination": destination.address(),
        "workers": 2,
        "chunk_rows": 100,
        "retries": 5,
        "tables": tables,
        **other,
    }


def copy(
    executor: Executor,
    source: Database,
    destination: Database,
    tables: list[Parameters],
    *,
    dry_run: bool = False,
    patience: float = 120,
    **other: t.Any,
) -> Run:
    """Run a job in a snapshot that is held as long as it runs. The job and all events are as the protocol has them."""
    with source.snapshot() as snapshot:
        wire = parameters(source, destination, tables, **{"snapshot": snapshot, **other})
        _PARAMETERS.validate(wire)
        done = run(executor, "table_copy", wire, dry_run=dry_run, patience=patience, progress_interval=0.05)
    for event in done.events:
        _EVENTS.validate(event)
    return done


def contents(database: Database, name: str) -> list[tuple[t.Any, ...]]:
    return database.rows(f"SELECT one::text FROM {name} AS one ORDER BY 1")


def written(database: Database) -> tuple[t.Any, ...]:
    """What changes when anything is written there."""
    with database.server.admin(database.name) as connection:
        position = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    return (position,)


@contextlib.contextmanager
def unwritten(database: Database) -> t.Iterator[None]:
    """Assert that nothing is written at a server."""
    with database.server.admin(database.name) as connection:
        # What reading would clean up is clean then.
        connection.execute("VACUUM")
        connection.execute("CHECKPOINT")
    before = written(database)
    yield
    assert written(database) == before


def succeeded(done: Run) -> Run:
    assert done.terminal["event"] == "result", (done.terminal, done.warnings, done.stderr)
    return done


def changes(done: Run) -> list[tuple[str, str, str]]:
    return [(event["action"], event["kind"], event["path"]) for event in done.changes]
