# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the conformance suite."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from .executors import ENGINE, FAR_ENGINES, REPOSITORY, WINDOWS_ENGINE, WINE_ENVIRONMENT, command, environment
from .servers import Database, PostgreSQL, running


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--windows",
        action="store_true",
        help="run the cases of the engine's Windows build, under Wine, and no others",
    )
    parser.addoption(
        "--only-fallback",
        action="store_true",
        help="leave out the cases of the engine, which is the same whatever Python starts it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "windows: needs Wine and the Windows build (tools/setup.py windows)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--windows", default=False)
    chosen = [item for item in items if (item.get_closest_marker("windows") is not None) == wanted]
    if config.getoption("--only-fallback", default=False):
        chosen = [item for item in chosen if executor_of(item) not in ("go", *FAR_ENGINES)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def executor_of(item: pytest.Item) -> t.Any:
    """What the case is run by; None for one that does not say."""
    case = getattr(item, "callspec", None)
    return case.params.get("executor") if case is not None else None


@pytest.fixture(scope="session")
def windows_engine() -> t.Iterator[Path]:
    """The Windows build, and a process that keeps Wine's services running: who starts them also waits for their end."""
    if not WINDOWS_ENGINE.exists():
        pytest.fail(f"{WINDOWS_ENGINE} is missing; run 'tools/setup.py windows'")
    with subprocess.Popen(
        command("windows"), env=environment(**WINE_ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert b'"hello"' in holder.stdout.readline()
        yield WINDOWS_ENGINE


@pytest.fixture(scope="session", autouse=True)
def engine() -> Path:
    """The engine as 'make engine' builds it."""
    if not ENGINE.exists():
        pytest.fail(f"{ENGINE} is missing; run 'make engine'")
    return ENGINE


@pytest.fixture(scope="session")
def failing_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine with its failpoints built in."""
    return build_failing(tmp_path_factory.mktemp("engine") / "migration-engine")


@pytest.fixture(scope="session")
def failing_windows_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_failing(tmp_path_factory.mktemp("engine") / "migration-engine.exe", GOOS="windows")


@pytest.fixture(scope="session")
def source_server() -> t.Iterator[PostgreSQL]:
    """A PostgreSQL server to copy from; one for each worker of pytest."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def destination_server() -> t.Iterator[PostgreSQL]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def source_database(source_server: PostgreSQL) -> Database:
    return source_server.database()


@pytest.fixture(scope="session")
def destination_database(destination_server: PostgreSQL) -> Database:
    return destination_server.database()


@pytest.fixture
def source(source_database: Database) -> t.Iterator[Database]:
    """An empty database to copy from."""
    yield source_database
    source_database.empty()


@pytest.fixture
def destination(destination_database: Database) -> t.Iterator[Database]:
    yield destination_database
    destination_database.empty()


def build_failing(built: Path, **target: str) -> Path:
    go = os.environ.get("GO", "go")
    # Without paths, as the engine itself is built, so that what both have in common is not compiled anew.
    subprocess.run(
        [go, "build", "-trimpath", "-tags", "failpoints", "-o", str(built), "./cmd/migration-engine"],
        cwd=REPOSITORY / "go-engine",
        env=dict(os.environ, CGO_ENABLED="0", **target),
        check=True,
    )
    return built
