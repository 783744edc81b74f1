# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Engines that were delivered to a host, and the directories that they lie in."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._executor import (
    Wish,
    cache,
    choose,
    host_platform,
    places,
)
from ansible_collections.migration.assistant.plugins.module_utils._version import VERSION

ENGINE = b"#!/bin/sh\necho version\n"
SUM = hashlib.sha256(ENGINE).hexdigest()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories that are this test's alone: the usual one, and one for hosts where that cannot be used."""
    monkeypatch.setattr(places, "_SYSTEM", str(tmp_path / "first" / "migration-assistant"))
    monkeypatch.setattr(places, "_shared", lambda: [str(tmp_path / "second")])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    return tmp_path


@pytest.fixture
def usual(home: Path) -> Path:
    return home / "first" / "migration-assistant" / "engine"


def delivered(home: Path, content: bytes = ENGINE, pack: bool = True) -> str:
    path = home / "delivered"
    path.write_bytes(gzip.compress(content) if pack else content)
    return str(path)


def chosen(sha256: t.Optional[str] = SUM) -> t.Tuple[str, str]:
    choice = choose(Wish(candidates=tuple(cache.candidates(sha256))))
    return choice.used, choice.reason


@pytest.mark.parametrize("pack", [True, False])
def test_a_delivered_engine_gets_its_place(home: Path, usual: Path, pack: bool) -> None:
    assert chosen() == ("python", f"no engine for {host_platform()} on this host")
    path = Path(cache.install(delivered(home, pack=pack), SUM))
    assert path == usual / f"migration-engine-{VERSION}-{host_platform()}-{SUM[:16]}"
    assert path.read_bytes() == ENGINE
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert os.listdir(usual) == [path.name]
    assert chosen() == ("go", "the engine that was delivered to this host")
    assert chosen(None) == ("go", "the engine that was delivered to this host")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(ENGINE + b"x"), "its sha256 is not the one"),
        (ENGINE + b"x", "its sha256 is not the one"),
        (gzip.compress(ENGINE)[:-9], "torn"),
        (gzip.compress(ENGINE)[:15] + b"xx" + gzip.compress(ENGINE)[17:], "torn|sha256|CRC|invalid"),
        (b"", "its sha256 is not the one"),
    ],
    ids=["other content", "unpacked", "cut off", "spoilt", "empty"],
)
def test_what_arrives_spoilt_is_not_installed(home: Path, usual: Path, content: bytes, message: str) -> None:
    (home / "delivered").write_bytes(content)
    with pytest.raises(cache.NotInstalled, match=message):
        cache.install(str(home / "delivered"), SUM)
    assert not usual.exists() or os.listdir(usual) == []


def test_an_engine_that_was_tampered_with_is_refused_and_replaced(home: Path) -> None:
    path = cache.install(delivered(home), SUM)
    with open(path, "ab") as stream:
        stream.write(b"rm -rf /\n")
    used, reason = chosen()
    assert used == "python"
    assert "is corrupt or of another build" in reason
    assert chosen(None)[0] == "python"
    assert cache.install(delivered(home), SUM) == path
    assert chosen()[0] == "go"


def test_an_engine_in_a_directory_that_others_can_write_is_refused(home: Path, usual: Path) -> None:
    cache.install(delivered(home), SUM)
    for directory in (usual, usual.parent):
        directory.chmod(0o777)
        used, reason = chosen()
        assert used == "python"
        assert f"{directory} can be written by others (mode 0777)" in reason
        directory.chmod(0o755)
    assert chosen()[0] == "go"


@as_root
@pytest.mark.parametrize("what", ["engine", "directory", "parent"])
def test_an_engine_of_another_user_is_refused(home: Path, usual: Path, what: str) -> None:
    path = cache.install(delivered(home), SUM)
    os.chown({"engine": path, "directory": str(usual), "parent": str(usual.parent)}[what], 12345, 12345)
    used, reason = chosen()
    assert used == "python"
    assert "belongs to another user (uid 12345)" in reason


@as_root
def test_a_link_that_another_user_planted_is_not_followed(home: Path, usual: Path) -> None:
    (home / "elsewhere").mkdir()
    usual.parent.mkdir(parents=True)
    usual.symlink_to(home / "elsewhere")
    os.chown(usual, 12345, 12345, follow_symlinks=False)
    path = cache.install(delivered(home), SUM)
    assert "second" in path
    assert os.listdir(home / "elsewhere") == []


