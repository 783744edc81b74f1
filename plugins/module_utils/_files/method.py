# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which way of moving a tree fits it, by its figures and by where it goes."""

from __future__ import annotations

import typing as t

from .. import _units
from .preflight import FileSyncError

Choice = t.Dict[str, t.Any]

METHODS = (
    *("auto", "direct_copy", "chunked_transfer", "concurrent_chunks", "archive_transfer", "hybrid_sync"),
    "ssh_rsync",
)
LARGE_FILE_METHODS = ("auto", "direct_copy", "chunked_transfer", "concurrent_chunks")
_ALIASES = {"concurrent_chunks": "chunked_transfer"}
# Those that copy the chunks of a large file at the same time.
_IN_CHUNKS = ("chunked_transfer", "hybrid_sync")
_FOR_THE_WIRE = ("archive_transfer", "hybrid_sync", "ssh_rsync")
# Options of file_sync that go with each; two object stores are no matter of file_sync.
_PARAMETERS: t.Dict[str, t.Dict[str, t.Any]] = {
    "direct_copy": {"parallel_files": 8},
    "chunked_transfer": {"chunk_size": "50MB", "parallel_chunks": 4},
    "archive_transfer": {"compression": "zstd", "max_connections": 2},
    "hybrid_sync": {"parallel_files": 8},
    "cloud_to_cloud": {"use_native_apis": True},
}


class Thresholds(t.NamedTuple):
    """From where on files count as large, on average in bytes, and as many."""

    large_file_average: int = 100 * _units.MB
    many_files: int = 10000

    @classmethod
    def parse(cls, large_file_average: t.Any = "100MB", many_files: t.Any = 10000) -> Thresholds:
        """Read both as users write them; FileSyncError names the one that cannot be read."""
        try:
            return cls(
                _units.parse_size(large_file_average, "large_file_average", minimum=1),
                _units.parse_count(many_files, "many_files", minimum=1),
            )
        except ValueError as exc:
            raise FileSyncError("", None, str(exc)) from exc


def choose_method(statistics: t.Mapping[str, t.Any], thresholds: Thresholds, scope: str) -> Choice:
    """Choose by the figures of ``file_statistics``; give {chosen, reason, parameters}.

    scope: local (same host), remote (another host), cloud (both sides object stores). Locally files are always
    copied directly, large ones in chunks; archives are for the wire.
    """
    if scope == "cloud":
        return _choice("cloud_to_cloud", "both sides are object stores, which can copy between themselves")
    if scope not in ("local", "remote"):
        raise FileSyncError("scope", scope, "give local, remote or cloud")
    files = int(statistics["files_total"])
    average = int(statistics["bytes_total"]) / files if files else 0.0
    measured = "%d %s of %s on average" % (files, "file" if files == 1 else "files", _units.format_size(average))
    if average > thresholds.large_file_average:
        limit = _units.size_text(thresholds.large_file_average)
        return _choice("chunked_transfer", "%s, above %s: large files go in chunks" % (measured, limit))
    if scope == "local":
        return _choice("direct_copy", "%s on one host: files are copied directly" % measured)
    if files > thresholds.many_files:
        reason = "%s, more than %d: many small files go as one stream" % (measured, thresholds.many_files)
        return _choice("archive_transfer", reason)
    return _choice("hybrid_sync", "%s: neither large nor many" % measured)


def method_of(wanted: str, scope: str) -> t.Dict[str, str]:
    """The method that the option ``method`` asks for, as {chosen, reason}. scope: local or remote."""
    if wanted == "auto":
        if scope == "remote":
            return {
                "chosen": "hybrid_sync",
                "reason": "small files in a row and large ones in chunks, between two hosts",
            }
        return {"chosen": "direct_copy", "reason": "both directories are on the same host"}
    chosen = _ALIASES.get(wanted, wanted)
    if scope == "local" and chosen in _FOR_THE_WIRE:
        allowed = "it is for two hosts, and both directories are on one; give auto, direct_copy or chunked_transfer"
        raise FileSyncError("method", wanted, allowed)
    return {"chosen": chosen, "reason": "the task says method: %s" % wanted}


def is_in_chunks(chosen: str, large_file_method: str) -> bool:
    """Whether the chunks of a large file are copied at the same time: as the method has it, unless the option says."""
    if large_file_method == "auto":
        return chosen in _IN_CHUNKS
    return _ALIASES.get(large_file_method, large_file_method) == "chunked_transfer"


def _choice(chosen: str, reason: str) -> Choice:
    return {"chosen": chosen, "reason": reason, "parameters": dict(_PARAMETERS[chosen])}
