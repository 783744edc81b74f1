# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare migrations between database servers with other tools: whole processes, in turn, medians of the ratios.

Usage: databases.py [--rounds N] [--rows N] [--tables N] [SCENARIO ...]

Scenarios: postgresql (a new destination), postgresql_unchanged (a destination that is equal: by hashes, and by the
proof that nothing was written). Each has one table of ROWS rows with nine columns and two indexes, and TABLES small
ones. All servers are private ones on this machine, with their data in memory where there is /dev/shm. pgcopydb is
compared where it is installed. Machines are noisy: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from run import COLLECTIONS, ENVIRONMENT, REPOSITORY, Contender, Scenario, compare, version_of

sys.path[:0] = [COLLECTIONS, str(REPOSITORY)]

from ansible_collections.migration.assistant.plugins.module_utils._database import pairs  # noqa: E402
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options  # noqa: E402
from ansible_collections.migration.assistant.plugins.module_utils._executor import places  # noqa: E402
from tests.conformance.executors import command  # noqa: E402
from tests.conformance.servers import PASSWORD, ROLE, Database, running  # noqa: E402

LARGE = """
CREATE TABLE large (
    id bigint PRIMARY KEY, customer integer NOT NULL, state text NOT NULL, amount numeric(12,2), paid boolean,
    placed timestamp with time zone, note text, reference uuid, weight double precision
);
INSERT INTO large SELECT n, n % 100000, (ARRAY['new', 'paid', 'sent', 'done'])[1 + n % 4], n * 1.37, n % 3 = 0,
    '2020-01-01'::timestamptz + n * interval '37 seconds', repeat(md5(n::text), 2), md5('u' || n)::uuid, n / 7.0
    FROM generate_series(1, {rows}) n;
CREATE INDEX large_customer ON large (customer);
CREATE INDEX large_placed ON large (placed);
"""
SMALL = """
CREATE TABLE small_{n} (id integer PRIMARY KEY, name text NOT NULL, value numeric);
INSERT INTO small_{n} SELECT g, 'name ' || g, g / 3.0 FROM generate_series(1, 100) g;
CREATE INDEX small_{n}_name ON small_{n} (name);
"""


def fill(database: Database, rows: int, tables: int) -> str:
    database.execute(LARGE.format(rows=rows))
    for number in range(tables):
        database.execute(SMALL.format(n=number))
    database.execute("ANALYZE")
    size = database.value("SELECT pg_size_pretty(pg_database_size(current_database()))")
    return f"{rows} rows of 9 columns with 3 indexes, and {tables} tables of 100 rows with 2 ({size})"


def migrate(executor: str, sides: str, expected: str) -> None:
    """Plan and run one migration, as the module does, without Ansible around it."""
    known = "" if expected in ("fingerprint", "remembered") else "-nothing"  # else what is known spares the comparison
    places.state_directories = lambda: [os.environ["MIGRATION_BENCHMARK_STATE"] + known]
    source, destination = json.loads(sides)
    with pairs.plan(source, destination, Options(parallel_chunks=2)) as plan:
        job = {"protocol": 1, "id": "benchmark", "operation": plan.operation, "parameters": plan.parameters}
        done = subprocess.run(
            command(t.cast("t.Any", executor)),
            input=json.dumps(job).encode() + b"\n",
            stdout=subprocess.PIPE,
            check=False,
        )
        result = json.loads(done.stdout.splitlines()[-1])
        if done.returncode == 0 and expected == "remembered":
            plan.remember(result["statistics"])
        reached = plan.level or ("changed" if result.get("changed") else "hashes")
    if done.returncode != 0 or expected not in (reached, "remembered"):
        raise SystemExit(f"{executor}: {reached}, not {expected}: {result}")


def ours(executor: str, source: Database, destination: Database, expected: str) -> Contender:
    sides = json.dumps([source.address(), destination.address()])
    return Contender(
        "engine" if executor == "go" else "fallback",
        [sys.executable, __file__, "--migrate", executor, "--expected", expected],
        sides.encode(),
    )


