# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Counts how much there is to do, beside a job that takes a while, so that its progress has a whole to be a part of."""

from __future__ import annotations

import os
import stat
import threading
from typing import Callable, Set, Tuple

from . import following, tree
from .filters import Filters
from .tree import join, text

# A job that is done by then needs no share to be told.
_DELAY_SECONDS = 1.0


class Census:
    """Counts the entries below a directory and the bytes of its files while entered, and tells both.

    What cannot be read is left out: that is for the job itself to tell.
    """

    def __init__(
        self,
        root: int,
        filters: Filters,
        tell: Callable[[int, int], None],
        one_file_system: bool = False,
        follow: bool = False,
    ) -> None:
        self._root = root
        self._device = os.fstat(root).st_dev if one_file_system else None
        self._filters = filters
        self._follow = follow
        # The directories that are being counted, where symbolic links may lead back to them.
        self._within: Set[Tuple[int, int]] = set()
        self._tell = tell
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="census", daemon=True)
        self._items = 0
        self._bytes = 0

    def __enter__(self) -> Census:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        if self._ended.wait(_DELAY_SECONDS):
            return
        try:
            # Opened anew: two descriptors of one opening would share their place in the listing with the walk.
            root = tree.open_directory(self._root, ".")
        except OSError:
            return
        self._count(root, "")
        if not self._ended.is_set():
            self._tell(self._items, self._bytes)

    def _count(self, directory: int, path: str) -> None:
        """Count what is in an open directory, and close it."""
        below = []
        info = os.fstat(directory)
        identity = (info.st_dev, info.st_ino)
        try:
            if self._device is not None and info.st_dev != self._device or identity in self._within:
                return
            with following.scan(directory, self._follow) as entries:
                for entry in entries:
                    if self._ended.is_set():
                        return
                    if self._counts(entry, path):
                        below.append(entry.name)
            if self._follow:
                self._within.add(identity)
            for name in below:
                try:
                    self._count(tree.open_directory(directory, name, self._follow), join(path, name))
                except OSError:
                    continue
            self._within.discard(identity)
        except OSError:
            return
        finally:
            os.close(directory)

    def _counts(self, entry: os.DirEntry[str], path: str) -> bool:
        """Count an entry; tells whether it is a directory to go into."""
        is_directory = entry.is_dir(follow_symlinks=False)
        if self._filters.any_hidden and self._filters.hides(text(join(path, entry.name)), is_directory):
            return False
        self._items += 1
        if entry.is_file(follow_symlinks=False):
            try:
                info = entry.stat(follow_symlinks=False)
            except (OSError, tree.Vanished):
                return False
            self._bytes += info.st_size if stat.S_ISREG(info.st_mode) else 0
        return is_directory
