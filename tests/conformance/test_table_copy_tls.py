# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""table_copy by encrypted connections: what is asked of the server's certificate, and of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, run
from .servers import ACCOUNT, ROLE, Database, PostgreSQL, running
from .table_jobs import RECORDS, parameters, step, succeeded, table


def certify(directory: Path, name: str, subject: str, *names: str, authority: t.Optional[Path] = None) -> Path:
    """A certificate with its key beside it: of an authority, or signed by one."""
    made = directory / f"{name}.crt"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", f"/CN={subject}", "-keyout", str(made.with_suffix(".key")), "-out", str(made)]
    if authority is not None:
        words += ["-CA", str(authority), "-CAkey", str(authority.with_suffix(".key"))]
        words += ["-addext", "basicConstraints=critical,CA:false"]
    if names:
        words += ["-addext", "subjectAltName=" + ",".join(names)]
    subprocess.run(words, check=True, capture_output=True)
    made.with_suffix(".key").chmod(0o600)
    return made


@pytest.fixture(scope="module")
def certificates() -> t.Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="migration-assistant-test-"))
    directory.chmod(0o755)
    authority = certify(directory, "authority", "Test Authority")
    certify(directory, "other", "Other Authority")
    server = certify(directory, "server", "localhost", "DNS:localhost", authority=authority)
    certify(directory, "client", ROLE, authority=authority)
    if os.geteuid() == 0:
        shutil.chown(server.with_suffix(".key"), ACCOUNT, ACCOUNT)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def encrypting(certificates: Path) -> t.Iterator[PostgreSQL]:
    """A server that takes encrypted connections only, and those of one address with our certificate only."""
    settings = {
        "ssl": "on",
        "ssl_cert_file": str(certificates / "server.crt"),
        "ssl_key_file": str(certificates / "server.key"),
        "ssl_ca_file": str(certificates / "authority.crt"),
        "listen_addresses": "127.0.0.1,127.0.0.2",
    }
    with running(**settings) as server:
        (server.data / "pg_hba.conf").write_text(
            "local all postgres trust\n"
            "hostssl certified all 127.0.0.1/32 cert\n"
            "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        with server.admin("postgres") as connection:
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE DATABASE certified OWNER {ROLE}")
        yield server


CASES = {
    "prefer": ("localhost", "prefer", None, None),
    "require": ("localhost", "require", None, None),
    "authority": ("127.0.0.1", "verify-ca", "authority", None),
    "name": ("localhost", "verify-full", "authority", None),
    "plain": ("localhost", "disable", None, "access_denied"),
    "other authority": ("localhost", "verify-ca", "other", "database_error"),
    "other name": ("127.0.0.1", "verify-full", "authority", "database_error"),
    "no authority": ("localhost", "verify-ca", "missing", "database_error"),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", list(CASES))
def test_the_servers_certificate(
    executor: Executor, case: str, source: Database, encrypting: PostgreSQL, certificates: Path
) -> None:
    host, mode, root, code = CASES[case]
    tls = {"mode": mode, "root_certificate": str(certificates / f"{root}.crt") if root else None}
    destination = encrypting.database()
    wire = parameters(source, destination, [], retries=0)
    wire["destination"].update(host=host, tls=tls)
    sql = "SELECT 1 / count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
    wire["prepare"] = [step("setting", "encrypted", sql)]
    done = run(executor, "table_copy", wire, patience=60)
    if code is None:
        succeeded(done)
    else:
        assert done.terminal["code"] == code, done.terminal
        assert "\n" not in done.terminal["message"]
    destination.drop()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("certified", [True, False])
def test_our_certificate(
    executor: Executor, certified: bool, source: Database, encrypting: PostgreSQL, certificates: Path
) -> None:
    wire = parameters(source, Database(encrypting, "certified"), [], retries=0)
    tls: t.Dict[str, t.Any] = {"mode": "verify-full", "root_certificate": str(certificates / "authority.crt")}
    if certified:
        tls.update(certificate=str(certificates / "client.crt"), key=str(certificates / "client.key"))
    wire["destination"].update(host="localhost", password=None, tls=tls)
    done = run(executor, "table_copy", wire, patience=60)
    if certified:
        succeeded(done)
    else:
        assert done.terminal["code"] == "access_denied", done.terminal


@pytest.mark.parametrize("executor", EXECUTORS)
def test_rows_by_encrypted_connections(executor: Executor, encrypting: PostgreSQL) -> None:
    source, destination = encrypting.database(), encrypting.database()
    make = "CREATE TABLE t (id int PRIMARY KEY, v text)"
    source.execute(make, "INSERT INTO t SELECT n, repeat(md5(n::text), n % 100) FROM generate_series(1, 20000) AS n")
    destination.execute(make, RECORDS)
    wire = parameters(source, destination, [table("t", "load")], chunk_rows=5000, verify="full")
    for side in ("source", "destination"):
        wire[side].update(host="localhost", tls={"mode": "require"})
    started = time.monotonic()
    done = succeeded(run(executor, "table_copy", wire))
    assert done.statistics["rows_verified"] == 20_000
    assert done.statistics["bytes_copied"] > 30_000_000
    assert time.monotonic() - started < 20
    for database in (source, destination):
        database.drop()
