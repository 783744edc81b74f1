# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hard links, deletions, and what a killed run left."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

LEFTOVER = ".migration-assistant-0123456789abcdef.tmp"


def write(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(10**18, 10**18 + len(content)))
    return path


def inodes(root: Path, *names: str) -> t.Set[int]:
    return {os.lstat(root / name).st_ino for name in names}


@pytest.fixture
def linked(source: Path) -> Path:
    write(source / "b" / "one", b"shared")
    (source / "a").mkdir()
    for name in ("a/two", "c", "b/three"):
        os.link(source / "b" / "one", source / name)
    return source


NAMES = ("a/two", "b/one", "b/three", "c")


def test_links_are_made_to_the_first_path(sync: t.Any, linked: Path, destination: Path) -> None:
    times = (linked / "b").stat().st_mtime_ns
    outcome = sync()
    assert len(inodes(destination, *NAMES)) == 1
    assert outcome.statistics["files_copied"] == 1
    assert outcome.statistics["hard_links_created"] == 3
    assert outcome.statistics["files_total"] == 4
    assert outcome.statistics["bytes_total"] == 24
    assert (destination / "b").stat().st_mtime_ns == times
    again = sync()
    assert not again.changed
    assert again.statistics["files_unchanged"] == 4


def test_links_can_be_ignored(sync: t.Any, linked: Path, destination: Path) -> None:
    outcome = sync(preserve={"hard_links": False})
    assert len(inodes(destination, *NAMES)) == 4
    assert outcome.statistics["files_copied"] == 4


def test_a_name_that_is_up_to_date_leads(sync: t.Any, linked: Path, destination: Path) -> None:
    write(destination / "c", b"shared")
    write(destination / "a" / "two", b"stale!!")
    inode = os.stat(destination / "c").st_ino
    for compare in ("quick", "checksum"):
        outcome = sync(compare=compare)
        assert outcome.statistics["files_copied"] == 0
        assert inodes(destination, *NAMES) == {inode}


def test_a_new_content_relinks_all_names(sync: t.Any, linked: Path, destination: Path) -> None:
    sync()
    write(linked / "c", b"new content")
    outcome = sync()
    assert outcome.brief == [("update", "file", name) for name in NAMES]
    assert outcome.statistics["hard_links_created"] == 3
    assert (destination / "b/one").read_bytes() == b"new content"
    assert len(inodes(destination, *NAMES)) == 1


def test_metadata_of_links_is_set_once(sync: t.Any, linked: Path, destination: Path) -> None:
    sync()
    os.chmod(linked / "c", 0o600)
    outcome = sync()
    assert outcome.statistics["metadata_updated"] == 1
    assert outcome.statistics["files_unchanged"] == 3


def test_an_inode_that_others_share_is_not_changed(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "file")
    sync()
    os.link(destination / "file", destination.parent / "outside")
    os.chmod(source / "file", 0o600)
    outcome = sync()
    assert outcome.brief == [("update", "file", "file")]
    assert os.stat(destination.parent / "outside").st_mode & 0o777 == 0o644


def test_links_whose_content_is_no_longer_one(sync: t.Any, linked: Path, destination: Path) -> None:
    sync()
    os.unlink(linked / "c")
    write(linked / "c", b"separate")
    assert ("update", "file", "c") in sync().brief
    assert (destination / "b/one").read_bytes() == b"shared"


def test_a_linked_file_where_a_directory_was(sync: t.Any, linked: Path, destination: Path) -> None:
    write(destination / "a" / "two" / "below")
    sync(delete=True)
    assert len(inodes(destination, *NAMES)) == 1
    write(destination / "x")
    for name in NAMES:
        os.unlink(destination / name)
        write(destination / name / "below")
    outcome = sync(delete=True)
    assert len(inodes(destination, *NAMES)) == 1
    assert outcome.statistics["deleted"] == 5


def test_nothing_is_deleted_unasked(sync: t.Any, source: Path, destination: Path) -> None:
    write(destination / "extra")
    sync()
    assert (destination / "extra").exists()


def test_deletions(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "keep" / "file")
    write(destination / "keep" / "extra", b"12345")
    write(destination / "gone" / "deep" / "file")
    (destination / "gone" / "link").symlink_to(source)
    os.utime(source / "keep", ns=(5, 5))
    outcome = sync(delete=True)
    deleted = [change for change in outcome.changes if change["action"] == "delete"]
    assert [(change["kind"], change["path"], change.get("before")) for change in deleted] == [
        ("directory", "gone", None),
        ("directory", "gone/deep", None),
        ("file", "gone/deep/file", {"size": 7}),
        ("symlink", "gone/link", None),
        ("file", "keep/extra", {"size": 5}),
    ]
    assert outcome.statistics["deleted"] == 5
    assert sorted(os.listdir(destination)) == ["keep"]
    assert (source / "keep" / "file").exists()
    assert os.stat(destination / "keep").st_mtime_ns == 5
    assert not sync(delete=True).changed


@pytest.mark.parametrize(("limit", "code"), [(0, "max_delete_exceeded"), (2, "max_delete_exceeded"), (3, None)])
def test_limit_of_deletions(limit: int, code: t.Optional[str], sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "new")
    write(destination / "old" / "a")
    write(destination / "b")
    outcome = sync(delete=True, max_delete=limit)
    assert outcome.terminal.get("code") == code
    assert (destination / "new").exists()
    assert (destination / "b").exists() == (code is not None)
    if code:
        assert "3 entries" in outcome.terminal["message"]
        assert str(limit) in outcome.terminal["message"]


def test_protected_contents_keep_their_directory(sync: t.Any, source: Path, destination: Path) -> None:
    write(destination / "old" / "below" / "precious")
    write(destination / "old" / "junk")
    rules = [{"action": "protect", "regex": ".*precious"}]
    outcome = sync(delete=True, filters=rules)
    assert [change for change in outcome.brief if change[2] != "."] == [("delete", "file", "old/junk")]
    assert (destination / "old" / "below" / "precious").exists()


def test_protected_contents_are_not_replaced(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "entry")
    write(destination / "entry" / "precious")
    outcome = sync(delete=True, filters=[{"action": "protect", "regex": ".*precious"}])
    assert outcome.terminal["code"] == "partial_failure"
    assert (destination / "entry" / "precious").exists()


def test_what_a_killed_run_left_is_removed(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / "d" / "file")
    write(destination / LEFTOVER)
    write(destination / "d" / LEFTOVER)
    write(destination / "d" / ".migration-assistant-short.tmp")
    outcome = sync(filters=[{"action": "exclude", "regex": r".*\.tmp"}])
    removed = [("delete", "temporary", LEFTOVER), ("delete", "temporary", "d/" + LEFTOVER)]
    assert [change for change in outcome.brief if change[0] == "delete"] == removed
    assert outcome.statistics["temporaries_removed"] == 2
    assert sorted(os.listdir(destination / "d")) == [".migration-assistant-short.tmp", "file"]


def test_temporary_names_are_not_copied(sync: t.Any, source: Path, destination: Path) -> None:
    write(source / LEFTOVER)
    outcome = sync()
    assert outcome.warnings == [("temporary_skipped", LEFTOVER)]
    assert outcome.statistics["skipped"] == 1
    assert os.listdir(destination) == []
