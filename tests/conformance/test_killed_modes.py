# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 where no rerun compares modes: directories that a killed run made are as open as those of any other run."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, Run, environment, job, run
from .test_file_sync_killed import SUICIDAL_FALLBACK
from .trees import settle, sorted_xattrs, temporaries, write

UMASK = ["sh", "-c", 'umask 027; exec "$@"', "sh"]
UNKEPT = {"permissions": False}


class Work(t.NamedTuple):
    """What is killed, and the phases of the engine at which that is."""

    operation: str
    parameters: dict[str, t.Any]
    phases: tuple[str, ...]


def sync(place: Path, **options: t.Any) -> Work:
    source = place / "source"
    for folder, mode in (("open", 0o755), ("open/to some", 0o711), ("closed", 0o700), ("given", 0o775)):
        for number in range(2):
            write(source / folder / f"file {number}", b"x" * 1000, 0o640, age=number)
        (source / folder).chmod(mode)
    os.chown(source / "given", 1, 2)
    settle(source)
    phases = ("file_sync.directory_created", "file_sync.temporary_created", "file_sync.directory_finished")
    return Work("file_sync", {"source": str(source), "preserve": UNKEPT, **options}, phases)


def unpack(place: Path, **options: t.Any) -> Work:
    """Directories with entries of their own, and ones that are only above others."""
    with tarfile.open(place / "archive.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for number, path in enumerate(("above/app/bin/x", "listed/y", "above/app/z")):
            if path == "listed/y":
                folder = tarfile.TarInfo("listed")
                folder.type, folder.mode, folder.uid, folder.mtime = tarfile.DIRTYPE, 0o775, 1, 1_600_000_000
                archive.addfile(folder)
            file = tarfile.TarInfo(path)
            file.size, file.mode, file.mtime = 1000, 0o640, 1_600_000_000 + number
            archive.addfile(file, io.BytesIO(b"x" * 1000))
    phases = ("file_archive.directory_made", "file_archive.temporary_created", "file_archive.renamed")
    return Work("file_archive", {"action": "unpack", "source": str(place / "archive.tar"), **options}, phases)


WORKS: dict[str, t.Callable[[Path], Work]] = {
    "sync": sync,
    "sync, modes kept": lambda place: sync(place, preserve={}),
    "unpack": unpack,
    "unpack, modes not kept": lambda place: unpack(place, preserve=UNKEPT),
}


@pytest.fixture(params=list(WORKS))
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Work:
    return WORKS[request.param](tmp_path)


def perform(executor: Executor, work: Work, to: Path, **options: t.Any) -> Run:
    return run(executor, work.operation, {**work.parameters, "destination": str(to)}, prefix=UMASK, **options)


def modes(root: Path) -> dict[str, t.Any]:
    """Who may use what, parents of the destination among it."""
    found = {path: path.lstat() for path in [root, *root.rglob("*")]}
    return {
        str(path.relative_to(root)): (info.st_mode, info.st_uid, info.st_gid, sorted_xattrs(os.fsencode(path)))
        for path, info in found.items()
    }


def never_killed(executor: Executor, work: Work, place: Path) -> dict[str, t.Any]:
    assert perform(executor, work, place / "whole" / "new" / "to").terminal["event"] == "result"
    return modes(place / "whole")


def rerun_completes(executor: Executor, work: Work, root: Path, whole: t.Any, where: str) -> None:
    again = perform(executor, work, root / "new" / "to")
    assert again.terminal["event"] == "result", (where, again.terminal)
    assert perform(executor, work, root / "new" / "to").changes == [], where
    assert temporaries(root) == [], where
    assert modes(root) == whole, where
    shutil.rmtree(root)


def test_the_engine_killed_at_every_phase(work: Work, tmp_path: Path, failing_engine: Path) -> None:
    whole, root = never_killed("go", work, tmp_path), tmp_path / "killed"
    for phase in work.phases:
        for hit in (1, 2):
            root.mkdir()
            env = {"MIGRATION_FAILPOINT": f"{phase}:{hit}"}
            killed = perform("go", work, root / "new" / "to", engine=failing_engine, env=env)
            assert killed.code == -signal.SIGKILL, (phase, hit)
            rerun_completes("go", work, root, whole, f"killed at {phase}, hit {hit}")


def test_the_fallback_killed_at_every_second_write(work: Work, tmp_path: Path) -> None:
    whole, root = never_killed("python", work, tmp_path), tmp_path / "killed"
    for fatal in range(1, 1000, 2):
        root.mkdir()
        killed = subprocess.run(
            [*UMASK, sys.executable, "-c", SUICIDAL_FALLBACK, str(fatal), "run"],
            input=job(work.operation, {**work.parameters, "destination": str(root / "new" / "to")}),
            capture_output=True,
            env=environment(),
            timeout=60,
            check=False,
        )
        if killed.returncode != -signal.SIGKILL:
            assert killed.returncode == 0, killed.stderr
            break
        rerun_completes("python", work, root, whole, f"killed at write {fatal}")
    assert fatal > 10


def test_where_an_access_list_is_inherited(work: Work, tmp_path: Path, failing_engine: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    if subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx,g::rwx,o::-", str(above)], check=False).returncode:
        pytest.skip("this filesystem keeps no access control lists")
    for executor in EXECUTORS:
        assert perform(executor, work, above / executor).terminal["event"] == "result"
        assert perform(executor, work, above / executor).changes == []
    whole = modes(above / "go")
    assert modes(above / "python") == whole
    env = {"MIGRATION_FAILPOINT": f"{work.phases[1]}:3"}
    killed = perform("go", work, above / "killed", engine=failing_engine, env=env)
    assert killed.code == -signal.SIGKILL
    assert perform("go", work, above / "killed").terminal["event"] == "result"
    assert modes(above / "killed") == whole


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as another user")
@pytest.mark.parametrize("executor", EXECUTORS)
def test_another_user_makes_what_he_cannot_write_in(executor: Executor, tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    write(source / "folder" / "file", mode=0o444)
    (source / "folder").chmod(0o555)
    source.chmod(0o555)
    settle(source)
    place.mkdir()
    os.chown(place, 1234, 1234)
    tmp_path.chmod(0o755)
    given = {"source": str(source), "destination": str(place / "to"), "preserve": UNKEPT}
    assert run(executor, "file_sync", given, user=1234).terminal["event"] == "result"
    assert [path.stat().st_mode & 0o777 for path in (place / "to", place / "to" / "folder")] == [0o555, 0o555]
