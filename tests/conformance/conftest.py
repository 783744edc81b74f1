# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the conformance suite."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .executors import ENGINE, REPOSITORY


@pytest.fixture(scope="session", autouse=True)
def engine() -> Path:
    """The engine as 'make engine' builds it."""
    if not ENGINE.exists():
        pytest.fail(f"{ENGINE} is missing; run 'make engine'")
    return ENGINE


@pytest.fixture(scope="session")
def failing_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine with its failpoints built in."""
    built = tmp_path_factory.mktemp("engine") / "migration-engine"
    go = os.environ.get("GO", "go")
    subprocess.run(
        [go, "build", "-tags", "failpoints", "-o", str(built), "./cmd/migration-engine"],
        cwd=REPOSITORY / "go-engine",
        env=dict(os.environ, CGO_ENABLED="0"),
        check=True,
    )
    return built
