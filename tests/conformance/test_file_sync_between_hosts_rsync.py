# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The method ssh_rsync: what rsync carries, what is told of it, and what goes wrong. The other host is this machine."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._files import sync

from .executors import Run, run
from .test_file_sync_safety import Namespace, namespace
from .torture import build_torture
from .trees import rsync_differences, settle, write

__all__ = ["namespace"]  # a fixture

Pair = t.Tuple[Path, Path]
# In the place of ssh: runs the command, as the shell of another host does.
REMOTE_SHELL = ["sh", "-c", 'shift; exec sh -c "$*"', "ssh"]
sides = pytest.mark.parametrize("side", ["source", "destination"])


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    source = tmp_path / "source"
    for number in range(60):
        write(source / f"folder-{number % 20}" / f"file {number}", b"x" * 100 * number, age=number)
    os.link(source / "folder-0" / "file 0", source / "folder-1" / "hard")
    (source / "link").symlink_to("folder-1 -> // there")
    settle(source)
    return source, tmp_path / "destination"


def rsync(pair: Pair, side: str, *, dry_run: bool = False, far: t.Any = None, **more: t.Any) -> Run:
    other = {"side": side, "name": "there", "ssh": REMOTE_SHELL, "host": "there", **(far or {})}
    wanted = {"source": str(pair[0]), "destination": str(pair[1]), "far": other, **more}
    return run("python", "ssh_rsync", wanted, dry_run=dry_run)


def planned(pair: Pair, side: str, **options: t.Any) -> dict[str, t.Any]:
    """The job's parameters for options of file_sync."""
    defaults = {name: spec.get("default") for name, spec in sync.ARGUMENT_SPEC.items()}
    defaults["checksum_cache"] = {"enabled": False, "max_size": "64MB", "max_age": 604800}
    paths = {"source": str(pair[0]), "destination": str(pair[1]), **options}
    url = {side: f"ssh://there{paths[side]}"}
    reached = {"name": "there", "ssh": [*REMOTE_SHELL, "there"], "shell": "sh -c"}
    return sync.plan({**defaults, "method": "ssh_rsync", **paths, **url}, None, lambda _url: reached)[0]


def told(done: Run) -> list[tuple[str, str, str]]:
    return sorted((event["action"], event["kind"], event["path"]) for event in done.changes)


@sides
@pytest.mark.parametrize("connections", [1, 4])
def test_check_run_check_run(side: str, connections: int, pair: Pair) -> None:
    source, destination = pair
    write(destination / "extra" / "file", b"extra")
    write(destination / "folder-1" / "file 1", b"old", age=50)
    runs = [
        rsync(pair, side, dry_run=dry_run, delete=True, verify=True, far={"connections": connections})
        for dry_run in (True, False, True, False)
    ]
    assert [done.terminal["event"] for done in runs] == ["result"] * 4, [done.terminal for done in runs]
    assert [done.terminal["changed"] for done in runs] == [True, True, False, False]
    assert told(runs[0]) == told(runs[1])
    assert {("delete", "file", "extra/file"), ("update", "file", "folder-1/file 1")} <= set(told(runs[1]))
    link = next(event for event in runs[1].changes if event["path"] == "link")
    assert link["after"] == {"target": "folder-1 -> // there"}
    assert rsync_differences(source, destination) == ""
    figures = runs[1].statistics
    assert (figures["files_total"], figures["files_copied"] + figures["hard_links_created"]) == (61, 61)
    assert runs[3].statistics["files_unchanged"] == 61
    assert runs[3].terminal["performance"]["bytes_transferred"] == 0


@sides
def test_without_times_contents_are_compared(side: str, pair: Pair) -> None:
    source, destination = pair
    for number, age in ((1, 1), (2, 0), (3, 50)):
        write(destination / f"folder-{number}" / f"file {number}", b"y" * 100 * number, age=age)
    runs = [
        rsync(pair, side, dry_run=dry_run, preserve={"timestamps": False}) for dry_run in (True, False, True, False)
    ]
    assert [done.terminal["changed"] for done in runs] == [True, True, False, False]
    assert told(runs[0]) == told(runs[1])
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    assert {path: (destination / path).read_bytes() for path in files} == {
        path: (source / path).read_bytes() for path in files
    }


