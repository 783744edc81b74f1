# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people see while jobs are at work: in a terminal, and in the event stream of ansible-runner."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from environment import COLLECTIONS, VENV

from .bed import Bed
from .hosts import Host
from .scenes import assert_equal, make_tree, sync

FILES, SECONDS = 600, 30
RATE = f"{FILES * 10_000 // SECONDS // 1024}KB/s"


@pytest.fixture(scope="module")
def hosts(bed: Bed) -> list[Host]:
    found = bed.hosts(["seen1", "seen2", "seen3"])
    for host in found:
        make_tree(host, FILES)
    return found


def settings(bed: Bed) -> dict[str, str]:
    """Ansible's defaults with the collection under test, as an environment."""
    home = bed.folder / "terminal"
    home.mkdir(exist_ok=True)
    (home / "ansible.cfg").touch()
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_HOST_KEY_CHECKING": "true",
    }


def test_a_terminal_shows_a_line_now_and_then_for_each_host(bed: Bed, hosts: list[Host], tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(sync(destination="/srv/terminal", bandwidth_limit=RATE))
    inventory = bed.inventory(hosts, user="root")
    command = f"{VENV}/bin/ansible-playbook -i {inventory} play.yml; echo ended with $?; sleep 60"
    tmux = ["tmux", "-L", f"migration-{os.getpid()}", "-f", "/dev/null"]
    size = ["-x", "110", "-y", "60"]
    start = [*tmux, "new-session", "-d", *size, "-c", str(tmp_path), f"sh -c {shlex.quote(command)}"]
    subprocess.run(start, env={**os.environ, **settings(bed), "TERM": "xterm-256color"}, check=True)
    screen = ""
    try:
        deadline = time.monotonic() + 120
        while "ended with" not in screen and time.monotonic() < deadline:
            time.sleep(1)
            capture = [*tmux, "capture-pane", "-p", "-S", "-200"]
            screen = subprocess.run(capture, capture_output=True, text=True, check=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    print(screen)
    assert "ended with 0" in screen
    for host in hosts:
        lines = re.findall(
            rf"^{host.name}  \[(#*)(\.*)\] copying (\d+) %, .* MB, .*KB/s, \d+ s left", screen, re.MULTILINE
        )
        assert len(lines) >= 5, "about every other second there is to be a line"
        assert all(len(done) + len(left) == 20 for done, left, _share in lines)
        assert [int(share) for _done, _left, share in lines] == sorted(int(share) for _done, _left, share in lines)
        assert_equal(host, destination="/srv/terminal")
    assert max(map(len, screen.splitlines())) <= 110


def test_ansible_runner_sees_lines_and_ends_no_job_for_its_silence(bed: Bed, hosts: list[Host], tmp_path: Path) -> None:
    for folder in ("project", "inventory", "env"):
        (tmp_path / folder).mkdir()
    (tmp_path / "project" / "play.yml").write_text(sync(destination="/srv/runner", bandwidth_limit=RATE))
    (tmp_path / "inventory" / "hosts.yml").write_text(bed.inventory(hosts, user="root").read_text())
    (tmp_path / "env" / "settings").write_text(json.dumps({"idle_timeout": 10, "job_timeout": 200}))
    done = subprocess.run(
        [VENV / "bin" / "ansible-runner", "run", tmp_path, "-p", "play.yml"],
        env={**os.environ, **settings(bed), "PATH": f"{VENV}/bin:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    events = [
        json.loads(path.read_text()) for path in sorted(tmp_path.glob("artifacts/*/job_events/*.json"), key=number)
    ]
    lines = [event["stdout"] for event in events if event["event"] == "verbose" and " copying " in event["stdout"]]
    print("\n".join(lines))
    for host in hosts:
        assert len([line for line in lines if host.name in line]) >= 3
        assert_equal(host, destination="/srv/runner")
    assert not any("[###" in line for line in lines), "what nobody looks at needs no bars"
    times = sorted(event["created"] for event in events)
    assert times


def number(path: Path) -> int:
    """Runner's events are files whose names begin with their number."""
    return int(path.name.partition("-")[0])
