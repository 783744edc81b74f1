# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""file_sync when things go wrong: refused roots, entries that fail, change or are swapped, cancelled jobs."""

from __future__ import annotations

import fcntl
import gc
import os
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback.copy import Copier
from ansible_collections.migration.assistant.plugins.module_utils._fallback.origin import SourceFile

from .conftest import list_temporaries

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")
SLOW = {"bandwidth_limit": 4096, "buffer_size": 4096}


def write(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(10**18, 10**18 + len(content)))
    return path


def code(outcome: t.Any) -> t.Any:
    assert outcome.terminal["event"] == "error"
    return outcome.terminal["code"]


# Roots


def test_missing_source(sync: t.Any, source: Path, destination: Path) -> None:
    outcome = sync(source=str(source / "absent"))
    assert code(outcome) == "source_missing"
    assert str(source / "absent") in outcome.terminal["message"]
    assert not destination.exists()


def test_source_that_is_a_file(sync: t.Any, source: Path) -> None:
    assert code(sync(source=str(write(source / "file")))) == "source_not_directory"
    assert code(sync(source=str(source / "file" / "below"))) == "source_missing"


def test_destination_that_is_no_directory(sync: t.Any, source: Path, destination: Path) -> None:
    write(destination)
    assert code(sync()) == "destination_not_directory"
    assert code(sync(destination=str(destination / "below"))) == "destination_not_directory"
    (destination.parent / "dangling").symlink_to("nowhere")
    assert code(sync(destination=str(destination.parent / "dangling"))) == "destination_not_directory"


def test_overlapping_roots(sync: t.Any, source: Path, destination: Path) -> None:
    (source / "below").mkdir()
    (source.parent / "link").symlink_to(source)
    for path in (source, source / "below", source / "new" / "place", source.parent / "link", source / "below" / ".."):
        assert code(sync(destination=str(path))) == "paths_overlap"
    assert code(sync(source=str(source / "below"), destination=str(source))) == "paths_overlap"
    assert code(sync(destination=str(source.parent))) == "paths_overlap"
    assert sync(destination=str(source.parent / "source2")).terminal["event"] == "result"