@sides
def test_what_is_hard_for_rsync_arrives_and_is_told_by_its_name(side: str, tmp_path: Path) -> None:
    pair = (tmp_path / "source", tmp_path / "destination")
    build_torture(pair[0])
    done = rsync(pair, side)
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(*pair) == ""
    made = {path for action, _kind, path in told(done) if action == "create"}
    present = {
        os.fsencode(os.path.relpath(os.path.join(folder, name), pair[0])).decode("utf-8", "surrogateescape")
        for folder, folders, files in os.walk(pair[0])
        for name in folders + files
    }
    assert made == present | {"."}
    assert rsync(pair, side).changes == []


@sides
def test_more_deletions_than_allowed_delete_nothing(side: str, pair: Pair) -> None:
    for number in range(3):
        write(pair[1] / f"extra-{number}", b"extra")
    for dry_run in (True, False):
        refused = rsync(pair, side, delete=True, max_delete=2, dry_run=dry_run)
        assert refused.terminal["code"] == "max_delete_exceeded"
        assert refused.terminal["message"] == "3 entries would be deleted; max_delete allows 2"
    assert len(list(pair[1].glob("extra-*"))) == 3
    assert (pair[1] / "folder-3" / "file 3").exists()
    assert rsync(pair, side, delete=True, max_delete=3).statistics["deleted"] == 3
    assert rsync_differences(*pair) == ""


@sides
def test_links_are_followed(side: str, pair: Pair) -> None:
    source, destination = pair
    write(source.parent / "outside" / "file", b"outside")
    (source / "folder-1" / "out").symlink_to(source.parent / "outside")
    (source / "link").unlink()
    write(destination / "extra", b"extra")
    done = rsync(pair, side, follow_symlinks=True, delete=True)
    assert done.terminal["event"] == "result", done.terminal
    assert (destination / "folder-1" / "out" / "file").read_bytes() == b"outside"
    assert done.statistics["symlinks_total"] == 0
    assert rsync(pair, side, follow_symlinks=True, delete=True).changes == []
    write(destination / "extra", b"extra")
    (source / "dangling").symlink_to("no/where")
    failed = rsync(pair, side, follow_symlinks=True, delete=True)
    assert failed.terminal["code"] == "partial_failure"
    assert [(event["code"], event["path"]) for event in failed.warnings] == [("symlink_dangling", "dangling")]
    assert (destination / "extra").exists()


@sides
def test_filters_are_those_of_rsync(side: str, pair: Pair) -> None:
    write(pair[1] / "keep" / "me", b"kept")
    done = rsync(pair, side, delete=True, rules=["- folder-1*/", "P keep/", "- *9"])
    assert done.terminal["event"] == "result", done.terminal
    found = {path.name for path in pair[1].rglob("*")}
    assert "file 2" in found and "me" in found
    assert "folder-11" not in found and "file 29" not in found


@sides
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("rules", [["- /uploads/"], ["- uploads/"], ["P /uploads/", "H /uploads/"]])
def test_what_a_hidden_directory_holds_is_left_alone(side: str, connections: int, rules: list[str], pair: Pair) -> None:
    write(pair[0] / "uploads" / "2026" / "file", b"of the source")
    write(pair[1] / "uploads" / "2026" / "file", b"of the destination")
    foretold, done = (
        rsync(pair, side, delete=True, rules=rules, dry_run=dry_run, far={"connections": connections})
        for dry_run in (True, False)
    )
    assert done.terminal["event"] == "result", done.terminal
    assert told(foretold) == told(done)
    assert (pair[1] / "uploads" / "2026" / "file").read_bytes() == b"of the destination"
    assert (pair[1] / "folder-3" / "file 3").exists()


