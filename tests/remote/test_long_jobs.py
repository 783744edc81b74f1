# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long jobs: they can be watched, left and cancelled, and outlast the connection and the controller."""

from __future__ import annotations

import os
import re
import signal
import time
import typing as t
from pathlib import Path

import pytest
from environment import VENV
from gates import VENVS

from .bed import Bed
from .hosts import Host
from .playbooks import Play
from .scenes import (
    DESTINATION,
    SOURCE,
    STATE,
    assert_equal,
    copied,
    job_processes,
    make_tree,
    sync,
    until,
)

FILES = 600
CORES = [VENV, *(path for path in [VENVS / "py3.11-core2.18", VENVS / "py3.13"] if path.is_dir())]
cores = pytest.mark.parametrize("venv", CORES, ids=lambda path: path.name)


def slow(**options: t.Any) -> str:
    """A play whose job takes about twelve seconds."""
    return sync(**{"bandwidth_limit": "500KB/s", **options})


def endless(**options: t.Any) -> str:
    """A play whose job takes two minutes, to be stopped before: on a busy host that may take its time."""
    return slow(bandwidth_limit="50KB/s", **options)


def start(bed: Bed, host: Host, playbook: str, **options: t.Any) -> Play:
    """Start a play, and wait until its job moves files."""
    play = bed.start_play(playbook, bed.inventory([host], user="root"), **options)
    play.until(lambda: copied(host) > 5, "the first file")
    return play


def wait_for_files(host: Host, count: int) -> None:
    until(lambda: copied(host) > count, what="progress without a connection")


def no_trace(host: Host) -> None:
    """No process and no directory of a job is left."""
    assert job_processes(host) == []
    assert host.run(f"ls {STATE}/jobs 2>/dev/null", check=False).stdout == ""


@pytest.mark.parametrize("executor", ["go", "python"])
def test_a_connection_that_is_cut_twice_does_no_harm(bed: Bed, executor: str) -> None:
    host = bed.host(f"cut-{executor}")
    make_tree(host, FILES)
    play = start(bed, host, slow(executor=executor, bandwidth_limit="200KB/s"))
    for _time in range(2):
        host.cut_connections()
        wait_for_files(host, copied(host) + 20)
    played = play.wait()
    assert played.code == 0, played.output
    done = played.result("Copy")
    assert done.changed
    assert done.result["statistics"]["files_copied"] == FILES
    assert done.result["changes_count"] == FILES + 1
    assert_equal(host)
    no_trace(host)


def test_a_connection_that_is_cut_before_the_first_answer_starts_the_job_once(bed: Bed) -> None:
    host = bed.host("cut-early")
    make_tree(host, FILES)
    assert bed.play(sync(destination="/srv/warm"), bed.inventory([host], user="root")).code == 0
    play = bed.start_play(slow(), bed.inventory([host], user="root"))
    play.until(lambda: copied(host) > 0, "the first file")
    host.cut_connections()
    played = play.wait()
    assert played.code == 0, played.output
    assert played.result("Copy").result["statistics"]["files_copied"] == FILES
    assert_equal(host)
    no_trace(host)


def test_a_connection_that_falls_silent_is_noticed_and_replaced(bed: Bed) -> None:
    host = bed.host("silent")
    make_tree(host, FILES)
    play = start(bed, host, slow(bandwidth_limit="80KB/s"))
    play.until(lambda: "copying" in play.said(), "the first line")
    host.block()
    try:
        # Longer than the patience with a look that does not come back.
        play.until(lambda: "the connection is lost" in play.said(), "the complaint")
    finally:
        host.unblock()
    played = play.wait()
    assert played.code == 0, played.output
    assert played.result("Copy").result["statistics"]["files_copied"] == FILES
    assert_equal(host)
    no_trace(host)


@cores
def test_ctrl_c_stops_the_job_and_a_rerun_goes_on(bed: Bed, venv: Path) -> None:
    host = bed.host(f"interrupted-{venv.name.replace('.', '')}")
    make_tree(host, FILES)
    play = start(bed, host, endless(), venv=venv)
    os.killpg(play.process.pid, signal.SIGINT)
    until(lambda: not job_processes(host), what="the end of the job")
    play.process.wait(60)
    arrived = copied(host)
    assert 0 < arrived < FILES
    again = bed.play(sync(), bed.inventory([host], user="root"), venv=venv)
    assert again.code == 0, again.output
    counts = again.result("Copy").result["statistics"]
    assert (counts["files_copied"], counts["files_unchanged"]) == (FILES - arrived, arrived)
    assert counts["bytes_copied"] == (FILES - arrived) * 10_000
    print(f"{arrived * 10_000} of {FILES * 10_000} bytes had arrived, {counts['bytes_copied']} were moved by the rerun")
    assert_equal(host)
    no_trace(host)


