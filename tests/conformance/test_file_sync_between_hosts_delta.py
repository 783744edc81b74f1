# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large file that has changed on another host: what is the same as before is not sent."""

from __future__ import annotations

import os
import random
import typing as t
from pathlib import Path

import pytest

from .executors import FAR_SIDES, Executor, Run, run
from .trees import rsync_differences, settle, temporaries, write

SIZE = 12_000_000
BLOCK = 16 << 10
Pair = t.Tuple[Path, Path]
sides = pytest.mark.parametrize("executor", list(FAR_SIDES))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    source, destination = tmp_path / "source", tmp_path / "destination"
    content = random.Random(5).randbytes(SIZE)
    write(source / "large", content, age=5)
    write(destination / "large", content, age=9)
    return source, destination


def change(path: Path, *places: int, length: int = 3) -> None:
    """Write other bytes at these places."""
    with open(path, "r+b") as stream:
        for place in places:
            stream.seek(place)
            stream.write(os.urandom(length))


def sync(executor: Executor, pair: Pair, **more: t.Any) -> Run:
    settle(pair[0])
    wanted = {"source": str(pair[0]), "destination": str(pair[1]), **more}
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(*pair) == ""
    assert temporaries(pair[1]) == []
    assert run(executor, "file_sync", wanted).changes == []
    assert done.statistics["bytes_copied"] + done.statistics["bytes_reused"] == (pair[0] / "large").stat().st_size
    return done


@sides
@pytest.mark.parametrize("more", [{}, {"chunk_size": 1 << 20, "parallel_chunks": 3}, {"resume": False}])
def test_blocks_that_have_changed_are_sent_alone(executor: Executor, more: dict[str, t.Any], pair: Pair) -> None:
    # Two of these lie in one block, and one reaches into the next.
    change(pair[0] / "large", 0, 100, 5_000_000, 7 * BLOCK - 1, SIZE - 3)
    done = sync(executor, pair, verify=True, **more)
    assert done.statistics["bytes_copied"] == 4 * BLOCK + SIZE % BLOCK
    assert done.terminal["performance"]["bytes_transferred"] == done.statistics["bytes_copied"]


@sides
def test_what_was_added_is_sent_alone(executor: Executor, pair: Pair) -> None:
    with open(pair[0] / "large", "ab") as stream:
        stream.write(os.urandom(1_000_000))
    assert sync(executor, pair).statistics["bytes_copied"] <= 1_000_000 + BLOCK


@sides
def test_a_file_that_has_become_shorter(executor: Executor, pair: Pair) -> None:
    os.truncate(pair[0] / "large", 9_000_000)
    assert sync(executor, pair).statistics["bytes_copied"] <= BLOCK


@sides
def test_a_file_that_is_another_is_sent_whole(executor: Executor, pair: Pair) -> None:
    write(pair[0] / "large", os.urandom(SIZE), age=3)
    done = sync(executor, pair)
    assert (done.statistics["bytes_copied"], done.statistics["bytes_reused"]) == (SIZE, 0)


@sides
def test_other_names_of_the_earlier_file_keep_its_content(executor: Executor, pair: Pair) -> None:
    before = (pair[1] / "large").read_bytes()
    outside = pair[1].parent / "outside"
    os.link(pair[1] / "large", outside)
    change(pair[0] / "large", 1_000_000)
    sync(executor, pair)
    assert outside.read_bytes() == before


@sides
def test_a_file_with_holes_arrives_with_them(executor: Executor, pair: Pair) -> None:
    with open(pair[0] / "large", "r+b") as stream:
        stream.truncate(1 << 20)
        stream.truncate(30 << 20)
    sync(executor, pair)
    assert (pair[1] / "large").stat().st_blocks * 512 < 2 << 20
