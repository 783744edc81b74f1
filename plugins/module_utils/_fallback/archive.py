# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The operation ``file_archive``: packs a tree into a tar archive, or unpacks one."""

from __future__ import annotations

from typing import Any, Dict

from . import compression, tree
from ._context import Context
from ._validate import Field, bad_job, boolean, choice, integer, list_of, nested, optional, read_object
from .archive_pack import Packing
from .archive_unpack import Unpacking
from .files import PRESERVE, absolute_path, compares_contents
from .filters import check_filter

_KEPT: Dict[str, Field] = {**PRESERVE, "devices": Field(boolean, False)}
_FIELDS: Dict[str, Field] = {
    "action": Field(choice("pack", "unpack"), required=True),
    "source": Field(absolute_path, required=True),
    "destination": Field(absolute_path, required=True),
    "format": Field(choice("auto", *compression.FORMATS), "auto"),
    "level": Field(optional(integer())),
    "parallel": Field(integer(1, 1024), 4),
    "compare": Field(choice("quick", "checksum"), "quick"),
    "filters": Field(list_of(check_filter), ()),
    "one_file_system": Field(boolean, False),
    "on_vanished": Field(choice("warn", "fail"), "warn"),
    "preserve": Field(nested(_KEPT), read_object({}, "preserve", _KEPT)),
    "allow_outside_links": Field(boolean, False),
    "max_unpacked_size": Field(integer(), 100 << 30),
    "mode": Field(optional(integer())),
    "fsync": Field(boolean, False),
    "buffer_size": Field(integer(4096, 1 << 30), 256 << 10),
}


def validate(parameters: Dict[str, Any]) -> Dict[str, Any]:
    checked = read_object(parameters, "parameters", _FIELDS)
    if checked["format"] == "auto":
        if checked["action"] == "pack":
            raise bad_job("parameters.format must be given to pack")
    else:
        form = compression.FORMATS[checked["format"]]
        if checked["level"] is None:
            checked["level"] = form.usual
        elif form.levels and checked["level"] not in form.levels:
            allowed = "from %d to %d" % (form.levels[0], form.levels[-1])
            raise bad_job("parameters.level is %d; it must be %s" % (checked["level"], allowed))
    checked["by_content"] = compares_contents(checked)
    return checked


def run(context: Context) -> None:
    tree.raise_descriptor_limit()
    if context.parameters["action"] == "pack":
        Packing(context).run()
    else:
        Unpacking(context).run()
