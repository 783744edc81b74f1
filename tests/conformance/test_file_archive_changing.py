# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tree that others write in while it is packed: the archive is whole, and what it lacks is told."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Event, Executor, command, environment, job
from .test_file_archive import ended, pack, unpack
from .trees import snapshot, temporaries, write

LARGE = 4 << 20
# This takes long enough for the test to come between.
SLOW = {"format": "brotli", "level": 9, "parallel": 1}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    write(tree / "large", random.Random(1).getrandbits(8 * LARGE).to_bytes(LARGE, "big"), age=100)
    for number in range(60):
        write(tree / f"small{number:02d}", b"small", age=100)
    return tree


def pack_while(executor: Executor, tree: Path, happens: t.Callable[[], None], **options: t.Any) -> list[Event]:
    """Pack, while in the middle of the large file something happens."""
    place = tree.parent
    parameters = {"action": "pack", "source": str(tree), "destination": str(place / "out.tar.br"), **SLOW, **options}
    with subprocess.Popen(
        command(executor), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(job("file_archive", parameters))
        process.stdin.flush()
        while not any(path.stat().st_size for path in place.glob(".migration-assistant-*")):
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        assert not (place / "out.tar.br").exists()
        happens()
        process.send_signal(signal.SIGCONT)
        return [json.loads(line) for line in process.stdout]


def notices(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(each["code"], each["path"], each["message"]) for each in events if each["event"] == "warning"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_large_file_lacks_is_zeros_and_told(executor: Executor, tree: Path) -> None:
    before = (tree / "large").read_bytes()
    events = pack_while(executor, tree, lambda: os.truncate(tree / "large", 1 << 20))
    assert events[-1]["event"] == "result", events[-1]
    ((code, path, message),) = notices(events)
    assert (code, path) == ("source_changed", "large")
    ended(unpack(executor, tree.parent, "out.tar.br"), True)
    packed = (tree.parent / "unpacked" / "large").read_bytes()
    kept = len(packed.rstrip(b"\0"))
    assert len(packed) == LARGE
    assert packed[:kept] == before[:kept]
    missing = int(message.partition("its last ")[2].split(" ")[0])
    assert "became shorter" in message
    assert 0 <= LARGE - kept - missing < 16  # what was read may end with zeros
    assert (tree.parent / "unpacked" / "small59").read_bytes() == b"small"
    ended(pack(executor, tree.parent, "out.tar.br", dry_run=True), True)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_appended_to_a_large_file_is_left_for_the_next_run(executor: Executor, tree: Path) -> None:
    before = (tree / "large").read_bytes()

    def append() -> None:
        with open(tree / "large", "ab") as stream:
            stream.write(b"appended")

    events = pack_while(executor, tree, append)
    assert events[-1]["event"] == "result", events[-1]
    assert notices(events) == [("source_changed", "large", "the file changed while it was packed")]
    ended(unpack(executor, tree.parent, "out.tar.br"), True)
    assert (tree.parent / "unpacked" / "large").read_bytes() == before
    ended(pack(executor, tree.parent, "out.tar.br", level=1), True)
    ended(pack(executor, tree.parent, "out.tar.br"), False)
    ended(unpack(executor, tree.parent, "out.tar.br"), True)
    assert snapshot(tree.parent / "unpacked") == snapshot(tree)


@pytest.mark.parametrize("on_vanished", ["warn", "fail"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_vanishes_is_told_or_fails(executor: Executor, on_vanished: str, tree: Path) -> None:
    events = pack_while(executor, tree, (tree / "small59").unlink, on_vanished=on_vanished)
    assert notices(events) == [("vanished", "small59", "the entry vanished before it was read")]
    if on_vanished == "fail":
        assert (events[-1]["event"], events[-1]["code"]) == ("error", "partial_failure")
        assert "small59" in events[-1]["message"]
        assert events[-1]["changed"] is False
        assert not (tree.parent / "out.tar.br").exists()
        assert temporaries(tree.parent) == []
    else:
        assert (events[-1]["event"], events[-1]["changed"]) == ("result", True)
        ended(unpack(executor, tree.parent, "out.tar.br"), True)
        assert set(snapshot(tree.parent / "unpacked")) == set(snapshot(tree))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_replaced_is_packed_as_what_it_is(executor: Executor, tree: Path) -> None:
    def replace() -> None:
        (tree / "small57").unlink()
        (tree / "small57").mkdir()
        write(tree / "small57" / "in it", b"new")
        (tree / "small58").unlink()
        (tree / "small58").symlink_to("small00")
        write(tree / "other", b"x" * 10, age=50)
        (tree / "other").rename(tree / "small59")

    events = pack_while(executor, tree, replace)
    assert (events[-1]["event"], notices(events)) == ("result", []), events[-1]
    ended(unpack(executor, tree.parent, "out.tar.br"), True)
    for root in (tree, tree.parent / "unpacked"):
        os.utime(root, (0, 0))  # others wrote in it after it was packed
    assert snapshot(tree.parent / "unpacked") == snapshot(tree)


WRITER = """
import itertools, os, random, sys
root = sys.argv[1]
rng = random.Random(3)
def discard(path):
    try:
        os.unlink(path)
    except IsADirectoryError:
        os.rmdir(path)
    except FileNotFoundError:
        pass
for number in itertools.count():
    path = os.path.join(root, "d%d" % rng.randrange(3), "f%02d" % rng.randrange(20))
    deed = rng.randrange(6)
    if deed == 0:
        discard(path)
    elif deed == 1:
        discard(path)
        os.mkdir(path)
    elif deed == 2:
        discard(path)
        os.symlink("nowhere", path)
    elif os.path.isdir(path):
        os.rmdir(path)
    else:
        size = rng.choice([0, 1, 1000, 100000, 1 << 20, (1 << 20) + 5000])
        with open(path + ".new", "wb") as stream:
            stream.write(b"%08d" % size * (size // 8) + b"x" * (size % 8))
        os.rename(path + ".new", path)
        if deed == 3:
            with open(path, "ab") as stream:
                stream.write(b"%08d" % size)
        elif deed == 4:
            os.truncate(path, size // 2)
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_archive_is_whole_whatever_others_write(executor: Executor, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(3):
        write(tree / f"d{number}" / "stays", b"stays")
    told = set()
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tree)]) as writer:
        try:
            for _round in range(8):
                done = pack(executor, tmp_path, "out.tar")
                assert done.terminal["event"] == "result", done.terminal
                told |= {each["code"] for each in done.warnings}
                with tarfile.open(tmp_path / "out.tar") as archive:
                    members = archive.getmembers()
                    names = [member.name for member in members]
                    assert len(set(names)) == len(names)
                    assert {f"d{number}/stays" for number in range(3)} <= set(names)
                    for member in members:
                        if member.isfile():
                            stream = archive.extractfile(member)
                            assert stream is not None
                            assert len(stream.read()) == member.size
                ended(unpack(executor, tmp_path, "out.tar", "to", dry_run=True), True)
                assert writer.poll() is None
        finally:
            writer.kill()
    assert told <= {"vanished", "source_changed"}
    ended(pack(executor, tmp_path, "out.tar"), True)
    ended(unpack(executor, tmp_path, "out.tar", "to"), True)
    assert snapshot(tmp_path / "to") == snapshot(tree)
