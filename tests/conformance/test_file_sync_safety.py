# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a destination from harm: sources that change, mount points, newer files, disks."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Event, Executor, Run, run, started
from .trees import settle, snapshot, write

Pair = t.Tuple[Path, Path]
executors = pytest.mark.parametrize("executor", EXECUTORS)


@pytest.fixture
def trees(tmp_path: Path) -> Pair:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    destination.mkdir()
    return source, destination


def paths(source: Path, destination: Path) -> dict[str, t.Any]:
    return {"source": str(source), "destination": str(destination)}


# Entries that vanish between their listing and their copying


def vanishing(executor: Executor, source: Path, destination: Path, **parameters: t.Any) -> list[Event]:
    """Copy two files, so slowly that both are gone before the second is opened."""
    for name in ("a", "b"):
        write(source / name, os.urandom(200_000))
    write(destination / "extra")
    wanted = {**paths(source, destination), "bandwidth_limit": 400_000, "parallel_files": 1, "delete": True}
    with started(executor, "file_sync", {**wanted, **parameters}, progress_interval=0.02) as events:
        seen = []
        for event in events:
            if event["event"] == "progress" and event["bytes_done"]:
                for path in source.iterdir():
                    path.unlink()
            seen.append(event)
    return seen


@executors
def test_a_file_that_vanishes_is_told(executor: Executor, trees: Pair) -> None:
    source, destination = trees
    events = vanishing(executor, source, destination)
    assert events[-1]["event"] == "result", events[-1]
    [warning] = [event for event in events if event["event"] == "warning"]
    assert warning["code"] == "vanished"
    assert sorted(os.listdir(destination)) == sorted({"a", "b"} - {warning["path"]})


@executors
def test_a_file_that_vanishes_is_a_failure_if_the_job_says_so(executor: Executor, trees: Pair) -> None:
    source, destination = trees
    events = vanishing(executor, source, destination, on_vanished="fail")
    [warning] = [event for event in events if event["event"] == "warning"]
    assert warning["code"] == "vanished"
    error = events[-1]
    assert (error["event"], error["code"]) == ("error", "partial_failure")
    assert error["message"] == f"1 entry failed; the first: {warning['path']}: the entry vanished before it was read"
    assert sorted(os.listdir(destination)) == sorted({"a", "b", "extra"} - {warning["path"]}), "something was deleted"


# Mount points


