# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The source's tree on another host, as the work sees it."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import ContextManager, Dict, Iterable, Iterator, List, Optional, Tuple, cast

from ..origin import SourceDirectory, SourceRoute
from ..tree import Vanished, join
from ..xattrs import Xattrs
from .content import FarFile
from .listing import FarEntry, FarTree, Listing
from .messages import raise_failure

# Up to this size a file comes with the answer that opens it.
_SMALL = 1 << 20
# How much small files that are asked for ahead may have together.
_MOST_AHEAD = 4 << 20


class FarDirectory(SourceDirectory):
    """A directory on another host. What is in it was told when it was opened."""

    def __init__(self, tree: FarTree, path: str) -> None:
        self._tree = tree
        self._path = path
        self._listing: Optional[Listing] = None
        self._ahead: Dict[str, FarFile] = {}

    def load(self) -> FarDirectory:
        """Get the listing, and ask for those of the directories in it."""
        self._listing = self._tree.list(self._path)
        below = [name for name, entry in self._listing.entries.items() if entry.is_dir(follow_symlinks=False)]
        # The last is entered first.
        self._tree.list_ahead([join(self._path, name) for name in reversed(below)])
        return self

    @property
    def _loaded(self) -> Listing:
        if self._listing is None:
            self._listing = self._tree.list(self._path)
        return self._listing

    def _find(self, name: str) -> FarEntry:
        entry = self._loaded.entries.get(name)
        if entry is None:
            raise Vanished
        raise_failure(entry.failure)
        return entry

    def info(self) -> os.stat_result:
        return self._loaded.info

    def check_there(self, path: str) -> None:
        self._tree.check_there()

    def scan(self) -> ContextManager[Iterator[os.DirEntry[str]]]:
        entries = cast("Iterator[os.DirEntry[str]]", iter(list(self._loaded.entries.values())))
        return contextlib.nullcontext(entries)

    def xattrs(self, root: bool) -> Xattrs:
        return self._tree.xattrs(self._loaded.attributes, root)

    def entry_xattrs(self, name: str, root: bool) -> Xattrs:
        return self._tree.xattrs(self._find(name).attributes, root)

    def read_link(self, name: str) -> str:
        target = self._find(name).target
        if target is None:
            raise Vanished
        return target

    def open_directory(self, name: str) -> FarDirectory:
        return FarDirectory(self._tree, join(self._path, name)).load()

    @contextlib.contextmanager
    def ahead(self, wanted: Iterable[Tuple[str, os.stat_result]]) -> Iterator[None]:
        asked: List[str] = []
        size = 0
        for name, info in wanted:
            size += info.st_size
            if info.st_size <= _SMALL and size <= _MOST_AHEAD:
                self._ahead[name] = self._file(name, info).ask((0, info.st_size), ahead=True)
                asked.append(name)
        if asked:
            self._tree.questions.flush()
        try:
            yield
        finally:
            for name in asked:
                left = self._ahead.pop(name, None)
                if left is not None:
                    left.close()

    def open_file(self, name: str, info: os.stat_result, unread: bool = False) -> FarFile:
        opened = self._ahead.pop(name, None)
        if opened is None:
            opened = self._file(name, info)
            whole = not unread and info.st_size <= _SMALL
            opened.ask((0, info.st_size if whole else 0))
        return opened.open()

    def _file(self, name: str, info: os.stat_result) -> FarFile:
        return FarFile(self._tree, join(self._path, name), info, functools.partial(self.entry_xattrs, name))

    @property
    def path(self) -> str:
        """The path below the root."""
        return self._path

    def duplicate(self) -> FarDirectory:
        other = FarDirectory(self._tree, self._path)
        other._listing = self._listing
        return other

    def route(self) -> FarRoute:
        return FarRoute(self._tree)

    def close(self) -> None:
        self._listing = None


class FarRoute(SourceRoute):
    """Directories on another host need no way: each is known by its path."""

    def __init__(self, tree: FarTree) -> None:
        self._tree = tree
        self._opened = FarDirectory(tree, "")

    def __enter__(self) -> FarRoute:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._opened.close()

    def open(self, path: str) -> FarDirectory:
        if self._opened.path != path:
            self._opened.close()
            self._opened = FarDirectory(self._tree, path)
        return self._opened
