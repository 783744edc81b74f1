# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The side of a transfer that is on another host: which it is, and how the engine there is reached."""

from __future__ import annotations

import math
import re
import typing as t
from urllib.parse import unquote, urlsplit

from .. import _units
from .._executor import elsewhere, ssh_login
from . import connection
from .preflight import FileSyncError

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "direction": {"type": "str", "choices": ["host", "push", "pull"], "default": "host"},
    "max_connections": {"type": "int", "default": 4},
    "compression": {
        "type": "str",
        "choices": ["auto", "none", "zstd", "gzip", "lz4", "brotli"],
        "default": "auto",
    },
    "compression_level": {"type": "int"},
    "stream_buffer_size": {"type": "str", "default": "2MB"},
    "stream_buffers": {"type": "int"},
    "connect_timeout": {"type": "float", "default": 30},
    "read_timeout": {"type": "float", "default": 60},
    "keep_alive_interval": {"type": "int", "default": 15},
    "retries": {"type": "int", "default": 5},
    "numeric_ids": {"type": "bool", "default": False},
    "ssh_options": {"type": "dict", "default": {}},
    "connection_pooling": {"type": "bool", "default": False},
    **connection.ARGUMENT_SPEC,
    # What the action plugin asks its connection for; not options of the user: the password that the way to another
    # user on the host may ask for, and the one by which ssh gets in.
    "_far_password": {"type": "str", "no_log": True},
    "_far_login_password": {"type": "str", "no_log": True},
}

_MOST_CONNECTIONS = 64
_LEVELS = {"zstd": (1, 22), "gzip": (1, 9), "lz4": (1, 9), "brotli": (0, 11)}
_MOST_RETRIES = 1000
_LEAST_STREAM_BUFFER = 256 * _units.KB
_MOST_STREAM_BUFFER = _units.GB
_MOST_BUFFERS = 1024
_FOR_EVER = 1 << 30
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")


class Url(t.NamedTuple):
    """A directory on a host that is reached by ssh."""

    user: t.Optional[str]
    host: str
    port: t.Optional[int]
    path: str


def parse_url(option: str, text: str) -> t.Optional[Url]:
    """A URL such as ssh://user@host:22/path; None for anything that is no URL. Raises FileSyncError."""
    if "://" not in text:
        return None
    allowed = "give an absolute path, or ssh://user@host:port/path"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise FileSyncError(option, text, "%s (%s)" % (allowed, exc)) from exc
    if parts.scheme != "ssh" or not parts.hostname or parts.query or parts.fragment or parts.password is not None:
        raise FileSyncError(option, text, allowed)
    # What ssh would take for one of its options.
    if parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
        raise FileSyncError(option, text, allowed)
    path = unquote(parts.path, errors="surrogateescape")
    if not path.startswith("/"):
        raise FileSyncError(option, text, allowed)
    return Url(unquote(parts.username) if parts.username else None, parts.hostname, port, path)


