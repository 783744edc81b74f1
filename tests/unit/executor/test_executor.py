# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The executor: which one is chosen, and what happens when the engine misbehaves."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._executor import (
    Candidate,
    ExecutorUnavailable,
    Job,
    JobFailed,
    Wish,
    choose,
    describe,
    places,
    process,
    run_job,
)
from ansible_collections.migration.assistant.plugins.module_utils._executor.events import EventReader, ProtocolError
from ansible_collections.migration.assistant.plugins.module_utils._version import PROTOCOL, VERSION

HELLO = {
    "event": "hello",
    "protocol": PROTOCOL,
    "executor": "go",
    "version": VERSION,
    "platform": "linux-amd64",
    "operations": ["file_sync", "file_statistics"],
    "capabilities": {},
}
PERFORMANCE = {"files_copied": 0, "bytes_transferred": 0, "duration_seconds": 0.1}
RESULT = {
    "event": "result",
    "operation": "file_statistics",
    "changed": False,
    "statistics": {"files_total": 1},
    "performance": PERFORMANCE,
}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    source = tmp_path / "tree"
    source.mkdir()
    (source / "file").write_text("content")
    return source


@pytest.fixture
def engine(tmp_path: Path) -> t.Callable[[str], Path]:
    """Make a program that speaks, or misspeaks, the protocol as the given Python body says."""

    def make(body: str) -> Path:
        path = tmp_path / "migration-engine"
        path.write_text(
            f"#!{sys.executable}\nimport json, os, signal, sys, time\nHELLO = {HELLO!r}\nRESULT = {RESULT!r}\n"
            "def say(event): print(json.dumps(event), flush=True)\n" + textwrap.dedent(body)
        )
        path.chmod(0o755)
        return path

    return make


def wish(path: Path, **options: t.Any) -> Wish:
    return Wish(candidates=(Candidate(str(path), "the test"),), **options)


def statistics_job(source: Path, **options: t.Any) -> Job:
    return Job("file_statistics", {"source": str(source)}, **options)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("say(dict(HELLO, protocol=99))", "speaks protocol 99, this collection speaks 1"),
        ("say(dict(HELLO, version='9.9.9'))", "is version 9.9.9, this collection is version " + VERSION),
        ("say(RESULT)", "did not begin with hello"),
        ("print('hello world')", "is not a migration engine"),
        ('sys.stdout.write(\'{"event": "hel\')', "torn line"),
        ("sys.exit('no such library')", "ended with exit code 1 (no such library)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
        ("say(dict(HELLO, operations=[]))", "does not know file_statistics"),
    ],
)
def test_an_engine_that_cannot_take_the_job_gives_way_to_the_fallback(
    engine: t.Callable[[str], Path], tree: Path, body: str, reason: str
) -> None:
    path = engine(body)
    outcome = run_job(wish(path), statistics_job(tree))
    assert outcome.choice.used == "python"
    assert reason in outcome.choice.reason
    assert outcome.statistics["files_total"] == 1
    with pytest.raises(ExecutorUnavailable, match="fallback_to_python is false"):
        run_job(wish(path, fallback=False), statistics_job(tree))
    with pytest.raises(ExecutorUnavailable, match="executor: go was asked for"):
        run_job(wish(path, executor="go"), statistics_job(tree))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('say(HELLO); sys.stdin.readline(); sys.stdout.write(\'{"event": "resu\')', "torn line"),
        ("say(HELLO); sys.stdin.readline(); print('Segmentation fault')", "not JSON"),
        ("say(HELLO); sys.stdin.readline(); print('[1]')", "not an event"),
        ("say(HELLO); sys.stdin.readline(); os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("say(HELLO); sys.stdin.readline()", "ended without a result"),
    ],
)
def test_an_engine_that_fails_with_the_job_in_hand_is_an_error_and_not_replaced(
    engine: t.Callable[[str], Path], tree: Path, body: str, message: str
) -> None:
    with pytest.raises(JobFailed, match=message) as failure:
        run_job(wish(engine(body)), statistics_job(tree))
    assert failure.value.resumable
    assert failure.value.code == "engine_died"


