# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""table_copy: rows between database servers, in chunks, exactly once. All SQL is the plan's."""

from __future__ import annotations

from typing import Any, Dict

from ._context import Context
from ._validate import Field, boolean, choice, integer, list_of, nested, number, optional, read_object, text

_TEXTS = Field(list_of(text(minimum=1)), [])
_SQL = Field(optional(text()))
_REQUIRED_SQL = Field(text(minimum=1), required=True)

_TLS: Dict[str, Field] = {
    "mode": Field(choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"), "prefer"),
    "root_certificate": _SQL,
    "certificate": _SQL,
    "key": _SQL,
}

_SERVER: Dict[str, Field] = {
    "engine": Field(choice("postgresql"), required=True),
    "host": Field(text(minimum=1), required=True),
    "port": Field(integer(1, 65535), required=True),
    "user": Field(text(minimum=1), required=True),
    "password": _SQL,
    "database": Field(text(minimum=1), required=True),
    "tls": Field(nested(_TLS), read_object({}, "tls", _TLS)),
    "application_name": Field(text(), "migration.assistant"),
    "connect_timeout": Field(number(), 30),
    "session": _TEXTS,
}

_SNAPSHOT: Dict[str, Field] = {"begin": _TEXTS, "renewable": Field(boolean, False)}

_STEP: Dict[str, Field] = {
    "action": Field(choice("create", "update", "delete", "none"), "none"),
    "kind": Field(text(minimum=1), required=True),
    "name": Field(text(), required=True),
    "sql": Field(list_of(text(minimum=1)), required=True),
    "transaction": Field(boolean, True),
}
_STAGES = Field(list_of(list_of(nested(_STEP))), [])

_RANGE: Dict[str, Field] = {"above": _REQUIRED_SQL, "upto": _REQUIRED_SQL}

_TABLE: Dict[str, Field] = {
    "name": Field(text(minimum=1), required=True),
    "action": Field(choice("load", "sync", "keep"), required=True),
    "rows": Field(integer(), 0),
    "bytes": Field(integer(), 0),
    "count": _REQUIRED_SQL,
    "count_written": _REQUIRED_SQL,
    "read": _REQUIRED_SQL,
    "load": _REQUIRED_SQL,
    "range_source": Field(optional(nested(_RANGE))),
    "range_destination": Field(optional(nested(_RANGE))),
    "next": _SQL,
    "bounds": _TEXTS,
    "chunks": _SQL,
    "split": _SQL,
    "done": _SQL,
    "complete": _TEXTS,
    "finish": _STAGES,
    "hash_source": _REQUIRED_SQL,
    "hash_destination": _REQUIRED_SQL,
    "digests_source": _SQL,
    "digests_destination": _SQL,
    "read_keys": _SQL,
    "delete_keys": _SQL,
    "delete_range": _SQL,
    "replace": _TEXTS,
    "before_repair": _TEXTS,
    "after_repair": _TEXTS,
    "unhook": Field(list_of(nested(_STEP)), []),
    "rehook": _STAGES,
    "refusal": _SQL,
}

_PROVEN: Dict[str, Field] = {"tables": Field(integer(), 0), "rows": Field(integer(), 0)}

_PARAMETERS: Dict[str, Field] = {
    "source": Field(nested(_SERVER), required=True),
    "destination": Field(nested(_SERVER), required=True),
    "snapshot": Field(nested(_SNAPSHOT), read_object({}, "snapshot", _SNAPSHOT)),
    "workers": Field(integer(1, 128), 4),
    "chunk_rows": Field(integer(1), 100000),
    "retries": Field(integer(0, 100), 5),
    "verify": Field(choice("none", "counts", "checksum", "full"), "checksum"),
    "resume": Field(boolean, True),
    "prepare": Field(list_of(nested(_STEP)), []),
    "tables": Field(list_of(nested(_TABLE)), required=True),
    "finish": _STAGES,
    "refresh": _STAGES,
    "proven": Field(nested(_PROVEN), read_object({}, "proven", _PROVEN)),
}


def validate(parameters: Dict[str, Any]) -> Dict[str, Any]:
    return read_object(parameters, "job.parameters", _PARAMETERS)


def available() -> bool:
    # Which driver a job needs is known when it is there; a missing one is told then.
    return True


def run(context: Context) -> None:
    from .tables_job import Job
    from .tables_run import run

    run(Job(context))