@sides
def test_filters_mean_what_they_mean_for_every_method(side: str, pair: Pair) -> None:
    write(pair[1] / "keep" / "me", b"kept")
    write(pair[1] / "extra", b"extra")
    filters = ["P /keep/\n", "# a comment\n", "", "- *9"]
    done = run("python", "ssh_rsync", planned(pair, side, delete=True, filters=filters))
    assert done.terminal["event"] == "result", done.terminal
    assert [event["path"] for event in done.changes if event["action"] == "delete"] == ["extra"]
    assert (pair[1] / "keep" / "me").exists() and not (pair[1] / "folder-9" / "file 9").exists()
    with pytest.raises(sync.FileSyncError, match="rules from files are not supported; list them here"):
        planned(pair, side, filters=[". /etc/rules"])


@sides
def test_directories_whose_names_begin_with_white_space_are_shared(side: str, pair: Pair) -> None:
    for name in (" ", "  two", "\ttab"):
        write(pair[0] / name / name / "file")
    done = rsync(pair, side)
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(*pair) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@sides
def test_another_file_system_stays_out(side: str, tmp_path: Path, namespace: Namespace) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    for name in ("one", "two"):
        write(source / name / "file")
    write(namespace.mount_memory(source / "mounted") / "file")
    write(destination / "mounted" / "file", b"of the destination")
    far = {"side": side, "name": "there", "ssh": REMOTE_SHELL, "host": "there"}
    wanted = {"source": str(source), "destination": str(destination), "far": far, "one_file_system": True}
    done = run("python", "ssh_rsync", wanted, prefix=namespace.prefix)
    assert done.terminal["event"] == "result", done.terminal
    assert (destination / "mounted" / "file").read_bytes() == b"of the destination"
    assert (destination / "one" / "file").exists()


@sides
def test_what_cannot_be_reached_is_one_clear_line(side: str, pair: Pair, tmp_path: Path) -> None:
    bare = f'shift; PATH="{tmp_path}"; export PATH; exec /bin/sh -c "$*"'
    for shell, message in (
        (["sh", "-c", "echo Permission denied >&2; exit 255"], "unable to reach there: Permission denied"),
        (["sh", "-c", bare, "ssh"], "unable to reach there: there is no rsync on it"),
    ):
        failed = rsync(pair, side, far={"ssh": shell, "shell": "/bin/sh -c", "retries": 3})
        assert (failed.terminal["event"], failed.terminal["code"]) == ("error", "unreachable")
        assert failed.terminal["message"] == message
        assert failed.changes == []


@sides
@pytest.mark.parametrize("slash", ["", "/"])
def test_missing_parents_of_the_destination_are_made_by_the_run_alone(side: str, slash: str, pair: Pair) -> None:
    deep = (pair[0], pair[1] / "two" / "it's three")
    wanted = planned(deep, side, destination=f"{deep[1]}{slash}")
    runs = [run("python", "ssh_rsync", wanted, dry_run=True)]
    assert not pair[1].exists()
    runs += [run("python", "ssh_rsync", wanted, dry_run=dry_run) for dry_run in (False, True, False)]
    assert [done.terminal["event"] for done in runs] == ["result"] * 4, [done.terminal for done in runs]
    assert [done.terminal["changed"] for done in runs] == [True, True, False, False]
    assert told(runs[0]) == told(runs[1])
    assert rsync_differences(*deep) == ""


def test_what_the_other_rsync_fails_at_is_told_though_ssh_drops_its_last_words(pair: Pair) -> None:
    ssh = ["sh", "-c", 'shift; exec sh -c "$*" 2>/dev/null', "ssh"]
    failed = rsync((pair[0], Path("/proc/nowhere/copy")), "destination", far={"ssh": ssh})
    assert failed.terminal["code"] == "destination_unwritable"
    why = "the destination /proc/nowhere/copy cannot be written: No such file or directory"
    assert failed.terminal["message"] == why


