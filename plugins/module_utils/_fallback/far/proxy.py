# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The TCP connection of one ssh, made here where a task asks something of it.

ssh starts a process for that (ProxyCommand), which gives its standard output to this one; by that, this one gives ssh a
connection (ProxyUseFdpass).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import threading
from typing import Any, Dict, Optional, Sequence

from .._context import Context
from .._validate import Field, boolean, integer, list_of, nested, number, text
from . import tcp

FIELD = Field(
    nested(
        {
            "addresses": Field(list_of(text()), ()),
            "port": Field(integer(1, 65535), 22),
            "bind_address": Field(text(), ""),
            "keep_alive": Field(boolean, True),
            "connect_timeout": Field(number(), 0),
            "unavailable": Field(text(), ""),
            "receive_buffer": Field(integer(0, (1 << 30) - 1), 0),
            "send_buffer": Field(integer(0, (1 << 30) - 1), 0),
            "force_buffers": Field(boolean, False),
            "no_delay": Field(boolean),
            "adapt_interval": Field(number(), 0),
        }
    )
)

# Without any quote, so that rsync can hand it on.
_HAND_OVER = ";".join(
    (
        "import os,socket,sys",
        "s=socket.socket(socket.AF_UNIX)",
        "s.connect(chr(0)+sys.argv[1])",
        "u=s.getsockopt(socket.SOL_SOCKET,socket.SO_PEERCRED,12)[4:8]",
        "int.from_bytes(u,sys.byteorder)==os.geteuid() or sys.exit(1)",
        "s.sendmsg([bytes(1)],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,(1).to_bytes(4,sys.byteorder))])",
        "sys.exit(s.recv(4096).decode() or 0)",
    )
)


class Socket:
    """What a job asks of its connections, None for nothing."""

    def __init__(self, context: Context) -> None:
        far: Dict[str, Any] = context.parameters["far"]
        self.wanted: Optional[Dict[str, Any]] = far["socket"]
        self._context = context
        self._name: str = far["name"]
        self._told = False
        self._lock = threading.Lock()

    @classmethod
    def of(cls, context: Context) -> Socket:
        """The job's, which is the same for all its tries."""
        context.socket = context.socket or cls(context)
        made: Socket = context.socket
        return made

    @property
    def interval(self) -> float:
        """Seconds between two looks at what the network carries; 0 for none."""
        return float(self.wanted["adapt_interval"]) if self.wanted is not None else 0.0

    def proxy(self) -> Optional[Proxy]:
        """What makes the connection of one ssh; None where ssh does that itself."""
        wanted = self.wanted
        if wanted is None or self._reason():
            return None
        return Proxy(wanted, self._name)

    def _reason(self) -> str:
        wanted = self.wanted or {}
        if wanted["unavailable"]:
            return str(wanted["unavailable"])
        return "" if tcp.AVAILABLE and sys.executable else tcp.UNAVAILABLE

    def tell(self, proxy: Optional[Proxy], can_adapt: bool = True) -> None:
        """Tell once what has become of what was asked for."""
        with self._lock:
            if self.wanted is None or self._told:
                return
            self._told = True
        opened = proxy.connection if proxy is not None else None
        why = self._reason() or "ssh has not asked for a connection: it shares an earlier one"
        for setting in tcp.unsupported(self.wanted, why) if opened is None else opened.settings():
            self._context.setting(setting)
        if self.interval and (opened is None or not can_adapt):
            why = why if can_adapt else "rsync keeps to one rate"
            message = "the bandwidth is not adapted to the network: %s" % why
            self._context.warning("bandwidth_not_adapted", message)


class Proxy:
    """Makes a connection when ssh asks for it."""

    def __init__(self, wanted: Dict[str, Any], name: str) -> None:
        self.connection: Optional[tcp.Connection] = None
        self.failure: Optional[str] = None
        self._wanted = wanted
        self._name = name
        self._lock = threading.Lock()
        self._closed = False
        # In no file system, so that nothing is left whatever becomes of this process.
        self._address = "migration-assistant-" + secrets.token_hex(16)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind("\0" + self._address)
        self._listener.listen(1)
        threading.Thread(target=self._serve, name="proxy", daemon=True).start()

    def words(self) -> Sequence[str]:
        """Words of ssh, which must come before all others of their kind."""
        command = "%s -I -S -c %s %s" % tuple(_quoted(word) for word in (sys.executable, _HAND_OVER, self._address))
        return ["-o", "ProxyCommand=" + command, "-o", "ProxyUseFdpass=yes"]

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                asking, _address = self._listener.accept()
                with asking, contextlib.suppress(OSError):
                    if _is_trusted(asking):
                        self._answer(asking)

    def _answer(self, asking: socket.socket) -> None:
        _data, ancillary, _flags, _address = asking.recvmsg(1, socket.CMSG_LEN(4), socket.MSG_CMSG_CLOEXEC)
        descriptors = [int.from_bytes(data[:4], sys.byteorder) for _level, _kind, data in ancillary]
        if len(descriptors) != 1:
            return
        with socket.socket(fileno=descriptors[0]) as ssh:
            try:
                connection = tcp.connect(self._wanted, self._name)
                descriptor = connection.opened.fileno().to_bytes(4, sys.byteorder)
                ssh.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)])
            except OSError as error:
                self.failure = error.strerror or str(error)
                asking.sendall(self.failure.encode("utf-8", "replace"))
                return
        with self._lock:
            if self._closed:
                connection.close()
            else:
                self.connection = connection

    def close(self) -> None:
        """When ssh has ended: as long as its connection is open here too, the other host does not see that."""
        with self._lock:
            self._closed = True
            if self.connection is not None:
                self.connection.close()
        # A thread that waits for the next one is not woken by closing alone.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _is_trusted(asking: socket.socket) -> bool:
    """Whether the process at the other end is this user's, since anybody can come to that place."""
    credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()


def _quoted(word: str) -> str:
    """A word of a ProxyCommand: for a shell, and for ssh, to which a percent sign means something."""
    for character in ("\\", '"', "$", "`"):
        word = word.replace(character, "\\" + character)
    return '"%s"' % word.replace("%", "%%")
