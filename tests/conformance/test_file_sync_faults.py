# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong on a disk or with a permission, on one host and between two, by every way a tree can go.

Whatever it is: one clear line that names the side and the entry, nothing deleted, nothing left that a rerun does not
use; and once it is mended a rerun moves what is missing, and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, Run, run, started
from .test_file_sync_between_hosts_rsync import REMOTE_SHELL
from .test_file_sync_safety import Namespace, namespace
from .trees import settle, temporaries, write

__all__ = ["namespace"]  # a fixture

WAYS = (*EXECUTORS, *FAR_SIDES, "rsync pull", "rsync push")
LARGE = 6_000_000
FILES = 30
FILE_SIZE = 300_000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, without its right to pass over modes")


class Scene:
    """Two trees, and a way between them."""

    def __init__(self, way: str, root: Path, namespace: Namespace) -> None:
        self.way = way
        self.source, self.destination = root / "source", root / "destination"
        self.namespace = namespace
        # The destination as the executors see it, with what is mounted there.
        self.seen = namespace.view(self.destination)
        self.destination.mkdir()

    def mount(self, options: str) -> None:
        """Give the destination a file system of its own."""
        self.namespace.mount_memory(self.destination, options)

    def remount(self, options: str) -> None:
        self.namespace.call("mount", "-o", f"remount,{options}", str(self.destination))

    def build(self) -> None:
        """A source, and a destination that has one file of it and two that the source lacks."""
        for number in range(FILES):
            write(self.source / f"folder-{number % 3}" / f"file-{number}", os.urandom(FILE_SIZE), age=number)
        write(self.source / "large", os.urandom(LARGE))
        for name in ("extra", "folder-1/extra"):
            write(self.seen / name, b"of the destination alone")
        settle(self.source)
        shutil.copytree(self.source / "folder-0", self.seen / "folder-0")

    def sync(self, interrupt: t.Callable[[Scene], None] | None = None, **more: t.Any) -> Run:
        """Run once, in the middle of it with an interruption."""
        wanted: dict[str, t.Any] = {"source": str(self.source), "destination": str(self.destination), "delete": True}
        if self.way.startswith("rsync"):
            side = "source" if self.way.endswith("pull") else "destination"
            wanted["far"] = {"side": side, "name": "there", "ssh": REMOTE_SHELL, "host": "there", "connections": 1}
            operation, executor = "ssh_rsync", "python"
        else:
            operation, executor = "file_sync", self.way
            wanted.update(parallel_files=1, chunk_size=65536)
        if interrupt:
            wanted["bandwidth_limit"] = 6_000_000
        seen = []
        with started(
            t.cast(Executor, executor),
            operation,
            {**wanted, **more},
            prefix=self.namespace.prefix,
            obeys_modes=True,
            progress_interval=0.02,
        ) as events:
            for event in events:
                seen.append(event)
                if interrupt and event["event"] == "progress" and event["bytes_done"] > FILE_SIZE:
                    interrupt(self)
                    interrupt = None
        assert interrupt is None, "the run ended before it could be interrupted"
        return Run(0, seen, "")

    def missing(self) -> set[str]:
        """The files that the destination does not have as they are at the source."""
        paths = {str(path.relative_to(self.source)): path for path in self.source.rglob("*") if path.is_file()}

        def is_there(name: str) -> bool:
            there = self.seen / name
            return there.is_file() and there.read_bytes() == paths[name].read_bytes()

        return {name for name in paths if not is_there(name)}

    def extras(self) -> list[str]:
        return [name for name in ("extra", "folder-1/extra") if (self.seen / name).exists()]


@needs_root
@pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])
def test_an_attribute_that_has_no_place_fails_its_file_and_no_other(
    executor: Executor, tmp_path: Path, namespace: Namespace
) -> None:
    source, destination, image = tmp_path / "source", tmp_path / "destination", tmp_path / "image"
    seen = namespace.mount_memory(source)
    for name in ("first", "large", "other"):
        write(seen / name, b"content")
    os.setxattr(seen / "large", "trusted.large", b"x" * 20_000)
    with open(image, "wb") as stream:
        stream.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "256", str(image)], check=True)
    destination.mkdir()
    namespace.call("mount", "-o", "loop", str(image), str(destination))
    failed = run(
        executor, "file_sync", {"source": str(source), "destination": str(destination)}, prefix=namespace.prefix
    )
    assert failed.terminal["code"] == "partial_failure", failed.terminal
    # A new file system's root may keep its time in seconds, which is told too.
    assert [(event["code"], event["path"], event["message"]) for event in failed.warnings if "path" in event] == [
        ("io_error", "large", "the destination has no place for the extended attribute trusted.large of 20000 bytes")
    ]
    assert {path.name for path in namespace.view(destination).iterdir()} == {"first", "other", "lost+found"}


