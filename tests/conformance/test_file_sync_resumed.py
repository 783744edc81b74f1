# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run goes on inside a large file where another was stopped, whichever executor wrote what is there."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, Run, run, started
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


@pytest.mark.parametrize("second", EXECUTORS)
@pytest.mark.parametrize("first", EXECUTORS)
def test_each_executor_goes_on_with_what_each_left(first: Executor, second: Executor, pair: Pair) -> None:
    stopped = run(first, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 2), timeout=1)
    assert (stopped.terminal["event"], stopped.terminal["code"]) == ("error", "timeout")
    assert stopped.terminal["resumable"]
    found = recorded(pair[1])
    assert found > 2
    go_on(second, pair, found)


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


@pytest.mark.parametrize("executor", ["pull", "push"])
def test_between_two_hosts(executor: Executor, pair: Pair) -> None:
    stopped = run(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 2), timeout=1)
    assert stopped.terminal["code"] == "timeout", stopped.terminal
    go_on(executor, pair, recorded(pair[1]))


@pytest.mark.parametrize("executor", ["pull", "push"])
@pytest.mark.parametrize("hit", [1, 4])
def test_between_two_hosts_after_the_end_with_the_destination_was_killed(
    executor: Executor, hit: int, pair: Pair, failing_engine: Path
) -> None:
    env = {"MIGRATION_FAILPOINT": f"file_sync.range_recorded:{hit}"}
    killed = run(executor, "file_sync", parameters(*pair), engine=failing_engine, env=env)
    assert killed.code == -signal.SIGKILL or killed.terminal["code"] == "unreachable"
    assert recorded(pair[1]) >= hit
    go_on(executor, pair, hit)


@pytest.mark.parametrize("executor", ["pull", "push"])
def test_between_two_hosts_after_the_end_with_the_source_was_killed(
    executor: Executor, pair: Pair, failing_engine: Path
) -> None:
    # Pieces are asked for ahead: the sixth is not sent while the first ones are written.
    env = {"MIGRATION_FAILPOINT": "serve.content:6"}
    killed = run(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 2), engine=failing_engine, env=env)
    assert killed.code == -signal.SIGKILL or killed.terminal["code"] == "unreachable"
    found = recorded(pair[1])
    if found:
        go_on(executor, pair, found)
    else:
        assert temporaries(pair[1]) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_file_that_is_put_in_the_place_of_the_unfinished_one_is_not_gone_on_with(
    executor: Executor, pair: Pair
) -> None:
    run(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 2), timeout=1)
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
    run(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 2), timeout=1)
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
    run(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 2), timeout=1)
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


def dying(engine: Path, failing: Path, failpoint: str, deaths: int, counted: Path) -> list[str]:
    """A command for the other end, whose first processes die at the failpoint."""
    script = (
        f'echo >> "{counted}"; if [ "$(wc -l < "{counted}")" -le {deaths} ]; then'
        f' MIGRATION_FAILPOINT="{failpoint}" exec "{failing}" serve; else exec "{engine}" serve; fi'
    )
    return ["sh", "-c", script]


@pytest.mark.parametrize(
    ("executor", "failpoint"),
    [("pull", "serve.content:9"), ("push", "file_sync.range_recorded:5"), ("push", "file_sync.renamed:1")],
)
def test_a_lost_connection_is_made_anew(
    executor: Executor, failpoint: str, pair: Pair, engine: Path, failing_engine: Path, tmp_path: Path
) -> None:
    command = dying(engine, failing_engine, failpoint, 1, tmp_path / "deaths")
    far = {"command": command, "name": "there", "retries": 2, "connections": 1}
    done = run(executor, "file_sync", parameters(*pair, far=far, bandwidth_limit=SIZE))
    assert done.terminal["event"] == "result", done.terminal
    lost = [event for event in done.warnings if event["code"] == "connection_lost"]
    assert [event["message"].rpartition("; ")[2] for event in lost] == ["trying again in 1s"]
    assert done.terminal["performance"]["retry_count"] == 1
    assert rsync_differences(*pair) == ""
    assert temporaries(pair[1]) == []
    if executor == "pull":
        # What both tries did, and what there is.
        assert done.statistics["files_copied"] == done.statistics["files_total"] == 2
        assert done.statistics["files_unchanged"] == 0
    assert run(executor, "file_sync", parameters(*pair)).changes == []


@pytest.mark.parametrize(
    ("executor", "failpoint"), [("pull", "serve.content:2"), ("push", "file_sync.range_recorded:1")]
)
def test_a_connection_that_is_lost_each_time_ends_the_job(
    executor: Executor, failpoint: str, pair: Pair, engine: Path, failing_engine: Path, tmp_path: Path
) -> None:
    command = dying(engine, failing_engine, failpoint, 9, tmp_path / "deaths")
    far = {"command": command, "name": "there", "retries": 1, "connections": 1}
    done = run(executor, "file_sync", parameters(*pair, far=far))
    assert (done.terminal["event"], done.terminal["code"]) == ("error", "unreachable")
    assert done.terminal["message"].startswith("the connection to there was lost")
    assert done.terminal["resumable"]
    assert len((tmp_path / "deaths").read_text()) == 2


def test_what_cannot_be_reached_in_the_first_place_is_not_tried_again(pair: Pair) -> None:
    far = {"command": ["sh", "-c", "echo no way >&2; exit 255"], "name": "there", "retries": 9}
    done = run("pull", "file_sync", parameters(*pair, far=far))
    assert done.terminal["message"] == "unable to reach there: no way"
    assert done.warnings == []