def test_a_link_of_ones_own_to_a_larger_disk_is_followed(home: Path, usual: Path) -> None:
    (home / "disk").mkdir(mode=0o700)
    usual.parent.mkdir(parents=True)
    usual.symlink_to(home / "disk")
    cache.install(delivered(home), SUM)
    assert len(os.listdir(home / "disk")) == 1
    assert chosen()[0] == "go"


def test_where_the_usual_directory_cannot_be_used_another_one_is(home: Path) -> None:
    (home / "first").write_text("a file where a directory should be")
    path = cache.install(delivered(home), SUM)
    assert path.startswith(str(home / "second" / f"migration-assistant-{os.geteuid()}" / "engine"))
    assert chosen()[0] == "go"


@as_root
def test_where_programs_cannot_be_started_another_directory_is_taken(home: Path) -> None:
    for name in ("first", "second"):
        (home / name).mkdir()
    mounted = []

    def mount(name: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,size=20m", "none", str(home / name)], check=False)
        if done.returncode != 0:
            pytest.skip("this machine allows no mounts")
        mounted.append(str(home / name))

    try:
        mount("first")
        path = cache.install(delivered(home), SUM)
        assert "second" in path
        assert os.listdir(home / "first" / "migration-assistant" / "engine") == []
        os.unlink(path)
        mount("second")
        with pytest.raises(cache.NotInstalled, match=r"first.*: Permission denied; .*second.*: Permission denied"):
            cache.install(delivered(home), SUM)
    finally:
        for place in mounted:
            subprocess.run(["umount", place], check=True)


def test_an_engine_that_does_not_run_is_not_installed(home: Path) -> None:
    broken = b"#!/bin/sh\nexit 3\n"
    with pytest.raises(cache.NotInstalled, match="does not run .exit code 3"):
        cache.install(delivered(home, broken), hashlib.sha256(broken).hexdigest())


def test_old_engines_go_and_the_newest_stay(home: Path, usual: Path) -> None:
    usual.mkdir(parents=True)
    usual.parent.chmod(0o755)
    usual.chmod(0o755)
    for age, name in enumerate(["0.0.4", "0.0.3", "0.0.2", "0.0.1"]):
        old = usual / f"migration-engine-{name}-{host_platform()}-{'0' * 16}"
        old.write_bytes(b"old")
        os.utime(old, (1000 - age, 1000 - age))
    (usual / "something else").write_text("of somebody else")
    path = cache.install(delivered(home), SUM)
    left = {name.split("-")[2] for name in os.listdir(usual) if name.startswith("migration-engine-")}
    assert left == {VERSION, "0.0.4", "0.0.3"}
    assert (usual / "something else").exists()
    assert os.path.exists(path)


def test_what_a_killed_module_left_goes(home: Path, usual: Path) -> None:
    cache.install(delivered(home), SUM)
    for name, age in (("old", 86400), ("new", 0)):
        (usual / f".incoming-{name}").write_bytes(b"half")
        os.utime(usual / f".incoming-{name}", (time.time() - age, time.time() - age))
    cache.install(delivered(home), SUM)
    assert [name for name in os.listdir(usual) if name.startswith(".incoming")] == [".incoming-new"]


def test_all_users_can_enter_where_root_has_it(home: Path, usual: Path) -> None:
    umask = os.umask(0o077)
    try:
        places.make_private(os.path.join(places.state_directory(), "jobs"))
        path = cache.install(delivered(home), SUM)
    finally:
        os.umask(umask)
    modes = [stat.S_IMODE(os.stat(place).st_mode) for place in (path, usual, usual.parent)]
    assert modes == [0o755, 0o755, 0o755]


def test_what_is_kept_on_a_host_can_be_found_and_removed(home: Path, usual: Path) -> None:
    assert places.kept() == []
    cache.install(delivered(home), SUM)
    places.make_private(os.path.join(places.state_directory(), "changes"))
    places.make_private(os.path.join(usual.parent, "checksums"))
    foreign = home / "second" / f"migration-assistant-{os.geteuid()}"
    (foreign / "jobs").mkdir(parents=True)
    foreign.chmod(0o777)
    found = places.kept()
    assert [os.path.basename(directory) for directory in found][:2] == ["engine", "checksums"]
    assert os.path.basename(found[-1]) == "changes"
    for directory in found:
        places.remove(directory)
    assert not usual.parent.exists()
    assert (foreign / "jobs").exists()


def test_a_user_without_a_home_has_a_place_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "first").write_text("no directory")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "first"))
    assert places.state_directory() == str(home / "second" / f"migration-assistant-{os.geteuid()}")
    monkeypatch.setattr(places, "_shared", lambda: [str(home / "first")])
    with pytest.raises(places.NoPlace, match="File exists|Not a directory"):
        places.state_directory()
