# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every method, by every executor and between two of them, carries all that is hard to carry."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, run
from .torture import NAMES, build_torture, hostile_names
from .trees import rsync_differences, snapshot, temporaries

# What the module makes of its methods.
METHODS: dict[str, dict[str, t.Any]] = {
    "direct_copy": {"parallel_chunks": 1},
    "chunked_transfer": {"parallel_chunks": 4, "chunk_size": 65536},
    "archive_transfer": {"parallel_chunks": 1, "far": {"compression": "zstd"}},
    "hybrid_sync": {"parallel_chunks": 4, "chunk_size": 1 << 20},
}
LOCAL = ("direct_copy", "chunked_transfer")
MATRIX = [(who, how) for who in (*EXECUTORS, *FAR_SIDES) for how in METHODS if who in FAR_SIDES or how in LOCAL]
DEPTH = 30


@pytest.fixture(scope="module")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("torture") / "source"
    build_torture(root)
    return root


def test_the_tree_has_as_many_hostile_names_as_it_says() -> None:
    assert len(set(hostile_names())) >= NAMES


@pytest.mark.parametrize(("executor", "method"), MATRIX)
def test_everything_arrives_and_a_second_run_moves_nothing(
    executor: Executor, method: str, torture: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "destination"
    wanted = {"source": str(torture), "destination": str(destination), "delete": True, "verify": True}
    wanted.update(METHODS[method])
    check = run(executor, "file_sync", wanted, dry_run=True)
    assert not destination.exists()
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", (done.terminal, done.warnings)
    assert [event for event in done.warnings if event["code"] != "codec_replaced"] == []
    assert sorted(map(str, check.changes)) == sorted(map(str, done.changes))
    assert rsync_differences(torture, destination) == ""
    assert snapshot(destination) == snapshot(torture)
    assert temporaries(destination) == []
    again = run(executor, "file_sync", wanted)
    assert (again.terminal["changed"], again.changes) == (False, [])
    assert again.terminal["performance"]["bytes_transferred"] == 0


@pytest.mark.parametrize("executor", (*EXECUTORS, *FAR_SIDES))
def test_paths_that_are_longer_than_a_system_call_takes(executor: Executor, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    deepest = descend(source, make=True)
    try:
        with open("file", "wb", opener=lambda name, flags: os.open(name, flags, 0o640, dir_fd=deepest)) as stream:
            stream.write(b"deep")
        os.symlink("file", "link", dir_fd=deepest)
        os.link("file", "hard", src_dir_fd=deepest, dst_dir_fd=deepest)
    finally:
        os.close(deepest)
    wanted = {"source": str(source), "destination": str(destination), "delete": True}
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", (done.terminal, done.warnings)
    arrived = descend(destination)
    try:
        assert sorted(os.listdir(arrived)) == ["file", "hard", "link"]
        assert os.readlink("link", dir_fd=arrived) == "file"
        info = os.stat("file", dir_fd=arrived)
        assert (info.st_size, info.st_nlink, info.st_mode & 0o777) == (4, 2, 0o640)
    finally:
        os.close(arrived)
    assert run(executor, "file_sync", wanted).changes == []


def descend(root: Path, make: bool = False) -> int:
    """The directory at the end of a path of some 6000 bytes."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(DEPTH):
        name = f"{level}-" + "x" * 200
        if make:
            os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    return descriptor