@sides
def test_an_older_rsync_on_the_other_host_is_asked_in_its_own_words(side: str, pair: Pair, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    older = tmp_path / "bin" / "rsync"
    refusal = "rsync: on remote machine: --no-msgs2stderr: unknown option"
    refuse = f"echo >> '{asked}'; echo '{refusal}' >&2; exit 1"
    write(older, f"#!/bin/sh\ntest -e '{asked}' || {{ {refuse}; }}\nexec {shutil.which('rsync')} \"$@\"\n".encode())
    older.chmod(0o755)
    ssh = ["sh", "-c", f'shift; PATH="{older.parent}:$PATH" exec sh -c "$*"', "ssh"]
    done = rsync(pair, side, delete=True, far={"ssh": ssh, "connections": 1})
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(*pair) == ""


@sides
def test_an_older_rsync_here_is_asked_in_its_own_words(
    side: str, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "bin" / "rsync"
    refuse = "echo 'rsync: --stderr=client: unknown option' >&2; exit 1"
    write(older, f'#!/bin/sh\ncase "$*" in *--stderr=*) {refuse};; esac\nexec {shutil.which("rsync")} "$@"\n'.encode())
    older.chmod(0o755)
    monkeypatch.setenv("PATH", f"{older.parent}{os.pathsep}{os.environ['PATH']}")
    done = rsync(pair, side, delete=True)
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(*pair) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_destination_whose_own_metadata_cannot_be_set_gets_all_that_is_in_it(pair: Pair) -> None:
    pair[0].chmod(0o755)
    pair[1].mkdir()
    pair[1].chmod(0o777)
    ssh = ["sh", "-c", 'shift; exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$*"', "ssh"]
    failed = rsync(pair, "destination", far={"ssh": ssh})
    assert failed.terminal["code"] == "partial_failure", failed.terminal
    assert {event["path"] for event in failed.warnings} == {"."}
    assert len([path for path in pair[1].rglob("file *") if path.is_file()]) == 60


@sides
def test_a_lost_connection_is_made_anew(side: str, pair: Pair, tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    script = f'shift; echo >> "{counted}"; if [ "$(wc -l < "{counted}")" = 2 ]; then exit 255; fi; exec sh -c "$*"'
    far = {"ssh": ["sh", "-c", script, "ssh"], "retries": 1, "connections": 1}
    # Three of them, one after the other, because of the limit.
    done = rsync(pair, side, far=far, delete=True, max_delete=9)
    assert done.terminal["event"] == "result", done.terminal
    assert [event["code"] for event in done.warnings] == ["connection_lost"]
    assert done.warnings[0]["message"].startswith("the connection to there was lost: ")
    assert done.terminal["performance"]["retry_count"] == 1
    assert rsync_differences(*pair) == ""


@sides
def test_a_missing_source_is_told_as_by_every_method(side: str, pair: Pair) -> None:
    shutil.rmtree(pair[0])
    failed = rsync(pair, side, delete=True)
    assert failed.terminal["code"] == "source_missing"
    assert failed.terminal["message"] == f"the source {pair[0]} does not exist"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than the one that may read everything")
def test_what_cannot_be_read_fails_by_its_name_and_the_rest_arrives(pair: Pair) -> None:
    source, destination = pair
    (source / "folder-2" / "file 2").chmod(0)
    far = {"side": "destination", "name": "there", "ssh": REMOTE_SHELL, "host": "there"}
    destination.mkdir()
    destination.chmod(0o777)
    wanted = {"source": str(source), "destination": str(destination), "far": far, "delete": True}
    failed = run("python", "ssh_rsync", wanted, obeys_modes=True)
    assert (failed.terminal["event"], failed.terminal["code"]) == ("error", "partial_failure")
    assert [event["path"] for event in failed.warnings] == ["folder-2/file 2"]
    assert "Permission denied" in failed.warnings[0]["message"]
    assert (destination / "folder-3" / "file 3").exists()


def lost_at_first(tmp_path: Path, word: str = "") -> dict[str, t.Any]:
    """A connection that is lost when its rsync has ended, and is made anew. word: what rsync says each time."""
    flag = tmp_path / "connected"
    say = f"echo '{word}' >&2; " if word else ""
    script = f'shift; {say}sh -c "$*"; code=$?; test -e "{flag}" && exit $code; : > "{flag}"; exit 255'
    return {"ssh": ["sh", "-c", script, "ssh"], "host": "there", "name": "there", "retries": 1, "connections": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than the one that may read everything")
@sides
def test_what_failed_before_the_connection_was_lost_is_not_forgotten(side: str, pair: Pair, tmp_path: Path) -> None:
    source, destination = pair
    (source / "folder-2" / "file 2").chmod(0)
    write(destination / "extra", b"extra")
    far = {**lost_at_first(tmp_path), "side": side}
    wanted = {"source": str(source), "destination": str(destination), "far": far, "delete": True}
    failed = run("python", "ssh_rsync", wanted, obeys_modes=True)
    assert (failed.terminal["event"], failed.terminal["code"]) == ("error", "partial_failure")
    assert [event["code"] for event in failed.warnings] == ["io_error", "connection_lost", "io_error"]
    assert (destination / "extra").exists()


@sides
def test_what_vanished_before_the_connection_was_lost_is_not_forgotten(side: str, pair: Pair, tmp_path: Path) -> None:
    write(pair[1] / "extra", b"extra")
    far = lost_at_first(tmp_path, f'file has vanished: "{pair[0]}/gone"')
    failed = rsync(pair, side, far=far, delete=True, on_vanished="fail")
    assert (failed.terminal["event"], failed.terminal["code"]) == ("error", "partial_failure")
    assert {event["path"] for event in failed.warnings if event["code"] == "vanished"} == {"gone"}
    assert (pair[1] / "extra").exists()


@pytest.mark.parametrize(
    ("said", "code", "warnings"),
    [
        (
            "ERROR: folder-1/file 1 failed verification -- update discarded.",
            "partial_failure",
            [("io_error", "failed verification -- update discarded", "folder-1/file 1")],
        ),
        (
            "rsync: [sender] get_acl: Input/output error (5)",
            "partial_failure",
            [("io_error", "get_acl: Input/output error (5)", ".")],
        ),
        ("ERROR: out of luck", "partial_failure", [("io_error", "out of luck", ".")]),
        ("a banner", "io_error", []),
    ],
)
def test_an_incomplete_run_is_a_failure_whatever_else_is_noticed(
    said: str,
    code: str,
    warnings: list[tuple[str, str, str]],
    pair: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talking = tmp_path / "bin" / "rsync"
    end = "echo 'rsync error: some files/attrs were not transferred (code 23) at main.c(1338) [sender=3.5.0]' >&2"
    notice = """echo 'skipping non-regular file "pipe"'"""
    script = f"{shutil.which('rsync')} \"$@\"\n{notice}\necho '{said}' >&2\n{end}\nexit 23\n"
    write(talking, f'#!/bin/sh\ncase "$*" in *--server*) exec {shutil.which("rsync")} "$@";; esac\n{script}'.encode())
    talking.chmod(0o755)
    monkeypatch.setenv("PATH", f"{talking.parent}{os.pathsep}{os.environ['PATH']}")
    write(pair[1] / "extra", b"extra")
    failed = rsync(pair, "destination", delete=True, far={"connections": 1})
    assert (failed.terminal["event"], failed.terminal["code"]) == ("error", code)
    seen = [(event["code"], event["message"], event["path"]) for event in failed.warnings]
    assert sorted(seen) == sorted([("special_skipped", "the special file was not copied", "pipe"), *warnings])
    assert (pair[1] / "extra").exists()
