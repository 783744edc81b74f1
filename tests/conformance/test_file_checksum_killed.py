# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at every phase of writing a manifest: the old or the new one is there, and a rerun leaves nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from .executors import Executor, environment, job, run
from .test_file_checksum import manifest_of, plain
from .test_file_sync_killed import SUICIDAL_FALLBACK
from .trees import temporaries

OLD = b"the old manifest\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    plain(tmp_path / "tree")
    return tmp_path


def parameters(place: Path) -> dict[str, t.Any]:
    return {"action": "create", "source": str(place / "tree"), "manifest": str(place / "manifest")}


def rerun_completes(executor: Executor, place: Path, where: str) -> None:
    new = manifest_of(place / "tree")
    assert (place / "manifest").read_bytes() in (OLD, new), where
    for changed in ((place / "manifest").read_bytes() == OLD, False):
        again = run(executor, "file_checksum", parameters(place))
        assert (again.terminal["event"], again.terminal["changed"]) == ("result", changed), (where, again.terminal)
        assert (place / "manifest").read_bytes() == new, where
        assert temporaries(place) == [], where


def test_the_engine_killed_at_every_phase(place: Path, failing_engine: Path) -> None:
    for phase in ("temporary_created", "data_written", "renamed"):
        (place / "manifest").write_bytes(OLD)
        env = {"MIGRATION_FAILPOINT": f"file_checksum.{phase}:1"}
        killed = run("go", "file_checksum", parameters(place), engine=failing_engine, env=env)
        assert killed.code == -signal.SIGKILL, phase
        rerun_completes("go", place, phase)


def test_the_fallback_killed_at_every_write(place: Path) -> None:
    (place / "manifest").write_bytes(OLD)
    counted = kill_fallback(0, place)
    assert counted.returncode == 0, counted.stderr
    writes = int(counted.stderr.rpartition(b"writes: ")[2])
    assert writes >= 3
    for fatal in range(1, writes + 1):
        (place / "manifest").write_bytes(OLD)
        assert kill_fallback(fatal, place).returncode == -signal.SIGKILL, (fatal, writes)
        rerun_completes("python", place, f"killed at write {fatal} of {writes}")


def kill_fallback(fatal: int, place: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", SUICIDAL_FALLBACK, str(fatal)],
        input=job("file_checksum", parameters(place)),
        capture_output=True,
        env=environment(),
        timeout=60,
        check=False,
    )
