# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hard links: entries with several names, made after the walk, when all names of each are known."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Dict, Iterable, List, NamedTuple, Optional

from . import tree
from ._errors import ItemError
from .inodes import Inode, inode_of
from .items import Item, put_in_place, read_old_target
from .origin import SourceDirectory
from .session import Place, Session, step
from .tree import Route, Vanished
from .walk import Handlers
from .workers import Worker


class Leader(NamedTuple):
    """The name whose inode the others share; ``inode`` is None where only a real run would know it."""

    directory: str
    name: str
    inode: Optional[Inode]


class Latecomers:
    """Makes entries that the walk left for later, in directories that it has closed again.

    Use it as a context manager: at its end the directories have their times again.
    """

    def __init__(
        self, session: Session, handlers: Handlers, worker: Worker, source: SourceDirectory, destination: Optional[int]
    ) -> None:
        self._session = session
        self._handlers = handlers
        self._worker = worker
        self._leaders: Dict[Inode, Leader] = {}
        times = session.metadata.timestamps
        self._source = source.route()
        self._destination: Optional[Route] = None
        if destination is not None:
            self._destination = Route(destination, times, writing=not session.dry_run)
            # One more for the name that is linked to.
            self._linked_to = Route(destination, times, writing=False)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Latecomers:
        self._stack.enter_context(self._source)
        if self._destination is not None:
            self._stack.enter_context(self._destination)
            self._stack.enter_context(self._linked_to)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def link(self, items: Iterable[Item]) -> None:
        """Make the names of each file share one inode, in an order that does not depend on the walk's."""
        groups: Dict[Inode, List[Item]] = {}
        for item in sorted(items, key=by_path):
            item.entry = inode_of(item.info)
            groups.setdefault(item.entry, []).append(item)
            self._session.inodes.claim(item.existing, item.entry)
        for members in groups.values():
            leader = self._choose_leader(members)
            self.make(leader)
            for item in members:
                if item is not leader:
                    self.make(item)

    def make(self, item: Item) -> None:
        """Make one entry; a file of which another name is there already becomes a link to that."""
        session = self._session
        session.context.check()
        with session.failures_of(item.path):
            self._reopen(item)
            is_file = stat.S_ISREG(item.info.st_mode)
            if not (session.hard_links and item.info.st_nlink > 1 and self._handlers.has_names(item)):
                self._handlers.synchronize(self._worker, item)
                return
            # Such a name is no part of the group: the others are not linked to it.
            if is_file and self._handlers.files.keeps_newer(self._worker, item):
                return
            key = inode_of(item.info)
            leader = self._leaders.get(key)
            if leader is not None:
                self._link_to(item, leader)
                return
            inode = self._handlers.synchronize(self._worker, item)
            if inode is None and not session.dry_run:
                inode = self._made(item)
                if inode is None:
                    return
            self._leaders[key] = Leader(item.place.path, item.name, inode)

    @staticmethod
    def _made(item: Item) -> Optional[Inode]:
        """The inode that has the name by now, None if the entry was left out."""
        try:
            return inode_of(os.stat(item.name, dir_fd=item.destination, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def _choose_leader(self, members: List[Item]) -> Item:
        """The first whose content is up to date, since the others are linked to it for nothing; else the first."""
        for item in members:
            if item.existing is None:
                continue
            # Who cannot be compared is no leader; if it cannot be made either, that is told then.
            with contextlib.suppress(OSError, ItemError, Vanished):
                self._reopen(item)
                if self._handlers.is_up_to_date(item, item.existing):
                    return item
        return members[0]

    def _reopen(self, item: Item) -> None:
        """Open the entry's parents again. They stay open until the next entry."""
        path = item.place.path
        try:
            source = self._source.open(path)
        except FileNotFoundError as error:
            raise Vanished from error
        except OSError as error:
            raise step("open the source directory", error) from error
        destination: Optional[int] = None
        # In a dry run the directory of an entry that is not there need not be there either.
        if self._destination is not None and (item.existing is not None or not self._session.dry_run):
            try:
                destination = self._destination.open(path)
                self._destination.touch()
            except OSError as error:
                raise step("open the destination's directory", error) from error
        # What its new file inherits is not known here: look.
        item.place = Place(path, source, destination, inherits_acl=True)

    def _link_to(self, item: Item, leader: Leader) -> None:
        counters = self._worker.counters
        is_file = stat.S_ISREG(item.info.st_mode)
        if is_file:
            self._worker.tally.bytes_passed += item.info.st_size
        existing = item.existing
        if existing is not None and inode_of(existing) == leader.inode:
            counters.files_unchanged += is_file
            return
        if stat.S_ISLNK(item.info.st_mode):
            item.target = item.place.source.read_link(item.name)
        read_old_target(item)
        if not self._session.dry_run:
            try:
                self._make_link(item, leader)
            except OSError as error:
                raise step("make the hard link", error) from error
        counters.hard_links_created += 1
        self._handlers.files.report_made(item)

    def _make_link(self, item: Item, leader: Leader) -> None:
        temporary = self._worker.temporary_name()
        os.link(
            leader.name,
            temporary,
            src_dir_fd=self._linked_to.open(leader.directory),
            dst_dir_fd=item.destination,
            follow_symlinks=False,
        )
        try:
            made = os.stat(temporary, dir_fd=item.destination, follow_symlinks=False)
            if leader.inode is not None and inode_of(made) != leader.inode:
                raise tree.replaced("destination")
            put_in_place(self._session, item, temporary)
        except BaseException:
            tree.discard(item.destination, temporary)
            raise


def by_path(item: Item) -> bytes:
    """Sorting key: the bytes of the path, which do not depend on the locale."""
    return os.fsencode(item.path)
