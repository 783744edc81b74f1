# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch a detached job from the controller: see how far it is, renew its lease, outlast broken connections."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import threading
import time
import typing as t
from contextlib import contextmanager

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.migration.assistant.plugins.plugin_utils.progress_line import Event, ProgressLine

# How long a look may take longer than it was meant to, before the connection counts as dead.
_PATIENCE = 30.0
_LONGEST_RETRY = 10.0
# However seldom a line is shown: a connection that falls silent is to be noticed.
_LONGEST_LOOK = 30.0
_MARK = "migration-job:"

# One look: wait on the host until the job is done or the time is over, which saves round trips. Each second of it
# renews the lease. The job lives as long as its lock is held; where no program can ask for that, its process is asked
# for, which may be one that nobody has taken leave of.
_LOOK = """\
d={directory}; n={seconds}
while :; do
  [ -d "$d" ] || {{ echo {mark}gone; exit 0; }}
  touch "$d/lease"
  if command -v flock >/dev/null 2>&1; then ! flock -n -s "$d/alive" true 2>/dev/null
  else kill -0 {pid} 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' /proc/{pid}/status 2>/dev/null; fi; alive=$?
  [ -f "$d/result" ] && {{ echo {mark}result; cat "$d/result"; exit 0; }}
  [ "$alive" = 0 ] || {{ echo {mark}dead; tail -n 1 "$d/errors"; exit 0; }}
  [ "$n" -gt 0 ] || break
  n=$((n-1)); sleep 1
done
echo {mark}running; tail -n 20 "$d/events.jsonl" 2>/dev/null | grep '"progress"' | tail -n 1"""

# As module_utils/_executor/places.py has them.
_USUAL_PLACES = (
    "/var/lib/migration-assistant/jobs",
    '"${XDG_STATE_HOME:-$HOME/.local/state}"/migration-assistant/jobs',
    '/var/tmp/migration-assistant-"$(id -u)"/jobs',
    '/tmp/migration-assistant-"$(id -u)"/jobs',
    '/dev/shm/migration-assistant-"$(id -u)"/jobs',
    '"${TMPDIR:-/tmp}"/migration-assistant-"$(id -u)"/jobs',
)

Execute = t.Callable[[str], t.Mapping[str, t.Any]]


def running_job(answer: str) -> dict[str, t.Any] | None:
    """The job that a module's answer tells of, if it goes on: its id, directory and pid."""
    if '"_job"' not in answer:
        return None
    for line in answer.splitlines():
        try:
            job = json.loads(line).get("_job") if line.startswith("{") else None
        except (ValueError, AttributeError):
            continue
        if isinstance(job, dict) and job.get("running"):
            return job
    return None


class Interrupted(BaseException):
    """The play was interrupted, by Ctrl-C or by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Died(AnsibleError):
    """The job's process ended without a result."""


class Lost(AnsibleConnectionFailure):
    """The host could not be reached again for as long as the job waits for its controller."""


class _Expired(BaseException):
    """No Exception: the connection's own retries would take it for a failure to try again."""