class Namespace:
    """Mounts that only this test sees: those of a process of their own."""

    def __init__(self, process: int) -> None:
        self.prefix = ["nsenter", "--target", str(process), "--mount"]
        self._root = Path(f"/proc/{process}/root")

    def call(self, *command: str) -> str:
        return subprocess.run([*self.prefix, *command], check=True, capture_output=True, text=True).stdout

    def view(self, path: Path) -> Path:
        """Where the files are that a process in the namespace sees at *path*."""
        return self._root / path.relative_to("/")

    def mount_memory(self, path: Path, options: str = "size=8m") -> Path:
        """Mount an empty file system."""
        path.mkdir(parents=True, exist_ok=True)
        self.call("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path))
        return self.view(path)

    def four_ways(self, executor: Executor, parameters: dict[str, t.Any]) -> tuple[Run, list[t.Any]]:
        """Check, run, check, run; gives the first run, and what both executors must say alike."""
        destination = Path(parameters["destination"])
        for root in (Path(parameters["source"]), destination):
            settle(self.view(root))
        before = snapshot(self.view(destination))
        seen = []
        for dry_run in (True, False, True, False):
            seen.append(run(executor, "file_sync", parameters, prefix=self.prefix, dry_run=dry_run))
            if len(seen) == 1:
                assert snapshot(self.view(destination)) == before, "a dry run wrote"
        foretold, done, *again = seen
        assert sorted(map(str, foretold.changes)) == sorted(map(str, done.changes))
        if done.terminal["event"] == "result":
            assert [each.changes for each in again] == [[], []]
        names = {destination.parent: "ROOT"}
        return done, [each.comparable(names) for each in seen]


@pytest.fixture
def namespace() -> t.Iterator[Namespace]:
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            pytest.skip("this user can make no mount namespace")
        yield Namespace(holder.pid)
        holder.stdin.close()


def told(done: Run) -> list[tuple[str, str]]:
    return sorted((event["code"], event.get("path", "")) for event in done.warnings)


def under(root: Path) -> Pair:
    for path in (root / "source", root / "destination"):
        path.mkdir(parents=True)
    return root / "source", root / "destination"


def test_what_is_mounted_in_the_source_is_left_out(namespace: Namespace, tmp_path: Path) -> None:
    seen = []
    for executor in EXECUTORS:
        source, destination = under(tmp_path / executor)
        write(source / "own" / "file")
        write(destination / "deep" / "mounted" / "kept" / "file")
        write(destination / "deep" / "extra")
        for name in ("mounted", "deep/mounted"):
            inside = namespace.mount_memory(source / name)
            inside.chmod(0o751)
            write(inside / "inside", b"not copied")
        parameters = {**paths(source, destination), "one_file_system": True, "delete": True}
        done, alike = namespace.four_ways(executor, parameters)
        assert done.terminal["event"] == "result", done.terminal
        assert told(done) == [("mount_point_skipped", "deep/mounted"), ("mount_point_skipped", "mounted")]
        assert sorted(os.listdir(destination)) == ["deep", "mounted", "own"]
        assert os.listdir(destination / "mounted") == []
        assert (destination / "mounted").stat().st_mode & 0o777 == 0o751
        assert (destination / "deep" / "mounted" / "kept" / "file").exists()
        assert not (destination / "deep" / "extra").exists()
        assert done.statistics["skipped"] == 2
        assert namespace.call("rsync", "-aHAXxni", "--delete", f"{source}/", f"{destination}/") == ""
        seen.append(alike)
    assert seen[0] == seen[1]


def test_what_is_mounted_in_the_source_is_copied_by_default(namespace: Namespace, tmp_path: Path) -> None:
    for executor in EXECUTORS:
        source, destination = under(tmp_path / executor)
        write(namespace.mount_memory(source / "mounted") / "inside")
        done, _alike = namespace.four_ways(executor, paths(source, destination))
        assert told(done) == []
        assert (destination / "mounted" / "inside").exists()


def test_the_destination_may_be_mounted_in_the_source(namespace: Namespace, tmp_path: Path) -> None:
    seen = []
    for executor in EXECUTORS:
        source = tmp_path / executor
        write(source / "file")
        destination = source / "mnt" / "new"
        namespace.mount_memory(source / "mnt")
        parameters = {**paths(source, destination), "delete": True}
        refused = run(executor, "file_sync", parameters, prefix=namespace.prefix)
        assert refused.terminal["code"] == "paths_overlap"
        done, alike = namespace.four_ways(executor, {**parameters, "one_file_system": True})
        assert done.terminal["event"] == "result", done.terminal
        assert told(done) == [("mount_point_skipped", "mnt")]
        assert sorted(os.listdir(namespace.view(destination))) == ["file", "mnt"]
        assert os.listdir(namespace.view(destination) / "mnt") == []
        # Within the same file system it is the source's own all the same.
        inside = {**paths(source, source / "inside"), "one_file_system": True}
        refused = run(executor, "file_sync", inside, prefix=namespace.prefix)
        assert refused.terminal["code"] == "paths_overlap"
        seen.append(alike)
    assert str(seen[0]).replace("/go/", "/python/") == str(seen[1])


@pytest.mark.parametrize("kind", ["another file system", "bind mount"])
@pytest.mark.parametrize("place", ["extra", "extra/deep"])
def test_a_mount_point_is_not_emptied(place: str, kind: str, namespace: Namespace, tmp_path: Path) -> None:
    seen = []
    for executor in EXECUTORS:
        source, destination = under(tmp_path / executor)
        write(source / "file")
        write(destination / "another extra")
        mounted = destination / place
        mounted.mkdir(parents=True)
        if kind == "bind mount":
            write(tmp_path / executor / "elsewhere" / "precious")
            namespace.call("mount", "--bind", str(tmp_path / executor / "elsewhere"), str(mounted))
        else:
            write(namespace.mount_memory(mounted) / "precious")
        parameters = {**paths(source, destination), "delete": True}
        done, alike = namespace.four_ways(executor, parameters)
        assert done.terminal["code"] == "partial_failure"
        assert "is a mount point, and nothing in it is deleted" in done.terminal["message"]
        assert told(done) == [("mount_point", place)]
        assert os.listdir(namespace.view(mounted)) == ["precious"]
        assert (destination / "another extra").exists(), "something was deleted"
        protected = {"filters": [{"action": "protect", "regex": place}]}
        done = run(executor, "file_sync", {**parameters, **protected}, prefix=namespace.prefix)
        assert done.terminal["event"] == "result", done.terminal
        assert not (destination / "another extra").exists()
        assert os.listdir(namespace.view(mounted)) == ["precious"]
        seen.append(alike)
    assert seen[0] == seen[1]


def test_a_mount_point_in_the_way_of_a_file_stays(namespace: Namespace, tmp_path: Path) -> None:
    seen = []
    for executor in EXECUTORS:
        source, destination = under(tmp_path / executor)
        write(source / "name", b"file")
        write(namespace.mount_memory(destination / "name") / "precious")
        done, alike = namespace.four_ways(executor, {**paths(source, destination), "delete": True})
        assert done.terminal["code"] == "partial_failure"
        assert told(done) == [("io_error", "name"), ("mount_point", "name")]
        assert os.listdir(namespace.view(destination / "name")) == ["precious"]
        seen.append(alike)
    assert seen[0] == seen[1]


# Files that are newer at the destination


@pytest.mark.parametrize("compare", ["quick", "checksum"])
@executors
def test_newer_files_are_those_of_rsync(executor: Executor, compare: str, trees: Pair) -> None:
    source, destination = trees
    # Sizes differ from file to file, since rsync looks at them.
    for number, (here, there) in enumerate(((9, 1), (1, 9), (5, 5), (9, 9))):
        write(source / f"file{number}", b"s" * number, age=here)
        write(destination / f"file{number}", b"d" * (number + number % 2), age=there)
    settle(source)
    expected = destination.with_name("expected")
    subprocess.run(["cp", "-a", destination, expected], check=True)
    flags = ["-aHAXu", "--delete", *(["--checksum"] if compare == "checksum" else [])]
    subprocess.run(["rsync", *flags, f"{source}/", f"{expected}/"], check=True)
    done = run(executor, "file_sync", {**paths(source, destination), "update": True, "compare": compare})
    assert done.terminal["event"] == "result", done.terminal
    assert snapshot(destination) == snapshot(expected)
    assert done.statistics["files_newer"] == 1
    assert done.warnings == []


# The way to the disk

FLUSHES = ("syncfs", "fsync", "fdatasync", "sync")


def traced(
    executor: Executor,
    parameters: dict[str, t.Any],
    log: Path,
    *more: str,
    prefix: t.Sequence[str] = (),
    **options: t.Any,
) -> Run:
    """Run a job, with the system calls that flush something in *log*."""
    strace = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), "-e", f"trace={','.join(FLUSHES)}", *more]
    return run(executor, "file_sync", parameters, prefix=[*prefix, *strace], **options)


