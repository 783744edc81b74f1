# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of file_checksum: options in, parameters of the job out."""

from __future__ import annotations

import typing as t

from .. import _units
from . import cache, filters, preflight
from .preflight import FileSyncError
from .sync import LOWEST_BUFFER, check_parallel

ARGUMENT_SPEC: t.Dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "manifest": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "verified"], "default": "present"},
    "algorithm": {"type": "str", "choices": ["sha256", "blake3", "xxh3"]},
    "unexpected": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
    "filters": {"type": "list", "elements": "str", "default": []},
    "parallel_files": {"type": "int", "default": 8},
    "buffer_size": {"type": "str", "default": "256KB"},
    **cache.ARGUMENT_SPEC,
}


def plan(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Give the job's parameters. Raises FileSyncError for any option that cannot be used."""
    try:
        buffer_size = _units.parse_size(params["buffer_size"], "buffer_size", minimum=LOWEST_BUFFER, maximum=_units.GB)
    except ValueError as exc:
        raise FileSyncError("", None, str(exc)) from exc
    check_parallel("parallel_files", params["parallel_files"])
    verify = params["state"] == "verified"
    path = preflight.check_source(params["path"], "path")
    check = preflight.check_file if verify else preflight.check_new_file
    parameters = {
        "action": "verify" if verify else "create",
        "source": path,
        "manifest": check(params["manifest"], "manifest"),
        "unexpected": params["unexpected"],
        "filters": filters.parse(params["filters"], path),
        "parallel_files": params["parallel_files"],
        "buffer_size": buffer_size,
        **cache.parameters(params),
    }
    # Without it the executor finds out by which one a manifest was made.
    algorithm = params["algorithm"] or (None if verify else "sha256")
    return parameters if algorithm is None else dict(parameters, algorithm=algorithm)
