# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch jobs by shell commands, as the action plugins do over a connection."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.migration.assistant.plugins.plugin_utils import job_watch
from ansible_collections.migration.assistant.plugins.plugin_utils.job_watch import Died, Interrupted, Lost, Watch


class Line:
    """Keeps what would be shown."""

    def __init__(self) -> None:
        self.events: t.List[t.Any] = []
        self.texts: t.List[str] = []

    def pause(self) -> float:
        return 1.0

    def show(self, event: t.Any) -> None:
        self.events.append(event)

    def say(self, text: str) -> None:
        self.texts.append(text)


class Host:
    """Runs commands by /bin/sh, and breaks the connection when it is told to."""

    def __init__(self) -> None:
        self.commands = 0
        self.broken: t.Callable[[], bool] = lambda: False

    def __call__(self, command: str) -> t.Dict[str, t.Any]:
        self.commands += 1
        if self.broken():
            raise AnsibleConnectionFailure("Failed to connect to the host via ssh: no route")
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


@pytest.fixture
def host() -> Host:
    return Host()


HOLD = """
import fcntl, sys, time
stream = open(sys.argv[1])
fcntl.flock(stream, fcntl.LOCK_EX)
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def process(tmp_path: Path) -> t.Iterator[subprocess.Popen[bytes]]:
    """A job's process, which holds its lock."""
    (tmp_path / "alive").touch()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "alive")], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running
        running.kill()


def watch(host: Host, place: Path, pid: int, lease: float = 30.0) -> t.Tuple[Watch, Line]:
    line = Line()
    job = {"id": place.name, "directory": str(place), "pid": pid}
    return Watch(host, lambda: None, job, lease, t.cast("t.Any", line)), line


