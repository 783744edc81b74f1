# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scripts of pg_dump, taken apart."""

from __future__ import annotations

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._database import postgres_dump
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError

HEAD = "--\n-- Name: {0}; Type: {1}; Schema: {2}; Owner: -\n--\n\n"
FAKE = HEAD.format("fake", "TABLE", "public")


def test_what_looks_like_a_header_in_a_text_is_none() -> None:
    bodies = [
        "CREATE SCHEMA s;",
        "COMMENT ON TABLE t IS 'it''s\n" + FAKE + "';",
        'CREATE TABLE s."odd ""name\n' + FAKE + '" (a integer);',
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN PERFORM '$$';\n" + FAKE + "END $_$;",
        "CREATE FUNCTION s.a$b$c() RETURNS integer LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;",
    ]
    kinds = ["SCHEMA", "COMMENT", "TABLE", "FUNCTION", "FUNCTION"]
    text = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\nSET row_security = off;\n\n"
    for number, (kind, body) in enumerate(zip(kinds, bodies)):
        text += HEAD.format("n; Type: %d" % number, kind, "s") + body + "\n\n\nSET default_tablespace = '';\n\n"
    text += "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n"
    entries = postgres_dump.split(text)
    assert [entry.sql for entry in entries] == bodies
    assert [entry.key for entry in entries] == [(kind, "s", "n; Type: %d" % n) for n, kind in enumerate(kinds)]


def test_a_script_without_entries() -> None:
    assert postgres_dump.split("--\n-- PostgreSQL database dump\n--\n\nSET x = 1;\n") == []


def test_a_server_for_which_there_is_no_tool() -> None:
    with pytest.raises(DatabaseError, match="PostgreSQL 99 need pg_dump of version 99 or newer on this host, and th"):
        postgres_dump.find(990001)
