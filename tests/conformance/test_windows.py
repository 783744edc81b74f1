# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine's Windows build, under Wine: the cases of file_sync that have a meaning there, and some of its own."""

from __future__ import annotations

import collections
import json
import os
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from . import test_file_sync_killed as killed
from .executors import WINE_ENVIRONMENT, command, environment, job, run, windows_path
from .test_file_sync import CASES, Case, four_ways, make_trees
from .trees import Entry, settle, snapshot, temporaries, write

pytestmark = [pytest.mark.windows, pytest.mark.usefixtures("windows_engine")]

# What a case may need and Windows or Wine has not. Such cases do not run here.
LACKS = {
    "bytes": "names are Unicode: bytes that are no UTF-8 cannot be in one",
    "characters": 'names cannot have \\ : * ? " < > | and control characters',
    "modes": "there are no permission bits, but a read-only attribute",
    "owners": "there are no numeric users and groups",
    "specials": "there are no fifos, sockets and device nodes",
    "symlinks": "Wine has no symbolic links: it follows those of its host, even out of the tree",
    "xattrs": "there are no extended attributes and access control lists of POSIX",
}
# What every run tells of this.
TOLD = ["group_not_preserved", "owner_not_preserved", "permissions_not_preserved", "xattrs_not_preserved"]
TICK = 100  # nanoseconds

Pair = t.Tuple[Path, Path]


def lacks(case: Case) -> list[str]:
    return [LACKS[need] for need in case.needs]


@pytest.mark.parametrize(
    "case", [case for case in CASES if not lacks(case)], ids=[case.name for case in CASES if not lacks(case)]
)
def test_windows_does_the_same(case: Case, tmp_path: Path) -> None:
    here = four_ways(case, "go", *make_trees(case, tmp_path / "go"))
    source, destination = make_trees(case, tmp_path / "windows")
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()], "Wine would follow it"
    there = four_ways(case, "windows", source, destination)
    assert [codes(seen) for seen in there[0]] == [[*codes(seen), *TOLD] for seen in here[0]]
    assert view(there) == view(here)
    if case.equal:
        assert tree(snapshot(source)) == tree(snapshot(destination))


def codes(seen: dict[str, t.Any]) -> list[str]:
    found = [warning.split()[0] for warning in seen["warnings"]]
    return sorted(code for code in found if code not in TOLD) + sorted(code for code in found if code in TOLD)


def view(outcome: list[t.Any]) -> list[t.Any]:
    """What four_ways gives, as far as Windows can tell it."""
    runs, after = outcome
    seen = []
    for one in runs:
        changes = sorted(json.dumps(change(json.loads(text)), sort_keys=True) for text in one["changes"])
        warnings = [warning for warning in one["warnings"] if warning.split()[0] not in TOLD]
        seen.append({**one, "changes": changes, "warnings": warnings})
    return [seen, tree(after) if isinstance(after, dict) else after]


def change(event: dict[str, t.Any]) -> dict[str, t.Any]:
    for side in ("before", "after"):
        values = event.get(side, {})
        if "mode" in values:
            values["mode"] = bool(int(values["mode"], 8) & stat.S_IWUSR)
        if "mtime" in values:
            values["mtime"] //= TICK
    return event


