# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fallback's command line, as its own process, and what it makes of untrusted jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils import _fallback
from ansible_collections.migration.assistant.plugins.module_utils._fallback import _runner

MODULE = _fallback.__name__
SLOW = {"bandwidth_limit": 4096, "buffer_size": 4096}


@pytest.fixture
def start() -> t.Iterator[t.Callable[..., subprocess.Popen[bytes]]]:
    """Start the command line; what a test leaves running is ended."""
    processes = []

    def starter(*arguments: str) -> subprocess.Popen[bytes]:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        processes.append(process)
        return process

    yield starter
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def events_of(output: bytes, check_event: t.Callable[[t.Any], None]) -> t.List[t.Dict[str, t.Any]]:
    assert output.endswith(b"\n")
    events = [json.loads(line.decode("ascii")) for line in output.splitlines()]
    for event in events:
        check_event(event)
    return events


def job(source: Path, destination: Path, parameters: t.Any = None, **options: t.Any) -> t.Dict[str, t.Any]:
    return {
        "protocol": 1,
        "id": "job-1",
        "operation": "file_sync",
        "parameters": dict(parameters or {}, source=str(source), destination=str(destination)),
        **options,
    }


def line(value: t.Any) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def test_hello_comes_before_the_job(start: t.Any, check_event: t.Any, source: Path, destination: Path) -> None:
    process = start()
    hello = json.loads(process.stdout.readline())
    assert (hello["event"], hello["executor"], hello["protocol"]) == ("hello", "python", 1)
    assert {"file_sync", "file_statistics"} <= set(hello["operations"])
    output, errors = process.communicate(line(job(source, destination)))
    assert process.returncode == 0
    assert errors == b""
    events = events_of(output, check_event)
    assert [event["event"] for event in events] == ["change", "result"]


def test_version(start: t.Any, check_event: t.Any) -> None:
    output, _errors = start("version").communicate()
    assert events_of(output, check_event) == [_runner.hello()]


@pytest.mark.parametrize("arguments", [["help"], ["run", "now"], ["--version"]])
def test_wrong_usage(arguments: t.List[str], start: t.Any) -> None:
    process = start(*arguments)
    output, errors = process.communicate()
    assert process.returncode == 2
    assert output == b""
    assert errors.startswith(b"usage: ")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (b"", "no job"),
        (b"\n", "no job"),
        (b'{"protocol": 1, "id": "x", "operation": "file_sy', "torn"),
        (b"not json\n", "not valid JSON"),
        (b'{"id": "\xff"}\n', "not valid JSON"),
        (b"[" * 100000 + b"\n", "not valid JSON"),
        (b"[]\n", "must be an object"),
    ],
)
def test_lines_that_are_no_job(given: bytes, part: str, start: t.Any, check_event: t.Any) -> None:
    process = start()
    output, errors = process.communicate(given)
    assert process.returncode == 1
    assert errors == b""
    hello, error = events_of(output, check_event)
    assert (hello["event"], error["event"], error["code"]) == ("hello", "error", "bad_job")
    assert part in error["message"]
    assert "\n" not in error["message"]


def test_a_job_without_a_newline_is_complete(start: t.Any, source: Path, destination: Path) -> None:
    process = start()
    process.communicate(line(job(source, destination)).rstrip())
    assert process.returncode == 0


