# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""table_copy: templates, and what libpq says when it cannot connect. The rest is in tests/conformance."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback import postgres, tables
from ansible_collections.migration.assistant.plugins.module_utils._fallback.tables_job import Table, batches, fill

SERVER = {"engine": "postgresql", "host": "db.example", "port": 5432, "user": "me", "password": "p", "database": "d"}


def table(**plan: t.Any) -> Table:
    needed = ("name", "count", "count_written", "read", "load", "hash_source", "hash_destination")
    given = {**dict.fromkeys(needed, "SELECT"), "action": "load", **plan}
    parameters = tables.validate({"source": SERVER, "destination": SERVER, "tables": [given]})
    return Table(parameters["tables"][0])


def test_a_value_is_not_looked_through_for_places() -> None:
    assert fill("{low} {high} {other} {}", low="{high}", high="'{low}'") == "{high} '{low}' {other} {}"
    assert fill("VALUES ('{range}', {number})", number=3) == "VALUES ('{range}', 3)"


@pytest.mark.parametrize(
    ("low", "high", "condition"),
    [
        (None, None, "TRUE"),
        ("'1'", None, "id > '1'"),
        (None, "'2'", "id <= '2'"),
        ("'{key}'", "'2'", "id > '{key}' AND id <= '2'"),
    ],
)
def test_open_bounds_have_no_condition(low: t.Optional[str], high: t.Optional[str], condition: str) -> None:
    one = table(range_source={"above": "id > {key}", "upto": "id <= {key}"})
    assert one.range("source", low, high) == condition
    assert one.range("destination", low, high) == "TRUE"


def test_batches_leave_nothing_out() -> None:
    assert batches([], 2) == []
    assert batches(["1", "2", "3"], 2) == [["1", "2"], ["3"]]


AT = 'connection to server at "db.example" (192.0.2.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("words", "code", "again", "message"),
    [
        (
            f"{AT}FATAL:  the database system is starting up\n",
            "unreachable",
            True,
            "the database system is starting up",
        ),
        (f"{AT}FATAL:  sorry, too many clients already\n", "unreachable", True, "sorry, too many clients already"),
        (
            f"{AT}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n",
            "unreachable",
            True,
            "Connection refused",
        ),
        (f"{AT}SSL SYSCALL error: EOF detected\n", "unreachable", True, "SSL SYSCALL error: EOF detected"),
        (
            f"{AT}SSL error: certificate verify failed\n",
            "database_error",
            False,
            "SSL error: certificate verify failed",
        ),
        (
            # Once encrypted, and once not.
            f'{AT}FATAL:  password authentication failed for user "me"\n'
            f'{AT}FATAL:  password authentication failed for user "me"\n',
            "access_denied",
            False,
            'password authentication failed for user "me"',
        ),
        (
            f'{AT}FATAL:  database "recovery" does not exist\n',
            "database_error",
            False,
            'database "recovery" does not exist',
        ),
        ("", "unreachable", True, "no connection"),
    ],
)
def test_why_there_is_no_connection(words: str, code: str, again: bool, message: str) -> None:
    server = tables.validate({"source": SERVER, "destination": SERVER, "tables": []})["source"]
    refused = postgres._Login(None, server, "source", lambda: None)._refused(words)
    assert (refused.code, refused.transient) == (code, again)
    assert refused.message == f"the source at db.example:5432: {message}"