def test_an_unknown_event_is_a_warning(engine: t.Callable[[str], Path], tree: Path) -> None:
    path = engine("say(HELLO); sys.stdin.readline(); say({'event': 'telepathy'}); say(RESULT)")
    outcome = run_job(wish(path), statistics_job(tree))
    assert outcome.choice.used == "go"
    assert ["telepathy" in warning["message"] for warning in outcome.warnings] == [True]


def test_an_error_event_is_raised_with_what_was_done(engine: t.Callable[[str], Path], tree: Path) -> None:
    path = engine(
        """
        say(HELLO); sys.stdin.readline()
        say({'event': 'change', 'action': 'create', 'kind': 'file', 'path': 'a'})
        say({'event': 'error', 'code': 'disk_full', 'message': 'no space', 'resumable': True, 'changed': True})
        """
    )
    with pytest.raises(JobFailed, match="no space") as failure:
        run_job(wish(path), statistics_job(tree))
    assert (failure.value.code, failure.value.resumable) == ("disk_full", True)
    assert failure.value.outcome.changes_count == 1
    assert failure.value.outcome.changed


def test_an_engine_that_ignores_its_time_limit_is_ended_and_reaped(
    engine: t.Callable[[str], Path], tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.migration.assistant.plugins.module_utils._executor.run.GRACE_SECONDS", 0.2)
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)
    pid_file = tmp_path / "pid"
    path = engine(
        f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(HELLO); sys.stdin.readline()
        open({str(pid_file)!r}, 'w').write(str(os.getpid()))
        time.sleep(60)
        """
    )
    with pytest.raises(JobFailed, match="did not stop in time"):
        run_job(wish(path), statistics_job(tree, timeout=0.5))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_signal_to_this_process_cancels_the_job(engine: t.Callable[[str], Path], tree: Path) -> None:
    path = engine(
        """
        def stop(*_arguments):
            say({'event': 'error', 'code': 'cancelled', 'message': 'cancelled', 'resumable': True})
            os._exit(1)
        signal.signal(signal.SIGTERM, stop)
        say(HELLO); sys.stdin.readline(); time.sleep(60)
        """
    )
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(JobFailed) as failure:
        run_job(wish(path), statistics_job(tree))
    assert failure.value.code == "cancelled"
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_engine_stops_when_its_caller_is_killed(
    engine: t.Callable[[str], Path], tree: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    path = engine(
        f"""
        say(HELLO); sys.stdin.readline()
        sys.stdin.read()
        open({str(gone)!r}, 'w').close()
        """
    )
    program = (
        "from ansible_collections.migration.assistant.plugins.module_utils._executor import *\n"
        f"run_job(Wish(candidates=(Candidate({str(path)!r}, 'the test'),)),"
        f" Job('file_statistics', {{'source': {str(tree)!r}}}))"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program], env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    )
    time.sleep(1.5)
    caller.kill()
    caller.wait()
    until = time.monotonic() + 20
    while not gone.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert gone.exists()


def test_the_engine_must_match_the_manifest_and_be_safe_to_start(engine: t.Callable[[str], Path]) -> None:
    path = engine("say(HELLO)")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert choose(Wish(candidates=(Candidate(str(path), "build", digest),))).used == "go"
    refused = choose(Wish(candidates=(Candidate(str(path), "build", "0" * 64),)))
    assert refused.used == "python"
    assert "is corrupt or of another build" in refused.reason
    path.chmod(0o777)
    assert "can be written by everyone" in choose(wish(path)).reason
    path.chmod(0o644)
    assert "is not executable" in choose(wish(path)).reason
    assert "no engine at /nowhere" in choose(Wish(candidates=(Candidate("/nowhere", "build"),))).reason
    if os.geteuid() == 0:
        path.chmod(0o755)
        os.chown(path, 12345, 12345)
        assert "belongs to another user (uid 12345)" in choose(wish(path)).reason


def test_the_first_candidate_that_can_run_is_taken(engine: t.Callable[[str], Path]) -> None:
    path = engine("say(HELLO)")
    choice = choose(Wish(candidates=(Candidate("/nowhere", "first"), Candidate(str(path), "second"))))
    assert (choice.used, choice.path, choice.reason) == ("go", str(path), "second")


def test_python_is_taken_when_the_task_says_so(engine: t.Callable[[str], Path]) -> None:
    choice = choose(wish(engine("say(HELLO)"), executor="python", reason="the task says so"))
    assert (choice.used, choice.path, choice.reason) == ("python", None, "the task says so")


def test_describe_asks_the_engine_and_the_fallback(engine: t.Callable[[str], Path]) -> None:
    choice, about_engine, about_fallback = describe(wish(engine("say(HELLO)")))
    assert choice.used == "go"
    assert about_engine["executor"] == "go"
    assert about_fallback["executor"] == "python"
    assert "file_sync" in about_fallback["operations"]


def test_the_list_of_many_changes_is_kept_in_a_private_file(
    engine: t.Callable[[str], Path], tree: Path, tmp_path: Path
) -> None:
    path = engine(
        """
        say(HELLO); sys.stdin.readline()
        for number in range(250):
            say({'event': 'change', 'action': 'create', 'kind': 'file', 'path': 'f%d\\udcff' % number})
        say(dict(RESULT, changed=True))
        """
    )
    if os.geteuid() == 0:
        outcome = run_job(wish(path), statistics_job(tree))
        kept = Path(t.cast(str, outcome.changes_file))
        try:
            _check_list(outcome.changes, outcome.changes_count, kept)
        finally:
            kept.unlink()
    else:
        outcome = run_job(wish(path), statistics_job(tree))
        _check_list(outcome.changes, outcome.changes_count, Path(t.cast(str, outcome.changes_file)))


def test_a_list_of_changes_that_has_no_room_ends_nothing(
    engine: t.Callable[[str], Path], tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = engine(
        """
        say(HELLO); sys.stdin.readline()
        for number in range(5000):
            say({'event': 'change', 'action': 'create', 'kind': 'file', 'path': 'f%d' % number})
        say(dict(RESULT, changed=True))
        """
    )
    monkeypatch.setattr(places, "state_directories", lambda: [str(tmp_path / "migration-assistant")])
    # As a full disk does, the system refuses to let any file grow.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        outcome = run_job(wish(path), statistics_job(tree))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (outcome.changed, outcome.changes_count, outcome.changes_file) == (True, 5000, None)
    assert ["cannot be kept: File too large" in notice["message"] for notice in outcome.warnings] == [True]
    assert list((tmp_path / "migration-assistant" / "changes").iterdir()) == []


def test_the_list_of_many_differences_is_kept_too(engine: t.Callable[[str], Path], tree: Path) -> None:
    path = engine(
        """
        say(HELLO); sys.stdin.readline()
        for number in range(250):
            say({'event': 'difference', 'difference': 'missing', 'path': 'f%d\\udcff' % number})
        say(RESULT)
        """
    )
    outcome = run_job(wish(path), statistics_job(tree))
    kept = Path(t.cast(str, outcome.differences_file))
    try:
        _check_list(outcome.differences, outcome.differences_count, kept)
        assert (outcome.changed, outcome.changes_count, outcome.changes_file) == (False, 0, None)
    finally:
        kept.unlink()


def _check_list(changes: t.Sequence[t.Mapping[str, t.Any]], count: int, kept: Path) -> None:
    assert (len(changes), count) == (100, 250)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [json.loads(line)["path"] for line in kept.read_text().splitlines()] == [f"f{n}\udcff" for n in range(250)]


def test_the_reader_takes_any_split_of_the_stream() -> None:
    events = [HELLO, {"event": "warning", "code": "odd", "message": "é\udcff"}, RESULT]
    stream = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    for size in (1, 2, 7, 64, len(stream)):
        reader = EventReader()
        got = [event for start in range(0, len(stream), size) for event in reader.feed(stream[start : start + size])]
        reader.close()
        assert got == events


def test_the_reader_bounds_a_line() -> None:
    reader = EventReader()
    with pytest.raises(ProtocolError, match="longer than"):
        for _number in range(18):
            list(reader.feed(b"x" * (1 << 20)))
