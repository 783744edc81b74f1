# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The two sides of a migration as the options source and destination name them."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from .errors import DatabaseError

ENGINES = ("sqlite", "postgresql")
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "engine": {"type": "str", "choices": list(ENGINES)},
        "database": {"type": "str"},
        "url": {"type": "str", "no_log": True},
        "host": {"type": "str"},
        "port": {"type": "int"},
        "user": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "tls": {
            "type": "dict",
            "options": {
                "mode": {"type": "str", "choices": list(TLS_MODES)},
                "root_certificate": {"type": "path"},
                "certificate": {"type": "path"},
                "key": {"type": "path", "no_log": False},
            },
        },
    },
}

_PORTS = {"postgresql": 5432}
_HOSTS = {"postgresql": "localhost"}
_SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
# What a URL may say of TLS, as libpq calls it.
_TLS_PARAMETERS = {
    "sslmode": "mode",
    "sslrootcert": "root_certificate",
    "sslcert": "certificate",
    "sslkey": "key",
}


@dataclass(frozen=True)
class Server:
    """A database on a server. host: a name, an address, or the directory of a Unix socket."""

    option: str
    engine: str
    host: str
    port: int
    user: str
    database: str
    password: t.Optional[str] = field(default=None, repr=False)
    tls: t.Mapping[str, t.Optional[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """How it is shown: never with the password."""
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s://%s@%s:%d/%s" % (self.engine, self.user, host, self.port, self.database)

    def as_parameters(self) -> t.Dict[str, t.Any]:
        """The same for a job."""
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "tls": {name: value for name, value in self.tls.items() if value is not None},
        }


def engine_of(connection: t.Mapping[str, t.Any], option: str) -> str:
    """The engine of one side: as it says, or as its URL does; sqlite where neither does. Raises DatabaseError."""
    engine, url = connection.get("engine"), connection.get("url")
    scheme = _scheme(str(url)) if url else None
    if url and scheme is None:
        allowed = "give a URL such as postgresql://user@host:port/database or sqlite:///PATH"
        raise DatabaseError(allowed, option + ".url", redacted(str(url)))
    if engine and scheme and engine != scheme:
        raise DatabaseError("the URL is one of %s" % scheme, option + ".engine", engine)
    return str(engine or scheme or "sqlite")


def server(connection: t.Mapping[str, t.Any], option: str) -> Server:
    """The server of one side that is no SQLite file. Raises DatabaseError."""
    engine = engine_of(connection, option)
    given = {name: connection.get(name) for name in ("host", "port", "user", "password", "database")}
    tls = {name: value for name, value in (connection.get("tls") or {}).items() if value is not None}
    url = connection.get("url")
    if url:
        _take_url(str(url), option, given, tls)
    for name in ("user", "database"):
        if not given[name]:
            raise DatabaseError("it is needed", "%s.%s" % (option, name))
    port = given["port"] if given["port"] is not None else _PORTS[engine]
    if not 1 <= int(port) <= 65535:
        raise DatabaseError("give a port from 1 to 65535", option + ".port", port)
    for name in ("host", "user", "password", "database"):
        if "\0" in str(given[name]):
            raise DatabaseError("it cannot hold a NUL", "%s.%s" % (option, name))
    host = str(given["host"] or _HOSTS[engine])
    password = given["password"]
    return Server(
        option,
        engine,
        host,
        int(port),
        str(given["user"]),
        str(given["database"]),
        None if password is None else str(password),
        tls,
    )


def redacted(url: str) -> str:
    """*url* without a password."""
    # To the last @, since a password may hold one that should have been escaped.
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", re.sub(r"([?&]password=)[^&]*", r"\1***", url))


def _scheme(url: str) -> t.Optional[str]:
    match = re.match(r"(\w+)(?:\+\w+)?://", url)
    return _SCHEMES.get(match.group(1)) if match else None


def _take_url(url: str, option: str, given: t.Dict[str, t.Any], tls: t.Dict[str, t.Any]) -> None:
    """Fill in what the URL says. What the options say too is refused: one of the two would be ignored."""
    name = option + ".url"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        # Its words may be those of a password.
        raise DatabaseError("it cannot be read; escape what is no letter or digit in a password", name) from exc
    query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    said = {
        "host": unquote(parts.hostname) if parts.hostname else query.pop("host", None),
        "port": port,
        "user": unquote(parts.username) if parts.username else query.pop("user", None),
        "password": unquote(parts.password) if parts.password is not None else query.pop("password", None),
        "database": unquote(parts.path[1:]) or None,
    }
    for key, value in said.items():
        if value is None:
            continue
        if given[key] is not None:
            raise DatabaseError("give it there or as %s, not both" % key, name, redacted(url))
        given[key] = value
    for key, value in query.items():
        if key not in _TLS_PARAMETERS:
            known = ", ".join(_TLS_PARAMETERS)
            raise DatabaseError("%s is unknown there; known are %s" % (key, known), name, redacted(url))
        if _TLS_PARAMETERS[key] in tls:
            raise DatabaseError("give %s there or as an option of tls, not both" % key, name, redacted(url))
        tls[_TLS_PARAMETERS[key]] = value
    if tls.get("mode") not in (None, *TLS_MODES):
        raise DatabaseError("sslmode is one of %s" % ", ".join(TLS_MODES), name, redacted(url))
