# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both executors of file_checksum write the same manifests, which the tools of the field accept, and find the same
differences."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import typing as t
from pathlib import Path

import blake3
import pytest
import xxhash

from .executors import EXECUTORS, REPOSITORY, Executor, Run, run
from .trees import settle, snapshot, temporaries, write

MAKERS: dict[str, t.Callable[[bytes], t.Any]] = {
    "sha256": hashlib.sha256,
    "blake3": blake3.blake3,
    "xxh3": xxhash.xxh3_128,
}
ALGORITHMS = list(MAKERS)
TEMPORARY = ".migration-assistant-0123456789abcdef.tmp"


def plain(tree: Path) -> None:
    write(tree / "index.html", b"<html>" * 100)
    write(tree / "empty", b"")
    write(tree / "a" / "b" / "c" / "deep.txt", b"deep")
    write(tree / "a.b", b"sorts before a/b")
    (tree / "empty directory").mkdir()


def odd_names(tree: Path) -> None:
    names = [b"space name", b"-dash", b"quote'\"", b"line\nbreak", b"back\\slash", b"return\r", b"\\n", b"\xff\xfe"]
    for name in [*names, b"x" * 255, b" ", b"*?[]", b"#", "Größe 価格 🛒".encode(), b"ends in \\", b"\r\n"]:
        write(os.path.join(os.fsencode(tree), name), name)
    write(os.path.join(os.fsencode(tree), b"dir\xe9\n", b"f\x80"), b"x")


def no_files(tree: Path) -> None:
    (tree / "sub").mkdir()


def not_regular(tree: Path) -> None:
    write(tree / "file")
    (tree / "link").symlink_to("file")
    (tree / "to directory").symlink_to("/etc")
    (tree / "dangling").symlink_to("nowhere")
    os.link(tree / "file", tree / "hard link")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tree)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)


def large(tree: Path) -> None:
    write(tree / "large", bytes(range(256)) * 20_001)
    write(tree / "a buffer", b"b" * 4096)
    with open(tree / "sparse", "wb") as stream:
        stream.truncate(3_000_000)


def many(tree: Path) -> None:
    for number in range(300):
        write(tree / f"d{number % 7}" / f"{number}", str(number).encode())


BUILDS: dict[str, t.Callable[[Path], None]] = {
    each.__name__: each for each in (plain, odd_names, no_files, not_regular, large, many)
}


def regular_files(tree: Path) -> dict[bytes, bytes]:
    """Contents by relative path."""
    found = {}
    base = os.fsencode(tree)
    for folder, _folders, names in os.walk(base):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as stream:
                    found[os.path.relpath(path, base)] = stream.read()
    return found


