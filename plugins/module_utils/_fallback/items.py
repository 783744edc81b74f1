# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One entry on both sides, and what is alike for all types of it: metadata of what exists, events, renaming."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple, Optional

from . import tree, xattrs
from .inodes import Inode
from .metadata import Attributes
from .session import Place, Session, step
from .tree import join, kind, text
from .workers import Worker
from .xattrs import Xattrs


class Item:
    """An entry of the source: what lstat says of it, and of what bears its name at the destination now, if anything.

    ``target`` and ``old_target`` are those of symbolic links; ``up_to_date`` is what a comparison of contents found,
    ``reused`` how much of the file that it replaces was taken over, ``torn`` whether the source went on changing
    meanwhile. ``entry`` is set where several names are linked.
    """

    __slots__ = ("entry", "existing", "info", "name", "old_target", "place", "reused", "target", "torn", "up_to_date")

    def __init__(self, place: Place, name: str, info: os.stat_result, existing: Optional[os.stat_result]) -> None:
        self.place = place
        self.name = name
        self.info = info
        self.existing = existing
        self.target: Optional[str] = None
        self.old_target: Optional[str] = None
        self.up_to_date: Optional[bool] = None
        self.reused = 0
        self.entry: Optional[Inode] = None
        self.torn = False

    @property
    def path(self) -> str:
        return join(self.place.path, self.name)

    @property
    def destination(self) -> int:
        """The open directory to write in; a real run always has one."""
        if self.place.destination is None:
            raise AssertionError("a real run has opened the destination")
        return self.place.destination


class Differences(NamedTuple):
    """What differs between an entry and its source, for the event and for putting it right."""

    before: Attributes
    after: Attributes
    wanted: Xattrs
    current: Xattrs


class Handler:
    """Base of the classes that make one type of entry equal."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.context = session.context
        self.metadata = session.metadata

    def differences(self, item: Item, existing: os.stat_result) -> Differences:
        """Compare the metadata of two entries of the same type."""
        before, after = self.metadata.compare(item.info, existing)
        if not self.metadata.xattrs:
            return Differences(before, after, {}, {})
        wanted = item.place.source.entry_xattrs(item.name, self.metadata.root)
        if wanted:
            wanted = self.metadata.wanted_xattrs(wanted, item.path)
        current = xattrs.read_entry(item.destination, item.name, self.metadata.root)
        add_xattrs(before, after, wanted, current)
        return Differences(before, after, wanted, current)

    def update_metadata(self, worker: Worker, item: Item, existing: os.stat_result, differences: Differences) -> None:
        """Put right what differs, by a descriptor of the entry that was compared."""
        refused = False
        if not self.session.dry_run:
            metadata = self.metadata
            try:
                with tree.held(item.destination, item.name, existing) as target:
                    metadata.apply_difference(target, item.info, differences.after)
                    mode = metadata.mode(item.info, existing)
                    refused = metadata.write_xattrs(target, mode, differences.wanted, differences.current, item.path)
                    if metadata.timestamps:
                        metadata.set_time(target, item.info, existing.st_atime_ns)
            except OSError as error:
                raise step("set the metadata", error) from error
        if not refused or set(differences.after) != {"xattrs"}:
            self.report_metadata(worker, item, differences.before, differences.after)

    def report_metadata(self, worker: Worker, item: Item, before: Attributes, after: Attributes) -> None:
        worker.counters.metadata_updated += 1
        self.context.change("metadata", kind(item.info.st_mode), text(item.path), before, after)

    def report_made(self, item: Item) -> None:
        """The event of an entry that was made, in an empty place or in another's."""
        if item.existing is None:
            after = self.metadata.creation(item.info, item.target)
            self.context.change("create", kind(item.info.st_mode), text(item.path), None, after)
        else:
            before, after = self.metadata.replacement(item.info, item.existing, item.target, item.old_target)
            self.context.change("update", kind(item.info.st_mode), text(item.path), before, after)

    def note_need(self, worker: Worker, item: Item, size: int = 0) -> None:
        """Count in a dry run what the entry would take. What is mounted in the destination has room of its own."""
        if self.session.dry_run and self.session.is_in_destination(item.place.destination):
            worker.needed_bytes += size
            worker.needed_entries += item.existing is None


def add_xattrs(before: Attributes, after: Attributes, wanted: Xattrs, current: Xattrs) -> None:
    """Add the names of differing attributes to the two sides of an event."""
    names = xattrs.differing(wanted, current)
    if names:
        before["xattrs"] = sorted(name for name in names if name in current)
        after["xattrs"] = sorted(name for name in names if name in wanted)


def read_old_target(item: Item) -> None:
    """Note where the symbolic link points that is about to be replaced."""
    if item.existing is not None and stat.S_ISLNK(item.existing.st_mode):
        item.old_target = os.readlink(item.name, dir_fd=item.destination)


def put_in_place(session: Session, item: Item, temporary: str) -> None:
    """Give a finished entry its name. Only an empty directory in its way is removed first."""
    session.inodes.note_loss(item.existing)
    if item.existing is not None and stat.S_ISDIR(item.existing.st_mode):
        os.rmdir(item.name, dir_fd=item.destination)
    os.rename(temporary, item.name, src_dir_fd=item.destination, dst_dir_fd=item.destination)
