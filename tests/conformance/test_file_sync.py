# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One table of cases for both executors of file_sync: same trees, changes, notices, counts and endings.

Every case goes four ways: check, run, check, run.
"""

from __future__ import annotations

import os
import socket
import subprocess
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, Run, run
from .trees import rsync_differences, settle, snapshot, stamp, temporaries, write


def rule(action: str, regex: str, directories_only: bool = False) -> dict[str, t.Any]:
    return {"action": action, "regex": regex, "directories_only": directories_only}


@dataclass
class Case:
    """build(source, destination) makes both trees; equal: rsync finds no difference afterwards; times: kept.

    needs: what the case is about and some platforms have not (see LACKS in test_windows.py).
    """

    name: str
    build: t.Callable[[Path, Path], None]
    parameters: dict[str, t.Any] = field(default_factory=dict)
    equal: bool = True
    ends: str = "result"
    times: bool = True
    needs: tuple[str, ...] = ()


def plain(source: Path, _destination: Path) -> None:
    write(source / "index.html", b"<html>" * 100)
    write(source / "empty", b"")
    write(source / "a" / "b" / "c" / "deep.txt", b"deep", age=3)
    (source / "empty directory").mkdir(mode=0o750)


def names(source: Path, _destination: Path) -> None:
    """Names that every system can keep, though not every program can reach them."""
    plain_names = ["space name", "-dash", "quote'", "x" * 255, "Größe 価格 🛒", "e\u0301", "é", ".hidden", "100%"]
    for number, name in enumerate([*plain_names, "CON", "nul.txt", "ends with a dot.", "ends with a space "]):
        write(source / name, name.encode(), age=number)
    write(source / "directory é" / "file")


def odd_names(source: Path, _destination: Path) -> None:
    names = [
        b"space name",
        b"-dash",
        b"quote'\"",
        b"line\nbreak",
        b"back\\slash",
        b"\xff\xfe",
        b"x" * 255,
        b" ",
        b"*?[]",
    ]
    for number, name in enumerate([*names, "Größe 価格 🛒".encode(), "e\u0301".encode(), "é".encode()]):
        write(os.path.join(os.fsencode(source), name), name, age=number)
    os.makedirs(os.path.join(os.fsencode(source), b"dir\xe9"))
    write(os.path.join(os.fsencode(source), b"dir\xe9", b"f\x80"), b"x")


def links(source: Path, _destination: Path) -> None:
    write(source / "target")
    (source / "relative").symlink_to("target")
    (source / "dangling").symlink_to("no/where")
    (source / "absolute").symlink_to("/etc/passwd")
    (source / "to directory").symlink_to("/etc")
    os.symlink(b"not-utf8-\xff", os.fsencode(source / "odd"))
    for name in ("one", "two", "folder/three"):
        (source / name).parent.mkdir(exist_ok=True)
        if name == "one":
            write(source / name, b"shared" * 1000)
        else:
            os.link(source / "one", source / name)


def hard_links(source: Path, destination: Path) -> None:
    write(source / "one", b"shared" * 1000)
    (source / "folder").mkdir()
    os.link(source / "one", source / "two")
    os.link(source / "one", source / "folder" / "three")
    write(destination / "two", b"shared" * 1000)


def modes_and_owners(source: Path, _destination: Path) -> None:
    for number, mode in enumerate((0o600, 0o644, 0o755, 0o4755, 0o2755, 0o400, 0o000)):
        write(source / f"file-{mode:o}", bytes([number]), mode)
    for mode in (0o700, 0o1777, 0o2755, 0o555):
        (source / f"directory-{mode:o}").mkdir()
        (source / f"directory-{mode:o}").chmod(mode)
    if os.geteuid() == 0:
        write(source / "owned")
        os.chown(source / "owned", 1234, 4321)
        os.chmod(source / "owned", 0o6755)
        (source / "link").symlink_to("owned")
        os.lchown(source / "link", 1234, 4321)
        os.chown(source / "directory-700", 77, 88)


def attributes(source: Path, _destination: Path) -> None:
    write(source / "file")
    (source / "directory").mkdir()
    for path in (source / "file", source / "directory"):
        try:
            os.setxattr(path, "user.note", b"\x00binary\xff")
        except OSError:
            pytest.skip("this filesystem keeps no extended attributes")


def special(source: Path, _destination: Path) -> None:
    write(source / "file")
    os.mkfifo(source / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(source)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    for name in ("fifo", "socket"):
        os.utime(source / name, ns=(stamp(1), stamp(1)))


def sparse(source: Path, _destination: Path) -> None:
    with open(source / "sparse", "wb") as stream:
        stream.write(b"begin")
        stream.seek(5 << 20)
        stream.write(b"middle")
        stream.truncate(9 << 20)
    os.utime(source / "sparse", ns=(stamp(1), stamp(1)))


def changed_files(source: Path, destination: Path) -> None:
    """Everything that can differ between two trees of files, once."""
    for root, age in ((source, 0), (destination, 100)):
        write(root / "same", b"same", age=1)
        write(root / "size differs", b"x" * (5 + age), age=1)
        write(root / "time differs", b"xx", age=age)
        write(root / "content differs, looks the same", b"new" if root is source else b"old", age=1)
        write(root / "read-only", b"m", 0o444 if age else 0o644, age=1)
        write(root / "replaced read-only", b"x" * (5 + age), 0o444, age=1)
        write(root / "kept" / "same", b"kept", age=2)
    write(source / "directory instead of file" / "inside", b"i")
    write(destination / "directory instead of file", b"file")
    write(source / "file instead of empty directory", b"file")
    (destination / "file instead of empty directory").mkdir()
    write(source / "kept" / "new", b"new")


def changed(source: Path, destination: Path) -> None:
    """Everything that can differ between two trees, once."""
    changed_files(source, destination)
    for root, age in ((source, 0), (destination, 100)):
        write(root / "mode differs", b"m", 0o600 if age else 0o644, age=1)
        (root / "directory mode differs").mkdir(mode=0o700 if age else 0o755)
        (root / "link differs").symlink_to("here" if age else "there")
    write(source / "file instead of link", b"file")
    (destination / "file instead of link").symlink_to("same")
    (source / "link instead of file").symlink_to("same")
    write(destination / "link instead of file", b"file")
    os.symlink("/etc", destination / "directory instead of link")
    write(source / "directory instead of link" / "passwd", b"ours")


def extra_files(source: Path, destination: Path) -> None:
    plain(source, destination)
    write(destination / "extra file", b"e", 0o444)
    write(destination / "extra" / "sub" / "file", b"e")
    write(destination / "a" / "b" / "more.txt", b"m")


def extra(source: Path, destination: Path) -> None:
    extra_files(source, destination)
    (destination / "extra" / "link").symlink_to("/etc")


def in_the_way(source: Path, destination: Path) -> None:
    write(source / "name", b"file")
    write(source / "other", b"other")
    write(destination / "name" / "inside" / "file", b"lost only with delete")


def leftovers(source: Path, destination: Path) -> None:
    plain(source, destination)
    write(destination / ".migration-assistant-0123456789abcdef.tmp", b"half")
    write(destination / "a" / ".migration-assistant-00000000000000ff.tmp", b"half")
    write(destination / ".migration-assistant-not-ours.tmp", b"keep")
    write(source / ".migration-assistant-fedcba9876543210.tmp", b"never copied")


def relinked(source: Path, destination: Path) -> None:
    """Hard links that are there, missing, and too many."""
    for root in (source, destination):
        write(root / "a", b"one" * 10, age=1)
        write(root / "x", b"two" * 10, age=1)
    os.link(source / "a", source / "b")
    os.link(source / "a", source / "c")
    os.link(destination / "a", destination / "b")
    write(destination / "c", b"one" * 10, age=1)
    os.link(source / "x", source / "y")
    write(source / "p", b"apart", 0o600, age=1)
    write(source / "q", b"apart", 0o644, age=1)
    write(destination / "p", b"apart", 0o644, age=1)
    os.link(destination / "p", destination / "q")


def linked_otherwise(source: Path, destination: Path) -> None:
    """Names that share an inode on both sides, but not with each other."""

    def share(root: Path, *groups: str, mode: int = 0o644) -> None:
        for group in groups:
            first, *others = group.split()
            write(root / first, b"alike", mode, age=1)
            for other in others:
                (root / other).parent.mkdir(parents=True, exist_ok=True)
                os.link(root / first, root / other)

    # Two files and a third, of which there is one; what differs is the mode, or nothing.
    share(source, "modes/a modes/b", mode=0o640)
    share(source, "modes/c modes/d", mode=0o600)
    share(source, "modes/e", "same/e", mode=0o604)
    share(source, "same/a same/b", "same/c same/d")
    share(destination, "modes/a modes/b modes/c modes/d modes/e", mode=0o604)
    share(destination, "same/a same/b same/c same/d")
    share(destination, "same/e")
    # A name that is extra, one that was another file's, and one that no run touches.
    share(source, "extra/a extra/b", "moved/a moved/b", "moved/c moved/d", "outside/a outside/b", mode=0o600)
    share(destination, "extra/a extra/b extra/z", "moved/a", "moved/c moved/b", "moved/d")
    share(destination, "outside/a outside/b ../outside")
    # All names of one inode are of one file: only its metadata change.
    share(source, "own/a own/b own/c", mode=0o600)
    share(destination, "own/a own/b", "own/c")
    # Files of one name each, on both sides of a directory that takes the place of a third name.
    share(source, "single/1/a", "single/3/a", "single/2/directory/file", mode=0o600)
    share(destination, "single/1/a single/2/directory single/3/a")
    for user in (1, 2):
        (source / f"link {user}").symlink_to("modes")
        os.mkfifo(source / f"fifo {user}")
        for kind in ("link", "fifo"):
            os.chown(source / f"{kind} {user}", user, user, follow_symlinks=False)
        os.utime(source / f"fifo {user}", ns=(stamp(1), stamp(1)))
    (destination / "link 1").symlink_to("modes")
    os.mkfifo(destination / "fifo 1")
    os.utime(destination / "fifo 1", ns=(stamp(2), stamp(2)))
    for kind in ("link", "fifo"):
        os.link(destination / f"{kind} 1", destination / f"{kind} 2", follow_symlinks=False)


def linked_specials(source: Path, destination: Path) -> None:
    """Symbolic links and specials of several names: new ones, and some of whose names are there, right or wrong."""
    for root in (source, destination):
        for folder in ("a", "b"):
            (root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("new", "partly", "apart", "there", "wrong"):
        os.mkfifo(source / "a" / f"{name} fifo")
        os.utime(source / "a" / f"{name} fifo", ns=(stamp(2), stamp(2)))
        (source / "a" / f"{name} link").symlink_to("target")
        for kind in ("fifo", "link"):
            os.link(source / "a" / f"{name} {kind}", source / "b" / f"{name} {kind}", follow_symlinks=False)
            os.link(source / "a" / f"{name} {kind}", source / f"{name} {kind}", follow_symlinks=False)
    for name in ("partly", "apart", "there"):
        os.mkfifo(destination / "b" / f"{name} fifo", 0o600)
        os.utime(destination / "b" / f"{name} fifo", ns=(stamp(3), stamp(3)))
        (destination / "b" / f"{name} link").symlink_to("target")
    os.mkfifo(destination / "a" / "apart fifo")
    os.utime(destination / "a" / "apart fifo", ns=(stamp(2), stamp(2)))
    (destination / "a" / "apart link").symlink_to("elsewhere")
    for kind in ("fifo", "link"):
        for place in (destination / "a", destination):
            os.link(destination / "b" / f"there {kind}", place / f"there {kind}", follow_symlinks=False)
        write(destination / f"wrong {kind}", b"a file in the way")


def filtered(source: Path, destination: Path) -> None:
    for root in (source, destination):
        write(root / "keep.txt", b"k", age=1 if root is source else 2)
        write(root / "skip.tmp", b"s" if root is source else b"destination's own")
        write(root / "cache" / "c1", b"c" if root is source else b"destination's own")
        write(root / "logs" / "old.log", b"l", age=1)
    write(source / "cache2" / "sub" / "x.tmp", b"x")
    write(source / "cache2" / "sub" / "y.txt", b"y")
    write(destination / "gone.txt", b"gone")
    write(destination / "gone" / "mine.tmp", b"protected")
    write(destination / "gone" / "other.txt", b"gone")


def inherited_access(source: Path, destination: Path) -> None:
    """New files in the destination get an access control list that the source does not have."""
    write(source / "file", mode=0o664)
    write(source / "sub" / "file", mode=0o664)
    (destination / "sub").mkdir()
    for folder in (destination, destination / "sub"):
        if subprocess.run(["setfacl", "-d", "-m", "u:1234:r,g::-,o::-", str(folder)], check=False).returncode:
            pytest.skip("this filesystem keeps no access control lists")


def newer(source: Path, destination: Path) -> None:
    """Files of all ages on both sides; greater ages are older."""
    for name, here, there in (("newer", 9, 1), ("older", 1, 9), ("same age", 5, 5), ("newer, alike", 9, 1)):
        write(source / "folder" / name, b"source", age=here)
        content = b"source" if name.endswith("alike") else b"the destination's"
        write(destination / "folder" / name, content, age=there)
    write(source / "new", age=9)
    write(source / "file instead of directory", age=9)
    (destination / "file instead of directory").mkdir()
    write(source / "directory instead of file" / "file", age=9)
    write(destination / "directory instead of file", age=1)
    write(destination / "extra", age=1)
    # One name of a file that has several is newer; the others are linked without it.
    write(source / "links" / "one", b"linked", age=5)
    for name, age in (("two", 1), ("three", 9)):
        os.link(source / "links" / "one", source / "links" / name)
        write(destination / "links" / name, b"the destination's", age=age)


def large(source: Path, _destination: Path) -> None:
    write(source / "large", bytes(range(256)) * 20_000, age=1)
    write(source / "larger", bytes(reversed(range(256))) * 30_001, age=2)


def same_sizes(source: Path, destination: Path) -> None:
    """Files that differ from their sources by neither size nor an older time, and one that is the same."""
    for name, here, there in (("rolled back", 9, 1), ("same age", 5, 5), ("older", 1, 9)):
        write(source / name, b"port=1111", age=here)
        write(destination / name, b"port=2222", age=there)
    write(source / "alike", b"port=1111", age=1)
    write(destination / "alike", b"port=1111", age=9)


FILTERS = [rule("exclude", r"(?:.*/)?[^/]*\.tmp"), rule("exclude", r"cache", directories_only=True)]

CASES = [
    Case("plain", plain),
    Case("plain, verified", plain, {"verify": True}),
    Case("names", names),
    Case("odd names", odd_names, needs=("characters", "bytes")),
    Case("hard links", hard_links),
    Case("hard links, not preserved", hard_links, {"preserve": {"hard_links": False}}, equal=False),
    Case("links", links, needs=("symlinks", "bytes")),
    Case("links, not preserved", links, {"preserve": {"hard_links": False}}, equal=False, needs=("symlinks", "bytes")),
    Case("modes and owners", modes_and_owners, needs=("modes", "owners")),
    Case(
        "nothing preserved",
        modes_and_owners,
        {"preserve": {"permissions": False, "owner": False}},
        equal=False,
        needs=("modes", "owners"),
    ),
    Case("times not preserved", plain, {"preserve": {"timestamps": False}}, equal=False, times=False),
    Case("times not preserved, same sizes", same_sizes, {"preserve": {"timestamps": False}}, equal=False, times=False),
    Case("extended attributes", attributes, needs=("xattrs",)),
    Case("inherited access control lists", inherited_access, needs=("xattrs",)),
    Case(
        "inherited access control lists stay",
        inherited_access,
        {"preserve": {"xattrs": False}},
        equal=False,
        needs=("xattrs",),
    ),
    Case("special files", special, needs=("specials",)),
    Case("special files, listed only", special, {"preserve": {"specials": False}}, equal=False, needs=("specials",)),
    Case("links and specials of several names", linked_specials, needs=("symlinks", "specials")),
    Case("sparse", sparse, {"verify": True}),
    Case("changed files", changed_files, equal=False),
    Case("changed files, by content", changed_files, {"compare": "checksum", "verify": True}),
    Case("changed", changed, equal=False, needs=("symlinks", "modes")),
    Case("changed, by content", changed, {"compare": "checksum", "verify": True}, needs=("symlinks", "modes")),
    Case("extra files stay", extra_files, equal=False),
    Case("extra files deleted", extra_files, {"delete": True, "max_delete": 5}),
    Case("too many files to delete", extra_files, {"delete": True, "max_delete": 4}, equal=False, ends="error"),
    Case("extra entries deleted", extra, {"delete": True, "max_delete": 6}, needs=("symlinks",)),
    Case("directory in the way", in_the_way, equal=False, ends="error"),
    Case("directory in the way, deleted", in_the_way, {"delete": True}),
    Case("leftovers of a killed run", leftovers, equal=False),
    Case("hard links repaired", relinked, needs=("modes",)),
    Case(
        "hard links of other files",
        linked_otherwise,
        {"delete": True},
        needs=("symlinks", "modes", "owners", "specials"),
    ),
    Case(
        "hard links of other files, extra files stay",
        linked_otherwise,
        equal=False,
        needs=("symlinks", "modes", "owners", "specials"),
    ),
    Case(
        "hard links of other files, not preserved",
        linked_otherwise,
        {"preserve": {"hard_links": False}},
        equal=False,
        needs=("symlinks", "modes", "owners", "specials"),
    ),
    Case("filters", filtered, {"filters": FILTERS}, equal=False),
    Case("filters with delete", filtered, {"filters": FILTERS, "delete": True}, equal=False),
    Case("filters, first match wins", filtered, {"filters": [rule("include", r"skip\.tmp"), *FILTERS]}, equal=False),
    Case(
        "hidden but not protected",
        filtered,
        {"filters": [rule("hide", r"(?:.*/)?[^/]*\.tmp")], "delete": True},
        equal=False,
    ),
    Case("protected", filtered, {"filters": [rule("protect", r"gone(?:/.*)?")], "delete": True}, equal=False),
    Case("newer files stay", newer, {"update": True, "delete": True}, equal=False),
    Case("newer files stay, by content", newer, {"update": True, "compare": "checksum"}, equal=False),
    Case("newer files do not stay by default", newer, {"delete": True}),
    Case("in chunks", large, {"chunk_size": 65536, "parallel_chunks": 3, "verify": True}),
    Case("one file at a time", plain, {"parallel_files": 1}),
    Case("many at a time", names, {"parallel_files": 64}),
    Case("with a bandwidth limit", large, {"bandwidth_limit": 200 << 20, "buffer_size": 4096}),
]


@pytest.fixture(params=CASES, ids=[case.name for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return t.cast(Case, request.param)


def test_both_executors_do_the_same(case: Case, tmp_path: Path) -> None:
    seen = {executor: four_ways(case, executor, *make_trees(case, tmp_path / executor)) for executor in EXECUTORS}
    assert seen["go"] == seen["python"]


def make_trees(case: Case, root: Path) -> tuple[Path, Path]:
    source, destination = root / "source", root / "destination"
    source.mkdir(parents=True)
    destination.mkdir()
    case.build(source, destination)
    settle(source)
    settle(destination)
    return source, destination


def four_ways(case: Case, executor: Executor, source: Path, destination: Path) -> list[t.Any]:
    roots = {source: "SOURCE", destination: "DESTINATION"}
    parameters = {"source": str(source), "destination": str(destination), **case.parameters}
    source_before, destination_before = snapshot(source), snapshot(destination)

    check = run(executor, "file_sync", parameters, dry_run=True)
    assert snapshot(destination) == destination_before, "a dry run wrote"
    first = run(executor, "file_sync", parameters)
    after = snapshot(destination)
    again_check = run(executor, "file_sync", parameters, dry_run=True)
    again = run(executor, "file_sync", parameters)

    assert first.terminal["event"] == case.ends, first.terminal
    assert changes(check) == changes(first), "the dry run predicted something else"
    assert snapshot(source) == source_before, "the source was touched"
    assert [name for name in temporaries(destination) if "not-ours" not in name] == []
    if case.equal and executor != "windows":
        assert rsync_differences(source, destination) == ""
    if case.ends == "result":
        assert (again_check.changes, again.changes) == ([], [])
        assert not again.terminal["changed"]
        assert snapshot(destination) == after
    return [
        [seen.comparable(roots) for seen in (check, first, again_check, again)],
        after if case.times else sorted(after),
    ]


def changes(seen: Run) -> list[tuple[str, str, str]]:
    return sorted((event["action"], event["kind"], event["path"]) for event in seen.changes)


@pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])
def test_without_times_contents_are_compared(executor: Executor, tmp_path: Path) -> None:
    case = Case("", same_sizes, {"preserve": {"timestamps": False}}, equal=False)
    source, destination = make_trees(case, tmp_path)
    before = (destination / "alike").stat()
    runs, _after = four_ways(case, executor, source, destination)
    assert {path.name: path.read_bytes() for path in destination.iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    assert runs[1]["statistics"]["files_copied"] == 3
    after = (destination / "alike").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
