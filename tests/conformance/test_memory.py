# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limit of memory, which every operation has."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, run
from .trees import rsync_differences, settle, write

MEBIBYTE = 1 << 20


@pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])
def test_a_job_above_its_limit_ends_and_a_rerun_goes_on(executor: Executor, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    for number in range(50):
        write(source / f"{number}", b"%d" % number * 1000)
    settle(source)
    parameters = {"source": str(source), "destination": str(destination), "bandwidth_limit": 100_000}
    ended = run(executor, "file_sync", parameters, memory_limit=MEBIBYTE)
    assert (ended.code != 0, ended.terminal["code"]) == (True, "memory_exceeded")
    assert "memory_limit allows 1.0 MB" in ended.terminal["message"]
    assert ended.terminal["resumable"]
    del parameters["bandwidth_limit"]
    done = run(executor, "file_sync", parameters, memory_limit=500 * MEBIBYTE, gc_threshold=50)
    assert done.terminal["event"] == "result", done.terminal
    assert done.terminal["performance"]["memory_usage_bytes"] < 500 * MEBIBYTE
    assert rsync_differences(source, destination) == ""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_memory_of_a_job_is_its_own(executor: Executor, tmp_path: Path) -> None:
    ballast = b"x" * (200 * MEBIBYTE)
    done = run(executor, "file_statistics", {"source": str(tmp_path)})
    assert 0 < done.terminal["performance"]["memory_usage_bytes"] < 100 * MEBIBYTE
    del ballast


@pytest.mark.parametrize("executor", FAR_SIDES)
def test_what_is_under_way_between_two_hosts_takes_no_more_than_its_buffers(executor: Executor, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(source / "large", os.urandom(40 * MEBIBYTE))

    def peak(name: str, **buffers: int) -> int:
        parameters = {
            "source": str(source),
            "destination": str(tmp_path / name),
            "bandwidth_limit": 12 * MEBIBYTE,  # so that what is sent waits, on a busy machine too
            "parallel_files": 4,
            "far": buffers,
        }
        done = run(executor, "file_sync", parameters)
        assert done.terminal["event"] == "result", done.terminal
        return int(done.terminal["performance"]["memory_usage_bytes"])

    little = peak("little", stream_buffer_size=MEBIBYTE // 4)
    assert peak("much", stream_buffer_size=32 * MEBIBYTE) > little + (24 if "python" in executor else 64) * MEBIBYTE
    if "python" not in executor:  # which has one stream
        shared = peak("shared", stream_buffer_size=32 * MEBIBYTE, stream_buffers=1)
        assert shared < little + 32 * MEBIBYTE


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("name", "value"), [("memory_limit", -1), ("gc_threshold", 0), ("gc_threshold", 101)])
def test_limits_that_are_none_are_refused(executor: Executor, name: str, value: int, tmp_path: Path) -> None:
    wrong: dict[str, t.Any] = {name: value}
    refused = run(executor, "file_statistics", {"source": str(tmp_path)}, **wrong)
    assert refused.terminal["code"] == "bad_job"
    assert f"job.{name} " in refused.terminal["message"]
