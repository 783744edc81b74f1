# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The operation ``file_checksum``: writes the manifest of a tree, or verifies a tree by one."""

from __future__ import annotations

from typing import Any, Dict

from . import digests, sumcache_file, tree
from ._context import Context
from ._validate import Field, choice, integer, read_object
from .checksum_verify import Comparison, read_manifest
from .checksum_walk import ChecksumWalk, Records
from .checksum_write import write_manifest
from .file_place import FilePlace
from .files import COMMON, absolute_path
from .measure import Node
from .roots import open_source

_FIELDS: Dict[str, Field] = {
    **COMMON,
    "action": Field(choice("create", "verify"), required=True),
    "manifest": Field(absolute_path, required=True),
    "algorithm": Field(choice(*digests.ALGORITHMS)),
    "unexpected": Field(choice("fail", "report"), "fail"),
    "buffer_size": Field(integer(4096, 1 << 30), 256 << 10),
    "checksum_cache": sumcache_file.FIELD,
}


def validate(parameters: Dict[str, Any]) -> Dict[str, Any]:
    checked = read_object(parameters, "parameters", _FIELDS)
    if checked["algorithm"] is None and checked["action"] == "create":
        checked["algorithm"] = digests.DEFAULT
    return checked


def run(context: Context) -> None:
    parameters = context.parameters
    tree.raise_descriptor_limit()
    algorithm = digests.ALGORITHMS.get(parameters["algorithm"])
    if algorithm is not None:
        algorithm.require()
    verify = parameters["action"] == "verify"
    root = Node("", open_source(parameters["source"]))
    with FilePlace("manifest", parameters["manifest"], verify) as place:
        if verify:
            comparison = Comparison(context, read_manifest(place, algorithm), algorithm)
            _verify(context, comparison, ChecksumWalk(context, root, place, comparison), place)
        else:
            records = Records(digests.ALGORITHMS[parameters["algorithm"]])
            with sumcache_file.opened(context) as cache:
                _create(context, records, ChecksumWalk(context, root, place, records, cache), place)


def _create(context: Context, records: Records, walk: ChecksumWalk, place: FilePlace) -> None:
    try:
        walk.run()
    finally:
        context.statistics = dict(walk.counts(), algorithm=records.algorithms[0].name)
    if context.first_failure is None:
        context.meter.phase = "finish"
        write_manifest(context, place, records.entries)


def _verify(context: Context, comparison: Comparison, walk: ChecksumWalk, place: FilePlace) -> None:
    try:
        walk.run()
    finally:
        context.statistics = dict(walk.counts(), **comparison.statistics())
    comparison.check_algorithm()
    context.statistics["missing"] = comparison.report(walk.filters, walk.unread)
    comparison.judge(place.path, context.statistics)
