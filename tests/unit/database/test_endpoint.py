# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the two sides of a migration are named."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import endpoint
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError


def test_a_url_says_the_same_as_options() -> None:
    url = "postgresql+psycopg://us%40er:p%2Fw%3A@db.example.com:5433/sh%20op?sslmode=verify-full&sslrootcert=/ca.pem"
    given = endpoint.server({"url": url}, "source")
    tls = {"mode": "verify-full", "root_certificate": "/ca.pem"}
    options = {"engine": "postgresql", "host": "db.example.com", "port": 5433, "user": "us@er", "password": "p/w:"}
    assert given == endpoint.server({**options, "database": "sh op", "tls": tls}, "source")
    assert given.as_parameters()["password"] == "p/w:"
    assert str(given) == "postgresql://us@er@db.example.com:5433/sh op"
    assert "p/w" not in repr(given)


def test_what_is_not_said_is_as_libpq_has_it() -> None:
    given = endpoint.server({"engine": "postgresql", "user": "u", "database": "d", "tls": {"mode": "prefer"}}, "source")
    assert (given.host, given.port, given.password) == ("localhost", 5432, None)
    socket = endpoint.server({"url": "postgresql:///d?host=/run/postgresql&user=u"}, "source")
    assert (socket.host, socket.user, socket.database) == ("/run/postgresql", "u", "d")
    assert str(endpoint.server({"url": "postgresql://u@[::1]/d"}, "source")) == "postgresql://u@[::1]:5432/d"


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ({"engine": "postgresql", "database": "d"}, "source.user: it is needed"),
        ({"engine": "postgresql", "user": "u"}, "source.database: it is needed"),
        (
            {"engine": "postgresql", "user": "u", "database": "d", "port": 0},
            "source.port: 0: give a port from 1 to 65535",
        ),
        ({"url": "mysql://u:secret@h/d"}, "source.url: mysql://u:***@h/d: give a URL such as postgresql://"),
        (
            {"url": "postgresql://u:sec@ret@h:99999/d"},
            "source.url: it cannot be read; escape what is no letter or digit",
        ),
        ({"url": "postgresql://u:secret#3@h/d"}, "it cannot be read; escape what is no letter or digit"),
        (
            {"url": "postgresql://u@h/d?sslmode=disable", "tls": {"mode": "verify-full"}},
            "give sslmode there or as an option of tls, not both",
        ),
        ({"url": "postgresql://u@h/d?password=secret&color=1"}, "password=***&color=1: color is unknown there"),
        ({"url": "postgresql://u@h/d?sslmode=maybe"}, "sslmode is one of disable, allow"),
        ({"url": "postgresql://u:secret@h/d", "user": "v"}, "give it there or as user, not both"),
        ({"engine": "sqlite", "url": "postgresql://u@h/d"}, "source.engine: sqlite: the URL is one of postgresql"),
        ({"engine": "postgresql", "user": "u\0", "database": "d"}, "source.user: it cannot hold a NUL"),
    ],
)
def test_what_cannot_be_used_is_one_line_without_the_password(connection: dict[str, t.Any], message: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        endpoint.server(connection, "source")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value) and "sec@ret" not in str(caught.value)
    assert "\n" not in str(caught.value)
