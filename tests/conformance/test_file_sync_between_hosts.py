# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""file_sync between two executors: the same as by one, whichever side is the far one, and whatever happens on the way.

The far one is a process of this machine; that it is reached by ssh makes a difference in tests/remote alone.
"""

from __future__ import annotations

import collections
import os
import pwd
import shlex
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from .executors import FAR_ENGINES, FAR_FALLBACKS, FAR_SIDES, Executor, environment, run, serving
from .test_file_sync import CASES, Case, four_ways, make_trees
from .test_file_sync_killed import anew, build, parameters
from .trees import rsync_differences, settle, temporaries, write

sides = pytest.mark.parametrize("executor", list(FAR_SIDES))
engines = pytest.mark.parametrize("executor", list(FAR_ENGINES))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_two_executors_do_the_same_as_one(case: Case, tmp_path: Path) -> None:
    expected = four_ways(case, "go", *make_trees(case, tmp_path / "go"))
    for executor in FAR_SIDES:
        assert four_ways(case, executor, *make_trees(case, tmp_path / executor)) == expected, executor


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    destination.mkdir()
    build(source, destination)
    return source, destination


@sides
@pytest.mark.parametrize("compression", ["auto", "none", "zstd", "gzip", "lz4", "brotli"])
def test_every_compression_carries_every_content(executor: Executor, compression: str, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    write(source / "text", b"".join(b"line %d of a text\n" % number for number in range(200_000)))
    write(source / "random", os.urandom(3_000_000))
    write(source / "zeros", bytes(2_000_000))
    for number in range(300):
        write(source / "many" / f"{number}", b"%d" % number * number)
    settle(source)
    far = {"compression": compression, "compression_level": 0 if compression in ("auto", "none") else 3}
    done = run(executor, "file_sync", {"source": str(source), "destination": str(destination), "far": far})
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(source, destination) == ""


@sides
@pytest.mark.parametrize("algorithm", ["sha256", "blake3", "xxh3"])
def test_contents_are_compared_by_each_checksum(
    executor: Executor, algorithm: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    wanted = {**parameters(*pair), "compare": "checksum", "verify": True, "checksum_algorithm": algorithm}
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", done.terminal
    assert done.statistics["files_verified"] == done.statistics["files_copied"] > 0
    changed = pair[1] / "large"
    kept = changed.stat()
    with changed.open("r+b") as stream:
        stream.seek(kept.st_size // 2)
        stream.write(b"spoiled")
    os.utime(changed, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    found = run(executor, "file_sync", wanted)
    assert [event["path"] for event in found.changes] == ["large"]
    assert rsync_differences(*pair) == ""
    assert run(executor, "file_sync", wanted).changes == []


@pytest.mark.parametrize("executor", list(FAR_FALLBACKS))
@pytest.mark.parametrize("lacks", ["here", "there"])
def test_the_fallback_says_which_library_which_host_lacks(
    executor: Executor, lacks: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    write(tmp_path / "hidden" / "sitecustomize.py", b"import sys\nsys.modules.update(blake3=None, xxhash=None)\n")
    both = environment()["PYTHONPATH"]
    poor = os.pathsep.join([str(tmp_path / "hidden"), both])
    far = {"command": ["env", f"PYTHONPATH={poor if lacks == 'there' else both}", *serving(executor)]}
    env = {"PYTHONPATH": poor if lacks == "here" else both}
    host = "this host" if lacks == "here" else f"the {FAR_SIDES[executor]}'s host"
    for algorithm, library in (("blake3", "blake3"), ("xxh3", "xxhash")):
        wanted = {**parameters(*pair), "verify": True, "checksum_algorithm": algorithm, "far": far}
        failed = run(executor, "file_sync", wanted, env=env)
        assert failed.terminal["code"] == "capability_missing", failed.terminal
        assert (
            f"needs the Python library {library} on {host} for the algorithm {algorithm}" in failed.terminal["message"]
        )
        assert failed.changes == []
    # Who compares no contents needs none.
    done = run(executor, "file_sync", {**wanted, "verify": False}, env=env)
    assert done.terminal["event"] == "result", done.terminal


@sides
def test_directories_of_every_size_arrive(executor: Executor, tmp_path: Path) -> None:
    """Small ones are listed ahead of need, those with many entries when they are entered."""
    source, destination = tmp_path / "source", tmp_path / "destination"
    for entries in (1, 399, 400, 401, 2100):
        for number in range(entries):
            write(source / f"with {entries}" / "below" / str(number), b"")
    settle(source)
    done = run(executor, "file_sync", {"source": str(source), "destination": str(destination)})
    assert done.terminal["event"] == "result", done.terminal
    assert done.statistics["files_copied"] == 3301
    assert rsync_differences(source, destination) == ""


def many_with_attributes(source: Path) -> None:
    for number in range(1900):
        path = source / "below" / str(number)
        write(path, b"")
        os.setxattr(path, "user.comment", b"c" * 1200)


def many_with_escaped_names(source: Path) -> None:
    for number in range(1900):
        write(source / "below" / os.fsdecode(b"\xff" * 240 + b"%06d" % number), b"")


def several_to_be_verified(source: Path) -> None:
    for number in range(4):
        write(source / str(number), os.urandom(900 << 10))


@sides
@pytest.mark.parametrize("make", [many_with_attributes, many_with_escaped_names, several_to_be_verified])
def test_what_was_asked_ahead_does_not_hold_up_what_is_needed_first(
    executor: Executor, make: t.Callable[[Path], None], tmp_path: Path
) -> None:
    """Large listings, and contents, wait for their turn while other answers come behind them."""
    source, destination = tmp_path / "source", tmp_path / "destination"
    write(source / "file", b"content")
    make(source)
    settle(source)
    wanted = {"source": str(source), "destination": str(destination), "verify": True}
    done = run(executor, "file_sync", {**wanted, "far": {"stream_buffer_size": 256 << 10}}, patience=120)
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(source, destination) == ""


@sides
def test_what_a_login_prints_and_a_password_that_nobody_asks_for_do_no_harm(
    executor: Executor, pair: tuple[Path, Path]
) -> None:
    noisy = ["sh", "-c", f"echo Welcome; echo '{{\"a\": 1}}'; seq 3000; exec {shlex.join(serving(executor))}"]
    done = run(executor, "file_sync", {**parameters(*pair), "far": {"command": noisy, "password": "secret word"}})
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(*pair) == ""


@sides
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["/nonexistent/ssh"], "unable to reach there: unable to start /nonexistent/ssh: no such file or directory"),
        (["sh", "-c", "echo Permission denied >&2; exit 255"], "unable to reach there: Permission denied"),
        (["sh", "-c", "cat > /dev/null"], "unable to reach there: no answer in 0.5 seconds"),
        (["sh", "-c", "yes | head -c 100000"], "it said something else for 65536 bytes"),
        (["sh", "-c", "exit 3"], "ended with code 3 and without a word"),
    ],
    ids=["no command", "refused", "silent", "no engine", "wordless"],
)
def test_a_host_that_cannot_be_reached_is_one_clear_line(
    executor: Executor, command: list[str], message: str, pair: tuple[Path, Path]
) -> None:
    far = {"command": command, "name": "there", "connect_timeout": 0.5}
    failed = run(executor, "file_sync", {**parameters(*pair), "far": far})
    assert failed.terminal["event"] == "error"
    assert failed.terminal["code"] == "unreachable"
    assert message in failed.terminal["message"]
    assert "\n" not in failed.terminal["message"]
    assert failed.changes == []


@sides
def test_a_source_that_is_not_there_is_told_as_here(executor: Executor, pair: tuple[Path, Path]) -> None:
    source, destination = pair
    for path, code in ((source / "absent", "source_missing"), (source / "large", "source_not_directory")):
        here, there = (
            run(who, "file_sync", {"source": str(path), "destination": str(destination)}).terminal
            for who in t.cast("tuple[Executor, ...]", ("go", executor))
        )
        assert there["code"] == here["code"] == code
        assert there["message"] == here["message"]


@sides
def test_a_destination_within_the_source_is_refused_on_one_machine(executor: Executor, pair: tuple[Path, Path]) -> None:
    source, _destination = pair
    failed = run(executor, "file_sync", {"source": str(source), "destination": str(source / "folder-1")})
    assert failed.terminal["code"] == "paths_overlap"


@engines
def test_either_end_killed_at_every_phase(
    executor: Executor, pair: tuple[Path, Path], failing_engine: Path, tmp_path: Path
) -> None:
    """The phases of the sync are met by the end that has the destination, those that begin with serve by the other."""
    log = tmp_path / "phases"
    run(executor, "file_sync", parameters(*pair), engine=failing_engine, env={"MIGRATION_FAILPOINT_LOG": str(log)})
    phases = collections.Counter(log.read_text().split())
    assert {"serve.listing", "serve.content", "file_sync.renamed"} <= set(phases)
    for phase, hits in phases.items():
        for hit in sorted({1, hits}):
            anew(*pair)
            killed = run(
                executor,
                "file_sync",
                parameters(*pair),
                engine=failing_engine,
                env={"MIGRATION_FAILPOINT": f"{phase}:{hit}"},
            )
            where = f"killed at {phase}, hit {hit}"
            if killed.code != -signal.SIGKILL and hit == 1:
                # The far one was: this one says so.
                assert killed.terminal["event"] == "error", where
                assert killed.terminal["code"] == "unreachable", (where, killed.terminal)
                assert killed.terminal["resumable"], where
            again = run(executor, "file_sync", parameters(*pair))
            assert again.terminal["event"] == "result", (where, again.terminal)
            assert rsync_differences(*pair) == "", where
            assert temporaries(pair[1]) == [], where
            assert run(executor, "file_sync", parameters(*pair)).changes == [], where


def other_users(path: Path) -> list[str]:
    """Words before a command that make daemon, and the group of that name, have the number 4321."""
    for name in ("passwd", "group"):
        lines = Path("/etc", name).read_text(encoding="utf-8").splitlines()
        fields = [
            ["daemon", "x", "4321", *line.split(":")[3:]] if line.startswith("daemon:") else [line] for line in lines
        ]
        (path / name).write_text("".join(":".join(line) + "\n" for line in fields), encoding="utf-8")
    mounts = " && ".join(f"mount --bind '{path / name}' /etc/{name}" for name in ("passwd", "group"))
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]


def owners(root: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_uid, path.stat().st_gid) for path in sorted(root.iterdir())}


def access_list(path: Path) -> str:
    done = subprocess.run(["getfacl", "-cnE", path], check=True, capture_output=True, text=True)
    return " ".join(done.stdout.split())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@sides
def test_owners_are_the_same_by_their_names(executor: Executor, tmp_path: Path) -> None:
    here, there = pwd.getpwnam("daemon").pw_uid, 4321
    at_source, at_destination = (there, here) if "pull" in executor else (here, there)
    source, destination = tmp_path / "source", tmp_path / "destination"
    for name, owner in {"file": at_source, "unknown": 55_555, "root": 0}.items():
        write(source / name)
        os.chown(source / name, owner, owner)
    (source / "directory").mkdir()
    os.chown(source / "directory", at_source, 0)
    (source / "link").symlink_to("file")
    subprocess.run(["setfacl", "-m", f"u:{at_source}:rw,g:55555:r", source / "file"], check=True)
    settle(source)
    far = {"command": [*other_users(tmp_path), *serving(executor)]}
    wanted = {"source": str(source), "destination": str(destination), "far": far}
    check = run(executor, "file_sync", wanted, dry_run=True)
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", done.terminal
    assert sorted(map(str, check.changes)) == sorted(map(str, done.changes))
    assert owners(destination) == {
        "directory": (at_destination, 0),
        "file": (at_destination, at_destination),
        "link": (at_destination, at_destination),
        "root": (0, 0),
        "unknown": (55_555, 55_555),
    }
    wanted_list = f"user::rw- user:{at_destination}:rw- group::r-- group:55555:r-- mask::rw- other::r--"
    assert access_list(destination / "file") == wanted_list
    assert run(executor, "file_sync", wanted).changes == []
    # By their numbers they are others.
    numeric = {**wanted, "far": {**far, "numeric_ids": True}}
    changed = run(executor, "file_sync", numeric)
    assert {event["path"] for event in changed.changes} >= {"file", "directory"}
    assert owners(destination) == owners(source)
    assert access_list(destination / "file") == access_list(source / "file")
    assert run(executor, "file_sync", numeric).changes == []
