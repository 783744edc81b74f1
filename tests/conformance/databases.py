# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQLite databases with everything that is hard to carry over, and ways to tell whether two are equal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite
from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options

from .executors import ENGINE, Executor, Run, run

# Every storage class and its edges; invalid UTF-8 and text with a NUL come by CAST, since Python cannot bind them.
VALUES = (
    "NULL", "0", "1", "-1", "1.0", "-0.0", "0.5", "9223372036854775807", "-9223372036854775808",
    "-9223372036854775808.0", "9007199254740993", "9007199254740993.0", "9e999", "-9e999", "4.9e-324", "''", "' '",
    "'0'", "'1'", "'1.0'", "'1e3'", "'0x10'", "'abc'", "'ABC'", "'Größe 価格 🛒'", "CAST(x'ff00fe41' AS TEXT)",
    "CAST(x'610062' AS TEXT)", "x''", "x'00'", "x'00ff00'", "x'31'", "zeroblob(5000)",
)  # fmt: skip
TYPES = (
    "INTEGER", "INT", "BIGINT UNSIGNED", "TEXT", "VARCHAR(10)", "CLOB", "BLOB", "", "REAL", "DOUBLE PRECISION", "FLOAT",
    "NUMERIC", "DECIMAL(10,2)", "BOOLEAN", "DATE", "DATETIME", "JSON", "FLOATING POINT", "ANY",
)  # fmt: skip

SCHEMA = """
CREATE TABLE "quo""te's [x] `y`" ("select" INTEGER, "a b" TEXT, 'sin''gle' BLOB, [brack et] REAL, "日本" TEXT);
CREATE TABLE "Größe"("Ä" TEXT COLLATE NOCASE UNIQUE, "ä2" INT DEFAULT (1 + 2), c TEXT DEFAULT 'it''s' /* why */);
CREATE TABLE negative (v TEXT);
CREATE TABLE "named rowid" (rowid TEXT, v INT);
CREATE TABLE shadowed (rowid TEXT, oid INT, _rowid_ BLOB);
CREATE TABLE ascending (a, b, c, v, PRIMARY KEY (a, b, c)) WITHOUT ROWID;
CREATE TABLE descending (a TEXT COLLATE NOCASE, b INT, v, PRIMARY KEY (a DESC, b DESC)) WITHOUT ROWID;
CREATE TABLE mixed (a TEXT, b INT, c REAL, v, PRIMARY KEY (a COLLATE RTRIM, b DESC, c)) WITHOUT ROWID;
CREATE TABLE oddly_collated (k TEXT COLLATE NOCASE, v, PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID;
CREATE TABLE textual (k TEXT PRIMARY KEY, v);
CREATE TABLE backwards (k INTEGER PRIMARY KEY DESC, v);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE TABLE never_counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE TABLE computed (a INT, s INT GENERATED ALWAYS AS (a * 2) STORED, w TEXT AS (a || 'x') VIRTUAL, b TEXT);
CREATE TABLE parent (
    id INTEGER PRIMARY KEY, self REFERENCES parent (id), other REFERENCES child (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE child (id INTEGER PRIMARY KEY, up REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE checked (v INT CHECK (v > 0));
CREATE TABLE "empty" (a, b);
CREATE TABLE only_key (id INTEGER PRIMARY KEY);
CREATE TABLE log (what);
CREATE INDEX partial ON counted (v) WHERE v IS NOT NULL;
CREATE INDEX expressed ON "Größe" (lower("Ä"), "ä2" DESC);
CREATE UNIQUE INDEX covered ON counted (v, id);
CREATE VIEW seen AS SELECT id, v FROM counted WHERE v IS NOT NULL;
CREATE VIEW broken AS SELECT * FROM no_such_table;
CREATE TRIGGER logged AFTER INSERT ON counted BEGIN INSERT INTO log VALUES (new.id); END;
CREATE TRIGGER recursive AFTER INSERT ON log WHEN new.what > 1000000 BEGIN INSERT INTO log VALUES (new.what - 1); END;
CREATE TRIGGER erased BEFORE DELETE ON COUNTED BEGIN INSERT INTO log VALUES ('deleted'); END;
CREATE TRIGGER instead INSTEAD OF INSERT ON seen BEGIN INSERT INTO counted (v) VALUES (new.v); END;
CREATE VIRTUAL TABLE found USING fts5 (title, body, content = '');
CREATE VIRTUAL TABLE "full text" USING fts4 (body);
CREATE VIRTUAL TABLE places USING rtree (id, x0, x1, y0, y1);
"""


