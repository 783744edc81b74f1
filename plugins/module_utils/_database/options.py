# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The options of database_migrate that decide the plan, whatever the engines."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import endpoint
from .errors import DatabaseError

LOSSES = ("event_triggers", "extension_tables", "large_objects", "publications", "subscriptions")

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "source": endpoint.ARGUMENT_SPEC,
    "destination": endpoint.ARGUMENT_SPEC,
    "tables": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "if_exists": {"type": "str", "choices": ["fail", "sync", "replace"], "default": "fail"},
    "prune": {"type": "bool", "default": False},
    "allow_losses": {"type": "list", "elements": "str", "choices": list(LOSSES), "default": []},
    "verify": {"type": "str", "choices": ["none", "counts", "checksum", "full"], "default": "checksum"},
    "parallel_chunks": {"type": "int", "default": 4},
    "chunk_rows": {"type": "int"},
    "connect_timeout": {"type": "float", "default": 30},
    "retries": {"type": "int", "default": 5},
    "resume": {"type": "bool", "default": True},
    "bookkeeping": {"type": "str", "choices": ["keep", "remove"], "default": "keep"},
}

MOST_PARALLEL = 128
MOST_RETRIES = 100


@dataclass(frozen=True)
class Options:
    """The options as documented at the module; chunk_rows 0: as fits the engines; dry_run: nothing will be written."""

    tables: t.Sequence[str] = ()
    exclude: t.Sequence[str] = ()
    if_exists: str = "fail"
    prune: bool = False
    allow_losses: t.Sequence[str] = ()
    verify: str = "checksum"
    parallel_chunks: int = 4
    chunk_rows: int = 0
    connect_timeout: float = 30
    retries: int = 5
    resume: bool = True
    bookkeeping: str = "keep"
    lock_timeout: float = 0
    dry_run: bool = False

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any], dry_run: bool = False) -> Options:
        """Those of a task. Raises DatabaseError for one that can be used nowhere."""
        names = [name for name in ARGUMENT_SPEC if name not in ("source", "destination")]
        given = {name: params[name] for name in names if params[name] is not None}
        limits = {"chunk_rows": (1, None), "parallel_chunks": (1, MOST_PARALLEL), "retries": (0, MOST_RETRIES)}
        for name, (least, most) in limits.items():
            value = given.get(name, least)
            if value < least or (most is not None and value > most):
                allowed = "%d or more rows" % least if most is None else "a number from %d to %d" % (least, most)
                raise DatabaseError("give %s" % allowed, name, value)
        if not 0 <= given["connect_timeout"] < float("inf"):
            raise DatabaseError("give 0 or more seconds", "connect_timeout", given["connect_timeout"])
        return cls(dry_run=dry_run, lock_timeout=params.get("lock_timeout") or 0, **given)
