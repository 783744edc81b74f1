# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over both trees at once: what is equal stays, what differs is made equal, what is extra is noted."""

from __future__ import annotations

import functools
import os
import stat
import threading
from typing import Callable, Dict, List, NamedTuple, Optional, Set

from . import _platform, tree
from ._errors import ItemError
from .deletions import Deletions
from .directories import Directories, Directory
from .inodes import Inode
from .items import Item
from .regular import Files
from .session import Session
from .specials import Specials, Symlinks
from .tree import join, text
from .workers import Pool, Worker

# A batch is done by one worker at a stretch: enough to keep the workers out of each other's way, little enough that
# all of them have something to do.
_BATCH_FILES = 64
_BATCH_BYTES = 8 << 20


class Handlers:
    """One handler for each type of entry that is no directory."""

    def __init__(self, session: Session) -> None:
        self._inodes = session.inodes
        self.files = Files(session)
        self._symlinks = Symlinks(session)
        self.specials = Specials(session)

    def has_names(self, item: Item) -> bool:
        """Whether the names of an entry that has several are linked: those of a file, and of what else this system
        lets have more than one."""
        if stat.S_ISREG(item.info.st_mode):
            return True
        return _platform.LINKS_ALL and not self.specials.impossible(item)

    def is_up_to_date(self, item: Item, existing: os.stat_result) -> bool:
        """Whether what has the name at the destination is what the source is, whatever its metadata, and may stay."""
        if self._inodes.is_anothers(existing, item.entry):
            return False
        if stat.S_ISREG(item.info.st_mode):
            return not self.files.is_newer(item) and self.files.has_content(item, existing)
        if stat.S_ISLNK(item.info.st_mode):
            return self._symlinks.is_same(item, existing)
        return tree.same_special(item.info, existing)

    def synchronize(self, worker: Worker, item: Item) -> Optional[Inode]:
        """Give the inode that the entry has afterwards; None where only a real run would know, or nobody asks."""
        if stat.S_ISREG(item.info.st_mode):
            return None if self.files.keeps_newer(worker, item) else self.files.synchronize(worker, item)
        if stat.S_ISLNK(item.info.st_mode):
            return self._symlinks.synchronize(worker, item)
        return self.specials.synchronize(worker, item)


class Listing(NamedTuple):
    """The source's entries that are to be transferred, by name, and the names of all that it has."""

    directories: Dict[str, os.stat_result]
    others: Dict[str, os.stat_result]
    visible: Set[str]
    all_names: Set[str]


