# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Destinations whose file system keeps times in whole seconds, as ext3 does and ext4 with small inodes."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, Run, run
from .test_file_sync_safety import Namespace, namespace
from .trees import EPOCH, settle, snapshot, stamp, write

__all__ = ["namespace"]  # a fixture

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
executors = pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])
SECOND = 1_000_000_000
TOLD = [
    ("timestamps_not_preserved", "the destination's file system keeps times in steps of 1s; no finer ones are compared")
]


def mount(namespace: Namespace, path: Path, image: Path, inode: int = 128) -> Path:
    """Mount an empty ext4; gives where its files are seen from here. Inodes of 128 bytes hold whole seconds only."""
    with image.open("wb") as stream:
        stream.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-I", str(inode), "-O", "^has_journal", str(image)], check=True)
    seen = namespace.view(path)
    seen.mkdir(parents=True)
    namespace.call("mount", "-o", "loop", str(image), str(path))
    (seen / "lost+found").rmdir()
    return seen


def build(source: Path) -> None:
    """Some of every kind, with times that have nanoseconds."""
    write(source / "file", b"some content")
    write(source / "whole second")
    os.utime(source / "whole second", ns=(EPOCH, EPOCH))
    write(source / "before 1970")
    os.utime(source / "before 1970", ns=(-1_500_000_000, -1_500_000_000))
    write(source / "folder" / "deep" / "file")
    write(source / "read-only", mode=0o400)
    (source / "empty").mkdir()
    (source / "link").symlink_to("file")
    os.link(source / "file", source / "hard link")
    os.mkfifo(source / "fifo")
    kept = {path: path.stat().st_mtime_ns for path in source.iterdir() if not path.is_symlink() and path.is_file()}
    settle(source)
    for path, time in kept.items():
        os.utime(path, ns=(time, time))


def in_seconds(tree: Path) -> dict[bytes, t.Any]:
    return {path: (kind, time // SECOND, *rest) for path, (kind, time, *rest) in snapshot(tree).items()}


def notices(done: Run) -> list[tuple[str, str]]:
    return [(each["code"], each["message"]) for each in done.warnings]


def four_times(one: t.Callable[[bool], Run]) -> list[Run]:
    """Check, run, check, run: the last two change nothing."""
    seen = [one(dry_run) for dry_run in (True, False, True, False)]
    assert [each.terminal["event"] for each in seen] == ["result"] * 4, seen[-1].terminal
    assert sorted(map(str, seen[0].changes)) == sorted(map(str, seen[1].changes))
    assert seen[1].changes
    assert [each.changes for each in seen[2:]] == [[], []]
    return seen


@executors
@pytest.mark.parametrize("compare", ["quick", "checksum"])
def test_a_second_run_changes_nothing(executor: Executor, compare: str, namespace: Namespace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    build(source)
    there = mount(namespace, tmp_path / "mounted", tmp_path / "image") / "destination"
    parameters = {"source": str(source), "destination": str(tmp_path / "mounted" / "destination"), "delete": True}
    parameters["compare"] = compare

    def one(dry_run: bool) -> Run:
        return run(executor, "file_sync", parameters, dry_run=dry_run, prefix=namespace.prefix)

    seen = four_times(one)
    assert in_seconds(there) == in_seconds(source)
    assert [notices(each) for each in seen] == [[], TOLD, TOLD, TOLD]
    # Nor is anything written where only another entry is to be changed.
    write(source / "folder" / "new")
    settle(source)
    again = one(False)
    assert [each["path"] for each in again.changes] == ["folder/new"]
    assert in_seconds(there) == in_seconds(source)


@executors
def test_what_differs_by_a_second_is_copied(executor: Executor, namespace: Namespace, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    for name in ("later", "earlier", "same"):
        write(source / name, b"old")
    settle(source)
    there = mount(namespace, destination, tmp_path / "image")
    parameters = {"source": str(source), "destination": str(destination)}
    run(executor, "file_sync", parameters, prefix=namespace.prefix)
    for name, time in (("later", EPOCH + SECOND), ("earlier", EPOCH - 1)):
        write(source / name, b"new")
        os.utime(source / name, ns=(time, time))
    settle(source)
    done = run(executor, "file_sync", parameters, prefix=namespace.prefix)
    assert sorted((each["path"], sorted(each["after"])) for each in done.changes) == [
        ("earlier", ["mtime"]),
        ("later", ["mtime"]),
    ]
    assert in_seconds(there) == in_seconds(source)


@executors
def test_of_two_file_systems_each_is_compared_as_it_keeps_times(
    executor: Executor, namespace: Namespace, tmp_path: Path
) -> None:
    """Where nanoseconds are kept, a copy whose time was cut to seconds is another one."""
    source, destination = tmp_path / "source", tmp_path / "destination"
    for name in ("file", "inner/file"):
        write(source / name, b"old")
    settle(source)
    there = mount(namespace, destination, tmp_path / "outer.image", inode=256)
    inner = mount(namespace, destination / "inner", tmp_path / "inner.image")
    parameters = {"source": str(source), "destination": str(destination)}
    run(executor, "file_sync", parameters, prefix=namespace.prefix)
    for path in (there / "file", inner / "file"):
        path.write_bytes(b"new")
        os.utime(path, ns=(stamp(0) // SECOND * SECOND,) * 2)
    done = run(executor, "file_sync", parameters, prefix=namespace.prefix)
    assert [each["path"] for each in done.changes] == ["file"]
    assert notices(done) == TOLD


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_archive_is_unpacked_once(executor: Executor, namespace: Namespace, tmp_path: Path) -> None:
    source, archive = tmp_path / "source", tmp_path / "archive.tar"
    build(source)
    packing = {"action": "pack", "format": "tar", "source": str(source), "destination": str(archive)}
    packed = run(executor, "file_archive", packing)
    assert packed.terminal["event"] == "result", packed.terminal
    there = mount(namespace, tmp_path / "mounted", tmp_path / "image") / "destination"
    parameters = {"source": str(archive), "destination": str(tmp_path / "mounted" / "destination"), "action": "unpack"}

    def one(dry_run: bool) -> Run:
        return run(executor, "file_archive", parameters, dry_run=dry_run, prefix=namespace.prefix)

    seen = four_times(one)
    assert in_seconds(there) == in_seconds(source)
    assert [notices(each) for each in seen] == [[], TOLD, TOLD, TOLD]


@contextlib.contextmanager
def restless(path: Path) -> t.Iterator[None]:
    """Change a file again and again, always within the same second."""
    ended = threading.Event()

    def change() -> None:
        for count in itertools.count(1):
            os.utime(path, ns=(EPOCH + count, EPOCH + count))
            if ended.wait(0.01):
                return

    changing = threading.Thread(target=change)
    changing.start()
    try:
        yield
    finally:
        ended.set()
        changing.join()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_file_that_went_on_changing_is_copied_again(executor: Executor, namespace: Namespace, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    write(source / "file", os.urandom(300_000))
    mount(namespace, destination, tmp_path / "image")
    parameters = {"source": str(source), "destination": str(destination)}
    with restless(source / "file"):
        slow = {**parameters, "bandwidth_limit": 600_000}
        done = run(executor, "file_sync", slow, prefix=namespace.prefix)
    assert "source_changed" in [code for code, _message in notices(done)]
    again = run(executor, "file_sync", parameters, prefix=namespace.prefix)
    assert [each["path"] for each in again.changes if each["kind"] == "file"] == ["file"]
    assert run(executor, "file_sync", parameters, prefix=namespace.prefix).changes == []
