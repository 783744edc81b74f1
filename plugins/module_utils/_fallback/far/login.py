# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The password by which ssh gets in to the other host. ssh starts a program to ask for it, which asks this process."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
from typing import Any, Dict, Iterator, List, Optional

from .._errors import JobError
from .._validate import Field, list_of, nested, text

FIELD = Field(
    nested(
        {
            "password": Field(text(minimum=1), required=True),
            "name": Field(text(minimum=1), required=True),
            "starts": Field(list_of(text()), ()),
            "word": Field(text(minimum=1), "assword"),
        }
    )
)

# What ssh starts with a question: it hands it on, and prints the answer.
_HELPER = """\
import os, socket, sys
if os.environ.get("SSH_ASKPASS_PROMPT"):
    sys.exit(1)
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(sys.argv[1])
    asked.sendall(os.fsencode(sys.argv[2]))
    asked.shutdown(socket.SHUT_WR)
    answer = b"".join(iter(lambda: asked.recv(4096), b""))
os.write(1, answer)
sys.exit(not answer)
"""
# The name of a socket has room for so many bytes, its own among them.
_LONGEST_DIRECTORY = 80
# What ssh does without: the passphrase of a key, and trust in a host that is unknown. An empty answer to any other
# question would be sent to a server, and count as a wrong one there.
_DECLINED = (
    *("Enter passphrase for ", "Enter PIN for ", "The authenticity of host "),
    *("Are you sure you want to continue connecting", "Please type 'yes'", "Accept updated hostkeys?"),
)
_LONGEST_QUESTION = 64 << 10
_TOLD = 200


class LoginRefused(JobError):
    """A login that must not be tried again: accounts are locked by that."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__("unreachable", "unable to reach %s: %s" % (host, why))


class Login:
    """Answers the questions of one ssh, or of the one that another command starts; a context manager."""

    def __init__(self, login: Dict[str, Any]) -> None:
        self._login = login
        self._lock = threading.Lock()
        self._answered = False
        self._gave_up: Optional[str] = None
        self._group: Optional[int] = None
        self._waiting: List[socket.socket] = []
        self._directory = _directory()
        self._address = os.path.join(self._directory, "asked")
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Login:
        try:
            helper = os.path.join(self._directory, "ask")
            command = [sys.executable or "python3", "-I", "-S", "-c", _HELPER, self._address]
            with open(helper, "w", encoding="utf-8") as stream:
                stream.write('#!/bin/sh\nexec %s "$@"\n' % shlex.join(command))
            os.chmod(helper, 0o700)
            self._listener.bind(self._address)
            self._listener.listen(8)
        except BaseException:
            self.__exit__()
            raise
        threading.Thread(target=self._serve, name="login", daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        # A blocked accept does not notice that its socket is closed.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for waiting in self._waiting:
                waiting.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def environment(self) -> Dict[str, str]:
        """What the command is started with."""
        helper = os.path.join(self._directory, "ask")
        return {**os.environ, "SSH_ASKPASS": helper, "SSH_ASKPASS_REQUIRE": "force"}

    def serve(self, group: int) -> None:
        """Say which group of processes asks."""
        with self._lock:
            self._group = group
            if self._gave_up is not None:
                self._end()

    def explain(self, host: str, said: str) -> None:
        """Raise why the login failed, if it did. said: what ssh said last."""
        with self._lock:
            if self._gave_up is None and self._answered and "Permission denied" in said:
                self._gave_up = self._refused()
            if self._gave_up is not None:
                raise LoginRefused(host, self._gave_up)

    def _serve(self) -> None:
        while True:
            try:
                asking = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._answer, args=(asking,), name="answer", daemon=True).start()

    def _answer(self, asking: socket.socket) -> None:
        question = b""
        try:
            while len(question) < _LONGEST_QUESTION:
                part = asking.recv(4096)
                if not part:
                    break
                question += part
        except OSError:
            question = b""
        asked = os.fsdecode(question)
        if not asked or asked.startswith(_DECLINED):
            asking.close()
            return
        with self._lock:
            if self._gave_up is None and not self._answered and self._is_for_password(asked):
                self._answered = True
                with contextlib.suppress(OSError):
                    asking.sendall(os.fsencode(self._login["password"]) + b"\n")
                asking.close()
                return
            # Whoever asks gets no answer as long as it can still send one on.
            self._waiting.append(asking)
            if self._gave_up is None:
                self._gave_up = self._refused() if self._is_for_password(asked) else self._unexpected(asked)
                self._end()

    def _is_for_password(self, asked: str) -> bool:
        word = self._login["word"]
        return any(asked.startswith(start) and word in asked[len(start) :] for start in self._login["starts"])

    def _refused(self) -> str:
        return "the login password of %s was refused" % self._login["name"]

    def _unexpected(self, asked: str) -> str:
        line = " ".join(asked.encode("utf-8", "replace").decode("utf-8").split())[:_TOLD]
        return "ssh asks for more than the login password of %s: %s" % (self._login["name"], line)

    def _end(self) -> None:
        if self._group is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._group, signal.SIGKILL)


@contextlib.contextmanager
def login_of(login: Optional[Dict[str, Any]]) -> Iterator[Optional[Login]]:
    """The answers for one ssh; None where it needs none."""
    if login is None:
        yield None
        return
    with Login(login) as answers:
        yield answers


def _directory() -> str:
    """A new directory for this user alone, from which a program can be started."""
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~"))):
        try:
            if len(os.fsencode(place)) > _LONGEST_DIRECTORY or os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0):
                continue
            return tempfile.mkdtemp(prefix="migration-assistant-", dir=place)
        except OSError:
            continue
    message = "a login by password needs a directory from which programs can be started, such as /tmp or /var/tmp"
    raise JobError("io_error", message)
