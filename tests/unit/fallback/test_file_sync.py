# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""file_sync on ordinary trees: what is copied, what stays, what is told."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback import _platform

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")
needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

SECOND = 10**9


def write(path: Path, content: bytes = b"content", mtime: int = 1_700_000_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime * SECOND, mtime * SECOND + 123456789))
    return path


def differences(source: Path, destination: Path) -> str:
    """What rsync would still do."""
    command = ["rsync", "-aHAXni", "--delete", "%s/" % source, "%s/" % destination]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture
def website(source: Path) -> Path:
    write(source / "index.html", b"<html>")
    write(source / "empty", b"")
    write(source / "a" / "b" / "c" / "deep", b"x" * 300_000)
    (source / "hollow").mkdir()
    (source / "link").symlink_to("index.html")
    (source / "dangling").symlink_to("/no/where")
    os.mkfifo(source / "fifo", 0o640)
    for path, mode in (("a", 0o750), ("index.html", 0o4755), ("empty", 0o000), ("hollow", 0o1777)):
        os.chmod(source / path, mode)
    for directory in ("a/b/c", "a/b", "a", "hollow", "."):
        os.utime(source / directory, ns=(1, 1_600_000_000 * SECOND + 42))
    return source


@needs_rsync
def test_new_tree(sync: t.Any, website: Path, destination: Path) -> None:
    outcome = sync()
    assert differences(website, destination) == ""
    assert outcome.brief == [
        ("create", "directory", "."),
        ("create", "directory", "a"),
        ("create", "directory", "a/b"),
        ("create", "directory", "a/b/c"),
        ("create", "file", "a/b/c/deep"),
        ("create", "symlink", "dangling"),
        ("create", "file", "empty"),
        ("create", "fifo", "fifo"),
        ("create", "directory", "hollow"),
        ("create", "file", "index.html"),
        ("create", "symlink", "link"),
    ]
    after = {change["path"]: change["after"] for change in outcome.changes}
    assert after["index.html"] == {"mode": "4755", "size": 6}
    assert after["link"] == {"target": "index.html"}
    assert after["a"] == {"mode": "0750"}
    assert outcome.statistics == {
        "files_total": 3,
        "directories_total": 4,
        "symlinks_total": 2,
        "specials_total": 1,
        "bytes_total": 300_006,
        "files_copied": 3,
        "bytes_copied": 300_006,
        "files_unchanged": 0,
        "metadata_updated": 0,
        "directories_created": 5,
        "symlinks_created": 2,
        "hard_links_created": 0,
        "specials_created": 1,
        "deleted": 0,
        "files_resumed": 0,
        "bytes_resumed": 0,
        "bytes_reused": 0,
        "temporaries_removed": 0,
        "skipped": 0,
        "files_newer": 0,
        "files_verified": 0,
        "checksums_cached": 0,
        "changes": 11,
    }


def test_second_run_changes_nothing(sync: t.Any, website: Path) -> None:
    assert sync().changed
    for compare in ("quick", "checksum"):
        again = sync(compare=compare)
        assert not again.changed
        assert again.changes == []
        assert again.statistics["files_unchanged"] == 3


def test_dry_run_writes_nothing(run: t.Any, website: Path, destination: Path) -> None:
    outcome = run(
        "file_sync", options={"dry_run": True}, source=str(website), destination=str(destination / "not" / "there")
    )
    assert outcome.changed
    assert not destination.exists()


def test_missing_parents_of_the_destination_are_made(sync: t.Any, website: Path, destination: Path) -> None:
    outcome = sync(destination=str(destination / "new" / "place"))
    assert (destination / "new" / "place" / "index.html").exists()
    assert stat.S_IMODE(destination.stat().st_mode) == 0o755
    assert outcome.brief[0] == ("create", "directory", ".")


