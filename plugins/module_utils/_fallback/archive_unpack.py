# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Unpacking: makes all entries of an archive in a directory; what else is there stays.

The archive is read twice: first to the end, so that nothing is touched if it cannot be accepted, comparing it with what
is there; then, if files are to be written, once more for their content.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Dict, Iterator, List, Optional, Set

from . import compression, tree, xattrs
from ._context import Context
from ._errors import ItemError, JobError, reason
from .archive_entry import MAKE, METADATA, NOTHING, Entries, Entry, described, skips
from .archive_make import Maker, there
from .compression import Corrupt
from .file_place import FilePlace
from .flush import Flusher
from .inodes import Inodes, inode_of
from .items import Differences, add_xattrs
from .metadata import Metadata
from .roots import Destination
from .session import failures_of, step
from .tarball import Found, TarReader, TrailingData
from .tree import text
from .workers import Worker


class Unpacking:
    """One unpacking at work."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._parameters = parameters = context.parameters
        self._preserve: Dict[str, bool] = parameters["preserve"]
        self._metadata = Metadata(self._preserve, context)
        self._worker = Worker(context, parameters["buffer_size"])
        self._entries: List[Entry] = []
        self._known = Entries(
            parameters["source"],
            self._metadata,
            self._preserve["owner"],
            parameters["allow_outside_links"],
            parameters["max_unpacked_size"],
        )
        self._absent: Set[str] = set()
        # Entries that have an inode with several names.
        self._shared: List[Entry] = []
        self._last = ""

    def run(self) -> None:
        context = self._context
        with FilePlace("archive", self._parameters["source"], True) as place:
            descriptor = place.open()
            try:
                with Destination(context) as destination:
                    self._unpack(descriptor, destination)
            finally:
                os.close(descriptor)

    def _unpack(self, archive: int, destination: Destination) -> None:
        context = self._context
        form = compression.FORMATS.get(self._parameters["format"]) or compression.detect(archive)
        form.require()
        try:
            context.meter.phase = "compare"
            self._plan(archive, form, destination.descriptor)
            context.meter.phase = "copy"
            if context.dry_run:
                self._carry_out(Maker(context, self._worker, self._metadata, None, self._parameters), None)
                return
            root = self._make_root(destination)
            flusher = Flusher(1 << 62 if self._parameters["fsync"] else 0)
            flusher.add(root, os.fstat(root))
            try:
                self._write(archive, form, root, flusher)
            finally:
                flusher.close()
        finally:
            context.statistics = self._statistics()

    def _make_root(self, destination: Destination) -> int:
        entry, made = self._known.by_path.get(""), destination.descriptor is None
        if entry is None or not made:
            return destination.create()
        maker = Maker(self._context, self._worker, self._metadata, None, self._parameters)
        root = destination.create(maker.first_mode(entry))
        maker.settle_empty(root, entry)
        return root

    def _write(self, archive: int, form: compression.Format, root: int, flusher: Flusher) -> None:
        self._metadata.probe_destination(root)
        maker = Maker(self._context, self._worker, self._metadata, root, self._parameters)
        maker.flusher = flusher
        with contextlib.ExitStack() as stack:
            stack.callback(maker.finish, self._entries, self._known.by_path)
            reader = None
            if any(_needs_content(entry) for entry in self._entries):
                reader = stack.enter_context(self._reading(archive, form))
            with self._judged():
                self._carry_out(maker, reader)
        if self._context.changes:
            flusher.finish()

    @contextlib.contextmanager
    def _reading(self, archive: int, form: compression.Format) -> Iterator[TarReader]:
        stream = form.reader(archive)
        total = 0

        def read(size: int) -> bytes:
            nonlocal total
            self._context.check()
            data = stream.read(size)
            total += len(data)
            if total > self._parameters["max_unpacked_size"]:
                raise self._known.too_large()
            return data

        try:
            yield TarReader(read)
        finally:
            stream.close()

    @contextlib.contextmanager
    def _judged(self) -> Iterator[None]:
        """Say of what is no archive what it is."""
        archive = text(self._parameters["source"])
        try:
            yield
        except TrailingData as error:
            raise JobError("archive_invalid", "the archive %s goes on after its end" % archive) from error
        except Corrupt as error:
            message = "the archive %s is no tar archive, or it is truncated or corrupt" % archive
            if self._last:
                message = "the archive %s is truncated or corrupt after the entry %s" % (archive, text(self._last))
            raise JobError("archive_invalid", message) from error

    def _plan(self, archive: int, form: compression.Format, root: Optional[int]) -> None:
        """Read the whole archive, and find out what is to be done."""
        tally = self._worker.tally
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._judged())
            reader = stack.enter_context(self._reading(archive, form))
            route = stack.enter_context(tree.Route(root, False, False)) if root is not None else None
            try:
                member = reader.next()
                while member is not None:
                    self._take(reader, member, route)
                    self._last = member.path
                    tally.items_total += 1
                    member = reader.next()
                self._separate()
            except OSError as error:
                raise JobError(
                    "io_error", "unable to read the archive %s: %s" % (text(self._parameters["source"]), reason(error))
                ) from error

    def _take(self, reader: TarReader, member: Found, route: Optional[tree.Route]) -> None:
        entry = self._known.read(member)
        entry.listed = True
        self._entries.append(entry)
        if entry.info is None:
            return
        self._entries.pop()
        self._imply(entry.path, route)
        implied = self._known.by_path.get(entry.path)
        if implied is not None:
            # It is made where it was first needed, but with what the archive says of it.
            implied.info, implied.xattrs, implied.implied = entry.info, entry.xattrs, False
            self._compare(implied, reader, route)
            entry.silent = True
        else:
            self._known.by_path[entry.path] = entry
            self._compare(entry, reader, route)
        self._entries.append(entry)

    def _imply(self, path: str, route: Optional[tree.Route]) -> None:
        """Add the directories above a path that neither the archive nor the destination has."""
        above = path.rpartition("/")[0]
        if not path or above in self._known.by_path:
            return
        self._imply(above, route)
        entry = Entry(above, described(stat.S_IFDIR | 0o777 & ~self._metadata.umask))
        entry.implied = True
        self._known.by_path[above] = entry
        self._compare(entry, None, route)
        self._entries.append(entry)

    def _compare(self, entry: Entry, reader: Optional[TarReader], route: Optional[tree.Route]) -> None:
        entry.todo, entry.existing, entry.error = NOTHING, None, None
        try:
            self._look(entry, reader, route)
        except (ItemError, OSError) as error:
            entry.error = error
        if entry.error is None and entry.todo == MAKE and entry.type == stat.S_IFDIR:
            self._absent.add(entry.path)

    def _look(self, entry: Entry, reader: Optional[TarReader], route: Optional[tree.Route]) -> None:
        if skips(entry, self._metadata, self._preserve):
            return
        above, _slash, name = entry.path.rpartition("/")
        if route is None or (entry.path and above in self._absent):
            entry.todo = MAKE
            return
        try:
            directory = route.open(above)
        except OSError as error:
            raise step("open the destination's directory", error) from error
        if not entry.path:
            if not entry.implied:
                self._compare_metadata(entry, directory, "", os.fstat(directory))
            return
        try:
            existing = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            entry.todo = MAKE
            return
        if stat.S_ISDIR(existing.st_mode) and entry.type != stat.S_IFDIR:
            raise ItemError("io_error", "a directory is in the way")
        if entry.implied:
            return
        if stat.S_ISLNK(existing.st_mode):
            entry.old_target = os.readlink(name, dir_fd=directory)
        if not self._is_same(entry, directory, name, existing, reader):
            entry.todo, entry.existing = MAKE, existing
            return
        if entry.type != stat.S_IFDIR and existing.st_nlink > 1:
            entry.existing = existing
            self._shared.append(entry)
        if entry.leader is None:
            entry.inode = inode_of(existing)
            self._compare_metadata(entry, directory, name, existing)

    def _separate(self) -> None:
        """Have made anew what cannot be changed in place, since others have names of its inode too, or what has names
        of an inode that another file with hard links has."""
        linked = {entry.leader.path for entry in self._entries if entry.leader is not None} if self._shared else set()
        inodes = Inodes()
        for entry in self._shared:
            file = entry.leader or entry
            if file.path in linked:
                inodes.claim(entry.existing, file.path)
        for entry in self._shared:
            file = entry.leader or entry
            name = file.path if file.path in linked else None
            if (
                file.todo == MAKE
                or inodes.is_anothers(there(entry), name)
                or (file is entry and entry.todo == METADATA and not inodes.is_own(there(entry), name))
            ):
                entry.todo = MAKE

    def _is_same(
        self, entry: Entry, directory: int, name: str, existing: os.stat_result, reader: Optional[TarReader]
    ) -> bool:
        """Whether what is there is what the entry says, but for its metadata."""
        info = entry.stat
        if stat.S_IFMT(existing.st_mode) != entry.type:
            return False
        if entry.leader is not None:
            if entry.leader.error is not None:
                raise entry.leader.error
            return entry.leader.todo != MAKE and entry.leader.inode == (existing.st_dev, existing.st_ino)
        if entry.type == stat.S_IFLNK:
            return entry.old_target == entry.target
        if entry.type == stat.S_IFDIR:
            return True
        if entry.type != stat.S_IFREG:
            return tree.same_special(info, existing)
        if info.st_size != existing.st_size:
            return False
        if self._parameters["by_content"] and reader is not None:
            return _same_content(directory, name, existing, reader)
        return self._metadata.same_time(info, existing)

    def _compare_metadata(self, entry: Entry, directory: int, name: str, existing: os.stat_result) -> None:
        before, after = self._metadata.compare(entry.stat, existing)
        wanted: Dict[str, bytes] = {}
        current: Dict[str, bytes] = {}
        if self._metadata.xattrs and entry.type != stat.S_IFLNK:
            root = self._metadata.root
            current = xattrs.read_entry(directory, name, root) if name else xattrs.read_open(directory, root)
            self._metadata.probe_destination(directory)
            wanted = self._metadata.wanted_xattrs(entry.xattrs, entry.path or ".") if entry.xattrs else {}
            add_xattrs(before, after, wanted, current)
        if before or after:
            entry.todo, entry.existing = METADATA, existing
            entry.differences = Differences(before, after, wanted, current)

    def _carry_out(self, maker: Maker, reader: Optional[TarReader]) -> None:
        """Do what was found to be done, in the order of the archive."""
        context = self._context
        self._last = ""
        for entry in self._entries:
            context.check()
            if reader is not None and entry.listed:
                self._follow(reader, entry)
            context.meter.current = text(entry.path) or "."
            with failures_of(context, entry.path or ".", destination=maker.root):
                try:
                    maker.make(entry, reader)
                except (ItemError, OSError) as error:
                    entry.error = error
                    raise
            self._worker.tally.items_done += 1

    def _follow(self, reader: TarReader, entry: Entry) -> None:
        """Read up to the entry, which must still be what it was."""
        member = reader.next()
        is_file = entry.type == stat.S_IFREG and entry.leader is None
        if (
            member is None
            or self._known.inside(member.path, "the entry") != entry.path
            or (is_file and member.size != entry.stat.st_size)
        ):
            message = "the archive %s changed while it was unpacked" % text(self._parameters["source"])
            raise JobError("source_changed", message)
        self._last = member.path

    def _statistics(self) -> Dict[str, Any]:
        counters = self._worker.counters
        total: Dict[str, Any] = dict.fromkeys(
            ("files_total", "directories_total", "symlinks_total", "specials_total", "hard_links", "bytes_total"), 0
        )
        names = {stat.S_IFREG: "files_total", stat.S_IFDIR: "directories_total", stat.S_IFLNK: "symlinks_total"}
        for entry in self._entries:
            if entry.info is None or entry.implied or entry.silent:
                continue
            total[names.get(entry.type, "specials_total")] += 1
            if entry.leader is not None:
                total["hard_links"] += 1
            else:
                total["bytes_total"] += entry.stat.st_size
        total.update(
            files_written=counters.files_copied,
            bytes_written=counters.bytes_copied,
            changes=self._context.changes,
            **{
                name: getattr(counters, name)
                for name in (
                    "files_unchanged",
                    "directories_created",
                    "symlinks_created",
                    "hard_links_created",
                    "specials_created",
                    "metadata_updated",
                    "skipped",
                )
            },
        )
        return total


def _needs_content(entry: Entry) -> bool:
    return entry.todo == MAKE and entry.type == stat.S_IFREG and entry.leader is None and entry.error is None


def _same_content(directory: int, name: str, existing: os.stat_result, reader: TarReader) -> bool:
    descriptor = tree.open_existing_file(directory, name, existing)
    try:
        position = 0
        for start, piece in reader.content():
            if not _are_zeros(descriptor, position, start) or os.pread(descriptor, len(piece), start) != piece:
                return False
            position = start + len(piece)
        return _are_zeros(descriptor, position, existing.st_size)
    finally:
        os.close(descriptor)


def _are_zeros(descriptor: int, start: int, end: int) -> bool:
    while start < end:
        piece = os.pread(descriptor, min(end - start, 1 << 18), start)
        if not piece or piece.strip(b"\0"):
            return False
        start += len(piece)
    return True
