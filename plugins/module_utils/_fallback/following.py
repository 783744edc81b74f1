# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Listings in which a symbolic link is what it leads to."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Iterator, cast

from .tree import Dangling

_LEADS_NOWHERE = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ELOOP])


class Followed:
    """One entry, with the methods of an os.DirEntry: what is asked of it is answered by what it leads to."""

    __slots__ = ("_entry", "name")

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry
        self.name = entry.name

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        try:
            return self._entry.stat()
        except OSError as error:
            if error.errno in _LEADS_NOWHERE and self._entry.is_symlink():
                raise Dangling from error
            raise

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        with contextlib.suppress(OSError):
            return self._entry.is_dir()
        return False

    def is_file(self, *, follow_symlinks: bool) -> bool:
        with contextlib.suppress(OSError):
            return self._entry.is_file()
        return False


@contextlib.contextmanager
def scan(directory: int, follow: bool) -> Iterator[Iterator[os.DirEntry[str]]]:
    """All entries of an open directory; where links are followed, as what they lead to."""
    with os.scandir(directory) as entries:
        if follow:
            yield (cast("os.DirEntry[str]", Followed(entry)) for entry in entries)
        else:
            yield entries
