# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The directory of one job: what it is, how far it is, and what came of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import typing as t

from .._executor import places
from .._executor.events import Event

try:
    import fcntl
except ImportError:  # a system without it runs no jobs of this kind
    pass

_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
# More than the longest event, so that the last one is whole.
_TAIL = 1 << 16


class JobDirectory:
    """Files that only the job's owner can read.

    record.json: what the job is, without any secret. lease: its time of modification is when the controller was last
    heard. events.jsonl: the executor's events, but the changes. result: what the module printed, once that is
    complete. errors: what its process wrote to standard error. cancel: why it is to stop, once somebody wants that.
    collected: its result has been printed. alive: locked for as long as a process of the job runs.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.id = os.path.basename(path)

    @classmethod
    def create(cls, job_id: str, record: t.Mapping[str, t.Any]) -> JobDirectory:
        """Make the directory of a new job. Raises FileExistsError if there is one, OSError, and places.NoPlace."""
        if not _ID.match(job_id):
            raise OSError("%r is not the name of a job" % job_id)
        for _attempt in range(10):
            jobs = os.path.join(places.state_directory(), "jobs")
            directory = cls(os.path.join(jobs, job_id))
            try:
                places.make_private(jobs)
                os.mkdir(directory.path, 0o700)
            except FileNotFoundError:
                continue  # the last job of another run has just taken the directory away
            directory.renew()
            directory.update(id=job_id, started_at=time.time(), **record)
            return directory
        raise OSError("%s vanishes again and again" % jobs)

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def record(self) -> t.Dict[str, t.Any]:
        """What update has written; empty where it cannot be read."""
        try:
            with open(self.file("record.json"), encoding="utf-8") as stream:
                content = json.load(stream)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def update(self, **facts: t.Any) -> None:
        temporary = self.file("record.new")
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump({**self.record(), **facts}, stream)
        os.replace(temporary, self.file("record.json"))

    def renew(self) -> None:
        """Say that the controller was heard."""
        with open(self.file("lease"), "ab"):
            os.utime(self.file("lease"))

    def heard(self) -> float:
        """When the controller was last heard, in seconds since 1970; 0 where that is not known.

        A job that is being made has no lease yet.
        """
        for path in (self.file("lease"), self.path):
            try:
                return os.stat(path).st_mtime
            except OSError:
                continue
        return 0.0

    def hold(self) -> int:
        """Lock the job as alive, for as long as any process has the descriptor."""
        descriptor = os.open(self.file("alive"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def is_alive(self) -> bool:
        """Whether a process of the job runs."""
        try:
            descriptor = os.open(self.file("alive"), os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def cancel(self, reason: str) -> None:
        """Ask the job to stop at its next safe point."""
        self._write("cancel", reason)

    def cancelled(self) -> t.Optional[str]:
        """Why the job is to stop; None if it is not."""
        text = self._read("cancel")
        return None if text is None else text.strip() or "somebody cancelled it"

    def result(self) -> t.Optional[str]:
        """What the module printed; None as long as it is not complete."""
        return self._read("result")

    def outcome(self) -> t.Optional[t.Dict[str, t.Any]]:
        """The result as an object. One that cannot be read, as a crash of the host may leave it, is a failure."""
        text = self.result()
        if text is None:
            return None
        try:
            outcome = json.loads(text)
        except ValueError:
            outcome = None
        if not isinstance(outcome, dict):
            return {
                "failed": True,
                "changed": False,
                "msg": "the job's result cannot be read: %s" % text.strip()[-500:],
            }
        return outcome

    def errors(self) -> str:
        """The last line of what the job's process wrote to standard error."""
        lines = (self._read("errors") or "").strip().splitlines()
        return lines[-1][:500] if lines else ""

    def progress(self) -> t.Optional[Event]:
        """The last progress event."""
        try:
            with open(self.file("events.jsonl"), "rb") as stream:
                stream.seek(max(os.fstat(stream.fileno()).st_size - _TAIL, 0))
                lines = stream.read().split(b"\n")
        except OSError:
            return None
        for line in reversed(lines):
            if b'"progress"' in line:
                try:
                    event = json.loads(line.decode("ascii"))
                except ValueError:
                    continue
                if isinstance(event, dict) and event.get("event") == "progress":
                    return event
        return None

    def mark_collected(self) -> None:
        """Say that the result was printed: the directory may be removed before long."""
        self._write("collected", "")

    def is_collected(self) -> bool:
        return os.path.exists(self.file("collected"))

    def remove(self) -> None:
        """Remove the directory, and those above that are ours and hold nothing else."""
        shutil.rmtree(self.path, ignore_errors=True)
        above = os.path.dirname(self.path)
        for directory in (above, os.path.dirname(above)):
            try:
                os.rmdir(directory)
            except OSError:
                return

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(self.file(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)

    def _read(self, name: str) -> t.Optional[str]:
        try:
            with open(self.file(name), encoding="utf-8", errors="surrogateescape") as stream:
                return stream.read()
        except OSError:
            return None
