# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Makes the entries of an archive in the destination, each under a temporary name first."""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, Optional, Set, Tuple

from . import tree, xattrs
from ._context import Context
from .archive_entry import METADATA, NOTHING, Entry, skips
from .flush import Flusher
from .metadata import Metadata
from .session import failures_of, step
from .specials import change_owner, set_times
from .tarball import TarReader
from .tree import kind, text
from .workers import Worker


class Maker:
    """Carries out what was found to be done, or in a dry run, which has no ``root``, only tells it."""

    def __init__(
        self,
        context: Context,
        worker: Worker,
        metadata: Metadata,
        root: Optional[int],
        parameters: Dict[str, Any],
    ) -> None:
        self._context = context
        self._worker = worker
        self._metadata = metadata
        self._preserve: Dict[str, bool] = parameters["preserve"]
        self.root = root
        self.flusher = Flusher(0)
        self._opened: Optional[Tuple[str, int]] = None
        self._cleaned: Set[str] = set()
        # What directories lose when something is written in them: their modes, and their times.
        self._touched: Dict[str, Tuple[os.stat_result, bool]] = {}

    def make(self, entry: Entry, reader: Optional[TarReader]) -> None:
        """Make one entry, whose content comes next from the reader."""
        if entry.silent:
            return
        if entry.error is not None:
            raise entry.error
        if entry.info is None or skips(entry, self._metadata, self._preserve):
            what = "entry of an unknown type" if entry.info is None else kind(entry.info.st_mode)
            self._skip(entry, what)
        elif entry.todo == NOTHING:
            if entry.type == stat.S_IFREG:
                self._worker.counters.files_unchanged += 1
                self._worker.tally.bytes_passed += entry.stat.st_size
        elif entry.todo == METADATA:
            self._update(entry)
        else:
            self._make_anew(entry, reader)

    def _skip(self, entry: Entry, what: str) -> None:
        self._worker.counters.skipped += 1
        self._context.warning("special_skipped", "the %s was not unpacked" % what, text(entry.path))

    def _update(self, entry: Entry) -> None:
        """Put right what differs; of a directory when all in it is done."""
        if entry.type == stat.S_IFREG:
            self._worker.counters.files_unchanged += 1
        differences = entry.differences
        if self.root is not None and entry.type != stat.S_IFDIR:
            directory, name = self._place(entry)
            try:
                if entry.type == stat.S_IFLNK:
                    after = differences.after
                    user, group = after.get("owner", -1), after.get("group", -1)
                    change_owner(directory, name, user, group, there(entry))
                    if "mtime" in after:
                        set_times(directory, name, entry.stat)
                else:
                    with tree.held(directory, name, there(entry)) as target:
                        self._apply(target, entry)
            except OSError as error:
                raise step("set the metadata", error) from error
        self._worker.counters.metadata_updated += 1
        path = text(entry.path) or "."
        self._context.change("metadata", kind(entry.stat.st_mode), path, differences.before, differences.after)

    def _apply(self, target: tree.Target, entry: Entry) -> None:
        metadata, differences, existing = self._metadata, entry.differences, there(entry)
        metadata.apply_difference(target, entry.stat, differences.after)
        current = differences.current
        if differences.after.keys() & {"owner", "group"}:
            # A change of owner takes the capabilities away.
            current = {name: value for name, value in current.items() if name != "security.capability"}
        mode = metadata.mode(entry.stat, existing)
        metadata.write_xattrs(target, mode, differences.wanted, current, entry.path or ".")
        if metadata.timestamps and "mtime" in differences.after:
            metadata.set_time(target, entry.stat, existing.st_atime_ns)

    def _make_anew(self, entry: Entry, reader: Optional[TarReader]) -> None:
        counters, info = self._worker.counters, entry.stat
        if entry.leader is not None and entry.leader.error is not None:
            raise entry.leader.error
        if self.root is not None and entry.path:
            directory, name = self._place(entry)
            try:
                if not self._create(directory, name, entry, reader):
                    self._skip(entry, kind(info.st_mode))
                    return
            except OSError as error:
                raise step("make the %s" % kind(info.st_mode), error, info.st_size) from error
        if entry.leader is not None:
            counters.hard_links_created += 1
        elif entry.type == stat.S_IFDIR:
            counters.directories_created += 1
        elif entry.type == stat.S_IFLNK:
            counters.symlinks_created += 1
        elif entry.type == stat.S_IFREG:
            counters.files_copied += 1
            counters.bytes_copied += info.st_size
        else:
            counters.specials_created += 1
        self._report(entry)

    def _report(self, entry: Entry) -> None:
        what, path, metadata = kind(entry.stat.st_mode), text(entry.path) or ".", self._metadata
        if entry.existing is None:
            self._context.change("create", what, path, None, metadata.creation(entry.stat, entry.target))
            return
        before, after = metadata.replacement(entry.stat, entry.existing, entry.target, entry.old_target)
        self._context.change("update", what, path, before, after)

    def _create(self, directory: int, name: str, entry: Entry, reader: Optional[TarReader]) -> bool:
        """Make the entry; False where this user may not."""
        if entry.type == stat.S_IFDIR:
            if entry.existing is not None:
                os.unlink(name, dir_fd=directory)
            os.mkdir(name, self.first_mode(entry), dir_fd=directory)
            made = tree.open_directory(directory, name)
            try:
                self.settle_empty(made, entry)
            finally:
                os.close(made)
            return True
        temporary = self._worker.temporary_name()
        try:
            if entry.leader is not None:
                self._link(directory, temporary, entry.leader)
            elif entry.type == stat.S_IFREG:
                self._write_file(directory, temporary, entry, reader)
            elif entry.type == stat.S_IFLNK:
                os.symlink(entry.target or "", temporary, dir_fd=directory)
                user, group = self._metadata.new_owner(entry.stat)
                change_owner(directory, temporary, user, group, entry.stat, new=True)
                if self._metadata.timestamps:
                    set_times(directory, temporary, entry.stat)
            elif not self._special(directory, temporary, entry):
                return False
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            tree.discard(directory, temporary)
            raise
        return True

    def first_mode(self, entry: Entry) -> int:
        """The mode that a directory is made with. Of one that is only implied none is ever compared."""
        metadata = self._metadata
        return metadata.first_mode(entry.stat, metadata.permissions and not entry.implied, entry.xattrs)

    def settle_empty(self, directory: int, entry: Entry) -> None:
        """As that of Metadata."""
        mode = self.first_mode(entry)
        if entry.implied:
            os.fchmod(directory, mode)
        else:
            self._metadata.settle_empty(directory, entry.stat, mode, entry.path or ".")

    def _link(self, directory: int, temporary: str, leader: Entry) -> None:
        above, _slash, name = leader.path.rpartition("/")
        with tree.Route(self._root(), False, False) as route:
            os.link(name, temporary, src_dir_fd=route.open(above), dst_dir_fd=directory, follow_symlinks=False)
        made = os.stat(temporary, dir_fd=directory, follow_symlinks=False)
        if (made.st_dev, made.st_ino) != leader.inode:
            raise tree.replaced("destination")

    def _write_file(self, directory: int, temporary: str, entry: Entry, reader: Optional[TarReader]) -> None:
        if reader is None:
            raise AssertionError("files are written from an archive")
        self._context.meter.begin()
        descriptor = tree.create_file(directory, temporary, readable=False)
        try:
            for start, piece in reader.content():
                self._worker.tally.bytes_done += len(piece)
                _write_at(descriptor, start, piece)
            os.ftruncate(descriptor, entry.stat.st_size)
            self.flusher.file(descriptor)
            self._settle(descriptor, entry)
            made = os.fstat(descriptor)
            entry.inode = (made.st_dev, made.st_ino)
        finally:
            os.close(descriptor)
            self._context.meter.end()
        self._worker.tally.files_copied += 1

    def _special(self, directory: int, temporary: str, entry: Entry) -> bool:
        mode = stat.S_IFMT(entry.stat.st_mode) | 0o600
        try:
            os.mknod(temporary, mode, entry.stat.st_rdev, dir_fd=directory)
        except PermissionError:
            # Such as root in a container without the capability.
            return False
        with tree.held(directory, temporary, entry.stat, new=True) as target:
            self._settle(target, entry)
        return True

    def _settle(self, target: tree.Target, entry: Entry) -> None:
        """Give a new entry its owner, mode, attributes and time, in this order."""
        metadata, info = self._metadata, entry.stat
        user, group = metadata.new_owner(info)
        if user != -1 or group != -1:
            os.chown(target, user, group)
        mode = metadata.mode(info, entry.existing)
        os.chmod(target, mode)
        if metadata.xattrs:
            wanted = metadata.wanted_xattrs(entry.xattrs, entry.path) if entry.xattrs else {}
            metadata.write_xattrs(target, mode, wanted, xattrs.read_open(target, metadata.root), entry.path)
        if metadata.timestamps:
            metadata.set_time(target, info, info.st_mtime_ns)

    def _root(self) -> int:
        if self.root is None:
            raise AssertionError("a dry run makes nothing")
        return self.root

    def _place(self, entry: Entry) -> Tuple[int, str]:
        """The open directory of an entry, to write in, and the entry's name there."""
        above, _slash, name = entry.path.rpartition("/")
        if self._opened is None or self._opened[0] != above:
            self.close()
            try:
                self._opened = (above, self._open(above))
            except OSError as error:
                raise step("open the destination's directory", error) from error
        return self._opened[1], name

    def _open(self, path: str) -> int:
        current, below = os.dup(self._root()), ""
        self._remember("", current, False)
        for part in path.split("/") if path else []:
            below = tree.join(below, part)
            try:
                self._lift(current, part, below)
                following = tree.open_directory(current, part)
            finally:
                os.close(current)
            current = following
        self._remember(path, current, False)
        if path not in self._cleaned:
            self._cleaned.add(path)
            _remove_leftovers(current)
        return current

    def _lift(self, parent: int, name: str, path: str) -> None:
        """Open up a directory that its owner, this user, has closed to himself, until all is done."""
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not self._metadata.owns(info) or not stat.S_ISDIR(info.st_mode) or info.st_mode & 0o700 == 0o700:
            return
        with tree.held(parent, name, info) as target:
            self._touched.setdefault(path, (info, True))
            os.chmod(target, stat.S_IMODE(info.st_mode) | 0o700)

    def _remember(self, path: str, descriptor: int, lifted: bool) -> None:
        if path not in self._touched:
            self._touched[path] = (os.fstat(descriptor), lifted)

    def close(self) -> None:
        """Close the directory in hand."""
        if self._opened is not None:
            os.close(self._opened[1])
            self._opened = None

    def finish(self, entries: List[Entry], by_path: Dict[str, Entry]) -> None:
        """Give directories what they lost, or what the archive says of them, those further down first."""
        self.close()
        self._context.meter.phase = "finish"
        final: Dict[str, Optional[Entry]] = dict.fromkeys(self._touched)
        for entry in entries:
            if entry.type == stat.S_IFDIR and not entry.silent and entry.error is None and entry.todo != NOTHING:
                final[entry.path] = entry
        for path in sorted(final, key=os.fsencode, reverse=True):
            with failures_of(self._context, path or "."):
                try:
                    self._finish(path, final[path], by_path.get(path))
                except (FileNotFoundError, NotADirectoryError):
                    # The job has ended before it was made.
                    continue
                except OSError as error:
                    raise step("set the metadata", error) from error

    def _finish(self, path: str, entry: Optional[Entry], known: Optional[Entry]) -> None:
        with tree.Route(self._root(), False, False) as route:
            descriptor = route.open(path)
            if path in self._touched:
                info, lifted = self._touched[path]
                if lifted:
                    os.fchmod(descriptor, stat.S_IMODE(info.st_mode))
                if self._metadata.timestamps and known is not None and not known.implied:
                    os.utime(descriptor, ns=(info.st_atime_ns, info.st_mtime_ns))
            if entry is None:
                return
            if entry.todo == METADATA:
                self._apply(descriptor, entry)
            elif entry.implied:
                os.fchmod(descriptor, stat.S_IMODE(entry.stat.st_mode))
            else:
                self._settle(descriptor, entry)


def there(entry: Entry) -> os.stat_result:
    if entry.existing is None:
        raise AssertionError("only what is there has metadata or other names")
    return entry.existing


def _write_at(descriptor: int, start: int, piece: bytes) -> None:
    while piece:
        written = os.pwrite(descriptor, piece, start)
        start, piece = start + written, piece[written:]


def _remove_leftovers(directory: int) -> None:
    """Remove what a killed run left."""
    descriptor = tree.open_directory(directory, ".")
    try:
        names = [name for name in os.listdir(descriptor) if tree.is_temporary(name)]
    finally:
        os.close(descriptor)
    for name in names:
        tree.discard(directory, name)
