# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories: made or compared when the walk enters them, given their final metadata when it leaves them."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Optional

from . import tree, xattrs
from ._errors import ItemError
from .items import Differences, add_xattrs
from .origin import SourceDirectory
from .session import Place, Session, step
from .tree import Loop, join, text
from .workers import Worker
from .xattrs import DEFAULT_ACL, Xattrs

_NOTHING = Differences({}, {}, {}, {})


class Directory:
    """One directory of the walk. It stays open as long as something in it has to be done."""

    __slots__ = (
        "created",
        "current_xattrs",
        "destination",
        "differences",
        "existing",
        "inherits_acl",
        "info",
        "lifted_mode",
        "name",
        "old_target",
        "parent",
        "path",
        "pending",
        "source",
        "wanted_xattrs",
    )

    def __init__(
        self, parent: Optional[Directory], name: str, info: os.stat_result, existing: Optional[os.stat_result]
    ) -> None:
        self.parent = parent
        self.name = name
        self.path: str = join(parent.path, name) if parent is not None else ""
        self.info = info
        self.existing = existing
        self.source: Optional[SourceDirectory] = None
        self.destination: Optional[int] = None
        self.created = existing is None or not stat.S_ISDIR(existing.st_mode)
        self.old_target: Optional[str] = None
        self.differences = _NOTHING
        self.wanted_xattrs: Xattrs = {}
        self.current_xattrs: Optional[Xattrs] = None
        self.inherits_acl = False
        # The mode that is given back, where it had to be changed for writing.
        self.lifted_mode: Optional[int] = None
        # Tasks and subdirectories that are not done yet; the visit itself is the first.
        self.pending = 1

    @property
    def place(self) -> Place:
        return Place(self.path, self.opened_source, self.destination, self.inherits_acl)

    @property
    def opened_source(self) -> SourceDirectory:
        """The source's side of a directory that was entered."""
        if self.source is None:
            raise AssertionError("the directory was entered")
        return self.source

    @property
    def event_path(self) -> str:
        return text(self.path) or "."

    def is_in(self, info: os.stat_result) -> bool:
        """Whether the source's directory is one, or in one, that ``info`` describes."""
        above: Optional[Directory] = self
        while above is not None:
            if tree.same_entry(above.info, info):
                return True
            above = above.parent
        return False

    def close(self) -> None:
        """Give both sides back; may be called again."""
        if self.source is not None:
            self.source.close()
            self.source = None
        if self.destination is not None:
            os.close(self.destination)
            self.destination = None