Act = t.Callable[[Scene], None]


def nothing(_scene: Scene) -> None:
    """What most faults need beforehand."""


@dataclass
class Fault:
    """Something that goes wrong, and how that is told: the code, and a pattern of the message.

    *rsync*: the same by rsync, None where it sees to that itself. *prepare* comes before there are trees, *during* in
    the middle of the run.
    """

    name: str
    told: tuple[str, str]
    rsync: tuple[str, str] | None
    mend: Act
    prepare: Act = nothing
    before: Act = nothing
    during: Act | None = None


def side(scene: Scene, path: str) -> Path:
    """What is at a path that begins with the name of a side."""
    name, _slash, rest = path.partition("/")
    return {"source": scene.source, "destination": scene.seen}[name] / rest


def close(path: str, mode: int = 0) -> Act:
    return lambda scene: side(scene, path).chmod(mode)


def reopen(path: str) -> Act:
    return close(path, 0o644 if "file" in path else 0o755)


def mount(size: str) -> Act:
    return lambda scene: scene.mount(f"size={size}")


def remount(options: str) -> Act:
    return lambda scene: scene.remount(options)


def rename(scene: Scene) -> None:
    scene.source.rename(scene.source.with_name("kept"))


def remove(scene: Scene) -> None:
    subprocess.run(["cp", "-a", scene.source, scene.source.with_name("kept")], check=True)
    shutil.rmtree(scene.source)


def bring_back(scene: Scene) -> None:
    scene.source.with_name("kept").rename(scene.source)


UNWRITABLE = ("destination_unwritable", r"the destination DESTINATION cannot be written")
MISSING = ("source_missing", r"the source SOURCE does not exist")
DENIED = "Permission denied"


def failed(pattern: str, count: str = r"\d+ entr(?:y|ies)") -> tuple[str, str]:
    return "partial_failure", f"{count} failed; the first: {pattern}"


FAULTS = [
    Fault(
        "full disk",
        (
            "disk_full",
            r"the destination has no room left for (large|folder-\d/file-\d+): it has \d+ bytes, \d+ bytes are free",
        ),
        ("disk_full", r'the destination has no room left: write failed on "DESTINATION/large": No space left .*'),
        prepare=mount("4m"),
        mend=remount("size=64m"),
    ),
    Fault(
        "read-only target",
        UNWRITABLE,
        ("destination_unwritable", r"the destination DESTINATION cannot be written(: Read-only file system)?"),
        prepare=mount("64m"),
        before=remount("ro"),
        mend=remount("rw"),
    ),
    Fault("closed target", UNWRITABLE, None, before=close("destination", 0o555), mend=reopen("destination")),
    Fault(
        "closed directory of the target",
        failed(rf"folder-1/file-1: unable to write the destination: {DENIED}", "10 entries"),
        None,
        before=close("destination/folder-1", 0o555),
        mend=reopen("destination/folder-1"),
    ),
    Fault(
        "unreadable file",
        failed(rf"folder-1/file-1: unable to read the source: {DENIED}", "1 entry"),
        failed(rf'folder-1/file-1: send_files failed to open "SOURCE/folder-1/file-1": {DENIED} \(13\)', "1 entry"),
        before=close("source/folder-1/file-1"),
        mend=reopen("source/folder-1/file-1"),
    ),
    Fault(
        "unreadable directory",
        failed(rf"folder-1: unable to open the source directory: {DENIED}", "1 entry"),
        failed(rf'folder-1: opendir "SOURCE/folder-1" failed: {DENIED} \(13\)', "1 entry"),
        before=close("source/folder-1"),
        mend=reopen("source/folder-1"),
    ),
    Fault(
        "unreadable source",
        ("io_error", rf"unable to open the source SOURCE: {DENIED}"),
        ("io_error", rf"unable to open the source SOURCE: {DENIED}"),
        before=close("source"),
        mend=reopen("source"),
    ),
    Fault(
        "revoked at the source",
        failed(rf"folder-1(: unable to open the source directory|/file-\d+: unable to read the source): {DENIED}"),
        failed(rf'folder-1/file-\d+: send_files failed to open "SOURCE/folder-1/file-\d+": {DENIED} \(13\)'),
        during=close("source/folder-1"),
        mend=reopen("source/folder-1"),
    ),
    Fault(
        "revoked at the target",
        failed(rf"(folder-\d: unable to make the directory|large: unable to write the destination): {DENIED}"),
        failed(rf'large: rename "DESTINATION/\.large\.\w+" -> "large": {DENIED} \(13\)', "1 entry"),
        during=close("destination", 0o555),
        mend=reopen("destination"),
    ),
    Fault("no source", MISSING, MISSING, before=rename, mend=bring_back),
    Fault(
        "source vanishes",
        ("source_changed", r"the source SOURCE vanished during the run"),
        MISSING,
        during=remove,
        mend=bring_back,
    ),
    Fault(
        "source is moved away",
        ("source_changed", r"the source SOURCE vanished during the run"),
        MISSING,
        during=rename,
        mend=bring_back,
    ),
]
CASES = [
    pytest.param(way, fault, id=f"{way}, {fault.name}")
    for fault in FAULTS
    for way in WAYS
    if fault.rsync or not way.startswith("rsync")
]


