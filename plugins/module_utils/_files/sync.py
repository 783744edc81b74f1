# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The plan of file_sync: options in, parameters of the job out."""

from __future__ import annotations

import typing as t

from .. import _units
from . import cache, far, filters, method, preflight
from .preflight import FileSyncError

__all__ = ["ARGUMENT_SPEC", "FileSyncError", "check", "plan"]

PRESERVED = ("permissions", "timestamps", "owner", "group", "hard_links", "xattrs", "selinux", "specials")

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "source": {"type": "path", "required": True},
    "destination": {"type": "path", "required": True},
    "method": {
        "type": "str",
        "choices": list(method.METHODS),
        "default": "auto",
    },
    "large_file_method": {"type": "str", "choices": list(method.LARGE_FILE_METHODS), "default": "auto"},
    "compare": {"type": "str", "choices": ["quick", "checksum"], "default": "quick"},
    "checksum_algorithm": {"type": "str", "choices": ["sha256", "blake3", "xxh3"], "default": "sha256"},
    "update": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "on_vanished": {"type": "str", "choices": ["warn", "fail"], "default": "warn"},
    "delete": {"type": "bool", "default": False},
    "max_delete": {"type": "int"},
    "filters": {"type": "list", "elements": "str", "default": []},
    "one_file_system": {"type": "bool", "default": False},
    "follow_symlinks": {"type": "bool", "default": False},
    "preserve": {
        "type": "dict",
        "default": {},
        "options": {name: {"type": "bool", "default": True} for name in PRESERVED},
    },
    "parallel_files": {"type": "int", "default": 8},
    "auto_adjust_parallelism": {"type": "bool", "default": False},
    "performance_threshold": {"type": "str", "default": "1MB/s"},
    "parallel_chunks": {"type": "int", "default": 4},
    "chunk_size": {"type": "str", "default": "50MB"},
    "resume": {"type": "bool", "default": True},
    "buffer_size": {"type": "str", "default": "256KB"},
    "bandwidth_limit": {"type": "str"},
    "sync_frequency": {"type": "int", "default": 0},
    "direct_io": {"type": "bool", "default": False},
    **cache.ARGUMENT_SPEC,
    **far.ARGUMENT_SPEC,
}

_LOWEST_CHUNK = 64 * 1024
LOWEST_BUFFER = 4 * 1024
_MOST_PARALLEL = 1024


_FOR_RSYNC = (
    *("compare", "update", "verify", "on_vanished", "delete", "max_delete"),
    *("one_file_system", "follow_symlinks", "sync_frequency", "resume"),
)

Reach = t.Callable[[far.Url], t.Mapping[str, t.Any]]


def plan(
    params: t.Mapping[str, t.Any], reached: t.Optional[t.Mapping[str, t.Any]], reach: Reach
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, str]]:
    """Give the job's parameters and the chosen method {chosen, reason}.

    reached: the managed host, as the action plugin has found it, for direction push and pull; None where the module
    runs on it. reach: finds out the same of the host of a URL.

    Raises FileSyncError for any option that cannot be used, before anything is touched.
    """
    amounts, remembered = _check_alone(params)
    elsewhere = far.side(params)
    if elsewhere is not None and reached is None and params["direction"] != "host":
        elsewhere = None  # the managed host is the controller
    source, destination = _check_paths(params, elsewhere)
    chosen = method.method_of(params["method"], "local" if elsewhere is None else "remote")
    preserve = params["preserve"] or {}
    if chosen["chosen"] == "ssh_rsync" and elsewhere is not None:
        url = far.parse_url(elsewhere, params[elsewhere])
        host = reach(url) if url is not None else reached or {}
        return {
            **{name: params[name] for name in _FOR_RSYNC},
            "source": source,
            "destination": destination,
            "rules": filters.for_rsync(params["filters"], source, destination),
            "preserve": {name: preserve.get(name) is not False for name in PRESERVED},
            "bandwidth_limit": amounts["bandwidth_limit"],
            "far": far.rsync_parameters(params, elsewhere, host),
        }, chosen
    there = {}
    if elsewhere is not None:
        url = far.parse_url(elsewhere, params[elsewhere])
        there["far"] = far.parameters(params, elsewhere, reach(url) if url is not None else reached or {})
        if chosen["chosen"] == "archive_transfer" and params["compression"] == "auto":
            there["far"]["compression"] = "zstd"
    in_chunks = method.is_in_chunks(chosen["chosen"], params["large_file_method"])
    return {
        "source": source,
        "destination": destination,
        "compare": params["compare"],
        "checksum_algorithm": params["checksum_algorithm"],
        "update": params["update"],
        "verify": params["verify"],
        "on_vanished": params["on_vanished"],
        "delete": params["delete"],
        "max_delete": params["max_delete"],
        "filters": filters.parse(params["filters"], source, destination),
        "one_file_system": params["one_file_system"],
        "follow_symlinks": params["follow_symlinks"],
        "preserve": {name: preserve.get(name) is not False for name in PRESERVED},
        "parallel_files": params["parallel_files"],
        "parallel_chunks": params["parallel_chunks"] if in_chunks else 1,
        "resume": params["resume"],
        "sync_frequency": params["sync_frequency"],
        "direct_io": params["direct_io"],
        **amounts,
        **remembered,
        **there,
    }, chosen


