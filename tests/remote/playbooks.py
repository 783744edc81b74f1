# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks run as a user runs them, and what came of each task."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
import typing as t
from pathlib import Path

from daemon import kill_all_with
from environment import COLLECTIONS, VENV
from hosts import COLLECTIONS as DOCKER_CONNECTION

CALLBACKS = Path(__file__).parent / "callback_plugins"


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What one task did on one host. *status*: ok, skipped, failed, ignored (a failure) or unreachable."""

    host: str
    task: str
    status: str
    result: dict[str, t.Any]
    ended: float

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))


@dataclasses.dataclass(frozen=True)
class Played:
    """A playbook that ended. *stats*: host -> ok, changed, failures, unreachable, skipped, rescued, ignored."""

    code: int
    stdout: str
    stderr: str
    tasks: list[TaskResult]
    stats: dict[str, dict[str, int]]

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def failures(self) -> str:
        """What failed, and why, a line for each task, or for each of its items."""
        return "\n".join(
            f"{one.host}: {one.task}: {result}"
            for one in self.tasks
            if one.status in ("failed", "unreachable")
            for result in one.result.get("results", [one.result])
            if result.get("failed") or result.get("unreachable")
        )

    def of(self, task: str) -> dict[str, TaskResult]:
        """The results of the task with this name, by host."""
        return {one.host: one for one in self.tasks if one.task == task}

    def result(self, task: str, host: str | None = None) -> TaskResult:
        """The result of a task on a host, which need not be named if there is but one."""
        results = self.of(task)
        assert results, f"no task named {task} ended:\n{self.output}"
        if host is None:
            assert len(results) == 1, f"{task} ran on {', '.join(results)}"
            return next(iter(results.values()))
        return results[host]


class Play:
    """A playbook that runs. Its folder holds what it writes of itself."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self._folder = folder
        self._events = folder / "events"
        self._events.touch()
        with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, "EVENTS": str(self._events)},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def wait_for(self, task: str, host: str | None = None) -> None:
        """Wait until a task has started, on any host or on a certain one."""

        def started() -> bool:
            events = (one for one in self._read() if one["event"] == "started" and one["task"] == task)
            return any(host in (None, one["host"]) for one in events)

        self.until(started, task)

    def until(self, condition: t.Callable[[], t.Any], what: str, timeout: float = 180) -> None:
        """Wait for something to become true while the play runs."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"{what} has not come about in {timeout} s:\n{self.said()}"
            assert self.process.poll() is None, f"the play ended before {what}:\n{self.said()}"
            time.sleep(0.1)

    def wait(self, timeout: float = 300) -> Played:
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the play has not ended in {timeout} s:\n{self.said()}") from None
        events = list(self._read())
        results = [
            TaskResult(one["host"], one["task"], one["status"], one["result"], one["time"])
            for one in events
            if one["event"] == "result"
        ]
        stats: dict[str, dict[str, int]] = next((one["hosts"] for one in events if one["event"] == "stats"), {})
        return Played(self.process.returncode, self._text("stdout"), self._text("stderr"), results, stats)

    def kill(self) -> None:
        """Kill it, its workers and its ssh connections, with no time to clean up."""
        kill_all_with("EVENTS", f"{self._folder}/")
        self.process.wait()

    def _read(self) -> t.Iterator[dict[str, t.Any]]:
        for line in self._events.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)

    def _text(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8", errors="replace")

    def said(self) -> str:
        return self._text("stdout") + self._text("stderr")


def start(
    folder: Path,
    playbook: str | Path,
    inventory: Path,
    environment: dict[str, str],
    *,
    check: bool = False,
    diff: bool = False,
    verbosity: int = 0,
    venv: Path = VENV,
    forks: int = 5,
    arguments: t.Sequence[str | Path] = (),
) -> Play:
    """Start ansible-playbook in *folder*. *playbook*: a path, or the text of one."""
    if isinstance(playbook, str):
        (folder / "playbook.yml").write_text(playbook, encoding="utf-8")
        playbook = folder / "playbook.yml"
    command = [str(venv / "bin" / "ansible-playbook"), "--inventory", str(inventory), "--forks", str(forks)]
    command += ["--check"] * check + ["--diff"] * diff + ["-" + "v" * verbosity] * bool(verbosity)
    command += [str(playbook), *map(str, arguments)]
    return Play(folder, command, {**_settings(folder), **environment})


def _settings(folder: Path) -> dict[str, str]:
    """Ansible's defaults, whatever the user and the machine have set, with the collections under test."""
    (folder / "ansible.cfg").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "SSH_"))}
    return {
        **kept,
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_COLLECTIONS_PATH": f"{COLLECTIONS}:{DOCKER_CONNECTION}",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_HOST_KEY_CHECKING": "true",
        "ANSIBLE_NOCOLOR": "1",
    }
