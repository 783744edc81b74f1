# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The protocol on standard input and output: one job line in, one event per line out."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any, Dict, Sequence

from ._errors import JobError
from ._runner import execute, hello
from .far import serve

USAGE = "usage: python -m _fallback [run | serve | version]\n"
_READ_SIZE = 65536


class _Interrupted(Exception):
    """A signal came before there was a job to cancel."""


class _Output:
    """Standard output, one write call per event, so that lines never mix."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._broken = False

    def emit(self, event: Dict[str, Any]) -> None:
        """Write one event. When nobody reads any more, the job is cancelled and the rest stays unsaid."""
        if self._broken:
            return
        line = (json.dumps(event, separators=(",", ":")) + "\n").encode("ascii")
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            self._broken = True
            self._stop.set()


class _Signals:
    """Before the job the signals that end a process raise; while it runs they cancel it."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.job_runs = False
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._handle)

    def _handle(self, _number: int, _frame: object) -> None:
        self._stop.set()
        if not self.job_runs:
            raise _Interrupted


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 after a result, 1 after an error, 2 for wrong usage."""
    if list(arguments) == ["version"]:
        sys.stdout.write(json.dumps(hello()) + "\n")
        return 0
    if list(arguments) == ["serve"]:
        return serve.main()
    if list(arguments) not in ([], ["run"]):
        sys.stderr.write(USAGE)
        return 2
    stop = threading.Event()
    output = _Output(sys.stdout.fileno(), stop)
    signals = _Signals(stop)
    try:
        output.emit(hello())
        job = _read_job(sys.stdin.fileno())
        signals.job_runs = True
    except _Interrupted:
        output.emit(_error(JobError("cancelled", "the job was cancelled before it was read")))
        return 1
    except JobError as error:
        output.emit(_error(error))
        return 1
    if isinstance(job, dict) and job.get("lifeline") is True:
        threading.Thread(target=_watch_lifeline, args=(sys.stdin.fileno(), stop), daemon=True).start()
    return 0 if execute(job, output.emit, stop.is_set) else 1


def _read_job(descriptor: int) -> Any:
    """The first line of standard input as JSON. Read unbuffered, so that the lifeline gets what follows."""
    pieces = []
    while True:
        piece = os.read(descriptor, _READ_SIZE)
        head, newline, _rest = piece.partition(b"\n")
        pieces.append(head)
        if newline or not piece:
            break
    line = b"".join(pieces)
    if not line.strip():
        raise JobError("bad_job", "standard input holds no job")
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        torn = "" if newline else " (the line is torn)"
        raise JobError("bad_job", "the job is not valid JSON%s: %s" % (torn, error)) from error


def _watch_lifeline(descriptor: int, stop: threading.Event) -> None:
    """Cancel the job when standard input ends: whoever wanted it is gone."""
    try:
        while os.read(descriptor, _READ_SIZE):
            pass
    except OSError:
        pass
    stop.set()


def _error(error: JobError) -> Dict[str, Any]:
    return {
        "event": "error",
        "code": error.code,
        "message": error.message,
        "resumable": error.resumable,
        "changed": False,
    }
