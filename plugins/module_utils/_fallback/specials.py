# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Symbolic links, fifos, sockets and devices."""

from __future__ import annotations

import os
import stat
from typing import Optional

from . import _platform, tree, xattrs
from .inodes import Inode, inode_of
from .items import Handler, Item, put_in_place, read_old_target
from .metadata import Attributes
from .session import step
from .tree import kind, same_special, text
from .workers import Worker


class Symlinks(Handler):
    """Makes symbolic links equal: their target, owner and times. They have no mode that counts."""

    def is_same(self, item: Item, existing: os.stat_result) -> bool:
        """Whether the destination has a link to the same target."""
        item.target = item.place.source.read_link(item.name)
        if not stat.S_ISLNK(existing.st_mode):
            return False
        read_old_target(item)
        return item.old_target == item.target

    def synchronize(self, worker: Worker, item: Item) -> Optional[Inode]:
        """Make one link equal; gives what that of Handlers does."""
        item.target = item.place.source.read_link(item.name)
        read_old_target(item)
        existing, inodes = item.existing, self.session.inodes
        same = existing is not None and item.old_target == item.target
        if existing is not None and same and not inodes.is_anothers(existing, item.entry):
            before, after = self.metadata.compare(item.info, existing)
            if not after:
                return inode_of(existing)
            if inodes.is_own(existing, item.entry):
                self._update(worker, item, existing, before, after)
                return inode_of(existing)
        if not self.session.dry_run:
            try:
                self._make(worker, item)
            except OSError as error:
                raise step("make the symbolic link", error) from error
        worker.counters.symlinks_created += 1
        self.note_need(worker, item)
        self.report_made(item)
        return None

    def _update(
        self, worker: Worker, item: Item, existing: os.stat_result, before: Attributes, after: Attributes
    ) -> None:
        if not self.session.dry_run:
            if "owner" in after or "group" in after:
                user, group = after.get("owner", -1), after.get("group", -1)
                change_owner(item.destination, item.name, user, group, existing)
            if self.metadata.timestamps:
                set_times(item.destination, item.name, item.info)
        self.report_metadata(worker, item, before, after)

    def _make(self, worker: Worker, item: Item) -> None:
        if item.target is None:
            raise AssertionError("a link has a target")
        temporary = worker.temporary_name()
        os.symlink(item.target, temporary, dir_fd=item.destination)
        try:
            user, group = self.metadata.new_owner(item.info)
            change_owner(item.destination, temporary, user, group, item.info, new=True)
            if self.metadata.timestamps:
                set_times(item.destination, temporary, item.info)
            put_in_place(self.session, item, temporary)
        except BaseException:
            tree.discard(item.destination, temporary)
            raise


class Specials(Handler):
    """Makes fifos, sockets and devices anew. What cannot be made is told and left out; it is no failure."""

    def impossible(self, item: Item) -> bool:
        """Whether the entry is a special file that this job or user cannot make."""
        found = kind(item.info.st_mode)
        if found in ("file", "symlink"):
            return False
        return not self.session.specials or not _platform.HAS_SPECIALS or (found == "device" and not self.metadata.root)

    def synchronize(self, worker: Worker, item: Item) -> Optional[Inode]:
        """Make one equal; gives what that of Handlers does."""
        if self.impossible(item):
            self._skip(worker, item)
            return None
        existing, inodes = item.existing, self.session.inodes
        if existing is not None and same_special(item.info, existing) and not inodes.is_anothers(existing, item.entry):
            differences = self.differences(item, existing)
            if not differences.before and not differences.after:
                return inode_of(existing)
            if inodes.is_own(existing, item.entry):
                self.update_metadata(worker, item, existing, differences)
                return inode_of(existing)
        read_old_target(item)
        if not self.session.dry_run:
            temporary = worker.temporary_name()
            mode = stat.S_IFMT(item.info.st_mode) | 0o600
            try:
                os.mknod(temporary, mode, item.info.st_rdev, dir_fd=item.destination)
            except PermissionError:
                # Such as root in a container without the capability.
                self._skip(worker, item)
                return None
            self._finish(item, temporary)
        worker.counters.specials_created += 1
        self.note_need(worker, item)
        self.report_made(item)
        return None

    def _finish(self, item: Item, temporary: str) -> None:
        directory, metadata = item.destination, self.metadata
        try:
            with tree.held(directory, temporary, item.info, new=True) as target:
                user, group = metadata.new_owner(item.info)
                if user != -1 or group != -1:
                    os.chown(target, user, group)
                mode = metadata.mode(item.info, item.existing)
                os.chmod(target, mode)
                if metadata.xattrs:
                    found = item.place.source.entry_xattrs(item.name, metadata.root)
                    wanted = metadata.wanted_xattrs(found, item.path)
                    current = xattrs.read_open(target, metadata.root)
                    metadata.write_xattrs(target, mode, wanted, current, item.path)
                if metadata.timestamps:
                    metadata.set_time(target, item.info, item.info.st_atime_ns)
            put_in_place(self.session, item, temporary)
        except BaseException:
            tree.discard(directory, temporary)
            raise

    def _skip(self, worker: Worker, item: Item) -> None:
        worker.counters.skipped += 1
        self.context.warning("special_skipped", "the %s was not copied" % kind(item.info.st_mode), text(item.path))


def change_owner(directory: int, name: str, user: int, group: int, info: os.stat_result, new: bool = False) -> None:
    """Give a symbolic link away, and nothing that has taken its name. ``info`` and ``new`` are as for tree.held."""
    if user == -1 and group == -1:
        return
    if not _platform.HAS_PROC:
        # Links cannot be held there.
        os.chown(name, user, group, dir_fd=directory, follow_symlinks=False)
        return
    with tree.held(directory, name, info, new) as link:
        os.chown(link, user, group)


def set_times(directory: int, name: str, info: os.stat_result) -> None:
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=directory, follow_symlinks=False)