def check(params: t.Mapping[str, t.Any]) -> None:
    """Raise FileSyncError for an option that can be used on no host, without a look at one."""
    _check_alone(params)
    elsewhere = far.side(params)
    method.method_of(params["method"], "local" if elsewhere is None else "remote")
    filters.parse(params["filters"], params["source"], params["destination"])


def _check_alone(params: t.Mapping[str, t.Any]) -> t.Tuple[t.Dict[str, int], t.Dict[str, t.Any]]:
    """The amounts of a job, and the parameters of what it remembers, both from the options alone."""
    try:
        amounts = {
            "chunk_size": _units.parse_size(params["chunk_size"], "chunk_size", minimum=_LOWEST_CHUNK),
            "buffer_size": _units.parse_size(
                params["buffer_size"], "buffer_size", minimum=LOWEST_BUFFER, maximum=_units.GB
            ),
            "bandwidth_limit": _units.parse_rate(params["bandwidth_limit"] or 0, "bandwidth_limit"),
            "performance_threshold": _units.parse_rate(params["performance_threshold"], "performance_threshold"),
        }
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc
    if not params["auto_adjust_parallelism"]:
        amounts["performance_threshold"] = 0
    check_parallel("parallel_files", params["parallel_files"])
    check_parallel("parallel_chunks", params["parallel_chunks"])
    for option in ("max_delete", "sync_frequency"):
        value = params[option] or 0
        if not 0 <= value <= _units.LARGEST:
            allowed = "give 0 or more" if value < 0 else "give at most %d" % _units.LARGEST
            raise FileSyncError(option, value, allowed)
    remembered = cache.parameters(params)
    far.check(params)
    return amounts, remembered


def _check_paths(params: t.Mapping[str, t.Any], elsewhere: t.Optional[str]) -> t.Tuple[str, str]:
    """Both paths. Only what is on this host can be looked at."""
    if elsewhere is None:
        return preflight.check_paths(params["source"], params["destination"], params["one_file_system"])
    url = far.parse_url(elsewhere, params[elsewhere])
    path = url.path if url is not None else params[elsewhere]
    preflight.check_absolute(elsewhere, path)
    if elsewhere == "source":
        return path, preflight.check_destination(params["destination"])
    return preflight.check_source(params["source"]), path


def measuring(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Give the parameters of the job that measures a source. Raises FileSyncError."""
    check_parallel("parallel_files", params["parallel_files"])
    return {
        "source": preflight.check_source(params["source"]),
        "filters": filters.parse(params["filters"], params["source"]),
        "follow_symlinks": params["follow_symlinks"],
        "parallel_files": params["parallel_files"],
    }


def check_parallel(option: str, value: int) -> None:
    if not 1 <= value <= _MOST_PARALLEL:
        raise FileSyncError(option, value, "give a number from 1 to %d" % _MOST_PARALLEL)
