# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of file_archive: options in, parameters of the job out."""

from __future__ import annotations

import re
import typing as t

from .. import _units
from . import filters, preflight
from .preflight import FileSyncError
from .sync import LOWEST_BUFFER, PRESERVED, check_parallel

# The levels of each format, and the endings of its archives.
LEVELS: t.Dict[str, t.Tuple[int, int]] = {"gzip": (1, 9), "zstd": (1, 19), "lz4": (1, 9), "brotli": (0, 11)}
ENDINGS: t.Dict[str, t.Tuple[str, ...]] = {
    "tar": (".tar",),
    "gzip": (".tar.gz", ".tgz"),
    "zstd": (".tar.zst", ".tzst"),
    "lz4": (".tar.lz4",),
    "brotli": (".tar.br",),
}

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "source": {"type": "path", "required": True},
    "destination": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["packed", "unpacked"], "required": True},
    "format": {"type": "str", "choices": ["auto", *ENDINGS], "default": "auto"},
    "level": {"type": "int"},
    "parallel": {"type": "int", "default": 4},
    "compare": {"type": "str", "choices": ["quick", "checksum"], "default": "quick"},
    "filters": {"type": "list", "elements": "str", "default": []},
    "one_file_system": {"type": "bool", "default": False},
    "on_vanished": {"type": "str", "choices": ["warn", "fail"], "default": "warn"},
    "preserve": {
        "type": "dict",
        "default": {},
        "options": {
            **{name: {"type": "bool", "default": True} for name in PRESERVED},
            "devices": {"type": "bool", "default": False},
        },
    },
    "mode": {"type": "raw"},
    "allow_outside_links": {"type": "bool", "default": False},
    "max_unpacked_size": {"type": "str", "default": "100GB"},
    "fsync": {"type": "bool", "default": False},
    "buffer_size": {"type": "str", "default": "256KB"},
}


def plan(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Give the job's parameters. Raises FileSyncError for any option that cannot be used."""
    try:
        buffer_size = _units.parse_size(params["buffer_size"], "buffer_size", minimum=LOWEST_BUFFER, maximum=_units.GB)
        largest = _units.parse_size(params["max_unpacked_size"], "max_unpacked_size", minimum=1)
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc
    check_parallel("parallel", params["parallel"])
    unpack = params["state"] == "unpacked"
    source, destination = params["source"], params["destination"]
    if unpack:
        preflight.check_file(source, "source")
        preflight.check_destination(destination)
    else:
        preflight.check_source(source)
        preflight.check_new_file(destination, "destination")
    if unpack and params["filters"]:
        raise FileSyncError("filters", params["filters"], "only with state: packed")
    preserve = params["preserve"] or {}
    form = _format(params["format"], source if unpack else destination, unpack)
    parameters = {
        "action": "unpack" if unpack else "pack",
        "source": source,
        "destination": destination,
        "format": form,
        "parallel": params["parallel"],
        "compare": params["compare"],
        "filters": filters.parse(params["filters"], source),
        "one_file_system": params["one_file_system"],
        "on_vanished": params["on_vanished"],
        "preserve": {
            **{name: preserve.get(name) is not False for name in PRESERVED},
            "devices": bool(preserve.get("devices")),
        },
        "allow_outside_links": params["allow_outside_links"],
        "max_unpacked_size": largest,
        "fsync": params["fsync"],
        "buffer_size": buffer_size,
    }
    if params["level"] is not None:
        parameters["level"] = _level(params["level"], form, unpack)
    if params["mode"] is not None:
        parameters["mode"] = _mode(params["mode"], unpack)
    return parameters


def _format(wanted: str, path: str, unpack: bool) -> str:
    """The format of an archive: what is asked for, or what the ending says. Only an archive that is there shows it."""
    if wanted != "auto":
        return wanted
    found = [name for name, endings in ENDINGS.items() if path.endswith(endings)]
    if unpack:
        # Brotli has no mark that would tell it apart.
        return "brotli" if found == ["brotli"] else "auto"
    if found:
        return found[0]
    known = ", ".join(ending for endings in ENDINGS.values() for ending in endings)
    raise FileSyncError("destination", path, "the format cannot be told; give format, or an ending of %s" % known)


def _level(level: int, form: str, unpack: bool) -> int:
    if unpack:
        raise FileSyncError("level", level, "only with state: packed")
    if form not in LEVELS:
        raise FileSyncError("level", level, "the format %s has no levels" % form)
    lowest, highest = LEVELS[form]
    if not lowest <= level <= highest:
        raise FileSyncError("level", level, "give a number from %d to %d for the format %s" % (lowest, highest, form))
    return level


def _mode(mode: t.Any, unpack: bool) -> int:
    if unpack:
        raise FileSyncError("mode", mode, "only with state: packed")
    bits = mode
    # YAML itself reads 0640 without quotes as the number that it stands for.
    if isinstance(mode, str):
        if re.match(r"0[0-7]+\Z", mode) is None:
            raise FileSyncError("mode", mode, "give octal digits that begin with 0, in quotes, such as '0640'")
        bits = int(mode, 8)
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= 0o777:
        raise FileSyncError("mode", mode, "give 0000 to 0777")
    return bits