def connect(path: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(str(path), isolation_level=None))


def execute(path: Path, *statements: str) -> None:
    with connect(path) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


def build_nasty(path: Path, *, wal: bool = False, encoding: str = "UTF-8", rows: int = 7) -> None:
    """A database that holds all that SQLite can hold."""
    with connect(path) as connection:
        run = connection.execute
        run("PRAGMA encoding = '%s'" % encoding)
        run("PRAGMA page_size = 1024")
        run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA foreign_keys = OFF")
        connection.executescript(SCHEMA)
        run("BEGIN")
        columns = ", ".join("c%d %s" % (number, kind) for number, kind in enumerate(TYPES))
        run("CREATE TABLE every (%s)" % columns)
        for value in VALUES:
            run("INSERT INTO every VALUES (%s)" % ", ".join([value] * len(TYPES)))
        if sqlite3.sqlite_version_info >= (3, 37):
            run("CREATE TABLE strict (i INTEGER, a ANY, t TEXT NOT NULL) STRICT")
            run("INSERT INTO strict VALUES (1, '1', 'x'), (2, 1, ''), (3, 1.0, 'z')")
        for number in range(rows):
            _fill(connection, number)
        run("INSERT INTO negative (rowid, v) VALUES (-9223372036854775808, 'least'), (-5, 'x'), (0, 'zero')")
        run("INSERT INTO negative (rowid, v) VALUES (9223372036854775807, 'most')")
        run("DELETE FROM counted WHERE id > 3")
        run("PRAGMA ignore_check_constraints = ON")
        run("INSERT INTO checked VALUES (-1), (1)")
        run("COMMIT")
        run("PRAGMA user_version = -42")
        run("PRAGMA application_id = 1196444487")
        run("ANALYZE")
        if wal:
            run("PRAGMA journal_mode = WAL").fetchall()