class Watch:
    """One running job. execute: runs a shell command on the host as the job's user; reset: drops a connection that
    hangs; job: what the module said of it (directory, pid); lease: for how long it goes on unheard."""

    def __init__(
        self,
        execute: Execute,
        reset: t.Callable[[], None],
        job: t.Mapping[str, t.Any],
        lease: float,
        line: ProgressLine,
    ) -> None:
        self._execute = execute
        self._reset = reset
        self._directory = str(job["directory"])
        self._pid = int(job["pid"])
        self._lease = lease
        self._line = line

    def result(self) -> str:
        """What the job's module printed, once the job has ended. Raises Died, Lost and Interrupted."""
        heard = time.monotonic()
        pause = 1.0
        seconds = 1.0
        while True:
            if _is_orphan():
                # Ansible was killed: nobody waits for this job any more.
                raise Interrupted(signal.SIGTERM)
            try:
                state, content = self._look(int(seconds))
            except AnsibleError as exc:
                if time.monotonic() - heard > self._lease:
                    raise Lost(
                        f"the connection was lost and could not be made again for {self._lease:g} s: {exc}"
                    ) from exc
                self._line.say(f"the connection is lost, trying again; the job goes on ({_first_line(exc)})")
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY)
                continue
            heard, pause, seconds = time.monotonic(), 1.0, min(self._line.pause(), _LONGEST_LOOK)
            if state == "result":
                return content
            if state != "running":
                message = _first_line(content) or "it left no message"
                raise Died(f"the job's process ended without a result: {message}")
            self._line.show(_event(content))

    def _look(self, seconds: int) -> tuple[str, str]:
        command = _LOOK.format(directory=shlex.quote(self._directory), pid=self._pid, seconds=seconds, mark=_MARK)
        with deadline(seconds + _PATIENCE, self._reset):
            answer = self._execute(f"( {command}\n)")
        _before, mark, said = str(answer["stdout"]).partition(_MARK)
        if not mark:
            raise AnsibleConnectionFailure(_first_line(answer.get("stderr")) or f"no answer (exit code {answer['rc']})")
        state, _newline, content = said.partition("\n")
        return state.strip(), content


def cancel(execute: Execute, job: t.Mapping[str, t.Any], reason: str) -> None:
    """Ask a job to stop at its next safe point, and to leave no result behind.

    Where its directory is not known yet, the usual places are searched.
    """
    known = job.get("directory")
    places = [shlex.quote(str(known))] if known else [f"{place}/{job['id']}" for place in _USUAL_PLACES]
    ask = f'touch "$d/collected" && printf %s {shlex.quote(reason)} > "$d/cancel"'
    command = f'for d in {" ".join(places)}; do [ -d "$d" ] && {ask}; done; :'
    try:
        execute(command)
    except AnsibleError:
        # Then its lease runs out.
        return


def remove_directory(execute: Execute, directory: str) -> None:
    """Remove a job's directory on its host, and those above that are ours and hold nothing else.

    That the host cannot be reached is no error: the directory is removed there in time.
    """
    above = os.path.dirname(directory)
    emptied = " && ".join(f"rmdir {shlex.quote(path)}" for path in (above, os.path.dirname(above)))
    try:
        execute(f"rm -rf {shlex.quote(directory)}; {{ {emptied}; }} 2>/dev/null; :")
    except AnsibleError:
        return


@contextmanager
def interruptible() -> t.Iterator[None]:
    """While entered, the first of the signals by which Ansible ends its workers raises Interrupted instead.

    Others follow it within milliseconds, and would tear what deals with the first.
    """
    armed = [True]

    def interrupt(number: int, _frame: object) -> None:
        if armed:
            armed.clear()
            raise Interrupted(number)

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def deadline(seconds: float, reset: t.Callable[[], None]) -> t.Iterator[None]:
    """Raise AnsibleConnectionFailure in the main thread when what is within takes longer: a connection that hangs
    tells nobody."""

    def expire() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def raise_expired(_number: int, _frame: object) -> None:
        raise _Expired

    previous = signal.signal(signal.SIGUSR1, raise_expired)
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except _Expired:
        reset()
        raise AnsibleConnectionFailure(f"the host did not answer for {seconds:g} s") from None
    finally:
        # The signal may be on its way.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, previous)


def _is_orphan() -> bool:
    """Whether the process that started this worker is gone."""
    parent = multiprocessing.parent_process()
    return parent is not None and os.getppid() != parent.pid


def _event(content: str) -> Event | None:
    try:
        event = json.loads(content)
    except ValueError:
        return None
    complete = isinstance(event, dict) and {"phase", "elapsed", "items_done", "bytes_done"} <= event.keys()
    return event if complete else None


def _first_line(text: object) -> str:
    return (str(text or "").strip().splitlines() or [""])[0][:200]