@needs_root
@pytest.mark.parametrize(("way", "fault"), CASES)
def test_a_fault_is_told_and_a_rerun_completes(way: str, fault: Fault, namespace: Namespace, tmp_path: Path) -> None:
    scene = Scene(way, tmp_path, namespace)
    fault.prepare(scene)
    scene.build()
    fault.before(scene)

    broken = scene.sync(fault.during).terminal
    code, pattern = (way.startswith("rsync") and fault.rsync) or fault.told
    assert (broken["event"], broken["code"]) == ("error", code), broken
    pattern = pattern.replace("SOURCE", str(scene.source)).replace("DESTINATION", str(scene.destination))
    assert re.fullmatch(pattern, broken["message"]), broken["message"]
    assert scene.extras() == ["extra", "folder-1/extra"], "something was deleted"

    fault.mend(scene)
    missing, unfinished = scene.missing(), temporaries(scene.seen)
    again = scene.sync()
    assert again.terminal["event"] == "result", again.terminal
    figures = again.statistics
    assert figures["files_copied"] == len(missing)
    size = sum((scene.source / name).stat().st_size for name in missing)
    assert figures["bytes_copied"] + figures["bytes_resumed"] == size
    if unfinished and not way.startswith("rsync"):
        assert figures["files_resumed"] == 1, unfinished
    assert temporaries(scene.seen) == []
    assert scene.extras() == []
    assert namespace.call("rsync", "-aHAXni", "--delete", f"{scene.source}/", f"{scene.destination}/") == ""
    last = scene.sync()
    assert (last.changes, last.terminal["performance"]["bytes_transferred"]) == ([], 0)


@needs_root
@pytest.mark.parametrize("way", WAYS)
def test_a_source_that_vanishes_is_an_error_where_nothing_is_to_be_deleted(
    way: str, namespace: Namespace, tmp_path: Path
) -> None:
    scene = Scene(way, tmp_path, namespace)
    scene.build()
    broken = scene.sync(remove, delete=False)
    assert broken.terminal["code"] == ("source_missing" if way.startswith("rsync") else "source_changed")
    assert {event["code"] for event in broken.warnings} <= {"vanished"}


@pytest.mark.parametrize("way", ["rsync pull", "rsync push"])
def test_rsync_replaces_a_directory_in_the_way_if_it_may_delete(way: str, namespace: Namespace, tmp_path: Path) -> None:
    scene = Scene(way, tmp_path, namespace)
    scene.build()
    (scene.seen / "large").mkdir()
    write(scene.seen / "large" / "in the way")
    refused = scene.sync(delete=False).terminal
    assert refused["code"] == "partial_failure"
    assert refused["message"] == (
        "1 entry failed; the first: large: a directory is in the way; delete: true would replace it"
    )
    assert (scene.seen / "large" / "in the way").exists()
    done = scene.sync()
    assert done.terminal["event"] == "result", done.terminal
    assert done.warnings == []
    assert scene.missing() == set()
    assert scene.sync().changes == []
