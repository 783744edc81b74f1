# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both executors of file_archive pack the same bytes, unpack each other's archives and those of GNU tar, and say so."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, Run, run
from .trees import rsync_differences, settle, snapshot, temporaries, write

ENDINGS = {"tar": "tar", "gzip": "tar.gz", "zstd": "tar.zst", "lz4": "tar.lz4", "brotli": "tar.br"}
ROOT = os.geteuid() == 0


def plain(tree: Path) -> None:
    write(tree / "index.html", b"<html>" * 100)
    write(tree / "empty", b"", mode=0o600)
    write(tree / "a" / "b" / "deep.txt", b"deep", mode=0o444)
    write(tree / "a.b", b"sorts before a/b")
    write(tree / "large", bytes(range(256)) * 10_000)
    (tree / "empty directory").mkdir(mode=0o700)
    (tree / "link").symlink_to("a/b/deep.txt")
    (tree / "a" / "up").symlink_to("../index.html")
    os.link(tree / "index.html", tree / "a" / "hard link")
    os.mkfifo(tree / "fifo")


def odd_names(tree: Path) -> None:
    names = [b"space name", b"-dash", b"line\nbreak", b"back\\slash", b"\xff\xfe", b"x" * 255, "Größe 🛒".encode()]
    for name in names:
        write(os.path.join(os.fsencode(tree), name), name)
    write(os.path.join(os.fsencode(tree), b"d\xe9" + b"y" * 120, b"z" * 120, b"f\x80"), b"x")
    os.symlink(b"n\xff" + b"t" * 150, os.path.join(os.fsencode(tree), b"long link"))


def sparse(tree: Path) -> None:
    for name, size, data in (("ends in a hole", 3_000_000, 1_000_000), ("ends in data", 2_000_001, 2_000_000)):
        with open(tree / name, "wb") as stream:
            stream.truncate(size)
            stream.seek(data)
            stream.write(b"x")
    with open(tree / "nothing but a hole", "wb") as stream:
        stream.truncate(500_000)


