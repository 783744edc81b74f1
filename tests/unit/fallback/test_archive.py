# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.migration.assistant.plugins.module_utils._fallback import _platform, acl, compression, tarball
from ansible_collections.migration.assistant.plugins.module_utils._fallback._errors import JobError
from ansible_collections.migration.assistant.plugins.module_utils._fallback.archive_entry import leads_out

DATA = b"some bytes " * 300_000


@pytest.mark.parametrize("by_command", [False, True])
@pytest.mark.parametrize("name", list(compression.FORMATS))
def test_formats(name: str, by_command: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By library and, where the command is here, by command: what is written is read, and half of it is refused."""
    form = compression.FORMATS[name]
    if by_command:
        if not form.command or not _platform.has_command(form.command):
            return
        monkeypatch.setattr(_platform, "has_library", lambda _library: False)
    path = tmp_path / "file"
    with open(path, "wb", buffering=0) as stream:
        writer = form.writer(stream, form.usual, 2)
        for start in range(0, len(DATA), 1_000_000):
            writer.write(DATA[start : start + 1_000_000])
        writer.close()
    assert read(form, path) == DATA
    if name == "tar":
        return
    assert path.stat().st_size < len(DATA) / 10
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(compression.Corrupt):
        read(form, path)


def read(form: compression.Format, path: Path) -> bytes:
    with open(path, "rb") as stream:
        assert form.name == "brotli" or compression.detect(stream.fileno()) is form
        reader = form.reader(stream.fileno())
        try:
            return b"".join(iter(lambda: reader.read(100_000), b""))
        finally:
            reader.close()


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_platform, "has_library", lambda _library: False)
    monkeypatch.setattr(_platform, "has_command", lambda _command: False)
    assert _platform.capabilities()["zstd"] is False
    with pytest.raises(JobError, match="Python library zstandard or the command zstd .* for the format zstd") as caught:
        compression.FORMATS["zstd"].require()
    assert caught.value.code == "capability_missing"


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    reader = tarball.TarReader(io.BytesIO(data).read)
    with pytest.raises(compression.Corrupt):
        while reader.next() is not None:
            for _piece in reader.content():
                continue


@pytest.mark.parametrize("mtime", [0, 1, -1, -1_500_000_000, 1_700_000_000_123_456_789, 10**20, -(10**18)], ids=str)
def test_times(mtime: int) -> None:
    member = tarball.Member("file", tarball.FILE)
    member.mtime_ns = mtime
    found = tarball.TarReader(io.BytesIO(member.header() + tarball.END).read).next()
    assert found is not None
    assert found.mtime_ns == mtime


def test_access_lists() -> None:
    text = b"user::rw-,user:1234:r--,group::r-x,mask::rwx,other::---"
    assert acl.to_text(acl.from_text(text)) == text
    named = b"user::rw-\nother::---\nuser:daemon:r--:1234\ngroup::r-x\nmask::rwx\n"
    assert acl.from_text(named) == acl.from_text(text)
    assert acl.to_text(b"no list") is None
    for wrong in (b"user", b"nobody::rwx", b"user:daemon:rwx"):
        with pytest.raises(compression.Corrupt):
            acl.from_text(wrong)


@pytest.mark.parametrize(
    "path, target, outside",
    [
        ("a", "b", False),
        ("a", "b/c", False),
        ("a/b", "../c", False),
        ("a", "..", True),
        ("a/b", "../..", True),
        ("a/b", "c/../d", True),
        ("a", "/b", True),
        ("a", "./b//c/.", False),
    ],
)
def test_links_that_lead_out(path: str, target: str, outside: bool) -> None:
    assert leads_out(path, target) is outside
