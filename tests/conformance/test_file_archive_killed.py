# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at every phase of packing and unpacking: no half a file has its final name, and a rerun completes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from .executors import Executor, environment, job, run
from .test_file_archive import ended, pack, unpack
from .test_file_sync_killed import SUICIDAL_FALLBACK
from .trees import settle, snapshot, temporaries, write

PHASES = {
    "pack": ("temporary_created", "data_written", "renamed"),
    "unpack": ("directory_made", "temporary_created", "data_written", "renamed", "finished"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for number in range(3):
        write(tree / f"d{number}" / "file", b"x" * 1000 * number, mode=0o444, age=number)
    (tree / "link").symlink_to("d1/file")
    os.link(tree / "d2" / "file", tree / "d1" / "hard link")
    settle(tree)
    ended(pack("go", tmp_path, "whole.tar"), True)
    return tmp_path


def parameters(place: Path, action: str) -> dict[str, t.Any]:
    if action == "pack":
        given = {"source": str(place / "tree"), "destination": str(place / "out.tar"), "format": "tar"}
    else:
        given = {"source": str(place / "whole.tar"), "destination": str(place / "unpacked")}
    return {"action": action, **given}


def rerun_completes(executor: Executor, place: Path, action: str, where: str) -> None:
    if action == "pack":
        whole = (place / "whole.tar").read_bytes()
        assert not (place / "out.tar").exists() or (place / "out.tar").read_bytes() == whole, where
        assert pack(executor, place).terminal["event"] == "result", where
        assert (place / "out.tar").read_bytes() == whole, where
        ended(pack(executor, place), False)
        (place / "out.tar").unlink()
    else:
        for path in (place / "unpacked").rglob("file"):
            assert path.read_bytes() == (place / "tree" / path.relative_to(place / "unpacked")).read_bytes(), where
        assert unpack(executor, place, "whole.tar").terminal["event"] == "result", where
        assert snapshot(place / "unpacked") == snapshot(place / "tree"), where
        ended(unpack(executor, place, "whole.tar"), False)
        shutil.rmtree(place / "unpacked")
    assert temporaries(place) == [], where


@pytest.mark.parametrize("action", list(PHASES))
def test_the_engine_killed_at_every_phase(action: str, place: Path, failing_engine: Path) -> None:
    for phase in PHASES[action]:
        for hit in (1, 2) if action == "unpack" and phase != "finished" else (1,):
            env = {"MIGRATION_FAILPOINT": f"file_archive.{phase}:{hit}"}
            killed = run("go", "file_archive", parameters(place, action), engine=failing_engine, env=env)
            assert killed.code == -signal.SIGKILL, (phase, hit)
            rerun_completes("go", place, action, f"{phase}:{hit}")


@pytest.mark.parametrize("action", list(PHASES))
def test_the_fallback_killed_at_every_write(action: str, place: Path) -> None:
    counted = kill_fallback(0, place, action)
    assert counted.returncode == 0, counted.stderr
    writes = int(counted.stderr.rpartition(b"writes: ")[2])
    rerun_completes("python", place, action, "not killed")
    assert writes >= 3
    for fatal in range(1, writes + 1, 1 if action == "pack" else 3):
        assert kill_fallback(fatal, place, action).returncode == -signal.SIGKILL, (fatal, writes)
        rerun_completes("python", place, action, f"killed at write {fatal} of {writes}")


def kill_fallback(fatal: int, place: Path, action: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", SUICIDAL_FALLBACK, str(fatal)],
        input=job("file_archive", parameters(place, action)),
        capture_output=True,
        env=environment(),
        timeout=60,
        check=False,
    )