def calls(log: Path) -> list[str]:
    """Which of these system calls there were. strace shows those too that are newer than itself."""
    names = [line.split()[1].partition("(")[0] for line in log.read_text().splitlines() if "resumed>" not in line]
    return [name for name in names if name in FLUSHES]


@executors
def test_the_disk_is_waited_for_after_so_many_files(executor: Executor, trees: Pair, tmp_path: Path) -> None:
    source, destination = trees
    for number in range(10):
        write(source / f"folder{number % 2}" / str(number))
    log = tmp_path / "log"
    parameters = {**paths(source, destination), "delete": True}
    done = traced(executor, parameters, log)
    assert (done.terminal["event"], calls(log)) == ("result", []), "never by default"
    for number in range(10):
        write(source / f"folder{number % 2}" / str(number), b"changed", age=number + 1)
    parameters["sync_frequency"] = 3
    done = traced(executor, parameters, log)
    assert done.statistics["files_copied"] == 10
    assert calls(log) == ["syncfs"] * 4, "after 3, 6 and 9 files, and at the end"
    assert log.read_text().count("= 0\n") == 4
    traced(executor, parameters, log)
    assert calls(log) == [], "nothing was written"
    write(destination / "extra")
    traced(executor, parameters, log, dry_run=True)
    assert calls(log) == [], "a dry run writes nothing"
    traced(executor, parameters, log)
    assert calls(log) == ["syncfs"], "a deletion is a change too"


@executors
def test_each_file_system_of_the_destination_is_waited_for(
    executor: Executor, namespace: Namespace, trees: Pair, tmp_path: Path
) -> None:
    source, destination = trees
    write(source / "one")
    write(source / "mounted" / "two")
    namespace.mount_memory(destination / "mounted")
    log = tmp_path / "log"
    traced(executor, {**paths(source, destination), "sync_frequency": 100}, log, prefix=namespace.prefix)
    assert calls(log) == ["syncfs"] * 2


