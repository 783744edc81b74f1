# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run goes on inside a large file where another was stopped, whichever executor wrote what is there."""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, Run, between_hosts, command, environment, job, run, started
from .trees import rsync_differences, settle, temporaries, write

SIZE = 3_000_000
CHUNK = 65536
Pair = t.Tuple[Path, Path]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    source, destination = tmp_path / "source", tmp_path / "destination"
    write(source / "sub" / "large", os.urandom(SIZE), age=9)
    write(source / "small", b"small", age=9)
    settle(source)
    return source, destination


def parameters(source: Path, destination: Path, **more: t.Any) -> dict[str, t.Any]:
    return {"source": str(source), "destination": str(destination), "chunk_size": CHUNK, "parallel_chunks": 2, **more}


def recorded(destination: Path) -> int:
    """How many ranges of the large file are recorded as written."""
    records = list(destination.glob("sub/.migration-assistant-*.done"))
    return len(records[0].read_bytes().splitlines()) - 1 if records else 0


def go_on(executor: Executor, pair: Pair, least: int) -> Run:
    """Have the rest copied, after a check that foretells how much that is."""
    source, destination = pair
    wanted = parameters(source, destination, verify=True)
    check = run(executor, "file_sync", wanted, dry_run=True)
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", done.terminal
    assert check.statistics == {**done.statistics, "files_verified": 0}
    assert done.statistics["files_resumed"] == 1
    assert done.statistics["bytes_resumed"] >= least * CHUNK
    # What was there is neither read nor written again.
    moved = done.statistics["bytes_copied"]
    assert moved == sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) - (
        done.statistics["bytes_resumed"] + (0 if done.statistics["files_copied"] == 2 else len(b"small"))
    )
    assert done.terminal["performance"]["bytes_transferred"] == moved
    assert rsync_differences(source, destination) == ""
    assert temporaries(destination) == []
    assert run(executor, "file_sync", wanted).changes == []
    return done


def stop(executor: Executor, pair: Pair) -> int:
    """Cancel a run that has recorded some ranges; how many there are then."""
    wanted = between_hosts(executor, parameters(*pair, bandwidth_limit=SIZE // 4))
    with subprocess.Popen(
        command(executor), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(job("file_sync", wanted, lifeline=True))
        process.stdin.flush()
        wait_for_ranges(pair[1])
        process.stdin.close()
        terminal = json.loads(process.stdout.read().splitlines()[-1])
    assert (terminal["event"], terminal["code"], terminal["resumable"]) == ("error", "cancelled", True)
    return recorded(pair[1])


@pytest.mark.parametrize("second", EXECUTORS)
@pytest.mark.parametrize("first", EXECUTORS)
def test_each_executor_goes_on_with_what_each_left(first: Executor, second: Executor, pair: Pair) -> None:
    go_on(second, pair, stop(first, pair))


@pytest.mark.parametrize("second", EXECUTORS)
@pytest.mark.parametrize("first", FAR_SIDES)
def test_a_source_is_the_same_whether_this_or_another_host_has_it(
    first: Executor, second: Executor, pair: Pair
) -> None:
    go_on(second, pair, stop(first, pair))


@pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])
def test_a_source_that_was_written_anew_under_its_old_time_is_not_gone_on_with(executor: Executor, pair: Pair) -> None:
    stop(executor, pair)
    source = pair[0] / "sub" / "large"
    before = source.stat()
    with source.open("r+b") as stream:
        stream.write(os.urandom(SIZE))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_ino == before.st_ino
    wanted = parameters(*pair, compare="checksum")
    check = run(executor, "file_sync", wanted, dry_run=True)
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", done.terminal
    assert check.statistics["files_resumed"] == done.statistics["files_resumed"] == 0
    assert (pair[1] / "sub" / "large").read_bytes() == source.read_bytes()
    assert temporaries(pair[1]) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_killed_run_is_gone_on_with(executor: Executor, pair: Pair) -> None:
    with started(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 4)):
        wait_for_ranges(pair[1])
    go_on(executor, pair, 3)


def wait_for_ranges(destination: Path) -> None:
    deadline = time.monotonic() + 60
    while recorded(destination) < 3:
        assert time.monotonic() < deadline, "nothing is recorded"
        time.sleep(0.02)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_file_that_is_put_in_the_place_of_the_unfinished_one_is_not_gone_on_with(
    executor: Executor, pair: Pair
) -> None:
    stop(executor, pair)
    [part] = pair[1].glob("sub/*.part")
    other = pair[1] / "other"
    other.write_bytes(b"\0" * SIZE)
    other.replace(part)
    done = run(executor, "file_sync", parameters(*pair))
    assert done.statistics["files_resumed"] == 0
    assert rsync_differences(*pair) == ""


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("way", ["link", "hard link"])
def test_nothing_is_written_through_a_link_in_the_place_of_the_unfinished_file(
    executor: Executor, way: str, pair: Pair, tmp_path: Path
) -> None:
    stop(executor, pair)
    [part] = pair[1].glob("sub/*.part")
    victim = tmp_path / "victim"
    part.rename(victim)
    precious = victim.read_bytes()
    if way == "link":
        part.symlink_to(victim)
    else:
        os.link(victim, part)
    done = run(executor, "file_sync", parameters(*pair))
    assert done.terminal["event"] == "result", done.terminal
    assert done.statistics["files_resumed"] == 0
    assert victim.read_bytes() == precious
    assert rsync_differences(*pair) == ""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_not_resumed_is_removed(executor: Executor, pair: Pair) -> None:
    stop(executor, pair)
    wanted = parameters(*pair, resume=False)
    check = run(executor, "file_sync", wanted, dry_run=True)
    done = run(executor, "file_sync", wanted)
    assert done.statistics["temporaries_removed"] == check.statistics["temporaries_removed"] == 2
    assert sorted(map(str, done.changes)) == sorted(map(str, check.changes))
    assert temporaries(pair[1]) == []
    assert rsync_differences(*pair) == ""
    stopped = run(
        executor, "file_sync", {**wanted, "bandwidth_limit": SIZE // 2, "destination": f"{pair[1]}-2"}, timeout=1
    )
    assert stopped.terminal["code"] == "timeout"
    assert temporaries(Path(f"{pair[1]}-2")) == []