def _fill(connection: sqlite3.Connection, n: int) -> None:
    letter = chr(ord("a") + n % 26)
    for sql, values in (
        ("""INSERT INTO "quo""te's [x] `y`" VALUES (?, ?, ?, ?, ?)""", (n, letter, b"\0" * n, n / 7, "\0")),
        ('INSERT INTO "Größe" VALUES (?, ?, ?)', ("Ü%d" % n, n, None)),
        ('INSERT INTO "named rowid" VALUES (?, ?)', ("r%d" % (n % 2), n)),
        ("INSERT INTO shadowed VALUES (?, ?, ?)", ("same", n % 2, None)),
        ("INSERT INTO ascending VALUES (?, ?, ?, ?)", (n % 2, letter if n % 3 else n, float(n), n)),
        ("INSERT INTO descending VALUES (?, ?, ?)", (letter.upper() if n % 2 else letter, n % 3, n)),
        ("INSERT INTO mixed VALUES (?, ?, ?, ?)", ("x" + " " * (n % 2) + str(n // 4), n % 2, n / 2, n)),
        ("INSERT INTO oddly_collated VALUES (?, ?)", (letter, n)),
        ("INSERT INTO oddly_collated VALUES (?, ?)", (letter.upper(), n)),
        ("INSERT INTO textual VALUES (?, ?)", (None if n % 3 == 0 else letter, n)),
        ("INSERT INTO backwards VALUES (?, ?)", (n * 10, n)),
        ("INSERT INTO counted (v) VALUES (?)", (n if n % 2 else None,)),
        ("INSERT INTO computed (a, b) VALUES (?, ?)", (n, letter)),
        ("INSERT INTO parent VALUES (?, ?, ?)", (n, (n + 1) % 7, 1000 + n)),
        ("INSERT INTO child VALUES (?, ?)", (n, n)),
        ("INSERT INTO only_key VALUES (?)", (n * 3,)),
        ("INSERT INTO found (rowid, title, body) VALUES (?, ?, ?)", (n + 1, letter, "words %d" % n)),
        ('INSERT INTO "full text" (body) VALUES (?)', ("text %d" % n,)),
        ("INSERT INTO places VALUES (?, ?, ?, ?, ?)", (n, n, n + 1, n, n + 2)),
    ):
        connection.execute(sql, values)


def content(path: Path, *, ordered: bool = True) -> dict[str, t.Any]:
    """All that makes a database what it is, to the bit. *ordered*: the catalog in creation order."""
    with connect(path) as connection:
        catalog = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").fetchall()
        tables = [
            row[0]
            for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite_stat%'"
            )
        ]
        settings = {
            name: connection.execute("PRAGMA %s" % name).fetchone()[0]
            for name in ("user_version", "application_id", "encoding")
        }
        connection.text_factory = bytes
        rows = {name: _rows(connection, name) for name in tables}
    # A trigger's table is noted as it was written.
    catalog = [(kind, name, table.lower(), sql) for kind, name, table, sql in catalog]
    # Tables are made first, then the rest, each in its order.
    catalog.sort(key=lambda row: row[0] != "table" and row[3] is not None)
    return {"catalog": catalog if ordered else sorted(catalog, key=repr), "settings": settings, "rows": rows}


def _rows(connection: sqlite3.Connection, table: str) -> list[t.Any]:
    quoted = '"%s"' % table.replace('"', '""')
    names = [row[1].decode() for row in connection.execute("PRAGMA table_xinfo(%s)" % quoted)]
    rowid = next((alias for alias in ("rowid", "oid", "_rowid_") if alias not in names), "NULL")
    columns = ", ".join('typeof("{0}"), "{0}"'.format(name.replace('"', '""')) for name in names)
    for first in (rowid, "NULL"):
        try:
            found = connection.execute("SELECT %s, %s FROM %s" % (first, columns, quoted)).fetchall()
            break
        except sqlite3.OperationalError:
            # A table without rowid has none to ask for.
            continue
    return sorted(([struct.pack("d", v) if isinstance(v, float) else v for v in row] for row in found), key=repr)


def dump(path: Path) -> bytes:
    """The shell's own idea of the contents; empty where there is no shell."""
    shell = shutil.which("sqlite3")
    if shell is None:
        return b""
    return subprocess.run([shell, str(path), ".dump"], capture_output=True, check=True).stdout


def migrate(
    executor: Executor,
    source: Path,
    destination: Path,
    *,
    engine: Path = ENGINE,
    dry_run: bool = False,
    env: t.Mapping[str, str] | None = None,
    progress_interval: float = 1,
    **options: t.Any,
) -> Run:
    """Plan a migration and have it carried out. *options*: those of the plan."""
    wishes = Options(dry_run=dry_run, **options)
    with sqlite.plan({"database": str(source)}, {"database": str(destination)}, wishes) as plan:
        return run(
            executor,
            "database_migrate",
            plan.parameters,
            engine=engine,
            env=env,
            dry_run=dry_run,
            progress_interval=progress_interval,
        )


def state(directory: Path, ignored: str = "none") -> dict[str, t.Any]:
    """Names, contents and times of all files of a directory but those whose names end in *ignored*."""
    return {
        entry.name: (Path(entry.path).read_bytes(), entry.stat().st_mtime_ns, entry.stat().st_ino, entry.stat().st_mode)
        for entry in os.scandir(directory)
        if not entry.name.endswith(ignored)
    }


def leftovers(directory: Path, *expected: str) -> list[str]:
    """Files beside the expected ones and the records."""
    names = {name for name in os.listdir(directory) if not name.endswith(".migration-assistant.json")}
    return sorted(names - set(expected))