@pytest.mark.parametrize(("error", "code"), [("EIO", "io_error"), ("ENOSPC", "disk_full")])
@executors
def test_a_disk_that_fails_ends_the_job(executor: Executor, error: str, code: str, trees: Pair, tmp_path: Path) -> None:
    source, destination = trees
    write(source / "file")
    parameters = {**paths(source, destination), "sync_frequency": 1}
    done = traced(executor, parameters, tmp_path / "log", "-e", f"inject=syncfs:error={error}")
    assert (done.terminal["event"], done.terminal["code"]) == ("error", code)
    assert done.terminal["changed"] and done.terminal["resumable"]
    if code == "io_error":
        assert done.terminal["message"] == "unable to flush the destination to the disk: Input/output error"


@executors
def test_a_full_disk_is_told_with_what_is_needed_and_free(
    executor: Executor, namespace: Namespace, trees: Pair
) -> None:
    source, destination = trees
    write(source / "deep" / "big", os.urandom(3 << 20))
    # The one that counts is the file system of the entry.
    namespace.mount_memory(destination / "deep", "size=1m")
    done = run(executor, "file_sync", paths(source, destination), prefix=namespace.prefix)
    error = done.terminal
    assert (error["event"], error["code"], error["path"], error["resumable"]) == (
        "error",
        "disk_full",
        "deep/big",
        True,
    )
    assert error["message"] == (
        f"the destination has no room left for deep/big: it has {3 << 20} bytes, {1 << 20} bytes are free"
    )
    assert os.listdir(namespace.view(destination / "deep")) == []


@executors
def test_a_disk_without_room_for_entries_says_so(executor: Executor, namespace: Namespace, trees: Pair) -> None:
    source, destination = trees
    for number in range(9):
        (source / str(number)).mkdir()
    namespace.mount_memory(destination, "size=1m,nr_inodes=5")
    done = run(executor, "file_sync", paths(source, destination), prefix=namespace.prefix)
    assert done.terminal["code"] == "disk_full"
    assert done.terminal["message"] == (
        f"the destination has no room left for {done.terminal['path']}: {1 << 20} bytes are free, "
        "no further entry can be made"
    )
    # Nor for the destination itself.
    done = run(executor, "file_sync", paths(source, destination / "below"), prefix=namespace.prefix)
    assert done.terminal["code"] == "disk_full"
    assert done.terminal["message"] == (
        f"the destination has no room left: {1 << 20} bytes are free, no further entry can be made"
    )


# What a check says of the room


def test_a_check_tells_what_there_is_no_room_for(namespace: Namespace, tmp_path: Path) -> None:
    seen = []
    for executor in EXECUTORS:
        source, destination = under(tmp_path / executor)
        inside = namespace.mount_memory(destination, "size=1m,nr_inodes=20")
        for number in range(30):
            write(source / f"sub-{number % 3}" / str(number), b"x" * 50_000)
        write(source / "replaced", b"x" * 500_000)
        write(inside / "replaced", b"y" * 400_000)
        (source / "link").symlink_to("replaced")
        settle(source)
        wanted = {**paths(source, destination), "parallel_files": 1}
        check = run(executor, "file_sync", wanted, prefix=namespace.prefix, dry_run=True)
        assert check.terminal["event"] == "result"
        messages = [event["message"] for event in check.warnings if event["code"] == "room_short"]
        seen.append(messages)
        done = run(executor, "file_sync", wanted, prefix=namespace.prefix)
        assert done.terminal["code"] == "disk_full"
        # With some of it left out there is room, and nothing is told.
        fits = {**wanted, "filters": [{"action": "exclude", "regex": "sub-[12](/.*)?"}]}
        for name in os.listdir(inside):
            if name.startswith("sub-"):
                subprocess.run(["rm", "-r", inside / name], check=True)
        check = run(executor, "file_sync", fits, prefix=namespace.prefix, dry_run=True)
        assert check.warnings == []
        assert run(executor, "file_sync", fits, prefix=namespace.prefix).terminal["event"] == "result"
    needed, entries = seen[0]
    assert needed.startswith("the run would need 1600000 bytes more, and ")
    assert entries.startswith("the run would make 34 entries, and there is room for ")
    assert seen[0] == seen[1]


@executors
def test_a_check_of_a_new_destination_looks_at_the_room_above(
    executor: Executor, namespace: Namespace, tmp_path: Path
) -> None:
    source, disk = under(tmp_path)
    namespace.mount_memory(disk, "size=1m")
    write(source / "large", b"x" * 2_000_000)
    check = run(executor, "file_sync", paths(source, disk / "new" / "deep"), prefix=namespace.prefix, dry_run=True)
    [warning] = check.warnings
    assert warning["message"] == "the run would need 2000000 bytes more, and 1048576 are free"
