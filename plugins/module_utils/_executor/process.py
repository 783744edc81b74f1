# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Run the Go engine as a child process: handshake, job, events, time-outs, reaping."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
import typing as t

from .._version import PROTOCOL, VERSION
from .events import TERMINAL_EVENTS, Event, EventReader, ProtocolError

HANDSHAKE_SECONDS = 15.0
SILENCE_SECONDS = 120.0
GRACE_SECONDS = 10.0
_STDERR_KEPT = 16 * 1024


class HandshakeError(Exception):
    """The engine did not start, or speaks another protocol or version. No job was given to it."""


class EngineDied(Exception):
    """The engine ended, fell silent, or broke the protocol after it had taken the job."""


class Engine:
    """One engine process and its one job.

    Use it as a context manager; leaving it always ends and reaps the child. Standard input is the
    lifeline: it stays open until then, so that the engine also stops when this process dies.
    inherit: descriptors that stay open in the engine.
    """

    def __init__(self, path: str, inherit: t.Tuple[int, ...] = ()) -> None:
        self._path = path
        self._inherit = inherit
        self._process: t.Optional[subprocess.Popen[bytes]] = None
        self._selector = selectors.DefaultSelector()
        self._reader = EventReader()
        self._queue: t.List[Event] = []
        self._stderr = b""
        self._open_streams = 0

    def __enter__(self) -> Engine:
        try:
            # run_command gives no line before the engine has ended.
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [self._path, "run"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=self._inherit,
            )
        except OSError as exc:
            raise HandshakeError("%s cannot be started: %s" % (self._path, exc.strerror or exc)) from exc
        for name in ("stdout", "stderr"):
            stream = getattr(self._process, name)
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, name)
            self._open_streams += 1
        return self

    def __exit__(self, *_exc: object) -> None:
        process = self._child
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:
                pass
        self._end(GRACE_SECONDS)
        self._selector.close()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def handshake(self) -> Event:
        """Wait for hello and check it. Raises HandshakeError."""
        try:
            hello = self._next_event(time.monotonic() + HANDSHAKE_SECONDS)
        except ProtocolError as exc:
            raise HandshakeError("%s is not a migration engine: %s" % (self._path, exc)) from exc
        if hello is None:
            raise HandshakeError("%s did not answer: %s" % (self._path, self._ending()))
        if hello["event"] != "hello":
            raise HandshakeError("%s did not begin with hello but with %s" % (self._path, hello["event"]))
        if hello.get("protocol") != PROTOCOL:
            raise HandshakeError(
                "%s speaks protocol %s, this collection speaks %d" % (self._path, hello.get("protocol"), PROTOCOL)
            )
        if hello.get("version") != VERSION:
            raise HandshakeError(
                "%s is version %s, this collection is version %s" % (self._path, hello.get("version"), VERSION)
            )
        return hello

    def send(self, job: t.Mapping[str, t.Any]) -> None:
        """Give the job to the engine, on standard input and nowhere else."""
        stdin = self._child.stdin
        if stdin is None:
            raise EngineDied("the engine has no standard input")
        try:
            stdin.write(json.dumps(job).encode("ascii") + b"\n")
            stdin.flush()
        except OSError as exc:
            raise EngineDied("the engine did not take the job: %s" % self._ending()) from exc

    def events(self, deadline: t.Optional[float], cancelled: t.Callable[[], bool]) -> t.Iterator[Event]:
        """Give the events up to and including the last one.

        deadline: time.monotonic() at which a job that has not ended by itself is ended. cancelled: asked
        about once a second. Raises EngineDied.
        """
        terminal = False
        asked_to_stop = False
        silent_since = time.monotonic()
        while not terminal:
            now = time.monotonic()
            if cancelled() and not asked_to_stop:
                asked_to_stop = True
                self._child.terminate()
                deadline = now + GRACE_SECONDS
            if deadline is not None and now > deadline:
                raise EngineDied("the engine did not stop in time and was ended")
            if now - silent_since > SILENCE_SECONDS:
                raise EngineDied("the engine was silent for %d seconds and was ended" % SILENCE_SECONDS)
            try:
                event = self._next_event(now + 1.0)
            except ProtocolError as exc:
                raise EngineDied(str(exc)) from exc
            if event is not None:
                silent_since = time.monotonic()
                terminal = event["event"] in TERMINAL_EVENTS
                yield event
            elif self._open_streams == 0:
                raise EngineDied("the engine ended without a result: %s" % self._ending())

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EngineDied("the engine was not started")
        return self._process

    def _next_event(self, until: float) -> t.Optional[Event]:
        """The next event; None at the time limit or at the end of the stream."""
        while not self._queue and self._open_streams:
            wait = until - time.monotonic()
            if wait <= 0:
                return None
            for key, _mask in self._selector.select(wait):
                self._read(key)
        return self._queue.pop(0) if self._queue else None

    def _read(self, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, 1 << 18)
        if not data:
            self._selector.unregister(key.fileobj)
            self._open_streams -= 1
            if key.data == "stdout":
                self._reader.close()
        elif key.data == "stdout":
            self._queue.extend(self._reader.feed(data))
        else:
            self._stderr = (self._stderr + data)[-_STDERR_KEPT:]

    def _ending(self) -> str:
        """How the child ended, with the first line that it wrote to standard error."""
        process = self._child
        try:
            code: t.Optional[int] = process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            code = None
        if code is None:
            ending = "it gave no sign of life"
        elif code < 0:
            ending = "it was killed by signal %d" % -code
        else:
            ending = "it ended with exit code %d" % code
        message = self._stderr.decode("utf-8", "replace").strip().split("\n")[0]
        return "%s (%s)" % (ending, message[:300]) if message else ending

    def _end(self, grace: float) -> None:
        process = self._child
        for stop, patience in ((None, 1.0), (process.terminate, grace), (process.kill, None)):
            if stop is not None and process.poll() is None:
                stop()
            try:
                process.wait(timeout=patience)
                return
            except subprocess.TimeoutExpired:
                continue