class Walk:
    """Goes through the source depth first, several directories and batches of files at a time."""

    def __init__(self, session: Session, pool: Pool[Worker], handlers: Handlers, deletions: Deletions) -> None:
        self._session = session
        self._pool = pool
        self._handlers = handlers
        self._deletions = deletions
        self._directories = Directories(session)
        self._lock = threading.Lock()
        self._open: Set[Directory] = set()
        # Files with several names; they are for the links.
        self.linked: List[Item] = []
        # Entries that wait until the directory in their way is deleted.
        self.blocked: List[Item] = []

    def run(self, worker: Worker, root: Directory) -> None:
        """Walk the whole tree; ``root`` is open already, and closed at the end."""
        self._open.add(root)
        try:
            self._directories.compare(root)
            if root.created:
                self._directories.report_made(worker, root)
                self._directories.settle_root(root)
            self._pool.add(functools.partial(self._fill, directory=root))
            self._pool.run()
        finally:
            # A job that ends early leaves directories in the middle of their work.
            for directory in self._open:
                self._directories.abandon(directory)

    def _visit(self, worker: Worker, directory: Directory) -> None:
        entered = False
        self._open.add(directory)
        with self._session.failures_of(directory.path):
            self._directories.enter(worker, directory)
            entered = True
        if entered and self._session.is_elsewhere(directory.info):
            worker.counters.skipped += 1
            message = "what is in another file system was not copied"
            self._session.context.warning("mount_point_skipped", message, text(directory.path))
            self._done(worker, directory)
        elif entered:
            self._fill(worker, directory)
        else:
            self._close(directory)
            self._done(worker, directory.parent)

    def _fill(self, worker: Worker, directory: Directory) -> None:
        """Compare both listings, and give what has to be done in the directory to the workers."""
        self._session.context.check()
        with self._session.failures_of(directory.path or "."):
            listing = self._list_source(worker, directory)
            self._merge(worker, directory, listing)
        self._done(worker, directory)

    def _list_source(self, worker: Worker, directory: Directory) -> Listing:
        filters, path = self._session.filters, directory.path
        listing = Listing({}, {}, set(), set())
        with directory.opened_source.scan() as entries:
            for entry in entries:
                name = entry.name
                listing.all_names.add(name)
                if filters.any_hidden and filters.hides(text(join(path, name)), entry.is_dir(follow_symlinks=False)):
                    continue
                listing.visible.add(name)
                if tree.is_temporary(name):
                    worker.counters.skipped += 1
                    message = "the name is one of this collection's temporary files"
                    self._session.context.warning("temporary_skipped", message, text(join(path, name)))
                    continue
                with self._session.failures_of(join(path, name)):
                    info = tree.lstat_entry(entry)
                    group = listing.directories if stat.S_ISDIR(info.st_mode) else listing.others
                    group[name] = info
        return listing

    def _merge(self, worker: Worker, directory: Directory, listing: Listing) -> None:
        existing: Dict[str, os.stat_result] = {}
        if directory.destination is not None and not directory.created:
            existing = self._list_destination(worker, directory, listing)
        self._count(worker, listing)
        subdirectories = []
        for name, info in listing.directories.items():
            found = existing.get(name)
            subdirectories.append(functools.partial(self._visit, directory=Directory(directory, name, info, found)))
        batches = self._batches(worker, directory, listing.others, existing)
        with self._lock:
            directory.pending += len(subdirectories) + len(batches)
        # Taken from the end: what is in the directory itself comes first.
        size = sum(info.st_size for info in listing.others.values()) if len(batches) > 1 else 0
        self._pool.add(*subdirectories, *batches, heavy=size >= _BATCH_BYTES)

    def _list_destination(self, worker: Worker, directory: Directory, listing: Listing) -> Dict[str, os.stat_result]:
        """What stands at the names of the source's entries. What else is there is noted for deletion."""
        if directory.destination is None:
            raise AssertionError("a real run has opened the destination")
        found: Dict[str, os.stat_result] = {}
        leftovers: List[str] = []
        with os.scandir(directory.destination) as entries:
            for entry in entries:
                name = entry.name
                if name in listing.visible:
                    found[name] = entry.stat(follow_symlinks=False)
                elif self._is_leftover(listing, entry):
                    leftovers.append(name)
                elif self._session.delete:
                    with self._session.failures_of(join(directory.path, name)):
                        self._deletions.collect(directory.destination, directory.path, name)
        kept: Set[str] = set()
        if leftovers and self._session.resume:
            files = [name for name, info in listing.others.items() if stat.S_ISREG(info.st_mode)]
            kept = self._session.partials.sort_out(directory.path, leftovers, files)
        for name in leftovers:
            if name not in kept:
                with self._session.failures_of(join(directory.path, name)):
                    self._deletions.remove_temporary(worker, directory.path, directory.destination, name)
        return found

    @staticmethod
    def _is_leftover(listing: Listing, entry: os.DirEntry[str]) -> bool:
        """Whether a killed run left the entry. It left no directories: those are made under their own names."""
        return (
            tree.is_temporary(entry.name)
            and entry.name not in listing.all_names
            and not entry.is_dir(follow_symlinks=False)
        )

    def _count(self, worker: Worker, listing: Listing) -> None:
        counters = worker.counters
        counters.directories_total += len(listing.directories)
        worker.tally.items_total += len(listing.directories) + len(listing.others)
        for info in listing.others.values():
            if stat.S_ISREG(info.st_mode):
                counters.files_total += 1
                counters.bytes_total += info.st_size
            elif stat.S_ISLNK(info.st_mode):
                counters.symlinks_total += 1
            else:
                counters.specials_total += 1

    def _batches(
        self,
        worker: Worker,
        directory: Directory,
        others: Dict[str, os.stat_result],
        existing: Dict[str, os.stat_result],
    ) -> List[Callable[[Worker], None]]:
        """Tasks for the entries that are no directories; a small batch that would be the only one is done at once."""
        place = directory.place
        batches: List[List[Item]] = []
        size = _BATCH_BYTES
        for name, info in others.items():
            item = Item(place, name, info, existing.get(name))
            with self._session.failures_of(item.path):
                if self._is_deferred(item):
                    worker.tally.items_done += 1
                    continue
                if size >= _BATCH_BYTES or len(batches[-1]) >= _BATCH_FILES:
                    batches.append([])
                    size = 0
                batches[-1].append(item)
                size += info.st_size
        if len(batches) == 1 and size < _BATCH_BYTES:
            left = self._synchronize(worker, batches[0])
            batches = [left] if left else []
        return [functools.partial(self._batch, directory=directory, items=items) for items in batches]

    def _is_deferred(self, item: Item) -> bool:
        """Whether a later phase has to make the entry: one with several names, or with a directory in its way."""
        session = self._session
        in_the_way = item.existing is not None and stat.S_ISDIR(item.existing.st_mode)
        if in_the_way and not self._handlers.specials.impossible(item) and self._clear_way(item):
            self.blocked.append(item)
            return True
        if session.hard_links and item.info.st_nlink > 1 and self._handlers.has_names(item):
            self.linked.append(item)
            return True
        return False

    def _clear_way(self, item: Item) -> bool:
        """Note the contents of the directory in the entry's way for deletion; False if it is empty."""
        if tree.is_empty(item.destination, item.name):
            return False
        if not self._session.delete:
            raise ItemError("io_error", "a directory is in the way; delete: true would replace it")
        if not self._deletions.collect_contents(item.destination, item.place.path, item.name):
            raise ItemError("io_error", "a directory is in the way, and what is in it must not be deleted")
        return True

    def _batch(self, worker: Worker, directory: Directory, items: List[Item]) -> None:
        left = self._synchronize(worker, items)
        if left:
            with self._lock:
                directory.pending += 1
            self._pool.add(functools.partial(self._batch, directory=directory, items=left))
        self._done(worker, directory)

    def _synchronize(self, worker: Worker, items: List[Item]) -> List[Item]:
        """Make entries of one directory equal; gives those that are left because fewer workers are wanted."""
        context, synchronize = self._session.context, self._handlers.synchronize
        context.meter.current = text(items[0].path)
        with items[0].place.source.ahead(self._handlers.files.to_be_copied(items)):
            for number, item in enumerate(items):
                if self._pool.is_crowded():
                    return items[number:]
                context.check()
                with self._session.failures_of(item.path):
                    synchronize(worker, item)
                worker.tally.items_done += 1
        return []

    def _done(self, worker: Worker, directory: Optional[Directory]) -> None:
        """One task of the directory is done; after the last it is left, which is a task of its parent's."""
        while directory is not None:
            with self._lock:
                directory.pending -= 1
                if directory.pending:
                    return
            with self._session.failures_of(directory.path or "."):
                self._directories.leave(worker, directory)
            self._close(directory)
            if directory.parent is not None:  # the root is no entry of the tree
                worker.tally.items_done += 1
            directory = directory.parent

    def _close(self, directory: Directory) -> None:
        directory.close()
        self._open.discard(directory)
