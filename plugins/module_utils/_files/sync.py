# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The plan of file_sync: options in, parameters of the job out."""

from __future__ import annotations

import typing as t

from .. import _units
from . import filters, method, preflight
from .preflight import FileSyncError

__all__ = ["ARGUMENT_SPEC", "FileSyncError", "plan"]

PRESERVED = ("permissions", "timestamps", "owner", "group", "hard_links", "xattrs", "specials")

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "source": {"type": "path", "required": True},
    "destination": {"type": "path", "required": True},
    "method": {
        "type": "str",
        "choices": ["auto", "direct_copy", "chunked_transfer", "concurrent_chunks"],
        "default": "auto",
    },
    "compare": {"type": "str", "choices": ["quick", "checksum"], "default": "quick"},
    "verify": {"type": "bool", "default": False},
    "delete": {"type": "bool", "default": False},
    "max_delete": {"type": "int"},
    "filters": {"type": "list", "elements": "str", "default": []},
    "preserve": {
        "type": "dict",
        "default": {},
        "options": {name: {"type": "bool", "default": True} for name in PRESERVED},
    },
    "parallel_files": {"type": "int", "default": 8},
    "parallel_chunks": {"type": "int", "default": 4},
    "chunk_size": {"type": "str", "default": "50MB"},
    "buffer_size": {"type": "str", "default": "256KB"},
    "bandwidth_limit": {"type": "str"},
}

_LOWEST_CHUNK = 64 * 1024
_LOWEST_BUFFER = 4 * 1024
_MOST_PARALLEL = 1024


def plan(params: t.Mapping[str, t.Any]) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, str]]:
    """Give the job's parameters and the chosen method {chosen, reason}.

    Raises FileSyncError for any option that cannot be used, before anything is touched.
    """
    try:
        amounts = {
            "chunk_size": _units.parse_size(params["chunk_size"], "chunk_size", minimum=_LOWEST_CHUNK),
            "buffer_size": _units.parse_size(params["buffer_size"], "buffer_size", minimum=_LOWEST_BUFFER),
            "bandwidth_limit": _units.parse_rate(params["bandwidth_limit"] or 0, "bandwidth_limit"),
        }
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc
    _check_parallel("parallel_files", params["parallel_files"])
    _check_parallel("parallel_chunks", params["parallel_chunks"])
    if params["max_delete"] is not None and params["max_delete"] < 0:
        raise FileSyncError("max_delete", params["max_delete"], "give 0 or more")
    source, destination = preflight.check_paths(params["source"], params["destination"])
    chosen = method.local_method(params["method"])
    preserve = params["preserve"] or {}
    return {
        "source": source,
        "destination": destination,
        "compare": params["compare"],
        "verify": params["verify"],
        "delete": params["delete"],
        "max_delete": params["max_delete"],
        "filters": filters.parse(params["filters"], source, destination),
        "preserve": {name: preserve.get(name) is not False for name in PRESERVED},
        "parallel_files": params["parallel_files"],
        "parallel_chunks": params["parallel_chunks"] if chosen["chosen"] == "chunked_transfer" else 1,
        **amounts,
    }, chosen


def measuring(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Give the parameters of the job that measures a source. Raises FileSyncError."""
    _check_parallel("parallel_files", params["parallel_files"])
    return {
        "source": preflight.check_source(params["source"]),
        "filters": filters.parse(params["filters"], params["source"]),
        "parallel_files": params["parallel_files"],
    }


def _check_parallel(option: str, value: int) -> None:
    if not 1 <= value <= _MOST_PARALLEL:
        raise FileSyncError(option, value, "give a number from 1 to %d" % _MOST_PARALLEL)
