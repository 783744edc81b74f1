# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transfers between two hosts that are stopped or lose their connection: they go on, in the same run or the next."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
from pathlib import Path

import pytest

from .executors import FAR_SIDES, Executor, run, serving, started
from .test_file_sync_resumed import SIZE, Pair, go_on, pair, parameters, recorded
from .trees import rsync_differences, temporaries

__all__ = ["pair"]  # a fixture


@pytest.mark.parametrize("executor", list(FAR_SIDES))
def test_between_two_hosts(executor: Executor, pair: Pair) -> None:
    stopped = run(executor, "file_sync", parameters(*pair, bandwidth_limit=SIZE // 4), timeout=3)
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


@pytest.mark.parametrize("executor", ["pull", "python pull"])
def test_what_is_made_after_a_lost_connection_has_the_mode_that_the_umask_leaves(
    executor: Executor, pair: Pair, engine: Path, failing_engine: Path, tmp_path: Path
) -> None:
    if executor == "pull":
        command = dying(engine, failing_engine, "serve.content:1", 1, tmp_path / "deaths")
    else:
        command = dying_after(1, executor, tmp_path / "deaths")
    far = {"command": command, "name": "there", "retries": 2, "connections": 1}
    own = os.umask(0o027)
    try:
        wanted = parameters(*pair, far=far, preserve={"permissions": False}, bandwidth_limit=SIZE // 2)
        done = run(executor, "file_sync", wanted)
    finally:
        os.umask(own)
    assert done.terminal["event"] == "result", done.terminal
    assert done.terminal["performance"]["retry_count"] == 1
    modes = {stat.S_IMODE(path.stat().st_mode) for path in pair[1].rglob("*") if path.is_file()}
    assert modes == {0o640}


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


@pytest.mark.parametrize("executor", list(FAR_SIDES))
def test_a_file_that_is_replaced_while_its_pieces_come_is_told_as_changed(executor: Executor, pair: Pair) -> None:
    [large] = [path for path in pair[0].rglob("*") if path.is_file() and path.stat().st_size == SIZE]
    other = pair[0].parent / "other"
    other.write_bytes(b"x" * (SIZE + 1))
    wanted = parameters(*pair, bandwidth_limit=SIZE // 4)
    with started(executor, "file_sync", wanted, progress_interval=0.1) as events:
        assert next(event for event in events if event["event"] == "progress" and event["bytes_done"])
        other.replace(large)
        *rest, last = events
    assert (last["event"], last["code"]) == ("error", "partial_failure")
    assert [event["code"] for event in rest if event["event"] == "warning"] == ["source_changed"]
    assert run(executor, "file_sync", parameters(*pair)).terminal["event"] == "result"
    assert rsync_differences(*pair) == ""


@pytest.mark.parametrize("executor", list(FAR_SIDES))
def test_a_host_that_has_fallen_silent_does_not_hold_up_the_end_of_a_job(
    executor: Executor, pair: Pair, tmp_path: Path
) -> None:
    running = tmp_path / "running"
    command = ["sh", "-c", f'echo $$ > "{running}"; exec {shlex.join(serving(executor))}']
    far = {"command": command, "name": "there", "connections": 1}
    wanted = parameters(*pair, far=far, bandwidth_limit=SIZE // 8)
    with started(executor, "file_sync", wanted, timeout=3, progress_interval=0.1) as events:
        assert next(event for event in events if event["event"] == "progress" and event["bytes_done"])
        silent = int(running.read_text())
        os.kill(silent, signal.SIGSTOP)
        try:
            *_earlier, last = events
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(silent, signal.SIGKILL)
    assert (last["event"], last["code"]) == ("error", "timeout")


@pytest.mark.parametrize("executor", list(FAR_SIDES))
def test_a_command_that_says_nothing_and_does_not_end_is_ended(executor: Executor, pair: Pair) -> None:
    far = {"command": ["sh", "-c", "exec >&-; exec sleep 1000"], "name": "there"}
    done = run(executor, "file_sync", parameters(*pair, far=far))
    assert (done.terminal["event"], done.terminal["code"]) == ("error", "unreachable")
    assert done.terminal["message"].startswith("unable to reach there: ")


def dying_after(seconds: float, executor: Executor, counted: Path) -> list[str]:
    """A command for the other end, whose first process is killed after a time."""
    serve = shlex.join(serving(executor))
    script = f'echo >> "{counted}"; if [ "$(wc -l < "{counted}")" -le 1 ]; then exec timeout -s KILL {seconds} {serve}'
    return ["sh", "-c", f"{script}; else exec {serve}; fi"]


@pytest.mark.parametrize("executor", ["python pull", "python push"])
def test_the_fallback_makes_a_lost_connection_anew(executor: Executor, pair: Pair, tmp_path: Path) -> None:
    command = dying_after(2, executor, tmp_path / "deaths")
    far = {"command": command, "name": "there", "retries": 2}
    done = run(executor, "file_sync", parameters(*pair, far=far, bandwidth_limit=SIZE // 4))
    assert done.terminal["event"] == "result", done.terminal
    lost = [event for event in done.warnings if event["code"] == "connection_lost"]
    assert [event["message"] for event in lost] == [
        "the connection to there was lost: the connection to the other host was lost; trying again in 1s"
    ]
    assert done.terminal["performance"]["retry_count"] == 1
    assert rsync_differences(*pair) == ""
    assert temporaries(pair[1]) == []
    assert 0 < done.statistics["bytes_copied"] <= SIZE * 2
    assert done.statistics["bytes_resumed"] > 0
    assert run(executor, "file_sync", parameters(*pair)).changes == []


def test_what_cannot_be_reached_in_the_first_place_is_not_tried_again(pair: Pair) -> None:
    far = {"command": ["sh", "-c", "echo no way >&2; exit 255"], "name": "there", "retries": 9}
    done = run("pull", "file_sync", parameters(*pair, far=far))
    assert done.terminal["message"] == "unable to reach there: no way"
    assert done.warnings == []


@pytest.mark.parametrize("executor", FAR_SIDES)
def test_a_time_limit_that_passes_before_the_host_is_reached_is_told_as_such(
    executor: Executor, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    parameters = {
        "source": str(tmp_path / "source"),
        "destination": str(tmp_path / "destination"),
        "far": {"command": ["sleep", "60"]},
    }
    done = run(executor, "file_sync", parameters, timeout=0.5)
    assert done.terminal["code"] == "timeout", done.terminal