def attributes(tree: Path) -> None:
    write(tree / "sub" / "file")
    os.setxattr(tree / "sub" / "file", "user.odd=na%me", b"\0\xff=\n")
    subprocess.run(["setfacl", "-m", "u:1234:r,g:77:rwx", str(tree / "sub" / "file")], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:1234:rx", str(tree / "sub")], check=True)
    write(tree / "sub" / "before 1970")
    os.utime(tree / "sub" / "before 1970", ns=(-1_500_000_000, -1_500_000_000))
    if ROOT:
        os.chown(tree / "sub" / "file", 4_000_000, 5_000_000)
        write(tree / "privileged", mode=0o644)
        os.chmod(tree / "privileged", 0o6755)


BUILDS: dict[str, t.Callable[[Path], None]] = {each.__name__: each for each in (plain, odd_names, sparse, attributes)}


@pytest.fixture(params=list(BUILDS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a tree of each kind."""
    (tmp_path / "tree").mkdir()
    BUILDS[request.param](tmp_path / "tree")
    settle_times(tmp_path / "tree")
    return tmp_path


@pytest.fixture
def plain_place(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    plain(tmp_path / "tree")
    settle(tmp_path / "tree")
    return tmp_path


def settle_times(tree: Path) -> None:
    """As settle, but for what has a time of its own."""
    kept = {path: path.stat().st_mtime_ns for path in tree.rglob("before 1970")}
    settle(tree)
    for path, time in kept.items():
        os.utime(path, ns=(time, time))


def pack(executor: Executor, place: Path, archive: str = "out.tar", **options: t.Any) -> Run:
    form = next(name for name, ending in ENDINGS.items() if archive.endswith("." + ending))
    dry_run = options.pop("dry_run", False)
    parameters = {"source": str(place / "tree"), "destination": str(place / archive), "format": form, **options}
    return run(executor, "file_archive", {"action": "pack", **parameters}, dry_run=dry_run)


def unpack(executor: Executor, place: Path, archive: str = "out.tar", to: str = "unpacked", **options: t.Any) -> Run:
    dry_run, user = options.pop("dry_run", False), options.pop("user", None)
    if archive.endswith(".br"):
        options["format"] = "brotli"
    parameters = {"source": str(place / archive), "destination": str(place / to), **options}
    return run(executor, "file_archive", {"action": "unpack", **parameters}, dry_run=dry_run, user=user)


def ended(done: Run, changed: bool) -> None:
    assert (done.terminal["event"], done.terminal.get("changed")) == ("result", changed), (done.terminal, done.stderr)


def test_both_pack_the_same_bytes_and_unpack_the_same_tree(place: Path) -> None:
    for executor in EXECUTORS:
        check = pack(executor, place, f"{executor}.tar", dry_run=True)
        done = pack(executor, place, f"{executor}.tar")
        ended(done, True)
        assert check.changes == done.changes
        for dry_run in (True, False):
            ended(pack(executor, place, f"{executor}.tar", dry_run=dry_run), False)
    assert (place / "go.tar").read_bytes() == (place / "python.tar").read_bytes()
    assert (place / "go.tar").stat().st_mode & 0o7777 == 0o600
    ended(pack("go", place, "python.tar", compare="checksum"), False)
    ended(pack("python", place, "go.tar", compare="checksum"), False)
    seen = []
    for executor, archive in (("go", "python.tar"), ("python", "go.tar")):
        check = unpack(executor, place, archive, executor, dry_run=True)
        assert not (place / executor).exists()
        done = unpack(executor, place, archive, executor)
        ended(done, True)
        assert check.changes == done.changes
        assert check.statistics == done.statistics
        assert snapshot(place / executor) == snapshot(place / "tree")
        assert rsync_differences(place / "tree", place / executor) == ""
        for dry_run in (True, False):
            ended(unpack(executor, place, archive, executor, dry_run=dry_run), False)
        seen.append(done.comparable({place / archive: "archive", place / executor: "unpacked"}))
    assert seen[0] == seen[1]
    assert temporaries(place) == []


@pytest.mark.parametrize("form", [form for form in ENDINGS if form != "tar"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_format_is_read_by_the_other(executor: Executor, form: str, plain_place: Path) -> None:
    archive = f"out.{ENDINGS[form]}"
    other: Executor = "python" if executor == "go" else "go"
    ended(pack(executor, plain_place, archive, parallel=3), True)
    ended(pack(other, plain_place, archive), False)
    ended(unpack(other, plain_place, archive), True)
    assert snapshot(plain_place / "unpacked") == snapshot(plain_place / "tree")
    if form in ("gzip", "zstd"):
        listed = subprocess.run(["tar", "tf", str(plain_place / archive)], capture_output=True, check=True)
        assert b"a/b/deep.txt\n" in listed.stdout
    whole = (plain_place / archive).read_bytes()
    (plain_place / archive).write_bytes(whole[: len(whole) // 2])
    refused = unpack(other, plain_place, archive, "refused")
    assert refused.terminal["code"] == "archive_invalid", refused.terminal
    assert not (plain_place / "refused").exists()


def test_gnu_tar_unpacks_what_is_packed(place: Path) -> None:
    ended(pack("go", place), True)
    (place / "gnu").mkdir()
    command = [
        "tar",
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "-xpf",
        str(place / "out.tar"),
        "-C",
        str(place / "gnu"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert rsync_differences(place / "tree", place / "gnu") == ""


@pytest.mark.parametrize(
    "options, archive",
    [
        (["--format=pax", "--xattrs", "--acls", "--sparse"], "out.tar"),
        (["--format=gnu", "--sparse"], "out.tar"),
        (["-z", "--format=pax"], "out.tar.gz"),
        (["--zstd", "--format=gnu"], "out.tar.zst"),
    ],
)
def test_what_gnu_tar_packs_is_unpacked(options: list[str], archive: str, place: Path) -> None:
    command = ["tar", *options, "-cf", str(place / archive), "-C", str(place / "tree"), "."]
    subprocess.run(command, check=True, capture_output=True)
    exact = "--xattrs" in options
    seen = []
    for executor in EXECUTORS:
        done = unpack(executor, place, archive, executor, preserve={"xattrs": exact})
        ended(done, True)
        ended(unpack(executor, place, archive, executor, preserve={"xattrs": exact}), False)
        seen.append(snapshot(place / executor))
    assert seen[0] == seen[1]
    contents = [{path: entry[5:] for path, entry in tree.items()} for tree in (seen[0], snapshot(place / "tree"))]
    assert set(contents[0]) == set(contents[1])
    if exact:
        assert rsync_differences(place / "tree", place / "go") == ""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_mode_of_an_entry_with_an_access_list_is_the_lists(executor: Executor, tmp_path: Path) -> None:
    """As bsdtar packs it: with the group's own bits in the mode, and not the mask."""
    with tarfile.open(tmp_path / "out.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("file")
        member.mode = 0o654
        member.pax_headers = {"SCHILY.acl.access": "user::rw-,group::r-x,group:55:rwx:55,mask::rw-,other::r--"}
        archive.addfile(member)
    ended(unpack(executor, tmp_path), True)
    assert (tmp_path / "unpacked" / "file").stat().st_mode & 0o7777 == 0o664
    ended(unpack(executor, tmp_path), False)
    (tmp_path / "unpacked" / "file").chmod(0o600)
    ended(unpack(executor, tmp_path), True)
    ended(unpack(executor, tmp_path), False)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_only_what_differs_is_packed_or_unpacked_again(executor: Executor, plain_place: Path) -> None:
    tree = plain_place / "tree"
    ended(pack(executor, plain_place), True)
    ended(unpack(executor, plain_place), True)
    write(tree / "empty", b"no more", age=5)
    os.chmod(tree / "a.b", 0o640)
    again = pack(executor, plain_place, dry_run=True)
    assert [(each["action"], each["path"]) for each in again.changes] == [("update", str(plain_place / "out.tar"))]
    ended(pack(executor, plain_place), True)
    write(plain_place / "unpacked" / "stays")
    (plain_place / "unpacked" / "link").unlink()
    check, done = unpack(executor, plain_place, dry_run=True), unpack(executor, plain_place)
    assert check.changes == done.changes
    changed = {(each["action"], each["path"]) for each in done.changes if each["path"] != "."}
    assert changed == {("update", "empty"), ("metadata", "a.b"), ("create", "link")}
    assert (plain_place / "unpacked" / "stays").exists()


def test_names_that_share_an_inode_by_chance_are_separated(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for names, mode in (("a b", 0o640), ("c d", 0o600), ("e", 0o604), ("f g", 0o644), ("h i", 0o644), ("j", 0o644)):
        first, *others = names.split()
        write(tree / first, b"alike", mode, age=1)
        for other in others:
            os.link(tree / first, tree / other)
    write(tree / "own", b"alike", 0o600, age=1)
    os.link(tree / "own", tree / "own too")
    settle(tree)
    pack("go", tmp_path)
    seen = []
    for executor in EXECUTORS:
        to = tmp_path / executor
        for names in ("a b c d e unrelated", "f g h i", "j k", "own/own too"):
            first, *others = names.split("/" if "/" in names else " ")
            write(to / first, b"alike", 0o644, age=1)
            for other in others:
                os.link(to / first, to / other)
        settle(to)
        mine = (to / "own").stat().st_ino
        for compare in ("quick", "checksum"):
            predicted = unpack(executor, tmp_path, to=executor, compare=compare, dry_run=True)
            done = unpack(executor, tmp_path, to=executor, compare=compare)
            ended(done, compare == "quick")
            roots = {to: "DESTINATION"}
            seen.append((compare, done.comparable(roots)))
            assert predicted.comparable(roots)["changes"] == done.comparable(roots)["changes"]
        assert (to / "own").stat().st_ino == mine, "a file with all names of its inode is changed in place"
        assert ((to / "unrelated").stat().st_mode & 0o777, (to / "unrelated").stat().st_nlink) == (0o644, 1)
        (to / "unrelated").unlink()
        (to / "k").unlink()
        settle(to)
        assert snapshot(to) == snapshot(tree)
        assert rsync_differences(tree, to) == ""
    assert seen[:2] == seen[2:]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_cannot_be_packed_is_told(executor: Executor, plain_place: Path) -> None:
    tree = plain_place / "tree"
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tree)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    write(tree / ".migration-assistant-0123456789abcdef.tmp")
    done = pack(executor, plain_place, "tree/own.tar")
    ended(done, True)
    assert [(each["code"], each["path"]) for each in done.warnings] == [("special_skipped", "socket")]
    with tarfile.open(tree / "own.tar") as archive:
        names = archive.getnames()
    assert "a/b/deep.txt" in names
    assert not {"own.tar", "socket", ".migration-assistant-0123456789abcdef.tmp"} & set(names)
    ended(pack(executor, plain_place, "tree/own.tar"), False)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_further_names_of_what_is_no_file_are_told(executor: Executor, plain_place: Path) -> None:
    tree = plain_place / "tree"
    os.link(tree / "link", tree / "link again", follow_symlinks=False)
    os.link(tree / "fifo", tree / "fifo again")
    done = pack(executor, plain_place)
    assert [(each["code"], each["path"], each["message"]) for each in done.warnings] == [
        ("hard_link_split", "fifo again", "the fifo is a hard link to fifo, and is packed on its own"),
        ("hard_link_split", "link again", "the symlink is a hard link to link, and is packed on its own"),
    ]
    ended(unpack(executor, plain_place), True)
    assert os.readlink(plain_place / "unpacked" / "link again") == "a/b/deep.txt"
    assert pack(executor, plain_place, preserve={"hard_links": False}).warnings == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_filters_and_modes(executor: Executor, plain_place: Path) -> None:
    leave_out = [{"action": "exclude", "regex": "a", "directories_only": True}]
    ended(pack(executor, plain_place, filters=leave_out), True)
    with tarfile.open(plain_place / "out.tar") as archive:
        assert not [name for name in archive.getnames() if name == "a" or name.startswith("a/")]
    done = pack(executor, plain_place, filters=leave_out, mode=0o640)
    assert [each["action"] for each in done.changes] == ["metadata"]
    assert (plain_place / "out.tar").stat().st_mode & 0o7777 == 0o640
    ended(pack(executor, plain_place, filters=leave_out), False)
    ended(pack(executor, plain_place), True)
    assert (plain_place / "out.tar").stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_unreadable_file_leaves_the_archive_that_is_there(executor: Executor, plain_place: Path) -> None:
    (plain_place / "out.tar").write_bytes(b"old")
    (plain_place / "tree" / "a.b").chmod(0)
    parameters = {"source": str(plain_place / "tree"), "destination": str(plain_place / "out.tar"), "format": "tar"}
    done = run(executor, "file_archive", {"action": "pack", **parameters}, obeys_modes=True)
    assert done.terminal["code"] == "partial_failure"
    assert done.terminal["changed"] is False
    assert "a.b" in done.terminal["message"]
    assert (plain_place / "out.tar").read_bytes() == b"old"
    assert temporaries(plain_place) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_another_user_gets_no_privileges(executor: Executor, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    attributes(tmp_path / "tree")
    ended(pack(executor, tmp_path, mode=0o644), True)
    tmp_path.chmod(0o777)
    done = unpack(executor, tmp_path, user=4321)
    ended(done, True)
    assert "owner_not_preserved" in {each["code"] for each in done.warnings}
    assert (tmp_path / "unpacked" / "privileged").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "unpacked" / "privileged").stat().st_uid == 4321
    ended(unpack(executor, tmp_path, user=4321), False)
