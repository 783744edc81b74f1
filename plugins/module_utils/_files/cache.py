# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The option checksum_cache, which several modules have."""

from __future__ import annotations

import typing as t

from .. import _units
from .preflight import FileSyncError

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "checksum_cache": {
        "type": "dict",
        "default": {},
        "options": {
            "enabled": {"type": "bool", "default": False},
            "max_size": {"type": "str", "default": "64MB"},
            "max_age": {"type": "float", "default": 604800},
        },
    },
}

_DEFAULTS = {name: option["default"] for name, option in ARGUMENT_SPEC["checksum_cache"]["options"].items()}
_LEAST = 64 * 1024
_MOST = 1 << 50
_LONGEST = 1 << 40


def parameters(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The job's parameter, if checksums are to be remembered. Raises FileSyncError."""
    given = params["checksum_cache"] or {}
    options = {**_DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    try:
        size = _units.parse_size(options["max_size"], "checksum_cache.max_size", minimum=_LEAST, maximum=_MOST)
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc
    age = options["max_age"]
    if not 1 <= age < _LONGEST:
        raise FileSyncError("checksum_cache.max_age", age, "give 1 or more seconds")
    return {"checksum_cache": {"max_size": size, "max_age": round(age)}} if options["enabled"] else {}
