# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs that outlive the process that started them: results, leases, cancelling, and who may write where."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils import _jobs
from ansible_collections.migration.assistant.plugins.module_utils._executor import places
from ansible_collections.migration.assistant.plugins.module_utils._jobs import JobDirectory

PACKAGE = "ansible_collections.migration.assistant.plugins.module_utils"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for jobs that is this test's alone, whoever runs it."""
    monkeypatch.setattr(places, "_SYSTEM", str(tmp_path / "migration-assistant"))
    monkeypatch.setattr(places, "_shared", list)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "migration-assistant"


def create(name: str, **record: t.Any) -> JobDirectory:
    return JobDirectory.create(name, record)


def until(condition: t.Callable[[], t.Any], seconds: float = 20.0) -> t.Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


def script(state: Path, body: str) -> t.List[str]:
    """A program that has the same places for jobs."""
    head = f"""
        import json, os, sys, time
        from {PACKAGE} import _jobs
        from {PACKAGE}._executor import places
        places._SYSTEM, places._shared = {str(state)!r}, lambda: []
        """
    return [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(body)]


def environment(state: Path) -> t.Dict[str, str]:
    return dict(os.environ, XDG_STATE_HOME=str(state.parent), PYTHONPATH=os.pathsep.join(sys.path))


def start(state: Path, body: str) -> None:
    subprocess.run(script(state, body), env=environment(state), check=True, timeout=60)


def test_only_its_owner_can_look_into_a_job() -> None:
    job = create("one", module="m")
    job.cancel("why")
    assert stat.S_IMODE(os.stat(job.path).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.dirname(job.path)).st_mode) == 0o700
    assert job.record()["module"] == "m"


def test_the_result_is_what_the_detached_process_printed(state: Path) -> None:
    start(
        state,
        """
        job = _jobs.JobDirectory.create("one", {})
        def work(alive):
            print(json.dumps({"pid": os.getpid(), "session": os.getsid(0), "directory": os.getcwd()}))
            sys.exit(3)
        ended = _jobs.detach(job, work)
        assert _jobs.wait(job, 20, ended)["pid"] != os.getpid()
        """,
    )
    job = JobDirectory(str(state / "jobs" / "one"))
    said = job.outcome() or {}
    assert said["session"] == said["pid"]
    assert said["directory"] == "/"
    assert not job.is_alive()


def test_the_process_goes_on_when_the_one_that_started_it_is_gone(state: Path) -> None:
    begin = time.monotonic()
    start(
        state,
        """
        job = _jobs.JobDirectory.create("one", {})
        _jobs.detach(job, lambda alive: (time.sleep(2), print('{"changed": true}'), sys.exit(0)))
        assert _jobs.wait(job, 0) is None
        """,
    )
    job = JobDirectory(str(state / "jobs" / "one"))
    assert time.monotonic() - begin < 2
    assert job.is_alive()
    assert job.result() is None
    assert _jobs.wait(job, 20) == {"changed": True}


def test_a_process_that_ends_without_a_result_leaves_its_last_words(state: Path) -> None:
    start(
        state,
        """
        job = _jobs.JobDirectory.create("one", {})
        def work(alive):
            print("half a res", end="")
            raise ValueError("out of luck")
        _jobs.detach(job, work)
        """,
    )
    job = JobDirectory(str(state / "jobs" / "one"))
    with pytest.raises(_jobs.Died, match="ended without a result: ValueError: out of luck"):
        _jobs.wait(job, 20)
    assert job.result() is None


def test_a_killed_process_counts_as_dead_when_all_that_it_started_is_gone(state: Path) -> None:
    start(
        state,
        """
        import subprocess
        job = _jobs.JobDirectory.create("one", {})
        def work(alive):
            subprocess.Popen(["sleep", "1.5"], pass_fds=[alive])
            time.sleep(60)
        _jobs.detach(job, work)
        time.sleep(0.5)
        """,
    )
    job = JobDirectory(str(state / "jobs" / "one"))
    os.kill(until(lambda: job.record().get("pid")), signal.SIGKILL)
    assert job.is_alive(), "the engine still writes"
    until(lambda: not job.is_alive())


def test_a_job_is_started_once_however_often_it_is_asked_for() -> None:
    job = create("one")
    with pytest.raises(FileExistsError) as there:
        create("one")
    assert there.value.filename == job.path
    with pytest.raises(OSError, match="not the name of a job"):
        create("../one")


@pytest.mark.parametrize("left", ["", "[1]", '{"changed": tr'])
def test_a_result_that_cannot_be_read_is_a_failure_and_no_hindrance(left: str) -> None:
    job = create("one")
    Path(job.file("result")).write_text(left)
    outcome = job.outcome() or {}
    assert outcome["failed"]
    assert "cannot be read" in outcome["msg"]
    os.utime(job.file("lease"), (1, 1))
    _jobs.prune()
    assert not job.exists()


