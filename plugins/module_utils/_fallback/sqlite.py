# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""database_migrate from SQLite to SQLite: a thin loop over the SQL of the plan."""

from __future__ import annotations

from typing import Any, Dict

from ._context import Context
from ._validate import Field, any_object, boolean, choice, integer, list_of, nested, optional, read_object, text

_TEXTS = Field(list_of(text(minimum=1)), [])
_SQL = Field(optional(text(minimum=1)))

_CONNECTION: Dict[str, Field] = {
    "engine": Field(choice("sqlite"), required=True),
    "database": Field(text(minimum=1), required=True),
}

_TABLE: Dict[str, Field] = {
    "name": Field(text(), required=True),
    "action": Field(choice("create", "compare", "rebuild", "keep"), required=True),
    "create": Field(list_of(text(minimum=1)), required=True),
    "drop": _TEXTS,
    "count": _SQL,
    "count_written": _SQL,
    "all": _SQL,
    "all_if": _SQL,
    "first": _SQL,
    "next": _SQL,
    "locate": _TEXTS,
    "compare": _TEXTS,
    "differences": _SQL,
    "delete": _SQL,
    "insert": _SQL,
    "sequence_values": _SQL,
    "sequence": _TEXTS,
    "refusal": _SQL,
}

_OBJECT: Dict[str, Field] = {
    "kind": Field(choice("index", "view", "trigger"), required=True),
    "name": Field(text(), required=True),
    "table": Field(text(), required=True),
    "action": Field(choice("create", "update", "recreate", "keep"), required=True),
    "create": Field(text(minimum=1), required=True),
    "drop": Field(text(minimum=1), required=True),
}

_REMOVED: Dict[str, Field] = {
    "kind": Field(choice("table", "index", "view", "trigger"), required=True),
    "name": Field(text(), required=True),
    "sql": Field(list_of(text(minimum=1)), required=True),
}

_PARAMETERS: Dict[str, Field] = {
    "source": Field(nested(_CONNECTION), required=True),
    "destination": Field(nested(_CONNECTION), required=True),
    "strategy": Field(choice("build", "compare"), required=True),
    "if_exists": Field(choice("fail", "sync", "replace"), "fail"),
    "destination_exists": Field(boolean, required=True),
    "verify": Field(choice("none", "counts", "checksum", "full"), "checksum"),
    "integrity": Field(choice("none", "quick", "full"), "quick"),
    "chunk_rows": Field(integer(1), 1000000),
    "resume": Field(boolean, True),
    "digest": Field(text(minimum=1), required=True),
    "source_schema_version": Field(integer(-(1 << 31)), required=True),
    "destination_schema_version": Field(optional(integer(-(1 << 31)))),
    "journal_mode": Field(choice("wal", "delete"), "delete"),
    "prepare": _TEXTS,
    "partial": Field(text(minimum=1), required=True),
    "tables": Field(list_of(nested(_TABLE)), required=True),
    "objects": Field(list_of(nested(_OBJECT)), []),
    "removed": Field(list_of(nested(_REMOVED)), []),
    "touch_schema": _TEXTS,
    "settings": Field(list_of(choice("user_version", "application_id")), []),
    "settings_refusal": _SQL,
    "record_path": Field(text(minimum=1), required=True),
    "record": Field(optional(any_object)),
}


def validate(parameters: Dict[str, Any]) -> Dict[str, Any]:
    return read_object(parameters, "job.parameters", _PARAMETERS)


def available() -> bool:
    try:
        import sqlite3  # noqa: F401
    except ImportError:
        return False
    return True


def run(context: Context) -> None:
    from . import sqlite_build, sqlite_update
    from .sqlite_session import Job

    job = Job(context)
    if job.parameters["strategy"] == "build" or sqlite_update.run(job) == "build":
        sqlite_build.run(job)
    context.statistics["changes"] = context.changes
