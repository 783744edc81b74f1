# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The source's tree, whether it is on this host or another: what the work asks of its directories and files."""

from __future__ import annotations

import abc
import contextlib
import os
from typing import Callable, ContextManager, Iterable, Iterator, Optional, Tuple

from . import following, tree, xattrs
from .compare import Checksums, same_content
from .tree import Route, Vanished
from .xattrs import Xattrs

# Start and end of what is read of a file.
Range = Tuple[int, int]
# Where a part of a file's content begins, the part, and whether it is the same as in the file that is replaced.
Part = Tuple[int, memoryview, bool]


class SourceFile(abc.ABC):
    """An open file. ``descriptor`` is None for one on another host, whose content comes by ``receive``."""

    descriptor: Optional[int] = None

    @abc.abstractmethod
    def info(self) -> os.stat_result:
        """What the file is by now; of one on another host, what it was when the last of it was read."""

    @abc.abstractmethod
    def xattrs(self, root: bool) -> Xattrs:
        """Its extended attributes."""

    @abc.abstractmethod
    def same_content(self, target: int, size: int, check: Callable[[], None]) -> bool:
        """Whether the open file ``target`` has the same ``size`` bytes, and both no more."""

    @abc.abstractmethod
    def same_checksum(self, target: int, size: int, checksums: Checksums) -> bool:
        """The same, by checksums that either end may know from earlier."""

    @abc.abstractmethod
    def receive(
        self, ranges: Iterator[Range], check: Callable[[], None], earlier: Optional[int]
    ) -> Iterator[Tuple[Range, Iterator[Part]]]:
        """Give the data of each range, without the holes. ``earlier`` is the open file that is replaced: what is the
        same in that is not sent."""

    @abc.abstractmethod
    def restart(self) -> None:
        """Begin anew with a file that has changed."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give it up."""


class SourceDirectory(abc.ABC):
    """An open directory. What is no longer there raises Vanished."""

    @abc.abstractmethod
    def info(self) -> os.stat_result:
        """What the directory is."""

    @abc.abstractmethod
    def check_there(self, path: str) -> None:
        """Raise a JobError if the tree, of which this is the root, has vanished since it was opened by that path."""

    @abc.abstractmethod
    def scan(self) -> ContextManager[Iterator[os.DirEntry[str]]]:
        """All its entries."""

    @abc.abstractmethod
    def xattrs(self, root: bool) -> Xattrs:
        """Its own extended attributes."""

    @abc.abstractmethod
    def entry_xattrs(self, name: str, root: bool) -> Xattrs:
        """Those of an entry that is no symbolic link."""

    @abc.abstractmethod
    def read_link(self, name: str) -> str:
        """The target of a symbolic link."""

    @abc.abstractmethod
    def open_directory(self, name: str) -> SourceDirectory:
        """Open the directory of that name."""

    @abc.abstractmethod
    def open_file(self, name: str, info: os.stat_result, unread: bool = False) -> SourceFile:
        """Open the regular file that ``info`` describes; ``unread`` says that its content is not wanted."""

    def ahead(self, wanted: Iterable[Tuple[str, os.stat_result]]) -> ContextManager[None]:
        """While entered: these files are opened, in this order, as far as can be known. A wrong guess does no harm."""
        return contextlib.nullcontext()

    @abc.abstractmethod
    def duplicate(self) -> SourceDirectory:
        """The same directory, to be closed by itself."""

    @abc.abstractmethod
    def route(self) -> SourceRoute:
        """A way to directories below this one."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close it, if that was not done."""


class SourceRoute(abc.ABC):
    """Opens directories by their paths, each until the next; a context manager."""

    @abc.abstractmethod
    def __enter__(self) -> SourceRoute:
        """Begin."""

    @abc.abstractmethod
    def __exit__(self, *_exception: object) -> None:
        """Close what is open."""

    @abc.abstractmethod
    def open(self, path: str) -> SourceDirectory:
        """Open the directory at that path, which stays open until the next call."""


class LocalFile(SourceFile):
    """One of this host."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int = descriptor

    def info(self) -> os.stat_result:
        return os.fstat(self.descriptor)

    def xattrs(self, root: bool) -> Xattrs:
        return xattrs.read_open(self.descriptor, root)

    def same_content(self, target: int, size: int, check: Callable[[], None]) -> bool:
        return same_content(self.descriptor, target, size, check)

    def same_checksum(self, target: int, size: int, checksums: Checksums) -> bool:
        same = checksums.of(self.descriptor, size) == checksums.of(target, size)
        return same and os.fstat(self.descriptor).st_size == os.fstat(target).st_size == size

    def receive(
        self, ranges: Iterator[Range], check: Callable[[], None], earlier: Optional[int]
    ) -> Iterator[Tuple[Range, Iterator[Part]]]:
        raise AssertionError("a file of this host is copied by its descriptor")

    def restart(self) -> None:
        os.lseek(self.descriptor, 0, os.SEEK_SET)

    def close(self) -> None:
        os.close(self.descriptor)


class LocalDirectory(SourceDirectory):
    """One of this host. ``follow``: a symbolic link in it or below is what it leads to."""

    def __init__(self, descriptor: int, follow: bool = False) -> None:
        self._descriptor = descriptor
        self._follow = follow

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def info(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def check_there(self, path: str) -> None:
        tree.check_there(path, self._descriptor)

    def scan(self) -> ContextManager[Iterator[os.DirEntry[str]]]:
        return following.scan(self._descriptor, self._follow)

    def xattrs(self, root: bool) -> Xattrs:
        return xattrs.read_open(self._descriptor, root)

    def entry_xattrs(self, name: str, root: bool) -> Xattrs:
        try:
            return xattrs.read_entry(self._descriptor, name, root, self._follow)
        except FileNotFoundError as error:
            raise Vanished from error

    def read_link(self, name: str) -> str:
        try:
            return os.readlink(name, dir_fd=self._descriptor)
        except FileNotFoundError as error:
            raise Vanished from error

    def open_directory(self, name: str) -> LocalDirectory:
        return LocalDirectory(tree.open_source_directory(self._descriptor, name, self._follow), self._follow)

    def open_file(self, name: str, info: os.stat_result, unread: bool = False) -> LocalFile:
        return LocalFile(tree.open_source_file(self._descriptor, name, info, self._follow))

    def duplicate(self) -> LocalDirectory:
        return LocalDirectory(os.dup(self._descriptor), self._follow)

    def route(self) -> LocalRoute:
        return LocalRoute(self._descriptor, self._follow)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LocalRoute(SourceRoute):
    """One of this host."""

    def __init__(self, root: int, follow: bool) -> None:
        self._route = Route(root, False, writing=False, follow=follow)
        self._follow = follow

    def __enter__(self) -> LocalRoute:
        self._route.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._route.__exit__(*exception)

    def open(self, path: str) -> LocalDirectory:
        return LocalDirectory(self._route.open(path), self._follow)
