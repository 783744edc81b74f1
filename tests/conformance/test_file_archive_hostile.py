# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archives that lead out of the destination, or are no whole archives, are refused before anything is touched."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor
from .test_file_archive import ended, unpack
from .trees import snapshot, temporaries, write

Member = t.Tuple[str, bytes, str]


def make(path: Path, *members: Member, form: int = tarfile.PAX_FORMAT) -> None:
    """An archive of (name, type, content of a file or target of a link)."""
    with tarfile.open(path, "w", format=form) as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            info.linkname = text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            data = text.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def file(name: str, content: str = "new") -> Member:
    return (name, tarfile.REGTYPE, content)


def link(name: str, target: str) -> Member:
    return (name, tarfile.SYMTYPE, target)


def hard(name: str, target: str) -> Member:
    return (name, tarfile.LNKTYPE, target)


def folder(name: str) -> Member:
    return (name, tarfile.DIRTYPE, "")


UNSAFE: dict[str, tuple[list[Member], str]] = {
    "absolute": ([file("/etc/out")], "absolute path"),
    "above": ([file("../out")], "leads out of the tree"),
    "above within": ([file("a/../../out")], "leads out of the tree"),
    "through a link": ([link("a", "b"), folder("b"), file("a/out")], "below a, which is no directory"),
    "through a file": ([file("a"), file("a/out")], "below a, which is no directory"),
    "link after what is in it": ([file("a/in"), link("a", "b")], "no directory, but another is in it"),
    "absolute link": ([link("a", "/etc")], "symbolic link a may lead out"),
    "link to above": ([link("a", "../out")], "symbolic link a may lead out"),
    "link by a link": ([link("a", "b/../../out")], "symbolic link a may lead out"),
    "hard link to above": ([hard("a", "../outside/secret")], "leads out of the tree"),
    "absolute hard link": ([hard("a", "/etc/passwd")], "absolute path"),
    "hard link to what is there": ([hard("a", "there")], "no file before it"),
    "hard link to a link": ([link("b", "there"), hard("a", "b")], "no file before it"),
    "our own names": ([file(".migration-assistant-0123456789abcdef.tmp")], "temporary files"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a destination, and a secret beside it."""
    write(tmp_path / "outside" / "secret", b"secret")
    write(tmp_path / "unpacked" / "there", b"there")
    return tmp_path


def refused(executor: Executor, place: Path, code: str, archive: str = "out.tar", **options: t.Any) -> str:
    before = snapshot(place)
    for dry_run in (True, False):
        done = unpack(executor, place, archive, dry_run=dry_run, **options)
        assert done.terminal["event"] == "error", done.terminal
        assert (done.terminal["code"], done.terminal["changed"]) == (code, False), done.terminal
        assert not done.changes
        assert snapshot(place) == before
    message = str(done.terminal["message"])
    assert "\n" not in message
    assert str(place / archive) in message
    return message


@pytest.mark.parametrize("case", list(UNSAFE))
@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_leads_out_is_refused(executor: Executor, case: str, place: Path) -> None:
    members, says = UNSAFE[case]
    make(place / "out.tar", file("first"), *members)
    assert says in refused(executor, place, "archive_unsafe")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_outside_links_are_made_if_asked_for_and_never_followed(executor: Executor, place: Path) -> None:
    make(place / "out.tar", link("a", "../outside"), link("b/c", "/nowhere"))
    ended(unpack(executor, place, allow_outside_links=True), True)
    assert os.readlink(place / "unpacked" / "a") == "../outside"
    make(place / "out.tar", file("a/secret", "overwritten"))
    done = unpack(executor, place)
    assert done.terminal["code"] == "partial_failure", done.terminal
    assert (place / "outside" / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_links_that_stay_inside_are_made(executor: Executor, place: Path) -> None:
    make(place / "out.tar", link("a/b/up", "../../there"), link("a/same", "./b//up"), link("dangling", "nowhere"))
    ended(unpack(executor, place), True)
    assert (place / "unpacked" / "a" / "b" / "up").read_bytes() == b"there"
    ended(unpack(executor, place), False)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_comes_twice_is_refused(executor: Executor, place: Path) -> None:
    make(place / "out.tar", file("a"), file("./a"))
    assert "a is there twice" in refused(executor, place, "archive_invalid")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_too_large_is_refused(executor: Executor, place: Path) -> None:
    make(place / "plain.tar", file("zeros", "\0" * 3_000_000))
    (place / "out.tar").write_bytes(gzip.compress((place / "plain.tar").read_bytes()))
    message = refused(executor, place, "archive_too_large", max_unpacked_size=2_000_000)
    assert "max_unpacked_size, which is 2000000 bytes" in message
    ended(unpack(executor, place, max_unpacked_size=4_000_000), True)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_is_not_whole_is_refused(executor: Executor, place: Path) -> None:
    make(place / "whole.tar", file("a", "x" * 2000), file("b", "y" * 100))
    whole = (place / "whole.tar").read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    spoilt = bytearray(whole)
    spoilt[4 * 512 + 512 + 100] ^= 1  # in the second header
    broken: dict[str, bytes] = {
        "empty": b"",
        "rubbish": b"no archive" * 1000,
        "within a file": whole[:1000],
        "between two entries": whole[: 5 * 512],
        "without its end": whole[:end],
        "a spoilt header": bytes(spoilt),
        "more behind its end": whole + b"more",
        "compressed, within": gzip.compress(whole)[:-10],
        "compressed, its sum": gzip.compress(whole)[:-8] + b"12345678",
        "compressed rubbish": gzip.compress(b"no archive" * 1000),
    }
    for case, content in broken.items():
        (place / "out.tar").write_bytes(content)
        message = refused(executor, place, "archive_invalid")
        assert "truncated or corrupt" in message or case == "more behind its end", (case, message)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_format_of_tar_is_read(executor: Executor, form: int, place: Path) -> None:
    long_name = "d" * 90 + "/" + "n" * 60
    make(place / "out.tar", file(long_name), link("l", "t" * 99), file("s"), hard("h", "s"), folder("e/f"), form=form)
    ended(unpack(executor, place), True)
    assert (place / "unpacked" / long_name).read_bytes() == b"new"
    assert (place / "unpacked" / "h").stat().st_nlink == 2
    assert os.readlink(place / "unpacked" / "l") == "t" * 99
    ended(unpack(executor, place), False)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_directory_is_not_replaced_by_a_file(executor: Executor, place: Path) -> None:
    write(place / "unpacked" / "a" / "kept")
    make(place / "out.tar", file("a"), file("b"), folder("there"))
    check, done = unpack(executor, place, dry_run=True), unpack(executor, place)
    assert check.terminal["code"] == done.terminal["code"] == "partial_failure"
    assert check.changes == done.changes
    assert "a directory is in the way" in done.terminal["message"]
    assert (place / "unpacked" / "a" / "kept").exists()
    assert (place / "unpacked" / "b").exists()
    assert (place / "unpacked" / "there").is_dir()
    assert temporaries(place) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_devices_are_made_only_if_asked_for(executor: Executor, place: Path) -> None:
    make(place / "out.tar", ("null", tarfile.CHRTYPE, ""), ("pipe", tarfile.FIFOTYPE, ""))
    done = unpack(executor, place)
    ended(done, True)
    assert [(each["code"], each["path"]) for each in done.warnings] == [("special_skipped", "null")]
    assert (place / "unpacked" / "pipe").is_fifo()
    assert not (place / "unpacked" / "null").exists()
