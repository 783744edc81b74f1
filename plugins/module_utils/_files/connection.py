# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of the TCP connections between two hosts, and where these lead.

ssh makes its connections itself. Where something is asked of them the executor makes them and gives them to ssh, which
it cannot if they go through something else first.
"""

from __future__ import annotations

import socket
import typing as t

from .. import _units
from .._executor import elsewhere
from .preflight import FileSyncError

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "tcp_window_size": {"type": "str"},
    "tcp_receive_buffer": {"type": "str"},
    "tcp_send_buffer": {"type": "str"},
    "force_tcp_buffers": {"type": "bool", "default": False},
    "tcp_no_delay": {"type": "bool"},
    "adaptive_bandwidth": {"type": "bool", "default": False},
    "bandwidth_test_interval": {"type": "float", "default": 300},
}

_LEAST_BUFFER = 4 * _units.KB
# The kernel keeps twice as much in a number of 31 bits.
_MOST_BUFFER = _units.GB - 1
_MOST_SECONDS = 1 << 30
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


def check(params: t.Mapping[str, t.Any]) -> None:
    """FileSyncError for an option that cannot be used, whether a connection will be made or not."""
    for option in ("tcp_window_size", "tcp_receive_buffer", "tcp_send_buffer"):
        _size(params, option)
    if not 1 <= params["bandwidth_test_interval"] < _MOST_SECONDS:
        raise FileSyncError("bandwidth_test_interval", params["bandwidth_test_interval"], "give 1 or more seconds")


def parameters(params: t.Mapping[str, t.Any], ssh: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """The parameter ``socket`` of a job; nothing where nothing is asked for. ssh: the words with the host."""
    window = _size(params, "tcp_window_size")
    wanted: t.Dict[str, t.Any] = {
        "receive_buffer": _size(params, "tcp_receive_buffer") or window,
        "send_buffer": _size(params, "tcp_send_buffer") or window,
        "no_delay": params["tcp_no_delay"],
        "adapt_interval": params["bandwidth_test_interval"] if params["adaptive_bandwidth"] else None,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if not wanted:
        return {}
    return {"socket": {**wanted, "force_buffers": params["force_tcp_buffers"], **_endpoint(ssh)}}


def _size(params: t.Mapping[str, t.Any], option: str) -> t.Optional[int]:
    if params[option] is None:
        return None
    try:
        return _units.parse_size(params[option], option, minimum=_LEAST_BUFFER, maximum=_MOST_BUFFER)
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc


def _endpoint(ssh: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """Where a connection of ssh leads, or why it is ssh that must make it."""
    known = elsewhere.configuration(ssh)
    why = _unavailable(known)
    if why is not None:
        return {"unavailable": why}
    host, port = known["hostname"], int(known["port"])
    family = _FAMILIES.get(known.get("addressfamily", "any"), socket.AF_UNSPEC)
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return {"unavailable": "the name %s cannot be resolved" % host}
    timeout = known.get("connecttimeout", "")
    return {
        "addresses": list(dict.fromkeys(_address(sockaddr) for *_kind, sockaddr in found)),
        "port": port,
        "bind_address": known.get("bindaddress", ""),
        "keep_alive": known.get("tcpkeepalive") == "yes",
        "connect_timeout": int(timeout) if timeout.isdigit() else 0,
    }


def _unavailable(known: t.Mapping[str, str]) -> t.Optional[str]:
    """Why a connection cannot be made in ssh's stead; None where it can."""
    if "hostname" not in known or not known.get("port", "").isdigit():
        return "ssh -G does not tell where its connections lead"
    for option, name in (("proxyjump", "ProxyJump"), ("proxycommand", "ProxyCommand")):
        if known.get(option, "none") != "none":
            return "ssh reaches the host through another (%s)" % name
    if known.get("canonicalizehostname", "false") not in ("false", "no", "none"):
        return "ssh finds the name of the host by itself (CanonicalizeHostname)"
    if known.get("bindinterface"):
        return "ssh binds its connections to an interface (BindInterface)"
    return None


def _address(sockaddr: t.Sequence[t.Any]) -> str:
    """An address as text, with the interface of one that is valid on a single link."""
    address = str(sockaddr[0])
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in address:
        return "%s%%%s" % (address, socket.if_indextoname(sockaddr[3]))
    return address