def test_a_job_that_is_being_made_is_not_taken_for_an_old_one(state: Path) -> None:
    create("other")
    made = JobDirectory(str(state / "jobs" / "made"))
    os.mkdir(made.path, 0o700)
    _jobs.prune()
    assert made.exists()


def test_jobs_begin_and_end_at_once_without_harm(state: Path) -> None:
    body = """
        for number in range(300):
            job = _jobs.JobDirectory.create("%s-%d" % (os.getpid(), number), {})
            _jobs.prune()
            job.update(number=number)
            assert job.record()["number"] == number
            job.remove()
        """
    running = [
        subprocess.Popen(script(state, body), env=environment(state), stderr=subprocess.PIPE, text=True)
        for _process in range(3)
    ]
    assert [process.communicate(timeout=120)[1] for process in running] == ["", "", ""]


def test_a_job_ends_with_its_time_limit_whoever_looks(state: Path) -> None:
    create("another")
    job = create("one")
    with _jobs.Supervision(job, None, 0.7) as supervision:
        until(supervision.stop.requested)
    assert supervision.stop.reason == "its time limit of 0.7 seconds is over"


def test_only_a_result_that_nobody_is_about_to_fetch_is_taken_over() -> None:
    watched, left = create("watched"), create("left")
    for job in (watched, left):
        Path(job.file("result")).write_text("{}")
    os.utime(left.file("lease"), (1, 1))
    assert (_jobs.is_watched(watched), _jobs.is_watched(left)) == (True, False)
    watched.mark_collected()
    assert not _jobs.is_watched(watched)


def test_a_finished_job_leaves_nothing(state: Path) -> None:
    job, other = create("one"), create("two")
    job.remove()
    assert sorted(os.listdir(state)) == ["jobs"]
    other.remove()
    assert not state.exists()


def supervised(state: Path, lease: t.Optional[float]) -> t.Tuple[JobDirectory, str]:
    """Start a job that waits until it is to stop; gives it and the reason that it then prints."""
    start(
        state,
        f"""
        job = _jobs.JobDirectory.create("one", {{}})
        def work(alive):
            with _jobs.Supervision(job, {lease!r}) as supervision:
                while not supervision.stop.requested():
                    time.sleep(0.05)
            print(supervision.stop.reason)
            sys.exit(0)
        _jobs.detach(job, work)
        """,
    )
    return JobDirectory(str(state / "jobs" / "one")), "its controller was not heard of for 1 seconds\n"


def test_a_job_stops_when_its_lease_runs_out_and_not_before(state: Path) -> None:
    job, reason = supervised(state, 1)
    for _second in range(5):
        time.sleep(0.5)
        job.renew()
        assert job.result() is None
    begin = time.monotonic()
    assert until(job.result) == reason
    assert 0.5 < time.monotonic() - begin < 5


def test_a_job_that_is_to_finish_has_no_lease(state: Path) -> None:
    job, _reason = supervised(state, None)
    time.sleep(2)
    assert job.result() is None
    job.cancel("that will do")
    assert until(job.result) == "that will do\n"


def test_a_clock_that_is_set_ends_no_lease(state: Path) -> None:
    job, reason = supervised(state, 1)
    os.utime(job.file("lease"), (1, 1))
    time.sleep(0.4)
    assert job.result() is None
    assert until(job.result) == reason


@pytest.mark.parametrize(
    ("mine", "theirs", "conflict"),
    [
        ("/srv/www", "/srv/www", True),
        ("/srv/www/images", "/srv/www", True),
        ("/srv", "/srv/www", True),
        ("/", "/srv/www", True),
        ("/srv/www2", "/srv/www", False),
        ("/srv/ww", "/srv/www", False),
        ("/srv/a", "/srv/b", False),
    ],
)
def test_who_may_write_where(mine: str, theirs: str, conflict: bool) -> None:
    other = create("theirs", module="migration.assistant.file_sync", started_by="alice@controller", pid=4321)
    descriptor = other.hold()
    job = create("mine")
    _jobs.claim(other, [theirs], 0, lambda: None)
    if conflict:
        with pytest.raises(_jobs.Busy) as busy:
            _jobs.claim(job, [mine], 0, lambda: None)
        for part in (theirs, "job theirs", "file_sync", "process 4321", "alice@controller"):
            assert part in str(busy.value)
    else:
        _jobs.claim(job, [mine], 0, lambda: None)
    os.close(descriptor)
    _jobs.claim(job, [mine], 0, lambda: None)
    assert job.record()["writes"] == [mine]


def test_a_path_is_the_same_by_whichever_link_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    other = create("theirs")
    descriptor = other.hold()
    _jobs.claim(other, [str(tmp_path / "real")], 0, lambda: None)
    with pytest.raises(_jobs.Busy):
        _jobs.claim(create("mine"), [str(tmp_path / "link" / "below")], 0, lambda: None)
    os.close(descriptor)


