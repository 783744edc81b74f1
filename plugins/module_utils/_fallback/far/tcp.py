# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Connections with the options of TCP that a task asks for, and what the kernel knows of them. For Linux."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any, Dict, List, NamedTuple, Optional

Setting = Dict[str, Any]

AVAILABLE = sys.platform == "linux"
UNAVAILABLE = "it can be had on Linux alone"

_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_TCP_NOTSENT_LOWAT = 25
# Eight bytes, 24 numbers (the round trip is the 16th, what was sent once more the last), the rates of pacing, bytes
# acknowledged and received, segments out and in, bytes not sent, least round trip, segments with data in and out.
_TCP_INFO = struct.Struct("=8x24I4Q6I")
_NEVER_MEASURED = 0xFFFFFFFF


class _Buffer(NamedTuple):
    """One of the two of a connection. option_forced: for the privileged, beyond the limit. tuned, limits: of sysctl,
    how far the kernel's own tuning goes, and the limit of what is set."""

    id: str
    wanted: str
    option: int
    option_forced: int
    tuned: str
    limits: str


_BUFFERS = (
    _Buffer(
        *("tcp_receive_buffer", "receive_buffer", socket.SO_RCVBUF, _SO_RCVBUFFORCE),
        *("net.ipv4.tcp_rmem", "net.core.rmem_max"),
    ),
    _Buffer(
        *("tcp_send_buffer", "send_buffer", socket.SO_SNDBUF, _SO_SNDBUFFORCE),
        *("net.ipv4.tcp_wmem", "net.core.wmem_max"),
    ),
)


class Info(NamedTuple):
    """What the kernel knows of a connection: round trips in seconds (smoothed, and the least of late; 0 if none was
    measured), bytes since it began, segments with data that were sent, and sent once more."""

    round_trip: float
    least_round_trip: float
    acknowledged: int
    received: int
    segments: int
    retransmitted: int


class Connection:
    """One that another process uses too. As long as it is open, so is the connection."""

    def __init__(self, wanted: Dict[str, Any], opened: socket.socket, settings: List[Setting]) -> None:
        self._wanted = wanted
        self.opened = opened
        self._settings = settings

    def settings(self) -> List[Setting]:
        """What has become of the options that were wanted, as they are once the other process has had its say."""
        wanted = self._wanted["no_delay"]
        if wanted is None:
            return self._settings
        setting: Setting = {"id": "tcp_no_delay", "wanted": wanted, "before": False, "after": None, "status": "ok"}
        try:
            setting["after"] = self.opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        except OSError as error:
            setting.update(status="unsupported", reason="it cannot be read: %s" % error.strerror)
        else:
            if setting["after"] != wanted:
                why = "ssh decides this itself, and always sends small packets at once"
                setting.update(status="unsupported", reason=why)
        return [*self._settings, setting]

    def info(self) -> Info:
        """Raises OSError once it is closed."""
        data = self.opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        known = _TCP_INFO.unpack(data.ljust(_TCP_INFO.size, b"\0"))
        measured = known[31] != _NEVER_MEASURED
        return Info(
            round_trip=known[15] / 1e6 if measured else 0.0,
            least_round_trip=known[31] / 1e6 if measured else 0.0,
            acknowledged=known[26],
            received=known[27],
            segments=known[33],
            retransmitted=known[23],
        )

    def limit_unsent(self, size: int) -> None:
        """Keep what is written and not sent to about so many bytes: what waits here cannot be held back any more."""
        self.opened.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, size)

    def close(self) -> None:
        """Give the connection up to the process that uses it."""
        self.opened.close()


