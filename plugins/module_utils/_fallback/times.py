# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which steps file systems keep times of modification, in nanoseconds."""

from __future__ import annotations

import os
from typing import Dict

from . import _platform

SECOND = 10**9
# The longest step.
COARSEST = 2 * SECOND
# Of the types of file systems that are known to keep times in longer steps than nanoseconds.
_GRAINS: Dict[str, int] = {
    "vfat": COARSEST,
    "msdos": COARSEST,
    "exfat": 10**7,
    **dict.fromkeys(("cifs", "smb3", "ntfs", "ntfs3", "fuseblk"), 100),
}


def grain(existing: os.stat_result, known: Dict[int, int]) -> int:
    """The step of the file system that an entry is in. ``known`` is what was found out by device."""
    device = existing.st_dev
    if device not in known:
        known[device] = _GRAINS.get(_platform.file_system_of(device), 1)
    # ext3, sshfs and some servers of NFS keep whole seconds, and their type does not tell. The time of change does,
    # which the system sets by itself, to the nanosecond if it can.
    if known[device] < SECOND and existing.st_ctime_ns % SECOND == 0:
        return SECOND
    return known[device]


def in_words(step: int) -> str:
    """A step as people say it, such as ``10ms``."""
    size, unit = next((size, unit) for size, unit in ((SECOND, "s"), (10**6, "ms"), (1, "ns")) if step >= size)
    return "%d%s" % (step // size, unit)
