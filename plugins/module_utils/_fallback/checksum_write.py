# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""How a manifest is written."""

from __future__ import annotations

import os
from typing import Dict, List, Tuple

from . import manifest
from ._context import Context
from .file_place import FilePlace
from .tree import text


def write_manifest(context: Context, place: FilePlace, records: List[bytes]) -> None:
    """Make the manifest hold the records. It is left alone if it does already."""
    records.sort()
    length = sum(len(block) for block in manifest.write(records))
    before: Dict[str, int] = {}
    if place.existing is not None:
        same, lines = _compare(place, records, length)
        if same:
            return
        before = {"size": place.existing.st_size, "files": lines}
    if not context.dry_run:
        place.replace(lambda stream: stream.writelines(manifest.write(records)), 0o666)
    action = "create" if place.existing is None else "update"
    context.change(action, "file", text(place.path), before, {"size": length, "files": len(records)})


def _compare(place: FilePlace, records: List[bytes], length: int) -> Tuple[bool, int]:
    """Whether the manifest holds the records already; if not, how many lines it has."""
    descriptor = place.open()
    try:
        with os.fdopen(descriptor, "rb") as stream:
            if os.fstat(descriptor).st_size == length:
                if all(stream.read(len(block)) == block for block in manifest.write(records)):
                    return True, 0
                stream.seek(0)
            return False, sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 16), b""))
    except OSError as error:
        raise place.unable("read", error) from error