def test_a_play_that_is_terminated_stops_its_job(bed: Bed) -> None:
    host = bed.host("terminated")
    make_tree(host, FILES)
    play = start(bed, host, endless())
    play.process.terminate()
    until(lambda: not job_processes(host), what="the end of the job")
    assert copied(host) < FILES


def test_a_controller_that_is_killed_lets_the_job_stop(bed: Bed) -> None:
    """Ansible's workers outlive it for a moment: they notice."""
    host = bed.host("orphaned")
    make_tree(host, FILES)
    play = start(bed, host, endless())
    play.process.kill()
    until(lambda: not job_processes(host), what="the end of the job")
    assert 0 < copied(host) < FILES


@pytest.mark.parametrize("executor", ["go", "python"])
def test_a_job_whose_controller_is_gone_stops_when_its_lease_runs_out(bed: Bed, executor: str) -> None:
    host = bed.host(f"leased-{executor}")
    make_tree(host, FILES)
    play = start(bed, host, endless(lease=8, executor=executor))
    play.kill()
    killed = time.monotonic()
    time.sleep(4)
    assert job_processes(host), "it stopped before its lease ran out"
    until(lambda: not job_processes(host), what="the end of the job")
    print(f"the job stopped {time.monotonic() - killed:.0f} s after its controller")
    arrived = copied(host)
    assert 0 < arrived < FILES
    again = bed.play(sync(executor=executor), bed.inventory([host], user="root"))
    assert again.result("Copy").result["statistics"]["files_copied"] == FILES - arrived
    assert "earlier_run" not in again.result("Copy").result
    assert_equal(host)


@pytest.mark.parametrize("when", ["finished", "running"])
def test_a_job_that_is_to_finish_does_and_the_next_run_takes_its_result(bed: Bed, when: str) -> None:
    host = bed.host(f"finishing-{when}")
    make_tree(host, FILES)
    playbook = slow(on_disconnect="finish", lease=2)
    play = start(bed, host, playbook)
    os.killpg(play.process.pid, signal.SIGINT)
    play.process.wait(60)
    if when == "finished":
        until(lambda: not job_processes(host), what="the end of the job")
        assert copied(host) == FILES
    # What was written since then must arrive as well.
    host.run(f"echo late > {SOURCE}/late")
    again = bed.play(playbook, bed.inventory([host], user="root"))
    assert again.code == 0, again.output
    done = again.result("Copy")
    assert done.changed
    assert done.result["earlier_run"]["changed"]
    assert done.result["earlier_run"]["statistics"]["files_copied"] >= FILES
    assert done.result["statistics"]["files_copied"] <= 1
    assert_equal(host)
    third = bed.play(playbook, bed.inventory([host], user="root"))
    assert (third.result("Copy").changed, "earlier_run" in third.result("Copy").result) == (False, False)
    no_trace(host)


@pytest.mark.parametrize("on_disconnect", ["stop", "finish"])
def test_a_job_with_async_ends_with_its_time_limit(bed: Bed, on_disconnect: str) -> None:
    host = bed.host(f"limited-{on_disconnect}")
    make_tree(host, FILES)
    playbook = endless(on_disconnect=on_disconnect, task="      async: 25\n      poll: 2\n")
    played = bed.play(playbook, bed.inventory([host], user="root"))
    assert played.code != 0, played.output
    until(lambda: not job_processes(host), what="the end of the job")
    assert 0 < copied(host) < FILES