def test_names_that_are_not_utf8(start: t.Any, check_event: t.Any, source: Path, destination: Path) -> None:
    strange = os.fsencode(source) + b"/\xff\xfe"
    os.mkdir(strange)
    open(os.path.join(strange, b"\x80"), "wb").close()
    output, _errors = start().communicate(line(job(Path(os.fsdecode(strange)), destination)))
    assert b"\\udc80" in output
    assert os.listdir(os.fsencode(destination)) == [b"\x80"]
    assert events_of(output, check_event)[-2]["path"] == "\udc80"


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "de_DE.UTF-8"])
def test_the_locale_does_not_matter(
    locale: str, start: t.Any, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("é".encode(), b"\xe9"):
        open(os.path.join(os.fsencode(source), name), "wb").close()
    monkeypatch.setenv("LC_ALL", locale)
    output, _errors = start().communicate(line(job(source, destination)))
    assert b"\\u00e9" in output
    assert b"\\udce9" in output
    assert sorted(os.listdir(os.fsencode(destination))) == ["é".encode(), b"\xe9"]


def wait_for(process: t.Any, kind: str) -> t.Dict[str, t.Any]:
    for raw in process.stdout:
        event: t.Dict[str, t.Any] = json.loads(raw)
        if event["event"] == kind:
            return event
    raise AssertionError("the process ended without %s" % kind)


@pytest.fixture
def slow_job(source: Path, destination: Path) -> t.Dict[str, t.Any]:
    """A job that would take minutes, and says so at once."""
    (source / "large").write_bytes(b"x" * (1 << 20))
    return job(source, destination, SLOW, progress_interval=0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_cancel(number: int, start: t.Any, slow_job: t.Any, check_event: t.Any, destination: Path) -> None:
    process = start()
    process.stdin.write(line(slow_job))
    process.stdin.close()
    wait_for(process, "progress")
    process.send_signal(number)
    events = events_of(process.stdout.read(), check_event)
    assert (events[-1]["event"], events[-1]["code"], events[-1]["resumable"]) == ("error", "cancelled", True)
    assert process.wait() == 1
    assert os.listdir(destination) == []


def test_a_signal_before_the_job(start: t.Any, check_event: t.Any) -> None:
    process = start()
    wait_for(process, "hello")
    process.send_signal(signal.SIGTERM)
    events = events_of(process.stdout.read(), check_event)
    assert [event.get("code") for event in events] == ["cancelled"]
    assert process.wait() == 1


def test_the_end_of_the_lifeline_cancels(start: t.Any, slow_job: t.Any, check_event: t.Any, destination: Path) -> None:
    process = start()
    process.stdin.write(line(dict(slow_job, lifeline=True)))
    process.stdin.flush()
    wait_for(process, "progress")
    process.stdin.close()
    events = events_of(process.stdout.read(), check_event)
    assert events[-1]["code"] == "cancelled"
    assert process.wait() == 1
    assert os.listdir(destination) == []


def test_an_open_lifeline_does_not_keep_the_process(start: t.Any, source: Path, destination: Path) -> None:
    process = start()
    process.stdin.write(line(job(source, destination, lifeline=True)))
    process.stdin.flush()
    assert json.loads(process.stdout.read().splitlines()[-1])["event"] == "result"
    assert process.wait() == 0


def test_a_reader_that_is_gone_ends_the_job(start: t.Any, slow_job: t.Any, destination: Path) -> None:
    process = start()
    process.stdin.write(line(slow_job))
    process.stdin.close()
    wait_for(process, "progress")
    process.stdout.close()
    assert process.wait() == 1
    assert process.stderr.read() == b""
    assert os.listdir(destination) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"protocol": 2}, "protocol"),
        ({"protocol": "1"}, "protocol"),
        ({"protocol": True}, "protocol"),
        ({"id": "no spaces"}, "job.id"),
        ({"id": ""}, "job.id"),
        ({"operation": 5}, "job.operation"),
        ({"surprise": 1}, "surprise"),
        ({"dry_run": 1}, "job.dry_run"),
        ({"timeout": -1}, "job.timeout"),
        ({"timeout": float("nan")}, "job.timeout"),
        ({"timeout": float("inf")}, "job.timeout"),
        ({"progress_interval": 0}, "job.progress_interval"),
        ({"sample_interval": "5"}, "job.sample_interval"),
        ({"parameters": []}, "job.parameters"),
        ({"parameters": {"source": "/s"}}, "destination"),
        ({"parameters": {"source": "/s", "destination": "/d", "color": 1}}, "color"),
        ({"parameters": {"source": "relative", "destination": "/d"}}, "parameters.source"),
        ({"parameters": {"source": "", "destination": "/d"}}, "parameters.source"),
        ({"parameters": {"source": "/s\0", "destination": "/d"}}, "parameters.source"),
        ({"parameters": {"source": "/s", "destination": "/\ud800"}}, "parameters.destination"),
        ({"with": {"compare": "size"}}, "parameters.compare"),
        ({"with": {"compare": ["quick"]}}, "parameters.compare"),
        ({"with": {"max_delete": -1}}, "parameters.max_delete"),
        ({"with": {"parallel_files": 0}}, "from 1 to 1024"),
        ({"with": {"parallel_files": 1025}}, "from 1 to 1024"),
        ({"with": {"parallel_files": 2.5}}, "parameters.parallel_files"),
        ({"with": {"chunk_size": 65535}}, "parameters.chunk_size"),
        ({"with": {"buffer_size": 4095}}, "parameters.buffer_size"),
        ({"with": {"bandwidth_limit": -1}}, "parameters.bandwidth_limit"),
        ({"with": {"preserve": {"acls": True}}}, "acls"),
        ({"with": {"preserve": {"owner": "yes"}}}, "parameters.preserve.owner"),
        ({"with": {"filters": {}}}, "parameters.filters"),
        ({"with": {"filters": [{"action": "drop", "regex": "x"}]}}, "parameters.filters[0].action"),
        ({"with": {"filters": [{"action": "hide"}]}}, "regex"),
        ({"with": {"filters": [{"action": "hide", "regex": "("}]}}, "parameters.filters[0].regex"),
        ({"with": {"filters": [{"action": "hide", "regex": "x", "directories_only": 1}]}}, "directories_only"),
    ],
)
def test_bad_jobs_are_refused_by_name(
    change: t.Dict[str, t.Any], part: str, check_event: t.Any, source: Path, destination: Path
) -> None:
    given = job(source, destination, change.pop("with", None))
    given.update(change)
    events: t.List[t.Dict[str, t.Any]] = []
    _runner.run(given, events.append, lambda: False)
    for event in events:
        check_event(event)
    assert [event["event"] for event in events] == ["hello", "error"]
    assert events[-1]["code"] == "bad_job"
    assert part in events[-1]["message"]
    assert not destination.exists()


