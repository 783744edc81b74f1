# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The format of manifests, and what a tree that changes meanwhile does to a job."""

from __future__ import annotations

import hashlib
import io
import os
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.migration.assistant.plugins.module_utils._fallback import digests, manifest, tree

from .conftest import Runner

SIZES = (32, 16)
LONG = b"0a" * 32

names = st.binary(min_size=1, max_size=8).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")
)
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)


@given(st.dictionaries(paths, st.binary(min_size=32, max_size=32)))
def test_what_is_written_is_read_again(files: t.Dict[bytes, bytes]) -> None:
    records = sorted(manifest.record(path, checksum) for path, checksum in files.items())
    text = b"".join(manifest.write(records))
    assert text.count(b"\n") == len(files)
    assert manifest.read(io.BytesIO(text), SIZES) == records
    for place, record in enumerate(records):
        path = manifest.path_of(record)
        assert manifest.find(records, path) == place
        assert manifest.checksum_of(record) == files[path]
    assert manifest.find(records, b"no such path") == -1


@pytest.mark.parametrize(
    "text, path",
    [
        (LONG + b"  file", b"file"),
        (LONG.upper() + b" *file\n", b"file"),
        (b"# a comment\n" + LONG + b"  ./a//b", b"a/b"),
        (b"\\" + LONG + b"  a\\\\b\\nc\\rd", b"a\\b\nc\rd"),
        (LONG + b"  a\\nb\r\n", b"a\\nb"),
        (LONG + b"  a\n" + LONG + b"  ./a\n", b"a"),
    ],
)
def test_other_spellings_are_read(text: bytes, path: bytes) -> None:
    (record,) = manifest.read(io.BytesIO(text), SIZES)
    assert manifest.path_of(record) == path


@given(st.binary(max_size=200))
def test_rubbish_gives_a_manifest_error(text: bytes) -> None:
    try:
        manifest.read(io.BytesIO(text), SIZES)
    except manifest.ManifestError as error:
        assert str(error).startswith((", line 1: ", ", line ", " lists "))


def test_checksums_are_those_of_the_tools() -> None:
    # Of "abc", as the authors of the algorithms and their command-line tools give them.
    for name, checksum in (
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("blake3", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        ("xxh3", "06b05ab6733a618578af5f94892f3950"),
    ):
        computed = digests.ALGORITHMS[name].new()
        computed.update(memoryview(b"abc"))
        assert computed.digest().hex() == checksum
        assert len(computed.digest()) == digests.ALGORITHMS[name].size


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file named ``gone`` vanishes after it was listed."""
    opening = tree.open_source_file

    def open_source_file(directory: int, name: str, info: os.stat_result) -> int:
        if name == "gone":
            os.unlink(name, dir_fd=directory)
        return opening(directory, name, info)

    monkeypatch.setattr(tree, "open_source_file", open_source_file)


def checksum(run: Runner, tmp_path: Path, action: str, **parameters: t.Any) -> t.Any:
    return run(
        "file_checksum", action=action, source=str(tmp_path / "tree"), manifest=str(tmp_path / "manifest"), **parameters
    )


def make(tmp_path: Path, *files: str) -> None:
    (tmp_path / "tree").mkdir(exist_ok=True)
    for name in files:
        (tmp_path / "tree" / name).write_text(name)


@pytest.mark.usefixtures("losing")
def test_a_file_that_vanishes_is_not_listed(run: Runner, tmp_path: Path) -> None:
    make(tmp_path, "gone", "stays")
    outcome = checksum(run, tmp_path, "create")
    assert outcome.warnings == [("vanished", "gone")]
    assert outcome.statistics["files_hashed"] == 1
    assert (tmp_path / "manifest").read_text() == hashlib.sha256(b"stays").hexdigest() + "  ./stays\n"


@pytest.mark.usefixtures("losing")
def test_a_listed_file_that_vanishes_is_missing(run: Runner, tmp_path: Path) -> None:
    make(tmp_path, "gone", "stays")
    listed = ["%s  ./%s\n" % (hashlib.sha256(name.encode()).hexdigest(), name) for name in ("gone", "stays")]
    (tmp_path / "manifest").write_text("".join(listed))
    outcome = checksum(run, tmp_path, "verify")
    assert outcome.terminal["code"] == "verification_failed"
    assert [event["path"] for event in outcome.events if event["event"] == "difference"] == ["gone"]
    assert (outcome.statistics["missing"], outcome.statistics["matched"]) == (1, 1)


def test_a_file_that_changes_is_read_again(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "file")
    opening, changes = tree.open_source_file, iter([b"second", b""])

    def open_source_file(directory: int, name: str, info: os.stat_result) -> int:
        descriptor = opening(directory, name, info)
        reading = os.fstat

        def fstat(number: int) -> os.stat_result:
            found = reading(number)
            content = next(changes, b"") if number == descriptor else b""
            if content:
                (tmp_path / "tree" / "file").write_bytes(content)
            return found

        monkeypatch.setattr(os, "fstat", fstat)
        return descriptor

    monkeypatch.setattr(tree, "open_source_file", open_source_file)
    outcome = checksum(run, tmp_path, "create")
    assert outcome.terminal["performance"]["retry_count"] == 1
    assert outcome.warnings == []
    assert (tmp_path / "manifest").read_text() == hashlib.sha256(b"second").hexdigest() + "  ./file\n"


def test_a_full_disk_leaves_the_old_manifest(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "file")
    (tmp_path / "manifest").write_text("old")

    def rename(*_arguments: t.Any, **_options: t.Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", rename)
    outcome = checksum(run, tmp_path, "create")
    assert (outcome.terminal["code"], outcome.changed) == ("disk_full", False)
    assert sorted(os.listdir(tmp_path)) == ["manifest", "tree"]
    assert (tmp_path / "manifest").read_text() == "old"
