# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""file_sync with follow_symlinks: a link is what it leads to, by every executor and between two of them."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, Run, run
from .trees import stamp, temporaries, write

everyone = pytest.mark.parametrize("executor", [*EXECUTORS, *FAR_SIDES])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with links to all kinds of entries, in it and outside."""
    source, outside = tmp_path / "source", tmp_path / "outside"
    write(source / "file", b"inside")
    write(source / "folder" / "below" / "deep", b"deep", age=4)
    write(source / "hard one", b"shared")
    os.link(source / "hard one", source / "hard two")
    write(outside / "secret", b"outside", 0o600, age=7)
    write(outside / "large", os.urandom(2_000_000), age=9)
    write(outside / "folder" / "below", b"below", 0o640, age=8)
    os.setxattr(outside / "secret", "user.colour", b"blue")
    os.setxattr(outside / "folder", "user.colour", b"green")
    os.mkfifo(outside / "fifo", 0o640)
    os.utime(outside / "fifo", ns=(stamp(1), stamp(1)))
    with open(outside / "sparse", "wb") as stream:
        stream.truncate(5 << 20)
    (outside / "folder").chmod(0o2750)
    (source / "to file").symlink_to("file")
    (source / "to link").symlink_to("to file")
    (source / "to hard").symlink_to("hard two")
    (source / "to folder").symlink_to("folder")
    (source / "folder" / "up and out").symlink_to("../../outside/secret")
    for name in ("secret", "large", "folder", "fifo", "sparse"):
        (source / f"outside {name}").symlink_to(outside / name)
    for path in (outside / "folder", source / "folder" / "below", source / "folder"):
        os.utime(path, ns=(stamp(2), stamp(2)))
    return source


def synchronize(executor: Executor, source: Path, destination: Path, dry_run: bool = False, **more: t.Any) -> Run:
    parameters = {"source": str(source), "destination": str(destination), "follow_symlinks": True, **more}
    return run(executor, "file_sync", parameters, dry_run=dry_run)


def followed_differences(source: Path, destination: Path) -> str:
    """What rsync would still have to do, but for extended attributes: it takes those of the links, which have none."""
    command = ["rsync", "-aHALni", "--delete", f"{source}/", f"{destination}/"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_link_becomes_what_it_leads_to(source: Path, tmp_path: Path) -> None:
    seen = {}
    for executor in (*EXECUTORS, *FAR_SIDES):
        destination = tmp_path / executor
        write(destination / "to file", b"of an earlier version")
        write(destination / "extra", b"extra")
        (destination / "outside folder").symlink_to("/etc")
        for path in (destination / "outside folder", destination):
            os.utime(path, ns=(stamp(3), stamp(3)), follow_symlinks=False)
        runs = [synchronize(executor, source, destination, dry, delete=True) for dry in (True, False, True, False)]
        assert [each.code for each in runs] == [0, 0, 0, 0], runs[1].events[-1]
        assert [each.terminal["changed"] for each in runs] == [True, True, False, False]
        assert sorted(map(str, runs[0].changes)) == sorted(map(str, runs[1].changes))
        assert runs[3].statistics["bytes_copied"] == 0
        assert runs[1].statistics["symlinks_total"] == 0
        assert followed_differences(source, destination) == ""
        assert not [path for path in destination.rglob("*") if path.is_symlink()]
        assert (destination / "outside secret").read_bytes() == b"outside"
        assert os.stat(destination / "hard one").st_nlink == 3
        assert os.getxattr(destination / "to folder" / "up and out", "user.colour") == b"blue"
        assert os.getxattr(destination / "outside folder", "user.colour") == b"green"
        assert temporaries(destination) == []
        seen[executor] = [each.comparable({source: "source", destination: "destination"}) for each in runs]
    for executor, found in seen.items():
        assert found == seen["go"], executor


@everyone
def test_links_that_lead_nowhere_are_told_and_their_counterparts_stay(
    executor: Executor, source: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "destination"
    (source / "dangling").symlink_to("no/where")
    (source / "itself").symlink_to("itself")
    (source / "folder" / "no directory").symlink_to("../file/below")
    write(destination / "dangling", b"kept")
    write(destination / "extra", b"extra")
    done = synchronize(executor, source, destination, delete=True)
    assert done.code == 0, done.terminal
    told = [(each["code"], each["path"]) for each in done.warnings]
    dangling = ["dangling", "folder/no directory", "itself", "to folder/no directory"]
    assert sorted(told) == [("symlink_dangling", path) for path in dangling]
    assert (destination / "dangling").read_bytes() == b"kept"
    assert not (destination / "extra").exists()
    assert not os.path.lexists(destination / "itself")
    again = synchronize(executor, source, destination, delete=True)
    assert not again.terminal["changed"]
    assert len(again.warnings) == len(dangling)
    failed = synchronize(executor, source, destination, on_vanished="fail")
    assert failed.terminal["code"] == "partial_failure"
    assert failed.terminal["performance"]["error_count"] == len(dangling)


@everyone
def test_a_link_that_leads_back_is_not_followed_for_ever(executor: Executor, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination"
    (source / "folder" / "root").symlink_to("..")
    (source / "folder" / "below" / "up").symlink_to(source / "folder")
    done = synchronize(executor, source, destination)
    assert done.code == 0, done.terminal
    loops = {each["path"] for each in done.warnings if each["code"] == "symlink_loop"}
    # What is reached by a link to the folder has the folder itself above it.
    assert loops == {f"{name}/{below}" for name in ("folder", "to folder") for below in ("root", "below/up")}
    assert (destination / "folder" / "below" / "deep").read_bytes() == b"deep"
    assert not synchronize(executor, source, destination).terminal["changed"]


@everyone
def test_a_link_to_the_destination_is_refused(executor: Executor, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "destination"
    destination.mkdir()
    (source / "folder" / "out").symlink_to(destination)
    done = synchronize(executor, source, destination)
    assert done.terminal["code"] == "partial_failure"
    assert "the directory is one of the two roots" in done.terminal["message"]
    assert not (destination / "folder" / "out").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_links_lead_to_is_measured(executor: Executor, source: Path) -> None:
    (source / "folder" / "root").symlink_to("..")
    (source / "dangling").symlink_to("no/where")
    measured = run(executor, "file_statistics", {"source": str(source), "follow_symlinks": True})
    assert measured.code == 0
    found = measured.statistics
    assert found["symlinks_total"] == 0
    assert found["bytes_total"] == sum(
        path.stat().st_size
        for directory, _directories, names in os.walk(source, followlinks=False)
        for path in (Path(directory, name) for name in names)
        if path.is_file()
    ) + len(b"deep") + len(b"outside") + len(b"below")
    assert found["specials_total"] == 1
