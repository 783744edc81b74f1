# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""All jobs of this user on this host: who writes where, and which of them an earlier run has left."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from .._executor import places
from .directory import JobDirectory

try:
    import fcntl
except ImportError:  # a system without it runs no jobs of this kind
    pass

# A controller that looks every few seconds and was not heard for so long is gone.
ORPHANED_SECONDS = 30.0
_KEPT = 3600.0
_SUCCESS_KEPT = 7 * 86400.0


class Busy(Exception):
    """Another job writes in the same place. holder: its directory; path: where."""

    def __init__(self, holder: JobDirectory, path: str) -> None:
        super().__init__("%s is being written by another job: %s" % (path, describe(holder)))
        self.holder = holder
        self.path = path


def find_jobs() -> t.List[JobDirectory]:
    """Every job of this user whose directory is still there, the oldest first."""
    found = []
    for state in places.state_directories():
        jobs = os.path.join(state, "jobs")
        try:
            if places.distrust(jobs) is None:
                found += [JobDirectory(entry.path) for entry in os.scandir(jobs) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
    return sorted(found, key=lambda job: job.record().get("started_at", 0))


def claim(mine: JobDirectory, paths: t.Sequence[str], timeout: float, check: t.Callable[[], None]) -> None:
    """Register that a job writes below *paths*, once no other does.

    Waits up to *timeout* seconds for another job, then raises Busy. check: called every second while it waits; what
    it raises ends the waiting.
    """
    places_of_mine = [os.path.realpath(path) for path in paths]
    deadline = time.monotonic() + timeout
    while True:
        with _registry(mine):
            conflict = _conflict(mine, places_of_mine)
            if conflict is None:
                mine.update(writes=places_of_mine)
                return
        if time.monotonic() >= deadline:
            raise conflict
        check()
        time.sleep(min(1.0, max(deadline - time.monotonic(), 0.0)))


def earlier_run(mine: JobDirectory, key: str) -> t.Optional[JobDirectory]:
    """A job with the same key that nobody waits for any more: it still runs, or its result was never collected."""
    for job in find_jobs():
        if job.id == mine.id or job.record().get("key") != key or job.is_collected():
            continue
        if not job.is_alive():
            if job.result() is not None:
                return job
        elif job.record().get("on_disconnect") == "finish" or is_orphaned(job):
            return job
    return None


def is_orphaned(job: JobDirectory) -> bool:
    """Whether the controller of a job has not been heard for so long that it is gone."""
    return time.time() - job.heard() > ORPHANED_SECONDS


def is_watched(job: JobDirectory) -> bool:
    """Whether a controller is there to fetch the result of a job."""
    return job.exists() and not job.is_collected() and not is_orphaned(job)


def prune() -> None:
    """Remove the directories of jobs whose results nobody will ask for any more."""
    now = time.time()
    for job in find_jobs():
        unheard = now - job.heard()
        if unheard > _KEPT and not job.is_alive() and (unheard > _SUCCESS_KEPT or not _waits_to_be_fetched(job)):
            job.remove()


def _waits_to_be_fetched(job: JobDirectory) -> bool:
    """Whether the next run with the same options counts what the job has changed."""
    outcome = job.outcome()
    return outcome is not None and not job.is_collected() and not outcome.get("failed")


def describe(job: JobDirectory) -> str:
    """A job in a few words, for those who have to deal with it."""
    record = job.record()
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.get("started_at", 0)))
    return "job %s (%s, process %s, since %s, started by %s, who was last heard %d s ago)" % (
        job.id,
        record.get("module", "of an unknown kind"),
        record.get("pid", "unknown"),
        since,
        record.get("started_by", "an unknown controller"),
        max(time.time() - job.heard(), 0),
    )


def summary(job: JobDirectory) -> t.Dict[str, t.Any]:
    """A job as the module job_info lists it."""
    record = job.record()
    state = "running" if job.is_alive() else "finished" if job.result() is not None else "interrupted"
    known = ("module", "source", "destination", "check_mode", "executor", "pid", "started_at", "started_by")
    return {
        "id": job.id,
        "state": state,
        **{name: record.get(name) for name in (*known, "lease", "on_disconnect")},
        "heard_seconds_ago": round(max(time.time() - job.heard(), 0.0), 1),
        "progress": job.progress() or {},
        "cancelled": job.cancelled() or "",
    }


def _conflict(mine: JobDirectory, paths: t.Sequence[str]) -> t.Optional[Busy]:
    for job in find_jobs():
        if job.id == mine.id:
            continue
        for theirs in job.record().get("writes", ()):
            for path in paths:
                if _overlap(path, theirs) and job.is_alive():
                    return Busy(job, theirs)
    return None


def _overlap(one: str, other: str) -> bool:
    """Whether one of two paths is the other, or lies below it."""
    if one == other:
        return True
    shorter, longer = sorted((one, other), key=len)
    return longer.startswith(shorter.rstrip("/") + "/")


@contextlib.contextmanager
def _registry(mine: JobDirectory) -> t.Iterator[None]:
    """Let one job at a time look and register. The directory of jobs cannot vanish, since this job is in it."""
    descriptor = os.open(os.path.dirname(mine.path), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
