# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a job holds is seen by its executor alone: not in the process list, not in an environment, not in an event."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, command, environment, job
from .trees import write

CANARY = b"c4n4ry-9f1e7a"


def spread() -> list[str]:
    """Where the canary is to be seen, in command lines and environments of all processes."""
    found = []
    for kind in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{kind}"):
            try:
                if CANARY in path.read_bytes():
                    found.append(str(path))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_running_job_shows_nothing_of_what_it_was_given(executor: Executor, tmp_path: Path) -> None:
    write(tmp_path / "source" / "file", b"x" * 3_000_000)
    parameters = {
        "source": str(tmp_path / "source"),
        "destination": str(tmp_path / "destination"),
        "bandwidth_limit": 1_500_000,
        "filters": [{"action": "exclude", "regex": CANARY.decode(), "rule": f"- {CANARY.decode()}"}],
    }
    with subprocess.Popen(
        command(executor),
        env=environment(),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(job("file_sync", parameters, progress_interval=0.1, sample_interval=0.1))
        process.stdin.close()
        process.stdin = None
        looks = 0
        while process.poll() is None and looks < 10:
            assert spread() == []
            looks += 1
            time.sleep(0.1)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert looks >= 3, "the job was over too soon to be watched"
    assert CANARY not in output + errors
    written = [path for path in tmp_path.rglob("*") if path.is_file() and CANARY in path.read_bytes()]
    assert written == []


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"source": "/nowhere", "destination": "/nowhere/else", "password": CANARY.decode()},
        {"source": {"engine": "sqlite", "database": "x", "password": CANARY.decode()}},
    ],
)
def test_a_refused_job_repeats_no_secret(executor: Executor, parameters: dict[str, object], tmp_path: Path) -> None:
    operation = "database_migrate" if isinstance(parameters["source"], dict) else "file_sync"
    done = subprocess.run(
        command(executor),
        input=job(operation, parameters),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"bad_job" in done.stdout
    assert CANARY not in done.stdout + done.stderr
