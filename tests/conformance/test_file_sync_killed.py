# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at every phase of a sync, then a rerun: it completes, the trees are equal, nothing is left behind."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from .executors import FALLBACK, FAR_FALLBACKS, Executor, command, environment, job, run, serving
from .trees import rsync_differences, settle, temporaries, write

Pair = t.Tuple[Path, Path]

# At least these phases must be met, so that a renamed failpoint cannot make the test hollow.
LEAST_PHASES = 12

# Kills its own process at the N-th system call of those that change something, as Python's audit events tell them. At
# its end it tells how many there were: on standard error, and in the file that WRITES names.
SUICIDAL_FALLBACK = f"""
import os, runpy, signal, sys
WRITES = {{"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink", "os.utime", "os.chmod",
          "os.chown", "os.truncate", "os.setxattr", "open"}}
fatal, count, log = int(sys.argv[1]), 0, os.open(os.environ.get("WRITES", os.devnull), os.O_CREAT | os.O_WRONLY)
def hook(event, arguments):
    global count
    if event not in WRITES or event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
        return
    count += 1
    if count == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
sys.argv[1:2] = []
leave = os._exit
def tell(code):
    os.write(log, b"%d" % count)
    leave(code)
os._exit = tell
try:
    runpy.run_module({FALLBACK!r}, run_name="__main__", alter_sys=True)
finally:
    os.write(log, b"%d" % count)
    sys.stderr.write("writes: %d" % count)
"""


def build(source: Path, destination: Path) -> None:
    """Trees that take a sync through each of its phases."""
    build_files(source, destination)
    (source / "link").symlink_to("large")
    os.mkfifo(source / "fifo")
    write(destination / "link", b"in the way")
    settle(source)


def build_files(source: Path, destination: Path) -> None:
    """What every platform has of them."""
    for number in range(12):
        write(source / f"folder-{number % 3}" / f"file-{number}", b"x" * 1000 * number, age=number)
    write(source / "large", os.urandom(300_000))
    os.link(source / "folder-0" / "file-0", source / "hard link")
    write(destination / "extra" / "file", b"extra")
    write(destination / "folder-1" / "file-1", b"old")
    write(destination / "folder-2" / "file-2", b"x" * 2000, 0o600, age=2)
    write(destination / ".migration-assistant-0123456789abcdef.tmp", b"of an earlier kill")


def parameters(source: Path, destination: Path) -> dict[str, t.Any]:
    return {
        "source": str(source),
        "destination": str(destination),
        "delete": True,
        "verify": True,
        "chunk_size": 65536,
        "parallel_chunks": 2,
    }


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    destination.mkdir()
    build(source, destination)
    return source, destination


def anew(source: Path, destination: Path) -> None:
    clear(source, destination)
    build(source, destination)


def clear(source: Path, destination: Path) -> None:
    for root in (source, destination):
        shutil.rmtree(root)
        root.mkdir()


def rerun_completes(executor: Executor, source: Path, destination: Path, where: str) -> None:
    again = run(executor, "file_sync", parameters(source, destination))
    assert again.terminal["event"] == "result", (where, again.terminal)
    assert rsync_differences(source, destination) == "", where
    assert temporaries(destination) == [], where
    assert run(executor, "file_sync", parameters(source, destination)).changes == [], where


def test_the_engine_killed_at_every_phase(pair: Pair, failing_engine: Path, tmp_path: Path) -> None:
    source, destination = pair
    log = tmp_path / "phases"
    run("go", "file_sync", parameters(*pair), engine=failing_engine, env={"MIGRATION_FAILPOINT_LOG": str(log)})
    phases = collections.Counter(log.read_text().split())
    assert len(phases) >= LEAST_PHASES, phases
    for phase, hits in phases.items():
        for hit in sorted({1, (hits + 1) // 2, hits}):
            anew(source, destination)
            killed = run(
                "go",
                "file_sync",
                parameters(*pair),
                engine=failing_engine,
                env={"MIGRATION_FAILPOINT": f"{phase}:{hit}"},
            )
            # With several workers a phase may be met less often than in the counted run, save for its first time.
            assert killed.code == -signal.SIGKILL or hit > 1, (phase, hit, killed.code)
            rerun_completes("go", source, destination, f"killed at {phase}, hit {hit}")


@pytest.mark.parametrize("executor", list(FAR_FALLBACKS))
def test_the_fallback_with_the_destination_killed_at_every_write(executor: Executor, pair: Pair) -> None:
    """By itself or from afar it leaves the same; what it writes is the same, so a sample is enough."""
    source, destination = pair
    writes = count_writes(executor, pair)
    for fatal in range(1, writes + 1, 7):
        anew(source, destination)
        killed = kill_fallback(fatal, pair, executor)
        where = f"killed at write {fatal} of {writes}"
        if executor == "python push":
            assert b'"unreachable"' in killed.stdout or fatal > writes - 8, (where, killed.stdout[-500:])
        else:
            assert killed.returncode == -signal.SIGKILL or fatal > writes - 8, (where, killed.stderr)
        rerun_completes(executor, source, destination, where)


def test_the_fallback_killed_at_every_write(pair: Pair) -> None:
    source, destination = pair
    writes = count_writes("python", pair)
    for fatal in range(1, writes + 1, 3):
        anew(source, destination)
        killed = kill_fallback(fatal, pair)
        assert killed.returncode == -signal.SIGKILL or fatal > writes - 8, (fatal, killed.returncode, killed.stderr)
        rerun_completes("python", source, destination, f"killed at write {fatal} of {writes}")


def count_writes(executor: Executor, pair: Pair) -> int:
    counted = kill_fallback(0, pair, executor)
    assert counted.returncode == 0, counted.stderr
    writes = int((pair[0].parent / "writes").read_text())
    assert writes > 50
    return writes


def kill_fallback(fatal: int, pair: Pair, executor: Executor = "python") -> subprocess.CompletedProcess[bytes]:
    """Run the fallback; the end that has the destination kills itself at that write, and counts its writes."""
    suicidal = [sys.executable, "-c", SUICIDAL_FALLBACK, str(fatal)]
    wanted = parameters(*pair)
    near = [*suicidal, "run"]
    if executor != "python":
        far = serving(executor) if executor == "python pull" else [*suicidal, "serve"]
        wanted["far"] = {"side": FAR_FALLBACKS[executor], "command": far}
        near = near if executor == "python pull" else command("python")
    return subprocess.run(
        near,
        input=job("file_sync", wanted),
        capture_output=True,
        env=environment(WRITES=str(pair[0].parent / "writes")),
        timeout=60,
        check=False,
    )
