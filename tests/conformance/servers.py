# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private PostgreSQL servers for tests: on a free port of the loopback and on a Unix socket, gone with the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    import psycopg

ACCOUNT = "postgres"  # the server refuses to run as root
ROLE = "migrator"
PASSWORD = "s3cret-5b1f0c"
STARTS_WITHIN = 60.0  # seconds

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # so that nothing but the tests writes
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "listen_addresses": "127.0.0.1",
    "log_statement": "none",
}
ACCESS = """
local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""


def programs() -> Path:
    """The directory of the newest server that is installed."""
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    candidates += reversed(debian)
    if not candidates:
        pytest.fail("PostgreSQL's server is missing; run 'tools/setup.py test'")
    return candidates[0]


def as_account(*command: str | Path) -> list[str]:
    """Words that run a command as an account that is not root, and end it with the process that started it."""
    words = ["setpriv", "--pdeathsig=INT"]
    if os.geteuid() == 0:
        words += [f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"]
    return [*words, *map(str, command)]


class PostgreSQL:
    """One server. Its role is no superuser, owns its databases, and logs in by password; tests look and meddle as
    superuser over the Unix socket."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self._settings = {**SETTINGS, **settings}
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def create(self) -> None:
        """Make the cluster, and start it."""
        self.directory.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.directory, ACCOUNT, ACCOUNT)
        initialize = ("initdb", "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8")
        subprocess.run(
            as_account(programs() / initialize[0], *initialize[1:], "-D", self.data),
            cwd="/",
            check=True,
            capture_output=True,
        )
        (self.data / "pg_hba.conf").write_text(ACCESS)
        self.start()
        with self.admin("postgres") as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        words = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        command = as_account(programs() / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.directory)
        end = time.monotonic() + STARTS_WITHIN
        while True:
            with open(self.directory / "log", "ab") as log:
                self._process = subprocess.Popen([*command, *words], cwd="/", stdout=log, stderr=log)
            # After a kill -9 what is left of the server before keeps the memory for a moment.
            if self._answers(end) or time.monotonic() > end:
                break
            time.sleep(0.1)
        if self._process.poll() is not None:
            pytest.fail((self.directory / "log").read_text(errors="replace")[-2000:])

    def _answers(self, end: float) -> bool:
        import psycopg

        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(psycopg.OperationalError), self.admin("postgres"):
                return True
            time.sleep(0.05)
        return False

    def kill(self) -> None:
        """End the server as a crash of the machine would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    @contextlib.contextmanager
    def admin(self, database: str) -> t.Iterator[psycopg.Connection[t.Any]]:
        """A superuser's connection, each statement by itself."""
        # Not before it is needed: tests of other things run where it is not installed.
        import psycopg

        connection = psycopg.connect(
            host=str(self.directory), port=self.port, user="postgres", dbname=database, autocommit=True
        )
        with contextlib.closing(connection):
            yield connection

    def database(self) -> Database:
        """A new, empty database that belongs to the role."""
        self._databases += 1
        name = f"test{self._databases}"
        with self.admin("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return Database(self, name)


class Database:
    """One database of a server."""

    def __init__(self, server: PostgreSQL, name: str) -> None:
        self.server = server
        self.name = name

    def execute(self, *statements: str) -> None:
        """Run statements as the role that owns the database."""
        with self.server.admin(self.name) as connection:
            connection.execute(f"SET ROLE {ROLE}")
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[t.Any, ...]]:
        with self.server.admin(self.name) as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> t.Any:
        return self.rows(query)[0][0]

    def address(self, **other: t.Any) -> dict[str, t.Any]:
        """How a job says where it is."""
        return {
            "engine": "postgresql",
            "host": "127.0.0.1",
            "port": self.server.port,
            "user": ROLE,
            "password": PASSWORD,
            "database": self.name,
            **other,
        }

    def end_sessions(self) -> int:
        """Terminate all sessions of the role here, as an administrator does; how many there were."""
        return int(
            self.value(
                "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE usename = '{ROLE}' AND datname = current_database()) AS ended"
            )
        )

    @contextlib.contextmanager
    def snapshot(self) -> t.Iterator[dict[str, t.Any]]:
        """Hold a snapshot open, and give what a job says to read in it."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        with self.server.admin(self.name) as connection:
            connection.execute(begin)
            row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            assert row is not None
            yield {"begin": [begin, f"SET TRANSACTION SNAPSHOT '{row[0]}'"], "renewable": True}

    def empty(self) -> None:
        """Take away what a test has left; quicker than a new database."""
        self.end_sessions()
        with self.server.admin(self.name) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute(f"CREATE SCHEMA public AUTHORIZATION {ROLE}")

    def drop(self) -> None:
        with self.server.admin("postgres") as connection:
            connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(**settings: str) -> t.Iterator[PostgreSQL]:
    """A server of its own, with other settings."""
    # Other users must reach it, and the path of a socket is short.
    base = Path(tempfile.mkdtemp(prefix="migration-assistant-test-"))
    base.chmod(0o755)
    server = PostgreSQL(base / "pg", **settings)
    try:
        server.create()
        yield server
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)