def connect(wanted: Dict[str, Any], name: str) -> Connection:
    """Connect to the first address that answers. Raises OSError with one line, as ssh words it.

    The options are set before, since the size of the window is told with the first packet. name: the host's.
    """
    failed: Optional[OSError] = None
    for address in wanted["addresses"]:
        opened = None
        try:
            kind = (socket.AI_NUMERICHOST, socket.SOCK_STREAM)
            found = socket.getaddrinfo(address, wanted["port"], type=kind[1], flags=kind[0])[0]
            opened = socket.socket(found[0], found[1])
            if wanted["keep_alive"]:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            settings = _set_buffers(opened, wanted)
            if wanted["bind_address"]:
                opened.bind(socket.getaddrinfo(wanted["bind_address"], 0, found[0], kind[1])[0][4])
            opened.settimeout(wanted["connect_timeout"] or None)
            opened.connect(found[4])
            opened.settimeout(None)
            return Connection(wanted, opened, settings)
        except OSError as error:
            failed = error
            if opened is not None:
                opened.close()
    why = "it has no address"
    if failed is not None:
        why = "connection timed out" if isinstance(failed, socket.timeout) else lower(failed)
    raise OSError("connect to host %s port %d: %s" % (name, wanted["port"], why))


def lower(error: OSError) -> str:
    """What went wrong, to go on a line with."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


def unsupported(wanted: Dict[str, Any], reason: str) -> List[Setting]:
    """All wanted settings as ones that cannot be had."""
    asked = [(buffer.id, wanted[buffer.wanted] or None) for buffer in _BUFFERS]
    asked.append(("tcp_no_delay", wanted["no_delay"]))
    blank = {"before": None, "after": None, "status": "unsupported", "reason": reason}
    return [{"id": name, "wanted": value, **blank} for name, value in asked if value is not None]


def _set_buffers(opened: socket.socket, wanted: Dict[str, Any]) -> List[Setting]:
    """Set the wanted sizes where that does no harm; tell what has become of each."""
    return [
        _set_buffer(opened, buffer, wanted[buffer.wanted], wanted["force_buffers"])
        for buffer in _BUFFERS
        if wanted[buffer.wanted]
    ]


def _set_buffer(opened: socket.socket, buffer: _Buffer, wanted: int, force: bool) -> Setting:
    """Decide by what the kernel gives to a socket that nobody needs. A size that is set switches the kernel's own
    tuning off, once and for all."""
    tuned = _most_by_tuning(buffer)
    setting: Setting = {"id": buffer.id, "wanted": wanted, "before": tuned or None, "after": None, "status": "ok"}
    if wanted < tuned and not force:
        why = "the kernel's own tuning goes up to %d bytes (%s), and a fixed size switches it off"
        setting.update(after=tuned, status="kept_higher", reason=why % (tuned, buffer.tuned))
        return setting
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as spare:
            given = _apply(spare, buffer, wanted)
        if given < tuned and not force:
            why = "a fixed size may have %d bytes at most (%s), and the kernel's own tuning goes up to %d (%s)"
            figures = (given, buffer.limits, tuned, buffer.tuned)
            setting.update(after=tuned, status="clamped", reason=why % figures)
            return setting
        given = _apply(opened, buffer, wanted)
    except OSError as error:
        setting.update(status="unsupported", reason="it cannot be set: %s" % lower(error))
        return setting
    setting["after"] = given
    if given < wanted:
        why = "a fixed size may have %d bytes at most (%s)"
        setting.update(status="clamped", reason=why % (given, buffer.limits))
    return setting


def _apply(opened: socket.socket, buffer: _Buffer, wanted: int) -> int:
    """The size that the socket then has. The kernel doubles it for what it needs itself."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, buffer.option_forced, wanted)
    except OSError:
        opened.setsockopt(socket.SOL_SOCKET, buffer.option, wanted)
    return opened.getsockopt(socket.SOL_SOCKET, buffer.option) // 2


def _most_by_tuning(buffer: _Buffer) -> int:
    """The size up to which the kernel goes by itself; 0 where it does not tell."""
    try:
        with open(os.path.join("/proc/sys", *buffer.tuned.split(".")), encoding="ascii") as stream:
            return int(stream.read().split()[2])
    except (OSError, ValueError, IndexError):
        return 0