def test_one_waits_for_the_other_as_long_as_it_was_told(state: Path) -> None:
    start(
        state,
        """
        job = _jobs.JobDirectory.create("theirs", {})
        _jobs.claim(job, ["/srv/www"], 0, lambda: None)
        _jobs.detach(job, lambda alive: (time.sleep(2), sys.exit(0)))
        """,
    )
    job, begin, looks = create("mine"), time.monotonic(), []
    with pytest.raises(_jobs.Busy):
        _jobs.claim(job, ["/srv/www"], 0.5, lambda: looks.append(1))
    assert time.monotonic() - begin < 1.5
    _jobs.claim(job, ["/srv/www"], 30, lambda: looks.append(1))
    assert 1 < time.monotonic() - begin < 15
    assert looks


def test_of_many_that_want_the_same_place_at_once_one_gets_it(state: Path) -> None:
    body = """
        job = _jobs.JobDirectory.create(sys.argv[1], {})
        alive = job.hold()
        while not os.path.exists(sys.argv[2]):
            pass
        try:
            _jobs.claim(job, ["/srv/www"], 0, lambda: None)
            print("mine", flush=True)
        except _jobs.Busy:
            print("busy", flush=True)
        time.sleep(3)
        """
    signal_file = state.parent / "go"
    started = [
        subprocess.Popen(
            [*script(state, body), f"job{number}", str(signal_file)], env=environment(state), stdout=subprocess.PIPE
        )
        for number in range(5)
    ]
    until(lambda: len(list((state / "jobs").glob("*/alive"))) == 5)
    signal_file.touch()
    said = sorted(process.communicate(timeout=60)[0].strip() for process in started)
    assert said == [b"busy"] * 4 + [b"mine"]


def finished(name: str, key: str, result: str = '{"changed": true}') -> JobDirectory:
    job = create(name, key=key)
    Path(job.file("result")).write_text(result)
    return job


def test_what_an_earlier_run_has_left() -> None:
    mine = create("mine", key="same")
    assert _jobs.earlier_run(mine, "same") is None
    finished("other", "another key")
    collected = finished("collected", "same")
    collected.mark_collected()
    create("died", key="same")
    running = create("running", key="same", on_disconnect="stop")
    descriptor = running.hold()
    assert _jobs.earlier_run(mine, "same") is None, "its controller still looks at it"
    os.utime(running.file("lease"), (time.time() - 40, time.time() - 40))
    assert str(_jobs.earlier_run(mine, "same")) != "None"
    os.close(descriptor)
    left = finished("left", "same")
    found = _jobs.earlier_run(mine, "same")
    assert found is not None and found.id == left.id


def test_results_are_kept_as_long_as_somebody_may_ask_for_them() -> None:
    def aged(job: JobDirectory, hours: float) -> JobDirectory:
        os.utime(job.file("lease"), (time.time() - 3600 * hours,) * 2)
        return job

    collected, fetched_lately = finished("collected", "k"), finished("lately", "k")
    for job in (collected, fetched_lately):
        job.mark_collected()
    aged(collected, 2)
    aged(finished("week-old", "k"), 8 * 24)
    aged(finished("uncollected", "k"), 2)
    aged(finished("failed", "k", '{"failed": true}'), 2)
    aged(create("died"), 2)
    running = aged(create("running"), 9 * 24)
    descriptor = running.hold()
    _jobs.prune()
    assert sorted(job.id for job in _jobs.find_jobs()) == ["lately", "running", "uncollected"]
    os.close(descriptor)


def test_the_last_progress_is_found_among_other_events(state: Path) -> None:
    job = create("one")
    with _jobs.Supervision(job, None) as supervision:
        assert job.progress() is None
        for number in (1, 2):
            supervision.record({"event": "progress", "phase": "copy", "items_done": number})
        supervision.record({"event": "warning", "code": "x", "message": 'a "progress" of another kind'})
        with open(job.file("events.jsonl"), "ab") as stream:
            stream.write(b'{"event":"progress","phase":"torn')
        progress = job.progress()
        assert progress is not None and progress["items_done"] == 2
        for number in range(3000):
            supervision.record({"event": "warning", "code": "x", "message": str(number)})
    assert os.path.getsize(job.file("events.jsonl")) < 100_000
    assert stat.S_IMODE(os.stat(job.file("events.jsonl")).st_mode) == 0o600


def test_jobs_in_a_directory_of_somebody_else_are_not_believed(state: Path) -> None:
    create("one")
    (state / "jobs").chmod(0o777)
    assert _jobs.find_jobs() == []
    with pytest.raises(OSError, match="can be written by others"):
        create("two")


def test_a_job_whose_play_is_gone_leaves_no_result(state: Path) -> None:
    job, _reason = supervised(state, None)
    job.mark_collected()
    job.cancel("its play was interrupted")
    until(lambda: not job.exists())