def uri(database: Database) -> str:
    return f"postgresql://{ROLE}@127.0.0.1:{database.server.port}/{database.name}"


def rivals(source: Database, destination: Database, folder: Path) -> list[Contender]:
    dump = folder / "dump"
    restored = (
        f"rm -rf {dump} && pg_dump -Fd -j2 -f {dump} '{uri(source)}'"
        f" && pg_restore -j2 --no-owner -d '{uri(destination)}' {dump}"
    )
    piped = f"pg_dump '{uri(source)}' | psql -q -o /dev/null '{uri(destination)}'"
    found = [
        Contender("pg_dump -j2, restore", ["sh", "-c", restored]),
        Contender("pg_dump | psql", ["sh", "-c", piped]),
    ]
    if shutil.which("pgcopydb"):
        options = [
            "--table-jobs",
            "2",
            "--index-jobs",
            "2",
            "--no-owner",
            "--no-acl",
            "--no-comments",
            "--skip-extensions",
        ]
        words = [
            "pgcopydb",
            "clone",
            "--source",
            uri(source),
            "--target",
            uri(destination),
            "--dir",
            f"{folder}/pgcopydb",
        ]
        found.append(
            Contender("pgcopydb", ["sh", "-c", f'rm -rf {folder}/pgcopydb; exec "$@"', "sh", *words, *options])
        )
    return found


def new_destination(source: Database, destination: Database, amount: str, folder: Path) -> Scenario:
    def reset() -> None:
        with destination.server.admin("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {destination.name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {destination.name} OWNER {ROLE}")
            connection.execute("CHECKPOINT")

    executors = [ours(executor, source, destination, "changed") for executor in ("go", "python")]
    return Scenario(
        "postgresql", [*executors, *rivals(source, destination, folder)], reset, amount + ", verified by ours"
    )


def unchanged(source: Database, destination: Database, amount: str) -> Scenario:
    sides = json.dumps([source.address(), destination.address()])
    for expected in ("changed", "remembered"):
        migrate("go", sides, expected)
    contenders = [ours(executor, source, destination, "hashes") for executor in ("go", "python")]
    proven = ours("go", source, destination, "fingerprint").named("engine, proof")
    return Scenario("postgresql_unchanged", [*contenders, proven], lambda: None, amount + ", nothing to do")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--migrate", help=argparse.SUPPRESS)
    parser.add_argument("--expected", help=argparse.SUPPRESS)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    options = parser.parse_args()
    if options.migrate:
        migrate(options.migrate, sys.stdin.read(), options.expected)
        return
    known = ("postgresql", "postgresql_unchanged")
    unknown = set(options.scenarios) - set(known)
    if unknown:
        parser.error(f"unknown scenario {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    print(f"{os.cpu_count()} processors; {version_of('pg_dump', '--version')}", end="")
    print(f"; pgcopydb {version_of('pgcopydb', '--version')}" if shutil.which("pgcopydb") else "")
    if Path("/dev/shm").is_dir():
        tempfile.tempdir = "/dev/shm"
    with contextlib.ExitStack() as stack:
        source, destination = (stack.enter_context(running()).database() for _side in range(2))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migration-benchmark-")))
        os.environ["MIGRATION_BENCHMARK_STATE"] = str(folder / "migration-assistant")
        ENVIRONMENT.update(os.environ, PYTHONPATH=COLLECTIONS, PGPASSWORD=PASSWORD)  # for the rivals
        amount = fill(source, options.rows, options.tables)
        for name in options.scenarios or known:
            if name == "postgresql":
                compare(new_destination(source, destination, amount, folder), options.rounds)
            else:
                compare(unchanged(source, stack.enter_context(running()).database(), amount), options.rounds)


if __name__ == "__main__":
    main()