def test_links_to_roots_are_followed(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file")
    destination.mkdir()
    (source.parent / "from").symlink_to(source)
    (source.parent / "to").symlink_to(destination)
    sync(source=str(source.parent / "from"), destination=str(source.parent / "to"))
    assert (destination / "file").exists()
    assert (source.parent / "to").is_symlink()


def test_unwritable_destination(sync_as_user: t.Any, source: Path, destination: Path) -> None:
    destination.mkdir()
    assert code(sync_as_user(keep=[destination, destination / "."])) == "destination_unwritable"
    destination.rmdir()
    assert code(sync_as_user()) == "destination_unwritable"


def test_two_jobs_on_one_destination(run: t.Any, source: Path, destination: Path) -> None:
    write(source / "file")
    destination.mkdir()
    other = os.open(destination, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    parameters = {"source": str(source), "destination": str(destination)}
    assert code(run("file_sync", **parameters)) == "destination_busy"
    assert run("file_sync", options={"dry_run": True}, **parameters).changed
    os.close(other)
    assert run("file_sync", **parameters).changed


@root_only
def test_full_disk(run: t.Any, source: Path, destination: Path) -> None:
    for number in range(8):
        write(source / str(number), b"x" * (1 << 18))
    destination.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(destination)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        outcome = run("file_sync", source=str(source), destination=str(destination), parallel_files=1)
        assert code(outcome) == "disk_full"
        assert outcome.terminal["resumable"] is True
        assert 0 < len(os.listdir(destination)) < 8
        assert list_temporaries(destination) == []
        assert outcome.statistics["files_copied"] == len(os.listdir(destination))
    finally:
        subprocess.run(["umount", str(destination)], check=True)


@root_only
def test_one_root_mounted_inside_the_other(run: t.Any, source: Path, destination: Path) -> None:
    (source / "inner").mkdir()
    write(source / "file")
    destination.mkdir()
    mount = ["mount", "--bind", str(destination), str(source / "inner")]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("directories cannot be mounted here")
    try:
        outcome = run("file_sync", source=str(source), destination=str(destination))
        assert code(outcome) == "partial_failure"
        assert ("paths_overlap", "inner") in outcome.warnings
        assert not (destination / "inner").exists()
    finally:
        subprocess.run(["umount", str(source / "inner")], check=True)


# Users other than root


def test_unreadable_entries(sync_as_user: t.Any, source: Path, destination: Path) -> None:
    write(source / "closed file").chmod(0)
    write(source / "closed directory" / "file")
    (source / "closed directory").chmod(0)
    write(source / "open")
    write(destination / "extra")
    foretold = sync_as_user(dry_run=True, delete=True)
    outcome = sync_as_user(delete=True)
    assert foretold.changes == outcome.changes
    assert code(outcome) == "partial_failure"
    assert outcome.terminal["message"].startswith("2 entries failed; the first: closed directory: unable to")
    assert outcome.terminal["changed"] is True
    assert outcome.terminal["performance"]["error_count"] == 2
    assert (destination / "open").exists()
    # Who could not read all deletes nothing.
    assert (destination / "extra").exists()


def test_directories_that_their_owner_has_closed(sync_as_user: t.Any, source: Path, destination: Path) -> None:
    write(source / "a" / "file", b"new content")
    write(destination / "a" / "file", b"old")
    write(destination / "a" / "extra")
    for root in (source, destination):
        (root / "a").chmod(0o555)
    outcome = sync_as_user(delete=True)
    assert outcome.terminal["event"] == "result"
    assert (destination / "a" / "file").read_bytes() == b"new content"
    assert os.listdir(destination / "a") == ["file"]
    assert stat.S_IMODE((destination / "a").stat().st_mode) == 0o555
    assert not sync_as_user(delete=True).changed


def test_an_early_end_closes_directories_again(sync_as_user: t.Any, source: Path, destination: Path) -> None:
    write(source / "a" / "large", b"x" * (1 << 20))
    (destination / "a").mkdir(parents=True)
    (destination / "a").chmod(0o500)
    outcome = sync_as_user(timeout=0.1, **SLOW)
    assert code(outcome) == "timeout"
    assert stat.S_IMODE((destination / "a").stat().st_mode) == 0o500
    assert os.listdir(destination / "a") == []


def test_owners_are_not_preserved(sync_as_user: t.Any, source: Path, destination: Path) -> None:
    for name in ("one", "two"):
        os.chown(write(source / name), 777, 888)
    destination.mkdir()
    kept = [source / "one", source / "two"]
    foretold = sync_as_user(dry_run=True, keep=kept)
    outcome = sync_as_user(keep=kept)
    assert foretold.warnings == outcome.warnings == [("group_not_preserved", ""), ("owner_not_preserved", "")]
    assert outcome.terminal["event"] == "result"
    assert os.stat(destination / "one").st_uid == 12345
    assert not sync_as_user(keep=kept).changed
    preserve = {"owner": False, "group": False}
    assert sync_as_user(keep=kept, preserve=preserve).warnings == []


# Entries that change under the hands


def test_a_file_that_vanishes(run: t.Any, source: Path, destination: Path) -> None:
    for number in range(5):
        write(source / str(number))

    def remove_the_rest(event: t.Dict[str, t.Any]) -> None:
        if event["event"] == "change" and event["kind"] == "file":
            for path in source.iterdir():
                if path.name != event["path"]:
                    path.unlink()

    outcome = run("file_sync", on_event=remove_the_rest, source=str(source), destination=str(destination))
    assert outcome.terminal["event"] == "result"
    assert [warning for warning, _path in outcome.warnings] == ["vanished"] * 4
    assert len(os.listdir(destination)) == 1


@pytest.mark.parametrize("swap", ["symlink", "fifo", "directory", "file"])
def test_a_source_that_is_swapped_is_not_read(swap: str, run: t.Any, source: Path, destination: Path) -> None:
    secret = write(source.parent / "secret", b"secret!")
    for number in range(3):
        write(source / str(number))

    def swap_the_rest(event: t.Dict[str, t.Any]) -> None:
        if event["event"] != "change" or event["kind"] != "file":
            return
        for path in source.iterdir():
            if path.name != event["path"] and path.is_file():
                path.rename(source.parent / ("was" + path.name))
                if swap == "symlink":
                    path.symlink_to(secret)
                elif swap == "fifo":
                    os.mkfifo(path)
                elif swap == "directory":
                    path.mkdir()
                else:
                    write(path, b"another")

    seen: t.List[str] = []

    def on_event(event: t.Dict[str, t.Any]) -> None:
        if not seen and event["event"] == "change" and event["kind"] == "file":
            seen.append(event["path"])
            swap_the_rest(event)

    outcome = run("file_sync", on_event=on_event, source=str(source), destination=str(destination))
    assert code(outcome) == "partial_failure"
    assert len(outcome.warnings) == 2
    assert os.listdir(destination) == seen
    assert (destination / seen[0]).read_bytes() == b"content"


def test_a_destination_directory_that_is_swapped_leads_nowhere(run: t.Any, source: Path, destination: Path) -> None:
    for number in range(5):
        write(source / "d" / str(number))
    outside = source.parent / "outside"
    outside.mkdir()

    def swap(event: t.Dict[str, t.Any]) -> None:
        if event["event"] == "change" and event["path"] == "d":
            (destination / "d").rename(destination / "moved")
            (destination / "d").symlink_to(outside)

    run("file_sync", on_event=swap, source=str(source), destination=str(destination))
    assert os.listdir(outside) == []
    assert len(os.listdir(destination / "moved")) == 5


def test_a_link_in_the_destination_is_not_followed(sync: t.Any, source: Path, destination: Path) -> None:
    outside = source.parent / "outside"
    write(outside / "file", b"precious")
    write(source / "d" / "file", b"new one")
    write(source / "f", b"new one")
    destination.mkdir()
    (destination / "d").symlink_to(outside)
    (destination / "f").symlink_to(outside / "file")
    (destination / "extra").symlink_to(outside)
    outcome = sync(delete=True)
    assert ("update", "directory", "d") in outcome.brief
    assert (outside / "file").read_bytes() == b"precious"
    assert (destination / "d" / "file").read_bytes() == b"new one"
    assert sorted(os.listdir(destination)) == ["d", "f"]


def test_metadata_is_not_set_through_a_link(run: t.Any, source: Path, destination: Path) -> None:
    victim = write(source.parent / "victim")
    victim.chmod(0o600)
    parameters = {"source": str(source), "destination": str(destination)}
    for name in ("one", "two"):
        write(source / name)
    run("file_sync", **parameters)
    for name in ("one", "two"):
        (source / name).chmod(0o777)

    def swap_the_other(event: t.Dict[str, t.Any]) -> None:
        if event["event"] == "change" and event["kind"] == "file":
            other = destination / {"one": "two", "two": "one"}[event["path"]]
            other.unlink()
            other.symlink_to(victim)

    outcome = run("file_sync", on_event=swap_the_other, **parameters)
    assert code(outcome) == "partial_failure"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def interfere(monkeypatch: pytest.MonkeyPatch, after: t.Callable[[int, int], None]) -> None:
    """Call ``after`` with the two descriptors whenever a file's content was copied."""
    copy = Copier.copy

    def disturbed(self: Copier, worker: t.Any, opened: SourceFile, target: int, *more: t.Any) -> int:
        reused = copy(self, worker, opened, target, *more)
        after(opened.descriptor or -1, target)
        return reused

    monkeypatch.setattr(Copier, "copy", disturbed)


def test_a_copy_that_differs_gets_no_name(
    run: t.Any, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source / "file")
    write(destination / "file", b"old")

    def corrupt(_source: int, target: int) -> None:
        os.pwrite(target, b"X", 3)

    interfere(monkeypatch, corrupt)
    outcome = run("file_sync", source=str(source), destination=str(destination), verify=True)
    assert code(outcome) == "partial_failure"
    assert outcome.warnings == [("verification_failed", "file")]
    assert (destination / "file").read_bytes() == b"old"
    assert list_temporaries(destination) == []


@pytest.mark.parametrize(("times", "warnings"), [(1, []), (2, [("source_changed", "file")])])
def test_a_file_that_changes_while_it_is_copied(
    times: int,
    warnings: t.List[t.Tuple[str, str]],
    run: t.Any,
    source: Path,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(source / "file")
    left = [b" and more"] * times

    def append(_source: int, _target: int) -> None:
        if left:
            with open(source / "file", "ab") as stream:
                stream.write(left.pop())

    interfere(monkeypatch, append)
    parameters = {"source": str(source), "destination": str(destination)}
    outcome = run("file_sync", **parameters)
    assert outcome.terminal["event"] == "result"
    assert outcome.warnings == warnings
    assert outcome.terminal["performance"]["retry_count"] == 1
    assert (destination / "file").read_bytes() == b"content and more"
    # What was copied last is told by its time: the next run sees the rest.
    assert run("file_sync", **parameters).changed == (times == 2)
    assert (destination / "file").read_bytes() == (source / "file").read_bytes()


# The end of a job


def test_cancelled_between_entries(run: t.Any, source: Path, destination: Path) -> None:
    for number in range(200):
        write(source / str(number))
    made: t.List[str] = []
    outcome = run(
        "file_sync",
        on_event=lambda event: made.append(event.get("path", "")) if event["event"] == "change" else None,
        cancelled=lambda: len(made) > 3,
        source=str(source),
        destination=str(destination),
        parallel_files=1,
    )
    assert code(outcome) == "cancelled"
    assert outcome.terminal["resumable"] is True
    assert outcome.terminal["changed"] is True
    assert outcome.statistics["files_copied"] == len(os.listdir(destination)) == 3
    assert list_temporaries(destination) == []
    assert run("file_sync", source=str(source), destination=str(destination)).statistics["files_copied"] == 197


@pytest.mark.parametrize("chunks", [{}, {"chunk_size": 65536, "parallel_chunks": 2, "resume": False}])
def test_cancelled_inside_a_file(chunks: t.Dict[str, int], run: t.Any, source: Path, destination: Path) -> None:
    write(source / "large", b"x" * (1 << 20))
    asked: t.List[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(list_temporaries(destination)) > 0 and len(asked) > 10

    parameters = dict(SLOW, source=str(source), destination=str(destination), **chunks)
    outcome = run("file_sync", cancelled=cancelled, **parameters)
    assert code(outcome) == "cancelled"
    assert os.listdir(destination) == []


def test_time_limit(run: t.Any, source: Path, destination: Path) -> None:
    write(source / "large", b"x" * (1 << 20))
    options = {"timeout": 0.3, "progress_interval": 0.05, "sample_interval": 0.05}
    outcome = run("file_sync", options=options, source=str(source), destination=str(destination), **SLOW)
    assert code(outcome) == "timeout"
    assert outcome.terminal["resumable"] is True
    assert os.listdir(destination) == []
    kinds = {event["event"] for event in outcome.events}
    assert {"progress", "sample"} <= kinds


def test_what_the_receiver_raises_ends_the_job(run: t.Any, source: Path, destination: Path) -> None:
    for number in range(50):
        write(source / str(number))

    def refuse(event: t.Dict[str, t.Any]) -> None:
        if event["event"] == "change" and event["kind"] == "file":
            raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        run("file_sync", on_event=refuse, source=str(source), destination=str(destination))
    assert len(os.listdir(destination)) == 1


def test_descriptors_are_given_back(run: t.Any, source: Path, destination: Path) -> None:
    for number in range(100):
        write(source / str(number % 7) / str(number))
    # What earlier tests dropped.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    run("file_sync", source=str(source), destination=str(destination))
    run("file_sync", cancelled=destination.exists, source=str(source), destination=str(destination))
    run("file_statistics", source=str(source))
    assert len(os.listdir("/proc/self/fd")) == before