class Directories:
    """Enters and leaves directories."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        self._metadata = session.metadata

    def enter(self, worker: Worker, directory: Directory) -> None:
        """Open both sides, make the destination's if it lacks, and compare the metadata while it is untouched."""
        parent = directory.parent
        if parent is None:
            raise AssertionError("the walk enters the root itself first")
        try:
            directory.source = parent.opened_source.open_directory(directory.name)
        except OSError as error:
            raise step("open the source directory", error) from error
        directory.info = directory.source.info()
        if self._session.follow_symlinks and parent.is_in(directory.info):
            raise Loop
        if not self._session.is_elsewhere(directory.info):
            self._refuse_root(directory.info)
        if directory.created:
            self._make(directory, parent)
            self.report_made(worker, directory)
        else:
            self._open_destination(directory, parent)
        self.compare(directory)

    def _make(self, directory: Directory, parent: Directory) -> None:
        directory.inherits_acl = parent.inherits_acl
        if directory.existing is not None and stat.S_ISLNK(directory.existing.st_mode):
            directory.old_target = os.readlink(directory.name, dir_fd=parent.destination)
        if self._session.dry_run:
            return
        if parent.destination is None:
            raise AssertionError("a real run has opened the destination")
        mode = self.first_mode(directory)
        try:
            if directory.existing is not None:
                self._session.inodes.note_loss(directory.existing)
                os.unlink(directory.name, dir_fd=parent.destination)
            os.mkdir(directory.name, mode, dir_fd=parent.destination)
            directory.destination = tree.open_directory(parent.destination, directory.name)
            self.settle_empty(directory, mode)
        except OSError as error:
            raise step("make the directory", error) from error

    def first_mode(self, directory: Directory) -> int:
        """The mode of a new directory until it is complete."""
        metadata, found = self._metadata, {}
        if metadata.xattrs and not metadata.permissions:
            found = directory.opened_source.xattrs(metadata.root)
        return metadata.first_mode(directory.info, metadata.permissions, found)

    def settle_root(self, root: Directory) -> None:
        """See to a destination that was made before the walk."""
        if root.destination is None:
            return
        if self._metadata.xattrs:
            root.inherits_acl = DEFAULT_ACL in xattrs.read_open(root.destination, self._metadata.root)
        self.settle_empty(root, self.first_mode(root))

    def settle_empty(self, directory: Directory, mode: int) -> None:
        if directory.destination is not None:
            self._metadata.settle_empty(directory.destination, directory.info, mode, directory.path or ".")
            directory.inherits_acl = directory.inherits_acl and self._metadata.permissions

    def report_made(self, worker: Worker, directory: Directory) -> None:
        worker.counters.directories_created += 1
        parent = directory.parent
        if self._session.dry_run and parent is not None and self._session.is_in_destination(parent.destination):
            worker.needed_entries += directory.existing is None
        if directory.existing is None:
            after = self._metadata.creation(directory.info)
            self._context.change("create", "directory", directory.event_path, None, after)
            return
        before, after = self._metadata.replacement(directory.info, directory.existing, None, directory.old_target)
        self._context.change("update", "directory", directory.event_path, before, after)

    def _open_destination(self, directory: Directory, parent: Directory) -> None:
        if parent.destination is None or directory.existing is None:
            raise AssertionError("a real run has opened the destination")
        mode = stat.S_IMODE(directory.existing.st_mode)
        try:
            if self._metadata.owns(directory.existing) and mode & 0o700 != 0o700 and not self._session.dry_run:
                # Given its final mode when the walk leaves it.
                with tree.held(parent.destination, directory.name, directory.existing) as target:
                    self._read_current(directory, target)
                    os.chmod(target, mode | 0o700)
                    directory.lifted_mode = mode
            directory.destination = tree.open_directory(parent.destination, directory.name)
        except OSError as error:
            raise step("open the destination's directory", error) from error
        opened = os.fstat(directory.destination)
        if not tree.same_entry(opened, directory.existing):
            raise tree.replaced("destination")
        self._refuse_root(opened)
        self._session.flusher.add(directory.destination, opened)

    def _refuse_root(self, info: os.stat_result) -> None:
        """A bind mount can put one root into the other, where no comparison of paths sees it."""
        if (info.st_dev, info.st_ino) in self._session.roots:
            raise ItemError("paths_overlap", "the directory is one of the two roots")

    def compare(self, directory: Directory) -> None:
        """Find out what the directory lacks, before anything is written in it."""
        metadata = self._metadata
        if metadata.xattrs:
            found = directory.opened_source.xattrs(metadata.root)
            directory.wanted_xattrs = metadata.wanted_xattrs(found, directory.path or ".")
        if directory.created:
            return
        if directory.existing is None:
            raise AssertionError("an entry that was not made was there")
        if directory.current_xattrs is None and directory.destination is not None:
            self._read_current(directory, directory.destination)
        current = directory.current_xattrs or {}
        before, after = metadata.compare(directory.info, directory.existing)
        add_xattrs(before, after, directory.wanted_xattrs, current)
        directory.differences = Differences(before, after, directory.wanted_xattrs, current)

    def _read_current(self, directory: Directory, target: tree.Target) -> None:
        """Read the destination's attributes; a change of its mode would change its access list."""
        if self._metadata.xattrs:
            directory.current_xattrs = xattrs.read_open(target, self._metadata.root)
            directory.inherits_acl = DEFAULT_ACL in directory.current_xattrs

    def abandon(self, directory: Directory) -> None:
        """The job ends before the directory is done: leave no mode that only the job needed."""
        if directory.lifted_mode is not None and directory.destination is not None:
            with contextlib.suppress(OSError):
                os.fchmod(directory.destination, directory.lifted_mode)
        directory.close()

    def leave(self, worker: Worker, directory: Directory) -> None:
        """Everything in the directory is done: give it its final metadata, and report what of it was not alike."""
        differences, refused = directory.differences, False
        if not self._session.dry_run and directory.destination is not None:
            try:
                refused = self._finish(directory, directory.destination)
            except OSError as error:
                raise step("set the metadata", error) from error
        if (differences.before or differences.after) and not (refused and set(differences.after) == {"xattrs"}):
            worker.counters.metadata_updated += 1
            self._context.change("metadata", "directory", directory.event_path, differences.before, differences.after)

    def _finish(self, directory: Directory, destination: int) -> bool:
        """True if its SELinux context was refused, and no other attribute differed."""
        metadata, info = self._metadata, directory.info
        now = os.fstat(destination)
        if directory.created:
            user, group = metadata.new_owner(info)
            current = xattrs.read_open(destination, metadata.root) if directory.inherits_acl else {}
        else:
            after, current = directory.differences.after, directory.differences.current
            user, group = after.get("owner", -1), after.get("group", -1)
        if user != -1 or group != -1:
            os.fchown(destination, user, group)
        mode = metadata.mode(info, directory.existing)
        # A change of owner clears the set-user-ID bits.
        if stat.S_IMODE(now.st_mode) != mode or user != -1 or group != -1:
            os.fchmod(destination, mode)
        refused = metadata.write_xattrs(destination, mode, directory.wanted_xattrs, current, directory.path or ".")
        # Whatever was written in it has moved its time.
        if metadata.timestamps and not metadata.same_time(info, now):
            metadata.set_time(destination, info, now.st_atime_ns)
        return refused