def side(params: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """Which side is on another host than the one that the module runs on: source, destination or None."""
    source, destination = (parse_url(name, params[name]) for name in ("source", "destination"))
    direction = params["direction"]
    for name, url in (("source", source), ("destination", destination)):
        if url is not None and direction != "host":
            message = "direction: %s says where both sides are; give paths" % direction
            raise FileSyncError(name, params[name], message)
    if source is not None and destination is not None:
        message = "only one side can be on another host; run the task on one of the two"
        raise FileSyncError("destination", params["destination"], message)
    if direction == "host":
        return "source" if source is not None else "destination" if destination is not None else None
    return "destination" if direction == "push" else "source"


def parameters(params: t.Mapping[str, t.Any], which: str, reached: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The job's parameters for the side that is elsewhere. reached: command, name and prelude of its host, and what a
    question for its password has in it."""
    command = list(reached["command"])
    if params["direction"] != "host":  # a URL's command has them already
        command[1:1] = connection_words(params)
    made: t.Dict[str, t.Any] = {
        "side": which,
        "name": reached["name"],
        "command": command,
        "connections": params["max_connections"],
        "connect_timeout": params["connect_timeout"],
        "read_timeout": params["read_timeout"],
        "keep_alive_interval": params["keep_alive_interval"],
        "retries": params["retries"],
        "numeric_ids": params["numeric_ids"],
        "lock_timeout": params.get("lock_timeout") or 0,
        "compression": params["compression"],
        "compression_level": _level(params["compression"], params["compression_level"]),
        "stream_buffer_size": _stream_buffer_size(params),
        "stream_buffers": params["stream_buffers"] or 0,
    }
    if reached.get("prelude"):
        made["prelude"] = reached["prelude"]
    if params["_far_password"]:
        made["password"] = params["_far_password"]
    return {**made, **_connecting(params, command[:-1], reached)}


def _connecting(
    params: t.Mapping[str, t.Any], ssh: t.Sequence[str], reached: t.Mapping[str, t.Any]
) -> t.Dict[str, t.Any]:
    """How ssh, whose words end with the host, gets in, if that is not by a key, anew each time, and as ssh does it."""
    made: t.Dict[str, t.Any] = {}
    if params["direction"] != "host" and params["_far_login_password"]:
        try:
            made["login"] = ssh_login.by_password(ssh, params["_far_login_password"], reached.get("asked_by"))
        except ssh_login.Unavailable as exc:
            raise FileSyncError("", None, str(exc)) from exc
    made.update(connection.parameters(params, ssh))
    # A connection of an earlier job is as that has made it, and cannot be watched.
    kept = pool(params, ssh) if "unavailable" in made.get("socket", {"unavailable": ""}) else None
    if kept is not None:
        made["pool"] = kept
    return made


def pool(params: t.Mapping[str, t.Any], ssh: t.Sequence[str]) -> t.Optional[t.Dict[str, t.Any]]:
    """Where connections are kept; None where they are not, or where the task says so itself. Raises FileSyncError."""
    if not _is_pooling(params):
        return None
    try:
        return ssh_login.pool(ssh)
    except ssh_login.Unavailable as exc:
        raise FileSyncError("connection_pooling", True, "there is no place for connections: %s" % exc) from exc


def _is_pooling(params: t.Mapping[str, t.Any]) -> bool:
    own = {str(name).lower() for name in params["ssh_options"] or {}} & {"controlpath", "controlmaster"}
    return bool(params["connection_pooling"]) and not own


def without_effect(params: t.Mapping[str, t.Any], made: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """What the task asks for of the connections and does not get, in one line. made: the parameters for the side that
    is elsewhere."""
    if not made or "pool" in made or not _is_pooling(params):
        return None
    return (
        "connection_pooling has no effect beside the options of TCP and adaptive_bandwidth: each connection is made "
        "for this task alone"
    )


def rsync_parameters(params: t.Mapping[str, t.Any], which: str, reached: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The same for rsync. reached: name of the host, ssh (the words to which a command for it is added), and shell
    (what runs a script there, None where nothing can that leaves input and output to the script)."""
    if reached["shell"] is None:
        message = "rsync can become another user by sudo or doas, and without a password; this host's become differs"
        raise FileSyncError("method", params["method"], message)
    *ssh, host = reached["ssh"]
    if params["direction"] != "host":
        ssh[1:1] = connection_words(params)
    return {
        "side": which,
        "name": reached["name"],
        "ssh": ssh,
        "host": host,
        "shell": reached["shell"],
        "connections": params["max_connections"],
        "read_timeout": params["read_timeout"],
        "keep_alive_interval": params["keep_alive_interval"],
        "retries": params["retries"],
        "numeric_ids": params["numeric_ids"],
        "compression": _codec_of_rsync(params["compression"]),
        "compression_level": _level(params["compression"], params["compression_level"]),
        **_connecting(params, [*ssh, host], reached),
    }


def _codec_of_rsync(codec: str) -> str:
    if codec == "brotli":
        raise FileSyncError("compression", codec, "method: ssh_rsync compresses by gzip, zstd or lz4")
    return "none" if codec == "auto" else codec


def check(params: t.Mapping[str, t.Any]) -> None:
    """FileSyncError for an option of connections that cannot be used, whether one will be made or not."""
    connections = params["max_connections"]
    if not 1 <= connections <= _MOST_CONNECTIONS:
        message = "give a number from 1 to %d" % _MOST_CONNECTIONS
        raise FileSyncError("max_connections", connections, message)
    if not 0 <= params["retries"] <= _MOST_RETRIES:
        raise FileSyncError("retries", params["retries"], "give a number from 0 to %d" % _MOST_RETRIES)
    for option in ("connect_timeout", "read_timeout", "keep_alive_interval"):
        if not 0 <= params[option] < _FOR_EVER:
            raise FileSyncError(option, params[option], "give 0 or more seconds")
    _level(params["compression"], params["compression_level"])
    _stream_buffer_size(params)
    if params["stream_buffers"] is not None and not 1 <= params["stream_buffers"] <= _MOST_BUFFERS:
        raise FileSyncError("stream_buffers", params["stream_buffers"], "give a number from 1 to %d" % _MOST_BUFFERS)
    ssh_words(params["ssh_options"])
    connection.check(params)


def ssh_command(url: Url, params: t.Mapping[str, t.Any]) -> t.List[str]:
    """The words of ssh to which a command for the URL's host is added."""
    words = ["ssh", *connection_words(params), *elsewhere.PLAIN_SSH]
    if url.port is not None:
        words += ["-p", str(url.port)]
    if url.user is not None:
        words += ["-l", url.user]
    return [*words, url.host]


def connection_words(params: t.Mapping[str, t.Any]) -> t.List[str]:
    """The task's options for a connection as words of ssh, which takes the first of two that are alike."""
    interval = params["keep_alive_interval"]
    limit = str(max(1, round(params["connect_timeout"]))) if params["connect_timeout"] else "none"
    words = [*ssh_words(params["ssh_options"]), "-o", "ConnectTimeout=" + limit]
    words += ["-o", "ServerAliveInterval=%d" % interval]
    if interval:
        # So many questions without an answer; never more than ssh can count.
        unanswered = math.ceil(params["read_timeout"] / interval) or _FOR_EVER
        words += ["-o", "ServerAliveCountMax=%d" % min(unanswered, _FOR_EVER)]
    return words


def ssh_words(options: t.Mapping[str, t.Any]) -> t.List[str]:
    """The task's options of ssh_config as words of a command."""
    words: t.List[str] = []
    for name, value in (options or {}).items():
        if not _KEYWORD.match(str(name)):
            raise FileSyncError("ssh_options", name, "give names of ssh_config, such as Compression")
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if not isinstance(value, (str, int)) or "\n" in str(value):
            raise FileSyncError("ssh_options", {name: value}, "give each option one value in one line")
        words += ["-o", "%s=%s" % (name, value)]
    return words


def _stream_buffer_size(params: t.Mapping[str, t.Any]) -> int:
    option = "stream_buffer_size"
    try:
        return _units.parse_size(params[option], option, _LEAST_STREAM_BUFFER, _MOST_STREAM_BUFFER)
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc


def _level(codec: str, level: t.Optional[int]) -> int:
    if level is None:
        return 0
    if codec not in _LEVELS:
        raise FileSyncError("compression_level", level, "compression: %s has no levels" % codec)
    least, most = _LEVELS[codec]
    if not least <= level <= most:
        raise FileSyncError("compression_level", level, "give %d to %d for %s" % (least, most, codec))
    return level