def test_of_two_plays_with_one_destination_one_works_and_the_other_is_told_who(bed: Bed) -> None:
    host = bed.host("contended")
    make_tree(host, FILES)
    host.run(f"cp -a {SOURCE} /srv/other && rm /srv/other/fileaaaaa && touch /srv/other/only-in-other")
    play = start(bed, host, slow(bandwidth_limit="200KB/s"))
    other = sync(source="/srv/other", delete=True)
    refused = bed.play(other, bed.inventory([host], user="root"))
    assert refused.code != 0
    message = refused.result("Copy").result["msg"]
    for part in (DESTINATION, "is being written by another job", "migration.assistant.file_sync", "started by root@"):
        assert part in message
    job, pid = re.search(r"job (\w+) \(.*, process (\d+),", message).groups()  # type: ignore[union-attr]
    assert int(pid) in job_processes(host)
    waiting = bed.play(sync(source="/srv/other", delete=True, lock_timeout=60), bed.inventory([host], user="root"))
    assert waiting.code == 0, waiting.output
    played = play.wait()
    assert played.code == 0, played.output
    assert played.result("Copy").result["statistics"]["files_copied"] == FILES
    assert waiting.result("Copy").ended > played.result("Copy").ended - 3
    assert_equal(host, "/srv/other")
    assert job


JOBS = """\
- ansible.builtin.import_playbook: migration.assistant.jobs
"""


def test_an_operator_sees_and_stops_jobs_by_the_playbook(bed: Bed) -> None:
    host, idle = bed.hosts(["operated", "operated-idle"])
    make_tree(host, FILES)
    inventory = bed.inventory([host, idle], user="root")
    play = start(bed, host, endless())
    seen = bed.play(JOBS, inventory)
    assert seen.code == 0, seen.output
    assert re.search(rf"file_sync.* {SOURCE} -> {DESTINATION}", seen.stdout), seen.stdout
    assert "operated-idle: no jobs" in seen.stdout
    assert job_processes(host)
    stopped = bed.play(JOBS, inventory, arguments=["--tags", "cancel"])
    assert stopped.code == 0, stopped.output
    assert stopped.stats["operated"]["changed"] == 1
    assert stopped.stats["operated-idle"]["changed"] == 0
    assert job_processes(host) == []
    played = play.wait()
    assert played.code != 0
    failed = played.result("Copy").result
    assert failed["msg"].startswith("the job was stopped: an operator stopped it with job_cancel")
    assert failed["resumable"]
    no_trace(host)


def test_a_job_whose_process_is_killed_is_a_failure_that_a_rerun_mends(bed: Bed) -> None:
    host = bed.host("murdered")
    make_tree(host, FILES)
    play = start(bed, host, endless())
    host.run(f"kill -9 {' '.join(map(str, job_processes(host)))}")
    played = play.wait()
    assert played.code != 0
    failed = played.result("Copy").result
    assert "the job's process ended without a result" in failed["msg"]
    assert failed["resumable"]
    again = bed.play(sync(), bed.inventory([host], user="root"))
    assert 0 < again.result("Copy").result["statistics"]["files_copied"] < FILES
    assert_equal(host)
    no_trace(host)


def test_progress_of_several_hosts_at_once(bed: Bed) -> None:
    hosts = bed.hosts(["line1", "line2", "line3"])
    for host in hosts:
        make_tree(host, FILES)
    for strategy in ("linear", "free"):
        playbook = slow(destination=f"/srv/{strategy}", progress_interval=1)
        played = bed.play(playbook, bed.inventory(hosts, user="root"), env={"ANSIBLE_STRATEGY": strategy}, forks=3)
        assert played.code == 0, played.output
        for host in hosts:
            lines = re.findall(
                rf"^{host.name}  copying (\d+) %, [\d.]+ [KMB]+ of 5.7 MB, [\d.]+ KB/s, \d+ s left, \S+$",
                played.stderr,
                re.MULTILINE,
            )
            shares = list(map(int, lines))
            assert len(shares) >= 4, played.stderr
            assert shares == sorted(shares)
        assert "copying" not in played.stdout


CANARY = "c4n4ry-7731fe"


def test_secrets_reach_no_file_of_a_job(bed: Bed) -> None:
    host = bed.host("secretive")
    playbook = f"""\
- hosts: all
  gather_facts: false
  tasks:
    - name: Migrate
      migration.assistant.database_migrate:
        source: {{database: /srv/shop.db, password: {CANARY}}}
        destination: {{database: /srv/copy.db}}
"""
    host.run("sqlite3 /srv/shop.db 'create table t (x)'")
    played = bed.play(playbook, bed.inventory([host], user="root"), verbosity=4)
    assert played.code != 0
    assert "has no password" in played.output
    assert CANARY not in played.output
    found = host.run(f"grep -rl {CANARY} /var /srv /root /home /tmp /run 2>/dev/null", check=False)
    assert found.stdout == ""
