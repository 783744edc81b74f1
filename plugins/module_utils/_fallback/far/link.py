# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The command that reaches the fallback on another host, and how both ends greet."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from typing import IO, Any, ContextManager, Dict, List, Optional

from ..._version import VERSION
from .. import _platform
from .._context import Context
from .._errors import JobError
from ..tree import from_text
from .adapt import Adapting
from .complaints import telling
from .frames import ConnectionLost, Frames
from .ssh import Ssh
from .tcp import lower

Greeting = Dict[str, Any]

_START = b'{"migration_fallback":'
_TRANSPORT = 2
_OTHER_CODECS = ("zstd", "lz4", "brotli")
# What a login may print before the fallback speaks.
_MOST_NOISE = 64 << 10
_TAIL = 8 << 10
# For the other end to finish what it is at.
_PATIENCE = 5.0


def machine() -> str:
    """What this process sees: equal for two processes only where the same path is the same file; empty where that is
    not known."""
    try:
        namespace = os.readlink("/proc/self/ns/mnt")
    except OSError:
        return ""
    boot = _platform.boot_id()
    return "%s %s" % (boot, namespace) if boot else ""


def greet(outgoing: int, **said: Any) -> None:
    """Say who this end is."""
    line = {"migration_fallback": _TRANSPORT, "version": VERSION, "machine": machine(), **said}
    data = (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")
    while data:
        data = data[os.write(outgoing, data) :]


def read_greeting(incoming: IO[bytes]) -> Greeting:
    """The other end's first line; what a login, or a password that nobody asked for, put before it is passed over."""
    noise = 0
    while noise < _MOST_NOISE:
        line = incoming.readline(_MOST_NOISE)
        if not line:
            raise EOFError
        start = line.find(_START)
        if start >= 0:
            said = json.loads(line[start:])
            if said["migration_fallback"] != _TRANSPORT or said["version"] != VERSION:
                raise ValueError("its version of this collection is %s, not %s" % (said.get("version"), VERSION))
            return dict(said)
        noise += len(line)
    raise ValueError("there is no executor: it said something else for %d bytes" % _MOST_NOISE)


class Link:
    """One running command, greeted; a context manager. Raises JobError ``unreachable``, in one line."""

    def __init__(self, context: Context, role: str) -> None:
        far: Dict[str, Any] = context.parameters["far"]
        if far["compression"] in _OTHER_CODECS:
            message = "the Python fallback compresses what it sends by gzip, and not by %s" % far["compression"]
            context.warning("codec_replaced", message)
        self.name: str = far["name"]
        self._check = context.check
        self._tail = b""
        self.frames: Optional[Frames] = None
        self._ssh = Ssh(context)
        try:
            self._connect(far, role)
        except BaseException:
            self._ssh.close()
            raise
        self.frames = Frames(self._incoming, self._outgoing)
        if far["keep_alive_interval"]:
            self.frames.call_out(far["keep_alive_interval"])
        self._ssh.socket.tell(self._ssh.proxy)

    def _connect(self, far: Dict[str, Any], role: str) -> None:
        """Start the command and greet; once more if a connection that was kept is no good."""
        try:
            self._begin(far, role)
        except JobError as error:
            if error.code != "unreachable" or self._ssh.slot is None or not self._ssh.slot.kept:
                raise
            self._ssh.slot.discard(far["command"][0])
            self._begin(far, role)

    def _begin(self, far: Dict[str, Any], role: str) -> None:
        self._tail = b""
        words = list(far["command"])
        words[1:1] = self._ssh.words()
        try:
            # A terminal's signals are for this end alone.
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
                [os.fsencode(from_text(word)) for word in words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._ssh.environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise self._unreachable("unable to start %s: %s" % (far["command"][0], lower(error))) from error
        self._ssh.started(self._process.pid)
        self._listening = threading.Thread(target=self._listen, args=(self._process,), name="stderr", daemon=True)
        self._listening.start()
        try:
            self.greeting = self._greet(far, role)
        except BaseException:
            self._end_process()
            raise

    @property
    def opened(self) -> Frames:
        """The frames of a link that has greeted."""
        if self.frames is None:
            raise AssertionError("it has greeted")
        return self.frames

    @property
    def _incoming(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise AssertionError("it is a pipe")
        return self._process.stdout

    @property
    def _outgoing(self) -> int:
        if self._process.stdin is None:
            raise AssertionError("it is a pipe")
        return self._process.stdin.fileno()

    def _unreachable(self, why: str) -> JobError:
        return JobError("unreachable", "unable to reach %s: %s" % (self.name, why))

    def _greet(self, far: Dict[str, Any], role: str) -> Greeting:
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def talk() -> None:
            try:
                try:
                    self._send_first(far, role)
                except OSError:
                    pass  # why it is gone is in what it said
                answers.put(read_greeting(self._incoming))
            except (EOFError, OSError, ValueError, KeyError, TypeError) as error:
                answers.put(error)

        threading.Thread(target=talk, name="greeting", daemon=True).start()
        timeout = self._ssh.patience(far["connect_timeout"])
        waited = 0.0
        while True:
            try:
                answer = answers.get(timeout=0.1)
                break
            except queue.Empty:
                self._check()
                waited += 0.1
                if timeout and waited >= timeout:
                    message = "no answer in %g seconds" % timeout
                    raise self._unreachable(message) from None
        if isinstance(answer, EOFError):
            code = self._ended()
            ended = "%s ended with code %d and without a word" % (far["command"][0], code)
            raise self._unreachable(self._ssh.explain(self.said()) or ended)
        if isinstance(answer, Exception):
            raise self._unreachable(str(answer)) from answer
        if answer.get("error"):
            raise self._unreachable(str(answer["error"]))
        return dict(answer)

    def _send_first(self, far: Dict[str, Any], role: str) -> None:
        """The password that something on the way may ask for, the fallback itself where the host lacks it, and who
        this is."""
        first: List[bytes] = []
        if far["password"]:
            first.append(os.fsencode(from_text(far["password"])) + b"\n")
        if far["prelude"]:
            with open(from_text(far["prelude"]), "rb") as stream:
                first += [b"migration-fallback-follows\n", stream.read()]
        data = memoryview(b"".join(first))
        while data:
            data = data[os.write(self._outgoing, data) :]
        silence = far["read_timeout"] + far["keep_alive_interval"] if far["read_timeout"] else 0
        greet(self._outgoing, role=role, silence=silence if far["keep_alive_interval"] else 0)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        stream = process.stderr
        if stream is None:
            return
        for line in iter(stream.readline, b""):
            if process is self._process:
                self._tail = (self._tail + line)[-_TAIL:]

    def said(self) -> str:
        """The line that tells most of those that the command said on its standard error."""
        self._listening.join(1.0)
        return telling(self._tail.decode("utf-8", "replace").splitlines())

    def explain(self, error: ConnectionLost) -> JobError:
        """The loss of the connection, with the host and what the command said last."""
        self.close()
        return JobError("unreachable", "the connection to %s was lost: %s" % (self.name, self.said() or error.message))

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the command: by the end of its input, and else by force. It may be called again."""
        self._end_process()
        self._ssh.close()

    def _end_process(self) -> None:
        process = self._process
        if self.frames is None or not self.frames.close(_PATIENCE):
            process.kill()
        self._ended()
        self._ssh.ended()

    def _ended(self) -> int:
        """The code that the command ends with, by force if it does not by itself."""
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def adapting(self, context: Context, sends: bool) -> ContextManager[object]:
        """Keeps the rate suited to the network while entered, where the task asks for that. sends: this end sends the
        contents, not the other one."""
        connection = self._ssh.proxy.connection if self._ssh.proxy is not None else None
        interval = self._ssh.socket.interval
        if connection is None or not interval:
            return contextlib.nullcontext()
        set_rate = self.opened.keep_to if sends else self.opened.ask_rate
        return Adapting(context, connection, interval, sends, set_rate)
