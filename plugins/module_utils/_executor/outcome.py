# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Collect what a job says into an outcome."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass, field

from . import places
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
    JSON Lines file with all of them when there were more; the same for difference events. statistics,
    performance, samples, warnings, settings: as in the protocol's events.
    """

    choice: Choice
    changed: bool = False
    statistics: t.Dict[str, t.Any] = field(default_factory=dict)
    performance: t.Dict[str, t.Any] = field(default_factory=dict)
    changes: t.List[Event] = field(default_factory=list)
    changes_count: int = 0
    changes_file: t.Optional[str] = None
    differences: t.List[Event] = field(default_factory=list)
    differences_count: int = 0
    differences_file: t.Optional[str] = None
    warnings: t.List[Event] = field(default_factory=list)
    warnings_count: int = 0
    settings: t.List[Event] = field(default_factory=list)
    samples: t.List[Event] = field(default_factory=list)


class Collector:
    """Feed events in, take the outcome out. Memory stays bounded whatever the number of changes."""

    def __init__(
        self,
        choice: Choice,
        job_id: str,
        on_event: t.Optional[t.Callable[[Event], None]] = None,
    ) -> None:
        self.outcome = Outcome(choice)
        self._changes = _List("changes", job_id)
        self._differences = _List("differences", job_id)
        self._on_event = on_event
        self._error: t.Optional[Event] = None

    def take(self, event: Event) -> None:
        kind = event["event"]
        outcome = self.outcome
        if self._on_event is not None and kind not in ("change", "difference"):
            self._on_event(event)
        if kind == "change":
            outcome.changes_count += 1
            outcome.changes_file = self._keep(event, outcome.changes, self._changes)
        elif kind == "difference":
            outcome.differences_count += 1
            outcome.differences_file = self._keep(event, outcome.differences, self._differences)
        elif kind == "warning":
            outcome.warnings_count += 1
            if len(outcome.warnings) < SAMPLE_SIZE:
                outcome.warnings.append(event)
        elif kind == "setting":
            outcome.settings.append(event)
        elif kind == "sample":
            outcome.samples.append(event)
            if len(outcome.samples) > 2 * SAMPLE_SIZE:
                # Every second one: the curve keeps its shape, memory its bound.
                outcome.samples = outcome.samples[::2]
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
        for whole in (self._changes, self._differences):
            problem = whole.close()
            if problem is not None:
                self.take(problem)
        self.outcome.changes_file = self._changes.path
        self.outcome.differences_file = self._differences.path

    def _keep(self, event: Event, first: t.List[Event], whole: _List) -> t.Optional[str]:
        """Keep an event among the first ones, or in the whole list; give the path of that, if there is one."""
        if len(first) < SAMPLE_SIZE:
            first.append(event)
            return None
        problem = whole.add(event, first)
        if problem is not None:
            self.take(problem)
        return whole.path


class _List:
    """A JSON Lines file of all events of one kind, made when there are more than the first ones."""

    def __init__(self, name: str, job_id: str) -> None:
        self.path: t.Optional[str] = None
        self._name = name
        self._job_id = job_id
        self._stream: t.Optional[t.TextIO] = None
        self._tried = False

    def add(self, event: Event, first: t.Sequence[Event]) -> t.Optional[Event]:
        """Write an event, the first ones before it; give a warning where the list cannot be kept."""
        problem = None
        if not self._tried:
            self._tried = True
            problem = self._open(first)
        return self._write(event) or problem

    def close(self) -> t.Optional[Event]:
        """Complete the list; give a warning where it cannot be kept."""
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                stream.close()
        except OSError as exc:
            return self._lose(exc)
        return None

    def _open(self, first: t.Sequence[Event]) -> t.Optional[Event]:
        try:
            directory = places.make_private(os.path.join(places.state_directory(), self._name))
            path = os.path.join(directory, "%s.jsonl" % self._job_id)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except (OSError, places.NoPlace) as exc:
            return self._lose(exc)
        self._stream = os.fdopen(descriptor, "w", encoding="ascii")
        self.path = path
        problem = None
        for event in first:
            problem = self._write(event) or problem
        _prune(directory)
        return problem

    def _write(self, event: Event) -> t.Optional[Event]:
        if self._stream is None:
            return None
        try:
            self._stream.write(json.dumps({key: value for key, value in event.items() if key != "event"}) + "\n")
        except OSError as exc:
            return self._lose(exc)
        return None

    def _lose(self, reason: Exception) -> Event:
        """Go on without the list, such as when its disk is full. The job is worth more, and its result needs room."""
        stream, self._stream = self._stream, None
        path, self.path = self.path, None
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
        with contextlib.suppress(OSError):
            if path is not None:
                os.unlink(path)
        why = getattr(reason, "strerror", None) or reason
        message = "the whole list of %s cannot be kept: %s" % (self._name, why)
        return {"event": "warning", "code": "%s_file" % self._name, "message": message}


def _prune(directory: str) -> None:
    """Keep the newest lists only."""
    try:
        lists = [entry for entry in os.scandir(directory) if entry.name.endswith(".jsonl")]
        for entry in sorted(lists, key=lambda item: item.stat().st_mtime_ns)[:-_LISTS_KEPT]:
            os.unlink(entry.path)
    except OSError:
        # Another job may prune at the same moment.
        return