def test_changed_content(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file", b"old")
    sync()
    write(source / "file", b"longer", mtime=1_700_000_001)
    outcome = sync()
    assert (destination / "file").read_bytes() == b"longer"
    assert outcome.changes == [
        {
            "event": "change",
            "action": "update",
            "kind": "file",
            "path": "file",
            "before": {"size": 3, "mtime": 1_700_000_000_123456789},
            "after": {"size": 6, "mtime": 1_700_000_001_123456789},
        }
    ]


def test_same_size_and_time_is_only_seen_by_checksum(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file", b"aaaa")
    sync()
    write(source / "file", b"bbbb")
    assert not sync().changed
    assert sync(compare="checksum").brief == [("update", "file", "file")]
    assert (destination / "file").read_bytes() == b"bbbb"


def test_checksum_leaves_equal_content_alone(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file", b"same")
    sync()
    inode = (destination / "file").stat().st_ino
    write(source / "file", b"same", mtime=1_700_000_005)
    outcome = sync(compare="checksum")
    assert outcome.brief == [("metadata", "file", "file")]
    assert (destination / "file").stat().st_ino == inode
    assert outcome.statistics["files_copied"] == 0


@pytest.mark.parametrize("name", ["file", "directory", "link", "fifo"])
def test_metadata_only(name: str, sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file")
    (source / "directory").mkdir()
    (source / "link").symlink_to("file")
    os.mkfifo(source / "fifo")
    sync()
    inode = os.lstat(destination / name).st_ino
    os.utime(destination / name, ns=(5, 7), follow_symlinks=False)
    expected = {"mtime"}
    if name == "file":
        # Else the times alone make the quick comparison copy the content again.
        os.utime(destination / name, ns=(5, os.stat(source / name).st_mtime_ns))
        expected = set()
    if name != "link":
        os.chmod(destination / name, 0o701)
        expected.add("mode")
    outcome = sync()
    assert outcome.brief == [("metadata", "symlink" if name == "link" else name, name)]
    assert set(outcome.changes[0]["before"]) == set(outcome.changes[0]["after"]) == expected
    assert outcome.statistics["metadata_updated"] == 1
    assert os.lstat(destination / name).st_ino == inode
    assert not sync().changed


def test_time_of_a_directory_survives_changes_in_it(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "d" / "file", b"1")
    os.utime(source / "d", ns=(1, 1_500_000_000 * SECOND))
    sync()
    write(source / "d" / "file", b"22")
    os.utime(source / "d", ns=(1, 1_500_000_000 * SECOND))
    assert sync().brief == [("update", "file", "d/file")]
    assert (destination / "d").stat().st_mtime_ns == 1_500_000_000 * SECOND


@pytest.mark.parametrize("old", ["file", "link", "directory", "fifo"])
@pytest.mark.parametrize("new", ["file", "link", "directory", "fifo"])
def test_one_type_replaces_another(old: str, new: str, sync: t.Any, source: Path, destination: Path) -> None:
    def make(path: Path, kind: str, content: bytes) -> None:
        if kind == "file":
            write(path, content, mtime=len(content))
        elif kind == "link":
            path.symlink_to(content.decode())
        elif kind == "directory":
            path.mkdir()
        else:
            os.mkfifo(path)
        os.utime(path, ns=(1, len(content) * SECOND), follow_symlinks=False)

    make(source / "entry", new, b"new one")
    destination.mkdir()
    make(destination / "entry", old, b"old")
    outcome = sync()
    changes = [change for change in outcome.changes if change["path"] == "entry"]
    if old == new and old in ("directory", "fifo"):
        assert [change["action"] for change in changes] == ["metadata"]
    else:
        kind = "symlink" if new == "link" else new
        assert [(change["action"], change["kind"]) for change in changes] == [("update", kind)]
        assert ("kind" in changes[0]["before"]) == (old != new)
    assert stat.S_IFMT(os.lstat(destination / "entry").st_mode) == stat.S_IFMT(os.lstat(source / "entry").st_mode)
    assert not sync().changed


def test_directory_in_the_way_is_only_replaced_with_delete(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "entry", b"a file")
    write(destination / "entry" / "below" / "precious")
    outcome = sync()
    assert outcome.terminal["code"] == "partial_failure"
    assert "entry: a directory is in the way; delete: true would replace it" in outcome.terminal["message"]
    assert (destination / "entry" / "below" / "precious").exists()
    refused = sync(delete=True, max_delete=1)
    assert refused.terminal["code"] == "max_delete_exceeded"
    assert (destination / "entry" / "below" / "precious").exists()
    outcome = sync(delete=True, max_delete=2)
    assert outcome.brief == [
        ("delete", "directory", "entry/below"),
        ("delete", "file", "entry/below/precious"),
        ("update", "file", "entry"),
    ] or outcome.brief == [
        ("update", "file", "entry"),
        ("delete", "directory", "entry/below"),
        ("delete", "file", "entry/below/precious"),
    ]
    assert (destination / "entry").read_bytes() == b"a file"


def test_odd_names(sync: t.Any, source: Path, destination: Path) -> None:
    names = [b"new\nline", b"-n", b"sp ace", b"caf\xe9", "日本".encode(), b"*?[", b'"\\', b"%s", b"x" * 255]
    for name in names:
        write(Path(os.fsdecode(os.path.join(os.fsencode(source), name))), name)
    outcome = sync()
    assert sorted(os.listdir(os.fsencode(destination))) == sorted(names)
    told = {change["path"].encode("utf-8", "surrogateescape") for change in outcome.changes}
    assert told == {*names, b"."}


@root_only
@needs_rsync
def test_owners_devices_and_sockets(sync: t.Any, source: Path, destination: Path) -> None:
    os.chown(write(source / "file"), 1234, 5678)
    os.chmod(source / "file", 0o6755)
    (source / "directory").mkdir()
    os.chown(source / "directory", 1, 2)
    (source / "link").symlink_to("x")
    os.chown(source / "link", 3, 4, follow_symlinks=False)
    os.mknod(source / "device", stat.S_IFCHR | 0o620, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
    sync()
    assert differences(source, destination) == ""
    os.chown(destination / "file", 9, 9)
    outcome = sync()
    assert outcome.changes[0]["before"] == {"owner": 9, "group": 9, "mode": "0755"}
    assert differences(source, destination) == ""


def test_specials_can_be_left_out(sync: t.Any, source: Path, destination: Path) -> None:
    os.mkfifo(source / "fifo")
    outcome = sync(preserve={"specials": False})
    assert outcome.terminal["event"] == "result"
    assert outcome.warnings == [("special_skipped", "fifo")]
    assert outcome.statistics["skipped"] == 1
    assert not (destination / "fifo").exists()


def test_attributes(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file")
    (source / "directory").mkdir()
    os.setxattr(source / "file", "user.colour", b"red")
    os.setxattr(source / "directory", "user.colour", b"blue")
    sync()
    assert os.getxattr(destination / "file", "user.colour") == b"red"
    assert os.getxattr(destination / "directory", "user.colour") == b"blue"
    os.setxattr(destination / "file", "user.colour", b"green")
    os.setxattr(destination / "file", "user.extra", b"1")
    outcome = sync()
    assert outcome.changes == [
        {
            "event": "change",
            "action": "metadata",
            "kind": "file",
            "path": "file",
            "before": {"xattrs": ["user.colour", "user.extra"]},
            "after": {"xattrs": ["user.colour"]},
        }
    ]
    assert os.listxattr(destination / "file") == ["user.colour"]
    os.setxattr(destination / "file", "user.extra", b"1")
    assert not sync(preserve={"xattrs": False}).changed


@needs_rsync
@pytest.mark.skipif(shutil.which("setfacl") is None, reason="setfacl is not installed")
def test_access_control_lists(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file")
    write(source / "shared" / "plain")
    subprocess.run(["setfacl", "-m", "u:1:rwx", str(source / "file")], check=True)
    subprocess.run(["setfacl", "-m", "d:u:1:rwx", str(source / "shared")], check=True)
    destination.mkdir()
    # New entries inherit from this one, and must not keep it.
    subprocess.run(["setfacl", "-m", "d:u:2:rwx", str(destination)], check=True)
    sync()
    assert differences(source, destination) == ""
    assert not sync().changed


def test_permissions_that_are_not_preserved(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "new").chmod(0o4777)
    write(source / "old", b"longer").chmod(0o777)
    write(destination / "old").chmod(0o604)
    mask = os.umask(0o027)
    try:
        sync(preserve={"permissions": False})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((destination / "new").stat().st_mode) == 0o750
    assert stat.S_IMODE((destination / "old").stat().st_mode) == 0o604


def test_sparse_files_stay_sparse(sync: t.Any, source: Path, destination: Path) -> None:
    with open(source / "image", "wb") as stream:
        stream.truncate(64 << 20)
        for position in (1 << 20, 32 << 20):
            stream.seek(position)
            stream.write(b"data" * 1024)
    sync(verify=True)
    assert (destination / "image").stat().st_size == 64 << 20
    assert (destination / "image").stat().st_blocks <= (source / "image").stat().st_blocks
    assert sync(compare="checksum").changes == []


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"buffer_size": 4096},
        {"chunk_size": 65536, "parallel_chunks": 4},
        {"chunk_size": 65536, "parallel_chunks": 3, "buffer_size": 5000},
        {"bandwidth_limit": 1 << 30},
        {"bandwidth_limit": 1 << 30, "chunk_size": 65536, "parallel_chunks": 4},
    ],
)
def test_ways_of_copying(parameters: t.Dict[str, int], sync: t.Any, source: Path, destination: Path) -> None:
    for size in (1, 4096, 65536, 65537, (3 << 20) + 17):
        write(source / str(size), os.urandom(size))
    outcome = sync(verify=True, **parameters)
    for path in source.iterdir():
        assert (destination / path.name).read_bytes() == path.read_bytes()
    assert outcome.statistics["files_verified"] == 5
    assert outcome.terminal["performance"]["bytes_transferred"] == outcome.statistics["bytes_copied"]
    assert not sync(compare="checksum").changed


@pytest.mark.parametrize("workers", [1, 16])
def test_many_directories_and_files(workers: int, sync: t.Any, source: Path, destination: Path) -> None:
    for number in range(300):
        write(source / ("d%d" % (number % 20)) / str(number), b"%d" % number)
    for number in range(200):
        write(source / "flat" / str(number), b"%d" % number)
    outcome = sync(parallel_files=workers)
    assert outcome.statistics["files_copied"] == 500
    assert not sync(parallel_files=workers).changed
    assert sum(len(names) for _path, _directories, names in os.walk(destination)) == 500


def test_deep_tree(sync: t.Any, source: Path, destination: Path) -> None:
    here = os.open(source, os.O_RDONLY)
    for _level in range(300):
        os.mkdir("deep directory", dir_fd=here)
        below = os.open("deep directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    outcome = sync()
    assert outcome.statistics["files_copied"] == 1
    assert outcome.statistics["directories_created"] == 301
    for path in source.iterdir():
        subprocess.run(["rm", "-r", str(path)], check=True)
    assert sync(delete=True).statistics["deleted"] == 301
    assert os.listdir(destination) == []


def test_filters(sync: t.Any, source: Path, destination: Path) -> None:
    for name in ("keep", "skip.o", "cache/x", "cache/y"):
        write(source / name)
    write(destination / "skip.o", b"mine")
    write(destination / "extra")
    rules = [
        {"action": "exclude", "regex": r"(?:.*/)?[^/]*\.o", "directories_only": False},
        {"action": "hide", "regex": "cache", "directories_only": True, "rule": "H cache/"},
        {"action": "protect", "regex": "extra"},
    ]
    outcome = sync(filters=rules, delete=True)
    assert sorted(os.listdir(destination)) == ["extra", "keep", "skip.o"]
    assert (destination / "skip.o").read_bytes() == b"mine"
    assert outcome.statistics["files_total"] == 1
    write(destination / "cache" / "stale")
    assert ("delete", "file", "cache/stale") in sync(filters=rules, delete=True).brief


def test_statistics_of_a_tree(run: t.Any, source: Path) -> None:
    for name, size in (("a", 0), ("b", 4096), ("c", 4097), ("d/e", 65537), ("d/f", 2 << 20)):
        write(source / name, b"x" * size)
    os.link(source / "a", source / "a2")
    with open(source / "sparse", "wb") as stream:
        stream.truncate(101 << 20)
    (source / "link").symlink_to("a")
    os.mkfifo(source / "fifo")
    outcome = run("file_statistics", source=str(source))
    total = 4096 + 4097 + 65537 + (2 << 20) + (101 << 20)
    assert outcome.terminal["changed"] is False
    assert outcome.statistics == {
        "files_total": 7,
        "directories_total": 1,
        "symlinks_total": 1,
        "specials_total": 1,
        "bytes_total": total,
        "hard_links": 2,
        "largest_file": 101 << 20,
        "average_file_size": total // 7,
        "files_over_100mib": 1,
        "sparse_files": 1,
        "size_histogram": {"<=4KiB": 3, "<=64KiB": 1, "<=1MiB": 1, "<=100MiB": 1, ">100MiB": 1},
    }
    hidden = [{"action": "hide", "regex": "d", "directories_only": True}]
    assert run("file_statistics", source=str(source), filters=hidden).statistics["files_total"] == 5


def test_statistics_of_an_empty_tree(run: t.Any, source: Path) -> None:
    assert run("file_statistics", source=str(source)).statistics["average_file_size"] == 0


def test_each_file_is_flushed_where_file_systems_cannot_be(
    run: t.Any, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: t.List[t.Set[str]] = []

    def fsync(_descriptor: int) -> None:
        flushed.append({name for name in os.listdir(destination) if not name.startswith(".")})

    for number in range(3):
        write(source / str(number))
    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr(_platform, "syncfs", lambda: None)
    parameters = {"source": str(source), "destination": str(destination), "parallel_files": 1}
    assert run("file_sync", sync_frequency=2, **parameters).changed
    # Each before it has its name.
    assert [len(names) for names in flushed] == [0, 1, 2]
    assert not run("file_sync", sync_frequency=2, **parameters).changed
    assert len(flushed) == 3
