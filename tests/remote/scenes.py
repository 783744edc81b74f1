# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests on remote hosts have in common: trees on hosts, plays that copy them, a look at what is left."""

from __future__ import annotations

import json
import time
import typing as t

from .hosts import Host, Process

STATE = "/var/lib/migration-assistant"
SOURCE, DESTINATION = "/srv/source", "/srv/destination"


def sync(*hosts: str, source: str = SOURCE, destination: str = DESTINATION, task: str = "", **options: t.Any) -> str:
    """A playbook that copies a tree. *hosts*: patterns, all by default; *task*: further lines of the task."""
    arguments = json.dumps({"source": source, "destination": destination, **options})
    return f"""\
- hosts: {":".join(hosts) or "all"}
  gather_facts: false
  tasks:
    - name: Copy
      migration.assistant.file_sync: {arguments}
{task}
"""


def make_tree(host: Host, files: int = 20, size: int = 10_000, path: str = SOURCE, owner: str = "") -> None:
    """A tree of files with random content on a host."""
    chown = f"chown -R {owner}: {path}" if owner else ""
    host.run(
        f"rm -rf {path} && mkdir -p {path} && cd {path} && head -c {files * size} /dev/urandom"
        f" | split -a 5 -b {size} - file && {chown or 'true'}"
    )


def assert_equal(host: Host, source: str = SOURCE, destination: str = DESTINATION) -> None:
    """Both trees are equal, as rsync sees them, and none of our temporary files is left."""
    done = host.run(f"rsync -aHAXni --delete {source}/ {destination}/")
    assert done.stdout == "", done.stdout
    assert host.run(f"find {destination} -name '.migration-assistant*'").stdout == ""


def workers(host: Host) -> list[Process]:
    """Processes of the collection's jobs on a host."""
    return [one for one in host.processes() if "migration-engine" in one.command or "AnsiballZ" in one.command]


def job_processes(host: Host) -> list[int]:
    """Numbers of the processes that keep a job alive, the engine's and the one above it."""
    found = host.run(
        f"for lock in {STATE}/jobs/*/alive /home/*/.local/state/migration-assistant/jobs/*/alive; do"
        " [ -e $lock ] && find /proc/[0-9]*/fd -lname $lock 2>/dev/null | cut -d/ -f3; done; true"
    )
    return sorted({int(pid) for pid in found.stdout.split()})


def until(condition: t.Callable[[], t.Any], seconds: float = 100, what: str = "it") -> t.Any:
    """Wait for something to become true, and give it. *seconds*: a busy machine may need many."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} has not come about in {seconds} s")


def copied(host: Host, destination: str = DESTINATION) -> int:
    """How many files have arrived under their names."""
    found = host.run(f"find {destination} -type f ! -name '.migration-assistant*' 2>/dev/null | wc -l", check=False)
    return int(found.stdout)
