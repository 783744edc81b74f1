# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Inodes of the destination with several names: whose they are.

What is changed in place, changes for all names: only an entry that has all of them may do that.
"""

from __future__ import annotations

import os
import stat
import threading
from typing import Dict, Hashable, Optional, Set, Tuple

Inode = Tuple[int, int]


def inode_of(info: os.stat_result) -> Inode:
    return (info.st_dev, info.st_ino)


class Inodes:
    """What a job knows of them. ``entry`` names an entry of the source that has several names itself."""

    def __init__(self) -> None:
        # For each inode the entry, None for several, and how many of its names they have.
        self._claims: Dict[Inode, Tuple[Optional[Hashable], int]] = {}
        self._bereft: Set[Inode] = set()
        self._lock = threading.Lock()

    def claim(self, existing: Optional[os.stat_result], entry: Hashable) -> None:
        """Note that one of the entry's names is there now."""
        if existing is None or not _is_shared(existing):
            return
        first, names = self._claims.get(inode_of(existing), (entry, 0))
        self._claims[inode_of(existing)] = (first if first == entry else None, names + 1)

    def is_own(self, existing: os.stat_result, entry: Optional[Hashable]) -> bool:
        """Whether no other entry has a name of what is there, so that it can be changed in place."""
        inode = inode_of(existing)
        # A name that another entry had until a moment ago would make the run's deeds depend on its order.
        with self._lock:
            if inode in self._bereft:
                return False
        if existing.st_nlink < 2:
            return True
        return entry is not None and self._claims.get(inode) == (entry, existing.st_nlink)

    def is_anothers(self, existing: os.stat_result, entry: Optional[Hashable]) -> bool:
        """Whether what is there cannot be kept, since other entries with several names have some of its too."""
        return entry is not None and self._claims.get(inode_of(existing), (entry, 0))[0] is None

    def note_loss(self, existing: Optional[os.stat_result]) -> None:
        """Note that an inode is about to lose a name, if it has others."""
        if existing is not None and _is_shared(existing):
            with self._lock:
                self._bereft.add(inode_of(existing))


def _is_shared(existing: os.stat_result) -> bool:
    return existing.st_nlink > 1 and not stat.S_ISDIR(existing.st_mode)