def later(seconds: float, action: t.Callable[[], object]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def test_a_look_waits_for_the_result_and_renews_the_lease(
    host: Host, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    place = tmp_path / "it's a job"
    place.mkdir()
    (place / "lease").touch()
    os.link(tmp_path / "alive", place / "alive")
    os.utime(place / "lease", (1, 1))
    progress = '{"event":"progress","phase":"copy","elapsed":1,"items_done":1,"bytes_done":2,"bytes_total":3}'
    (place / "events.jsonl").write_text(progress + '\n{"event":"sample"}\n{"event":"progress","pha')
    begin = time.monotonic()
    later(2.5, lambda: (place / "result").write_text('{"changed": true}\n'))
    watching, line = watch(host, place, process.pid)
    assert watching.result() == '{"changed": true}\n'
    assert 2 < time.monotonic() - begin < 10
    assert host.commands <= 4, "a look is to wait on the host, and not to ask again and again"
    assert (place / "lease").stat().st_mtime > 1
    assert [event and event["bytes_done"] for event in line.events][:1] in ([2], [None])


@pytest.mark.parametrize("left", ["ValueError: out of luck\n", ""])
def test_a_job_that_died_is_noticed(host: Host, tmp_path: Path, left: str) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "errors").write_text("Traceback\n" + left if left else "")
    watching, _line = watch(host, tmp_path, gone.pid)
    with pytest.raises(Died, match=left.strip() or "it left no message"):
        watching.result()


@pytest.mark.parametrize("has_flock", [True, False])
def test_a_process_of_which_nobody_takes_leave_is_dead(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_flock: bool
) -> None:
    if not has_flock:
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("touch", "grep", "tail", "sleep", "cat"):
            (tools / name).symlink_to(shutil.which(name) or "")
        monkeypatch.setenv("PATH", str(tools))
    (tmp_path / "alive").touch()
    zombie = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    watching, _line = watch(host, tmp_path, zombie.pid)
    with pytest.raises(Died):
        watching.result()
    zombie.wait()


def test_no_look_is_so_long_that_a_silent_connection_goes_unnoticed(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    commands: t.List[str] = []
    line = Line()
    line.pause = lambda: float("inf")  # type: ignore[method-assign]

    def execute(command: str) -> t.Dict[str, t.Any]:
        commands.append(command)
        said = "migration-job:running\n" if len(commands) < 3 else "migration-job:result\n{}"
        return {"rc": 0, "stdout": said, "stderr": ""}

    job = {"id": "x", "directory": str(tmp_path), "pid": process.pid}
    assert Watch(execute, lambda: None, job, 30.0, t.cast("t.Any", line)).result() == "{}"
    assert [command.count("n=30") for command in commands] == [0, 1, 1]


def test_retries_of_the_connection_do_not_hide_its_silence() -> None:
    resets: t.List[int] = []
    begin = time.monotonic()
    silent = pytest.raises(AnsibleConnectionFailure, match="did not answer for 0.5 s")
    with silent, job_watch.deadline(0.5, lambda: resets.append(1)):
        for _attempt in range(3):
            try:
                time.sleep(20)
            except Exception:
                continue
    assert time.monotonic() - begin < 10
    assert resets == [1]


def test_a_directory_that_vanished_is_noticed(host: Host, process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    watching, _line = watch(host, tmp_path / "gone", process.pid)
    with pytest.raises(Died):
        watching.result()


def test_a_connection_that_comes_back_is_used_again(
    host: Host, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    begin = time.monotonic()
    host.broken = lambda: time.monotonic() - begin < 2.5
    later(3.0, lambda: (tmp_path / "result").write_text("{}"))
    watching, line = watch(host, tmp_path, process.pid)
    assert watching.result() == "{}"
    assert "the connection is lost, trying again" in line.texts[0]
    assert "no route" in line.texts[0]


def test_a_host_that_is_gone_for_longer_than_the_lease_is_given_up(
    host: Host, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    host.broken = lambda: True
    watching, _line = watch(host, tmp_path, process.pid, lease=2)
    with pytest.raises(Lost, match="could not be made again for 2 s: .*no route"):
        watching.result()


def test_a_connection_that_hangs_is_broken_off(
    process: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "_PATIENCE", 1.0)
    (tmp_path / "result").write_text("{}")
    host, hangs, resets = Host(), [True], []

    def execute(command: str) -> t.Dict[str, t.Any]:
        if hangs.pop() if hangs else False:
            time.sleep(60)
        return host(command)

    line = Line()
    job = {"id": "x", "directory": str(tmp_path), "pid": process.pid}
    begin = time.monotonic()
    watching = Watch(execute, lambda: resets.append(1), job, 30.0, t.cast("t.Any", line))
    assert watching.result() == "{}"
    assert time.monotonic() - begin < 20
    assert resets == [1]
    assert "did not answer" in line.texts[0]


def test_an_answer_that_says_nothing_is_a_broken_connection(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    watching = Watch(
        lambda command: {"rc": -9, "stdout": "", "stderr": "mux_client: broken pipe\nmore"},
        lambda: None,
        {"id": "x", "directory": str(tmp_path), "pid": process.pid},
        0.5,
        t.cast("t.Any", Line()),
    )
    with pytest.raises(Lost, match="mux_client: broken pipe"):
        watching.result()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_watching(
    host: Host, process: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    watching, _line = watch(host, tmp_path, process.pid)
    before = signal.getsignal(number)
    later(1.0, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted) as interruption, job_watch.interruptible():
        watching.result()
    assert interruption.value.number == number
    assert signal.getsignal(number) is before


def test_a_cancelled_job_is_told_why_even_before_its_directory_is_known(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known"
    searched = tmp_path / "migration-assistant" / "jobs" / "one"
    for place in (known, searched):
        place.mkdir(parents=True)
    job_watch.cancel(host, {"id": "known", "directory": str(known)}, "it's over")
    assert (known / "cancel").read_text() == "it's over"
    assert (known / "collected").exists(), "nobody will fetch the result"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    job_watch.cancel(host, {"id": "one"}, "it's over")
    assert (searched / "cancel").read_text() == "it's over"


def test_a_directory_is_removed_with_those_above_that_are_empty(host: Host, tmp_path: Path) -> None:
    jobs = tmp_path / "migration-assistant" / "jobs"
    for name in ("one", "two"):
        (jobs / name).mkdir(parents=True)
    job_watch.remove_directory(host, str(jobs / "one"))
    assert [path.name for path in jobs.iterdir()] == ["two"]
    job_watch.remove_directory(host, str(jobs / "two"))
    assert not jobs.parent.exists()
    assert tmp_path.exists()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('\n{"changed": false, "_job": {"id": "a", "running": true}}\n', "a"),
        ('noise\n{"changed": false, "_job": {"id": "a", "running": true}}', "a"),
        ('{"changed": true, "_job": {"id": "a"}}', None),
        ('{"msg": "\\"_job\\": {\\"running\\": true}"}', None),
        ('{"_job": {"running": tru', None),
        ("[1]", None),
        ("", None),
    ],
)
def test_which_answers_tell_of_a_running_job(answer: str, found: t.Optional[str]) -> None:
    assert (job_watch.running_job(answer) or {}).get("id") == found


def test_a_signal_that_follows_the_first_does_not_tear_what_deals_with_it() -> None:
    """As Ansible does on Ctrl-C: its main process sends SIGTERM to a worker that has had SIGINT."""
    dealt_with = False
    with job_watch.interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except Interrupted as interruption:
            assert interruption.number == signal.SIGINT
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
                time.sleep(0.01)
            dealt_with = True
    assert dealt_with