def test_unknown_operation(run: t.Any) -> None:
    outcome = run("make_coffee")
    assert outcome.terminal["code"] == "unsupported_operation"
    assert "make_coffee" in outcome.terminal["message"]


def test_null_is_no_limit_of_deletions(run: t.Any, source: Path, destination: Path) -> None:
    outcome = run("file_sync", source=str(source), destination=str(destination), max_delete=None)
    assert outcome.terminal["event"] == "result"


def test_imports_and_refuses_where_the_system_lacks_what_it_needs() -> None:
    """On a Python without descriptors of directories, fcntl and resource, as on Windows."""
    code = """
import os, sys
for name in ("fcntl", "resource"):
    sys.modules[name] = None
for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_NOATIME", "O_PATH", "geteuid", "getgroups",
             "getegid", "listxattr", "copy_file_range", "preadv", "pread", "mknod", "sysconf", "SEEK_HOLE"):
    if hasattr(os, name):
        delattr(os, name)
os.supports_dir_fd = set()
import %s._runner as fallback
events = []
job = {"protocol": 1, "id": "x", "operation": "file_sync", "parameters": {"source": "/a", "destination": "/b"}}
fallback.run(job, events.append, lambda: False)
assert events[0]["operations"].count("file_sync") == 0, events
assert events[1]["code"] == "unsupported_operation", events
assert "cannot do file_sync" in events[1]["message"], events
""" % (MODULE,)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_works_without_what_only_linux_has(source: Path, destination: Path) -> None:
    """As on macOS: no /proc, no O_PATH, no attributes by these calls, no copying inside the kernel."""
    (source / "d").mkdir()
    (source / "d" / "file").write_bytes(b"x" * (2 << 20))
    (source / "link").symlink_to("d")
    os.mkfifo(source / "fifo")
    code = """
import json, os, sys
real = sys.platform
sys.platform = "darwin"
for name in ("O_PATH", "O_NOATIME", "listxattr", "copy_file_range", "preadv"):
    if hasattr(os, name):
        delattr(os, name)
import %s._runner as fallback
for mode in (0o640, 0o600):
    events = []
    os.chmod(sys.argv[1] + "/d/file", mode)
    parameters = {"source": sys.argv[1], "destination": sys.argv[2], "delete": True}
    fallback.run({"protocol": 1, "id": "x", "operation": "file_sync", "parameters": parameters}, events.append, bool)
    print(json.dumps([[e.get("event"), e.get("code"), e.get("action"), e.get("path")] for e in events]))
""" % (MODULE,)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(destination)],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    first, second = (json.loads(raw) for raw in done.stdout.splitlines())
    assert first[-1][0] == second[-1][0] == "result"
    assert ["warning", "special_skipped", None, "fifo"] in first
    assert ["warning", "xattrs_not_preserved", None, None] in first
    assert ["change", None, "metadata", "d/file"] in second
    assert (destination / "d" / "file").stat().st_mode & 0o777 == 0o600