def tree(entries: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """Types, times, the owner's right to write, contents and hard links."""
    return {
        name: (kind, modified // TICK, bool(mode & stat.S_IWUSR), *rest)
        for name, (kind, modified, mode, _xattrs, _user, _group, *rest) in entries.items()
    }


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    destination.mkdir()
    return source, destination


def between(source: Path, destination: Path, **more: t.Any) -> dict[str, t.Any]:
    return {"source": str(source), "destination": str(destination), **more}


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_case_of_a_name_costs_nothing(pair: Pair) -> None:
    """The destination has the names in another spelling, which is the same to it: they must not be deleted."""
    source, destination = pair
    write(source / "report.txt", b"new content")
    write(source / "data" / "file", b"kept")
    write(source / "same", b"same")
    write(destination / "Report.TXT", b"old")
    write(destination / "DATA" / "File", b"kept")
    write(destination / "DATA" / "extra", b"e")
    write(destination / "SAME", b"same")
    check = run("windows", "file_sync", between(*pair, delete=True), dry_run=True)
    done = run("windows", "file_sync", between(*pair, delete=True))
    assert done.terminal["event"] == "result", done.terminal
    assert sorted(map(str, check.changes)) == sorted(map(str, done.changes))
    found = {name.lower(): content for name, content in contents(destination).items()}
    assert found == {"report.txt": b"new content", "data/file": b"kept", "same": b"same"}
    assert done.statistics["deleted"] == 1
    differ = [event for event in done.warnings if event["code"] == "name_differs"]
    assert [event["path"] for event in sorted(differ, key=str)] == ["data", "data/file", "report.txt", "same"]
    assert run("windows", "file_sync", between(*pair, delete=True)).changes == []


@pytest.mark.parametrize("there", [True, False])
def test_names_that_can_only_be_one_are_told(there: bool, pair: Pair) -> None:
    source, destination = pair
    write(source / "Report", b"upper")
    write(source / "report", b"lower")
    write(source / "sub" / "X", b"upper")
    write(source / "sub" / "x", b"lower")
    write(source / "other", b"other")
    write(destination / "extra", b"stays, since the work is not complete")
    if there:
        write(destination / "report", b"older content")
    kept, left_out = ("report", "Report") if there else ("Report", "report")
    check = run("windows", "file_sync", between(*pair, delete=True), dry_run=True)
    done = run("windows", "file_sync", between(*pair, delete=True))
    for seen in (check, done):
        assert seen.terminal["code"] == "partial_failure"
        clashes = {event["path"]: event["message"] for event in seen.warnings if event["code"] == "name_clash"}
        assert sorted(clashes) == sorted([left_out, "sub/x"])
        assert f" {kept} " in clashes[left_out]
        assert " X " in clashes["sub/x"]
    assert sorted(map(str, check.changes)) == sorted(map(str, done.changes))
    assert contents(destination) == {
        kept: (source / kept).read_bytes(),
        "sub/X": b"upper",
        "other": b"other",
        "extra": b"stays, since the work is not complete",
    }
    again = run("windows", "file_sync", between(*pair, delete=True))
    assert (again.changes, again.terminal["code"]) == ([], "partial_failure")


def test_a_destination_is_written_by_one_job_at_a_time(pair: Pair) -> None:
    write(pair[0] / "file", b"x" * 1_000_000)
    paths = {"source": windows_path(str(pair[0])), "destination": windows_path(str(pair[1]))}
    slow = {**paths, "bandwidth_limit": 100_000}
    with subprocess.Popen(
        command("windows"), env=environment(**WINE_ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(job("file_sync", slow, lifeline=True, progress_interval=0.1))
        process.stdin.flush()
        while b'"progress"' not in process.stdout.readline():
            continue
        assert run("windows", "file_sync", between(*pair)).terminal["code"] == "destination_busy"
        process.stdin.close()
        assert b'"cancelled"' in process.stdout.read()
    assert run("windows", "file_sync", between(*pair)).terminal["event"] == "result"
    assert temporaries(pair[1]) == []


@pytest.mark.parametrize(
    "source, destination, code",
    [
        ("none", "destination", "source_missing"),
        ("source/file", "destination", "source_not_directory"),
        ("source", "source/file", "destination_not_directory"),
        ("source", "source/file/below", "destination_not_directory"),
        ("source", "SOURCE/sub", "paths_overlap"),
        ("source/sub", "source", "paths_overlap"),
        ("source", "destination:stream", "bad_job"),
    ],
)
def test_bad_paths_are_refused(source: str, destination: str, code: str, pair: Pair) -> None:
    root = pair[0].parent
    write(root / "source" / "file")
    write(root / "source" / "sub" / "file")
    before = snapshot(root)
    for dry_run in (True, False):
        seen = run("windows", "file_sync", between(root / source, root / destination), dry_run=dry_run)
        assert seen.terminal["code"] == code, seen.terminal
    assert snapshot(root) == before


def test_statistics_are_those_of_linux(tmp_path: Path) -> None:
    for number, size in enumerate((0, 4096, 4097, 70_000, 2 << 20)):
        write(tmp_path / "tree" / f"folder {number % 2}" / f"file {number}", b"x" * size)
    os.link(tmp_path / "tree" / "folder 0" / "file 2", tmp_path / "tree" / "same")
    seen = [run(executor, "file_statistics", {"source": str(tmp_path / "tree")}) for executor in ("go", "windows")]
    assert seen[0].terminal["event"] == seen[1].terminal["event"] == "result"
    assert seen[0].statistics == seen[1].statistics


def test_killed_at_every_phase(pair: Pair, failing_windows_engine: Path, tmp_path: Path) -> None:
    """As on Linux: whatever a killed run leaves, the next one completes."""
    parameters = killed.parameters(*pair)
    log = tmp_path / "phases"
    build(*pair)
    failing: dict[str, t.Any] = {"engine": failing_windows_engine}
    run("windows", "file_sync", parameters, env={"MIGRATION_FAILPOINT_LOG": windows_path(str(log))}, **failing)
    phases = collections.Counter(log.read_text().split())
    assert len(phases) >= 10, phases
    for phase, hits in phases.items():
        for hit in sorted({1, (hits + 1) // 2}):
            killed.clear(*pair)
            build(*pair)
            ended = run("windows", "file_sync", parameters, env={"MIGRATION_FAILPOINT": f"{phase}:{hit}"}, **failing)
            assert ended.terminal.get("event") not in ("result", "error") or hit > 1, (phase, hit, ended.terminal)
            again = run("windows", "file_sync", parameters)
            assert again.terminal["event"] == "result", (phase, hit, again.terminal)
            assert tree(snapshot(pair[0])) == tree(snapshot(pair[1])), (phase, hit)
            assert temporaries(pair[1]) == [], (phase, hit)


def build(source: Path, destination: Path) -> None:
    killed.build_files(source, destination)
    settle(source)