def manifest_of(tree: Path, algorithm: str = "sha256") -> bytes:
    """The manifest as the format's definition has it."""
    lines = []
    for path, content in sorted(regular_files(tree).items()):
        escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        mark = b"\\" if escaped != path else b""
        lines.append(mark + MAKERS[algorithm](content).hexdigest().encode() + b"  ./" + escaped + b"\n")
    return b"".join(lines)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with an empty tree."""
    (tmp_path / "tree").mkdir()
    return tmp_path


def create(executor: Executor, place: Path, **options: t.Any) -> Run:
    return checksum(executor, place, "create", **options)


def verify(executor: Executor, place: Path, **options: t.Any) -> Run:
    return checksum(executor, place, "verify", **options)


def checksum(executor: Executor, place: Path, action: str, **options: t.Any) -> Run:
    parameters = {"action": action, "source": str(place / "tree"), "manifest": str(place / "manifest")}
    job = {
        key: options.pop(key)
        for key in ("dry_run", "timeout", "obeys_modes", "env", "progress_interval")
        if key in options
    }
    return run(executor, "file_checksum", {**parameters, **options}, **job)


def differences(done: Run) -> list[tuple[str, str]]:
    return [(event["difference"], event["path"]) for event in done.events if event["event"] == "difference"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("build", BUILDS)
def test_both_executors_do_the_same(build: str, algorithm: str, tmp_path: Path) -> None:
    seen = {}
    for executor in EXECUTORS:
        place = tmp_path / executor
        (place / "tree").mkdir(parents=True)
        BUILDS[build](place / "tree")
        settle(place / "tree")
        before = snapshot(place / "tree")
        options = {"algorithm": algorithm, "buffer_size": 4096}
        check = create(executor, place, dry_run=True, **options)
        assert not (place / "manifest").exists(), "a dry run wrote"
        first = create(executor, place, **options)
        written = (place / "manifest").read_bytes()
        later = [create(executor, place, dry_run=True, **options), create(executor, place, **options)]
        verified = verify(executor, place, algorithm=algorithm)
        assert written == manifest_of(place / "tree", algorithm)
        assert first.terminal["event"] == "result", first.terminal
        assert check.changes == first.changes and first.terminal["changed"]
        assert [done.changes for done in later] == [[], []]
        assert verified.terminal["event"] == "result" and differences(verified) == []
        assert snapshot(place / "tree") == before, "the tree was touched"
        assert temporaries(place) == []
        names = {place: "PLACE"}
        seen[executor] = [written, *(done.comparable(names) for done in (check, first, *later, verified))]
    assert seen["go"] == seen["python"]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("build", [name for name in BUILDS if name != "no_files"])
def test_sha256sum_accepts_the_manifest(executor: Executor, build: str, place: Path) -> None:
    BUILDS[build](place / "tree")
    create(executor, place)
    check = ["sha256sum", "--check", "--strict", "--quiet", "../manifest"]
    done = subprocess.run(check, cwd=place / "tree", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_manifest_of_sha256sum_is_verified(executor: Executor, place: Path) -> None:
    odd_names(place / "tree")
    # The list holds itself, as it was before it was filled; it is left out.
    make = ": > manifest; find . -type f -print0 | xargs -0 sha256sum > ../list && mv ../list manifest"
    subprocess.run(["sh", "-c", make], cwd=place / "tree", check=True)
    done = verify(executor, place, manifest=str(place / "tree" / "manifest"))
    assert done.terminal["event"] == "result", done.terminal
    assert done.statistics["matched"] == done.statistics["files_listed"] - 1
    assert done.statistics["skipped"] == 1


def spoil(tree: Path) -> None:
    """Everything that can differ, once."""
    write(tree / "index.html", b"<HTML>" * 100)
    write(tree / "empty", b"no longer")
    (tree / "a.b").unlink()
    write(tree / "new\nfile")
    write(os.path.join(os.fsencode(tree), b"\xff"))
    (tree / "a" / "b" / "c" / "deep.txt").unlink()
    (tree / "a" / "b" / "c" / "deep.txt").symlink_to("/etc/passwd")


SPOILED = [
    ("missing", "a.b"),
    ("mismatched", "a/b/c/deep.txt"),
    ("mismatched", "empty"),
    ("mismatched", "index.html"),
    ("unexpected", "new\nfile"),
    ("unexpected", "\udcff"),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_difference_is_told(algorithm: str, place: Path) -> None:
    plain(place / "tree")
    create("go", place, algorithm=algorithm)
    spoil(place / "tree")
    before = (snapshot(place / "tree"), (place / "manifest").read_bytes())
    seen = [verify(executor, place, algorithm=algorithm) for executor in EXECUTORS]
    for done in seen:
        assert differences(done) == SPOILED
        terminal = done.terminal
        assert (terminal["event"], terminal["code"], terminal["changed"]) == ("error", "verification_failed", False)
        assert "1 missing, 3 mismatched, 2 unexpected" in terminal["message"]
        counts = [done.statistics[name] for name in ("matched", "missing", "mismatched", "unexpected")]
        assert counts == [0, 1, 3, 2]
        event = next(event for event in done.events if event.get("path") == "empty")
        assert event["found"] == MAKERS[algorithm](b"no longer").hexdigest()
        assert event["expected"] == MAKERS[algorithm](b"").hexdigest()
        link = next(event for event in done.events if event.get("path") == "a/b/c/deep.txt")
        assert link["found"] == "symlink"
    assert seen[0].comparable({}) == seen[1].comparable({})
    assert [event for event in seen[0].events if event["event"] == "difference"] == [
        event for event in seen[1].events if event["event"] == "difference"
    ]
    assert (snapshot(place / "tree"), (place / "manifest").read_bytes()) == before


@pytest.mark.parametrize("executor", EXECUTORS)
def test_unexpected_files_may_be_reported_only(executor: Executor, place: Path) -> None:
    plain(place / "tree")
    create(executor, place)
    write(place / "tree" / "new")
    done = verify(executor, place, unexpected="report")
    assert done.terminal["event"] == "result"
    assert differences(done) == [("unexpected", "new")]
    assert verify(executor, place).terminal["code"] == "verification_failed"


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_algorithm_is_found_out(executor: Executor, algorithm: str, place: Path) -> None:
    many(place / "tree")
    create(executor, place, algorithm=algorithm)
    write(place / "tree" / "d0" / "0", b"spoiled")
    done = verify(executor, place)
    assert done.terminal["statistics"]["algorithm"] == algorithm
    assert differences(done) == [("mismatched", "d0/0")]
    found = next(event["found"] for event in done.events if event["event"] == "difference")
    assert found == MAKERS[algorithm](b"spoiled").hexdigest()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_changed_tree_changes_the_manifest(executor: Executor, place: Path) -> None:
    plain(place / "tree")
    create(executor, place)
    size = (place / "manifest").stat().st_size
    (place / "manifest").chmod(0o640)
    write(place / "tree" / "more")
    done = create(executor, place)
    (change,) = done.changes
    assert (change["action"], change["kind"], change["path"]) == ("update", "file", str(place / "manifest"))
    assert change["before"] == {"size": size, "files": 4}
    assert change["after"] == {"size": (place / "manifest").stat().st_size, "files": 5}
    assert (place / "manifest").read_bytes() == manifest_of(place / "tree")
    assert (place / "manifest").stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_ours_is_left_out(executor: Executor, place: Path) -> None:
    """The manifest in the tree, and temporary files. What a killed run left of this manifest is removed."""
    tree = place / "tree"
    plain(tree)
    expected = manifest_of(tree)
    leftover = ".migration-assistant-%s00000000.tmp" % hashlib.sha256(b"SUMS").hexdigest()[:8]
    for name in (TEMPORARY, leftover):
        write(tree / name)
    manifest = str(tree / "SUMS")
    for changed in (True, False):
        done = create(executor, place, manifest=manifest)
        assert done.terminal["changed"] is changed
        assert (tree / "SUMS").read_bytes() == expected
        assert temporaries(tree) == [TEMPORARY]
    assert done.statistics["skipped"] == 2
    assert differences(verify(executor, place, manifest=manifest)) == []
    # One of the same name elsewhere in the tree is like any file.
    write(tree / "a" / "SUMS", b"other")
    assert differences(verify(executor, place, manifest=manifest)) == [("unexpected", "a/SUMS")]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_filters_leave_out_on_both_sides(executor: Executor, place: Path) -> None:
    tree = place / "tree"
    many(tree)
    rules = [
        {"action": "exclude", "regex": "d0", "directories_only": True},
        {"action": "exclude", "regex": "(?:.*/)?10"},
    ]
    create(executor, place)
    (tree / "d3" / "10").unlink()
    (tree / "d0" / "0").unlink()
    done = verify(executor, place, filters=rules)
    assert done.terminal["event"] == "result", differences(done)
    create(executor, place, filters=rules)
    listed = (place / "manifest").read_bytes()
    assert b"./d0/" not in listed and b"./d1/1\n" in listed
    assert verify(executor, place, filters=rules).terminal["event"] == "result"
    assert ("unexpected", "d0/7") in differences(verify(executor, place))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_cannot_be_read_fails_the_job(executor: Executor, place: Path) -> None:
    tree = place / "tree"
    plain(tree)
    assert create(executor, place, obeys_modes=True).terminal["event"] == "result"
    before = (place / "manifest").read_bytes()
    write(tree / "new")
    write(tree / "closed file", mode=0)
    write(tree / "closed" / "inside")
    for closed in (tree / "closed", tree / "a" / "b"):
        closed.chmod(0)
    for dry_run in (True, False):
        done = create(executor, place, obeys_modes=True, dry_run=dry_run)
        assert done.terminal["code"] == "partial_failure"
        assert sorted(event["path"] for event in done.warnings) == ["a/b", "closed", "closed file"]
        assert "3 entries failed; the first: a/b: unable to open the directory" in done.terminal["message"]
        assert not done.terminal["changed"]
    assert (place / "manifest").read_bytes() == before
    # What was not looked at is not missing.
    done = verify(executor, place, obeys_modes=True)
    assert differences(done) == [("unexpected", "closed file"), ("unexpected", "new")]
    assert "2 could not be read" in done.terminal["message"]
    (tree / "new").unlink()
    (tree / "closed file").unlink()
    assert verify(executor, place, obeys_modes=True).terminal["code"] == "partial_failure"
    (tree / "index.html").chmod(0)
    done = verify(executor, place, obeys_modes=True)
    assert (differences(done), len(done.warnings)) == ([], 3)
    for closed in (tree / "closed", tree / "a" / "b"):
        closed.chmod(0o755)


DIGEST = "0a" * 32


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "text, says",
    [
        ("rubbish\n", "line 1: it does not begin with a checksum of 64 or 32 hexadecimal digits and two spaces"),
        (f"{DIGEST}  ./a\n\n", "line 2: it is empty"),
        (f"{DIGEST}  ./a\n{'0a' * 16}  ./b\n", "line 2: it does not begin with a checksum of 64 hexadecimal digits"),
        (f"{DIGEST}  /etc/passwd\n", "line 1: its path is absolute"),
        (
            f"# comment\n{DIGEST}  ./a/../../etc/passwd\n",
            "line 2: its path has .. in it, which may lead out of the tree",
        ),
        (f"\\{DIGEST}  ./a\\t\n", r"line 1: its path has a backslash that begins none of \\, \n and \r"),
        (f"{DIGEST}  a/\n", "line 1: its path names no file"),
        (f"{DIGEST}  a\0b\n", "line 1: its path has a null byte"),
        (f"{DIGEST}  a\n{'0b' * 32}  ./a\n", "lists a twice, with different checksums"),
        pytest.param("0" * (1 << 21), "line 1: it is longer than 1048576 bytes", id="longer than any path"),
    ],
)
def test_a_malformed_manifest_is_refused(executor: Executor, text: str, says: str, place: Path) -> None:
    (place / "manifest").write_text(text)
    done = verify(executor, place)
    assert done.terminal["code"] == "manifest_invalid"
    assert done.terminal["message"].startswith(f"the manifest {place / 'manifest'}")
    assert says in done.terminal["message"]
    assert differences(done) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_places_are_refused(executor: Executor, place: Path) -> None:
    plain(place / "tree")
    write(place / "file")
    (place / "link").symlink_to("file")
    before = snapshot(place)
    for action, options, code in (
        ("create", {"source": str(place / "none")}, "source_missing"),
        ("create", {"source": str(place / "file")}, "source_not_directory"),
        ("create", {"manifest": str(place / "none" / "manifest")}, "destination_unwritable"),
        ("create", {"manifest": str(place / "file" / "manifest")}, "destination_unwritable"),
        ("create", {"manifest": str(place / "tree")}, "destination_unwritable"),
        ("create", {"manifest": str(place / "link")}, "destination_unwritable"),
        ("verify", {}, "source_missing"),
        ("verify", {"manifest": str(place / "none" / "manifest")}, "source_missing"),
        ("create", {"algorithm": "md5"}, "bad_job"),
        ("create", {"manifest": "relative"}, "bad_job"),
        ("verify", {"unexpected": "ignore"}, "bad_job"),
        ("forget", {}, "bad_job"),
    ):
        done = checksum(executor, place, action, **options)
        assert done.terminal["code"] == code, (action, options, done.terminal)
        assert snapshot(place) == before


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_whole_is_known_and_a_job_out_of_time_leaves_nothing(executor: Executor, place: Path) -> None:
    plain(place / "tree")
    with open(place / "tree" / "big", "wb") as stream:
        stream.truncate(64 << 30)
    write(place / "manifest", b"old")
    done = create(executor, place, timeout=1.6, progress_interval=0.1)
    assert done.terminal["code"] == "timeout"
    assert (place / "manifest").read_bytes() == b"old"
    assert temporaries(place) == []
    known = [event for event in done.events if event["event"] == "progress" and event.get("totals_known")]
    assert known and known[-1]["phase"] == "checksum"
    assert known[-1]["bytes_total"] == (64 << 30) + sum(len(each) for each in (b"<html>" * 100, b"deep")) + 16
    assert known[-1]["items_total"] == 5 + 4
    assert 0 < known[-1]["bytes_done"] < known[-1]["bytes_total"]
    assert known[-1]["current"] == "big"


def test_the_fallback_says_which_library_it_lacks(place: Path) -> None:
    plain(place / "tree")
    create("go", place, algorithm="blake3")
    write(place / "hidden" / "sitecustomize.py", b"import sys\nsys.modules.update(blake3=None, xxhash=None)\n")
    path = os.pathsep.join([str(place / "hidden"), str(REPOSITORY / "build" / "collections")])
    env = {"PYTHONPATH": path}
    for action, options, library in (
        ("create", {"algorithm": "blake3"}, "blake3"),
        ("create", {"algorithm": "xxh3"}, "xxhash"),
        ("verify", {"algorithm": "blake3"}, "blake3"),
        ("verify", {}, "blake3"),
    ):
        done = checksum("python", place, action, env=env, **options)
        assert done.terminal["code"] == "capability_missing", done.terminal
        assert f"needs the Python library {library} " in done.terminal["message"]
    assert done.events[0]["capabilities"]["blake3"] is False
    create("go", place)
    assert verify("python", place, env=env).terminal["event"] == "result"
