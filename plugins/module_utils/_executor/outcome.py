# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Collect what a job says into an outcome."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field

from .events import Event
from .selection import Choice

SAMPLE_SIZE = 100
_LISTS_KEPT = 20


class JobFailed(Exception):
    """The job ended in an error. ``outcome`` holds what was done before."""

    def __init__(self, code: str, message: str, outcome: Outcome, resumable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.outcome = outcome
        self.resumable = resumable


@dataclass
class Outcome:
    """What a job did.

    changes: the first SAMPLE_SIZE change events; changes_count: how many there were; changes_file: a
    JSON Lines file with all of them when there were more. statistics, performance, samples, warnings: as
    in the protocol's events.
    """

    choice: Choice
    changed: bool = False
    statistics: t.Dict[str, t.Any] = field(default_factory=dict)
    performance: t.Dict[str, t.Any] = field(default_factory=dict)
    changes: t.List[Event] = field(default_factory=list)
    changes_count: int = 0
    changes_file: t.Optional[str] = None
    warnings: t.List[Event] = field(default_factory=list)
    warnings_count: int = 0
    samples: t.List[Event] = field(default_factory=list)


class Collector:
    """Feed events in, take the outcome out. Memory stays bounded whatever the number of changes."""

    def __init__(
        self,
        choice: Choice,
        job_id: str,
        state_directory: str,
        on_progress: t.Optional[t.Callable[[Event], None]] = None,
    ) -> None:
        self.outcome = Outcome(choice)
        self._job_id = job_id
        self._directory = os.path.join(state_directory, "changes")
        self._list: t.Optional[t.TextIO] = None
        self._on_progress = on_progress
        self._error: t.Optional[Event] = None

    def take(self, event: Event) -> None:
        kind = event["event"]
        outcome = self.outcome
        if kind == "change":
            self._take_change(event)
        elif kind == "warning":
            outcome.warnings_count += 1
            if len(outcome.warnings) < SAMPLE_SIZE:
                outcome.warnings.append(event)
        elif kind == "sample":
            outcome.samples.append(event)
            if len(outcome.samples) > 2 * SAMPLE_SIZE:
                # Every second one: the curve keeps its shape, memory its bound.
                outcome.samples = outcome.samples[::2]
        elif kind == "progress" and self._on_progress is not None:
            self._on_progress(event)
        elif kind in ("result", "error"):
            outcome.changed = bool(event.get("changed", False))
            outcome.statistics = event.get("statistics") or {}
            outcome.performance = event.get("performance") or {}
            if kind == "error":
                self._error = event

    def finish(self) -> Outcome:
        """Close the list of changes. Raises JobFailed if the job ended in an error."""
        self.close()
        if self._error is not None:
            raise JobFailed(
                self._error.get("code", "internal"),
                self._error.get("message", "the executor gave no reason"),
                self.outcome,
                bool(self._error.get("resumable", False)),
            )
        return self.outcome

    def close(self) -> None:
        if self._list is not None:
            self._list.close()
            self._list = None

    def _take_change(self, event: Event) -> None:
        outcome = self.outcome
        outcome.changes_count += 1
        if len(outcome.changes) < SAMPLE_SIZE:
            outcome.changes.append(event)
            return
        if outcome.changes_count == SAMPLE_SIZE + 1:
            self._open_list()
        if self._list is not None:
            self._write(event)

    def _open_list(self) -> None:
        path = os.path.join(self._directory, "%s.jsonl" % self._job_id)
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as exc:
            self.take(
                {
                    "event": "warning",
                    "code": "changes_file",
                    "message": "the whole list of changes cannot be kept in %s: %s" % (path, exc.strerror),
                }
            )
            return
        self._list = os.fdopen(descriptor, "w", encoding="ascii")
        self.outcome.changes_file = path
        for event in self.outcome.changes:
            self._write(event)
        _prune(self._directory)

    def _write(self, event: Event) -> None:
        if self._list is not None:
            self._list.write(json.dumps({key: value for key, value in event.items() if key != "event"}) + "\n")


def state_directory() -> str:
    """Where this host keeps lists of changes and, later, records of jobs."""
    if os.name == "posix" and os.geteuid() == 0:
        return "/var/lib/migration-assistant"
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "migration-assistant")


def _prune(directory: str) -> None:
    """Keep the newest lists only."""
    try:
        lists = [entry for entry in os.scandir(directory) if entry.name.endswith(".jsonl")]
        for entry in sorted(lists, key=lambda item: item.stat().st_mtime_ns)[:-_LISTS_KEPT]:
            os.unlink(entry.path)
    except OSError:
        # Another job may prune at the same moment.
        return
