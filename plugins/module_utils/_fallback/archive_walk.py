# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The walk of packing: through a tree in the order of the names."""

from __future__ import annotations

import functools
import os
import stat
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import _platform, tarball, tree, xattrs
from ._context import Context
from ._errors import ItemError, JobError, reason
from ._meter import Tally
from .copy import data_ranges, is_sparse
from .file_place import FilePlace
from .filters import Filters
from .session import step
from .tarball import END, Member, padding
from .tree import Vanished, join, kind, text

# Up to this size a file is read before its header is written, so that both fit together even if it changes meanwhile.
_READ_WHOLE = 1 << 20


class Sink:
    """What becomes of the parts of an archive, in their order. This one is for a dry run: nothing."""

    wants_data = False

    def write(self, data: bytes) -> None:
        """Take a header, a part of a file, or what is between them."""

    def skip(self, length: int) -> None:
        """Take so many bytes of a file unseen, unless ``wants_data``."""


class PackWalk:
    """Gives what it finds to a sink as a tar archive. What it has to say is kept until ``tell``."""

    def __init__(self, context: Context, tally: Tally, place: FilePlace) -> None:
        self._context = context
        self._tally = tally
        self._place = place
        self._parameters = context.parameters
        self._preserve: Dict[str, bool] = context.parameters["preserve"]
        self._xattrs = self._preserve["xattrs"] and _platform.HAS_XATTRS
        self._root_user = _platform.effective_user() == 0
        self._filters = Filters(context.parameters["filters"])
        self._links: Dict[Tuple[int, int], str] = {}
        self._notices: List[Callable[[], None]] = []
        self._sink = Sink()
        self._device = -1
        self.failed = False
        # The archive's directory, where that is in the tree.
        self.above: Optional[os.stat_result] = None
        names = "files directories symlinks specials"
        self.counts: Dict[str, Any] = dict.fromkeys(["%s_total" % name for name in names.split()], 0)
        self.counts.update(hard_links=0, sparse_files=0, bytes_total=0, unpacked_size=0, skipped=0)

    def tell(self) -> None:
        """Give the notices of the walk."""
        notices, self._notices = self._notices, []
        for notice in notices:
            notice()

    def _warn(self, code: str, message: str, path: str) -> None:
        self._notices.append(functools.partial(self._context.warning, code, message, text(path) or "."))

    def run(self, root: int, sink: Sink) -> None:
        """Pack the whole tree."""
        self._sink = sink
        self._tally.items_done = self._tally.bytes_done = self._tally.bytes_passed = 0
        info = os.fstat(root)
        self._device = info.st_dev
        # Opened anew: two walks of one opening would share their place in the listing.
        descriptor = tree.open_directory(root, ".")
        try:
            self._guarded("", functools.partial(self._directory, descriptor, "", info))
        finally:
            os.close(descriptor)
        self._write(END)

    def _write(self, data: bytes) -> None:
        self.counts["unpacked_size"] += len(data)
        self._sink.write(data)

    def _guarded(self, path: str, work: Callable[[], None]) -> None:
        """Note what goes wrong with one entry; the walk goes on."""
        try:
            work()
        except Vanished:
            message = "the entry vanished before it was read"
            if self._parameters["on_vanished"] == "fail":
                self._fail(ItemError("vanished", message), path)
            else:
                self._warn("vanished", message, path)
        except ItemError as error:
            self._fail(error, path)

    def _fail(self, error: ItemError, path: str) -> None:
        self.failed = True
        self._notices.append(functools.partial(self._context.failure, text(path) or ".", error))

    def _directory(self, descriptor: int, path: str, info: os.stat_result) -> None:
        member = self._member(path, tarball.DIRECTORY, info)
        if self._place.is_directory(info):
            self.above = info
        self._read_xattrs(member, descriptor)
        try:
            names = sorted(os.listdir(descriptor), key=os.fsencode)
        except OSError as error:
            raise step("read the directory", error) from error
        self._write(member.header())
        for name in names:
            self._context.check()
            below = join(path, name)
            self._guarded(below, functools.partial(self._visit, descriptor, name, below))

    def _visit(self, directory: int, name: str, path: str) -> None:
        try:
            info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError as error:
            raise Vanished from error
        except OSError as error:
            raise step("read the entry", error) from error
        if self._is_left_out(directory, name, path, info):
            return
        self._context.meter.current = text(path)
        try:
            self._pack(directory, name, path, info)
        finally:
            self._tally.items_done += 1

    def _is_left_out(self, directory: int, name: str, path: str, info: os.stat_result) -> bool:
        """Whether an entry is hidden by the filters, or ours."""
        if self._filters.hides(text(path), stat.S_ISDIR(info.st_mode)):
            return True
        return stat.S_ISREG(info.st_mode) and (tree.is_temporary(name) or self._place.is_file(directory, name))

    def _pack(self, directory: int, name: str, path: str, info: os.stat_result, tries: int = 2) -> None:
        """Pack an entry as what it was found to be, or as what has taken its place since."""
        try:
            if stat.S_ISDIR(info.st_mode):
                self._below(directory, name, path)
            elif stat.S_ISREG(info.st_mode):
                self._file(directory, name, path, info)
            elif stat.S_ISLNK(info.st_mode):
                self._symlink(directory, name, path, info)
            else:
                self._special(directory, name, path, info)
        except Vanished:
            raise
        except ItemError:
            # Nothing of the entry is packed yet.
            now = _entry(directory, name)
            if tries == 0 or now is None or stat.S_IFMT(now.st_mode) == stat.S_IFMT(info.st_mode):
                raise
            self._tally.retries += 1
            if not self._is_left_out(directory, name, path, now):
                self._pack(directory, name, path, now, tries - 1)

    def _below(self, directory: int, name: str, path: str) -> None:
        try:
            descriptor = tree.open_source_directory(directory, name)
        except OSError as error:
            raise step("open the directory", error) from error
        self.counts["directories_total"] += 1
        try:
            info = os.fstat(descriptor)
            if self._parameters["one_file_system"] and info.st_dev != self._device:
                self.counts["skipped"] += 1
                self._warn("mount_point_skipped", "what is in another file system was not packed", path)
                member = self._member(path, tarball.DIRECTORY, info)
                self._read_xattrs(member, descriptor)
                self._write(member.header())
            else:
                self._directory(descriptor, path, info)
        finally:
            os.close(descriptor)

    def _symlink(self, directory: int, name: str, path: str, info: os.stat_result) -> None:
        try:
            target = os.readlink(name, dir_fd=directory)
        except FileNotFoundError as error:
            raise Vanished from error
        except OSError as error:
            raise step("read the symbolic link", error) from error
        self.counts["symlinks_total"] += 1
        self._note_link(path, info)
        member = self._member(path, tarball.SYMLINK, info)
        member.mode, member.target = 0o777, target
        self._write(member.header())

    def _note_link(self, path: str, info: os.stat_result) -> None:
        """Tell of a further name of what is no file: readers of archives make hard links of files only."""
        if self._preserve["hard_links"] and info.st_nlink > 1:
            first = self._links.setdefault((info.st_dev, info.st_ino), path)
            if first != path:
                message = "the %s is a hard link to %s, and is packed on its own" % (kind(info.st_mode), text(first))
                self._warn("hard_link_split", message, path)

    def _special(self, directory: int, name: str, path: str, info: os.stat_result) -> None:
        self.counts["specials_total"] += 1
        kinds = {
            stat.S_IFIFO: tarball.FIFO,
            stat.S_IFBLK: tarball.BLOCK_DEVICE,
            stat.S_IFCHR: tarball.CHARACTER,
        }
        known = kinds.get(stat.S_IFMT(info.st_mode))
        if known is None or not self._preserve["specials"]:
            self.counts["skipped"] += 1
            self._warn("special_skipped", "the %s was not packed" % kind(info.st_mode), path)
            return
        self._note_link(path, info)
        member = self._member(path, known, info)
        if known != tarball.FIFO:
            member.device = (os.major(info.st_rdev), os.minor(info.st_rdev))
        if self._xattrs:
            try:
                member.xattrs = self._labelled(xattrs.read_entry(directory, name, self._root_user))
            except OSError as error:
                raise step("read the extended attributes", error) from error
        self._write(member.header())

    def _file(self, directory: int, name: str, path: str, listed: os.stat_result) -> None:
        identity = (listed.st_dev, listed.st_ino)
        linked = self._preserve["hard_links"] and listed.st_nlink > 1
        if linked and identity in self._links:
            self.counts["hard_links"] += 1
            self.counts["files_total"] += 1
            member = self._member(path, tarball.LINK, listed)
            member.target = self._links[identity]
            self._write(member.header())
            return
        try:
            descriptor = tree.open_source_file(directory, name, listed)
        except OSError as error:
            raise step("read the file", error) from error
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise tree.replaced("source")
            member = self._member(path, tarball.FILE, info)
            self._read_xattrs(member, descriptor)
            self._find_holes(member, descriptor, info)
            self._content(member, descriptor, path, info)
        finally:
            os.close(descriptor)
        if linked:
            self._links[(info.st_dev, info.st_ino)] = path
        self.counts["files_total"] += 1
        self.counts["bytes_total"] += member.size
        self.counts["sparse_files"] += member.extents is not None

    def _find_holes(self, member: Member, descriptor: int, info: os.stat_result) -> None:
        if not is_sparse(info):
            return
        try:
            extents = list(data_ranges(descriptor, 0, info.st_size))
        except OSError as error:
            raise step("read the file", error) from error
        if extents == [(0, info.st_size)]:
            return
        # GNU tar ends the list so where the file ends with a hole.
        if not extents or extents[-1][1] < info.st_size:
            extents.append((info.st_size, info.st_size))
        member.extents = extents

    def _content(self, member: Member, descriptor: int, path: str, info: os.stat_result) -> None:
        if not self._sink.wants_data:
            self._write(member.header())
            size = member.data_size
            self.counts["unpacked_size"] += size
            self._tally.bytes_passed += size
            self._sink.skip(size)
        elif member.extents is not None or info.st_size > _READ_WHOLE:
            self._large(member, descriptor, path, info)
        else:
            data, changed, info = self._read_small(descriptor, info)
            member.mtime_ns = self._mtime(info)
            if data is None:
                # It is packed as it grows.
                member.size = info.st_size
                self._large(member, descriptor, path, info)
            else:
                if changed:
                    self._warn("source_changed", "the file changed twice while it was packed", path)
                member.size = len(data)
                self._write(member.header())
                self._data(data)
        self._write(padding(member.data_size))

    def _large(self, member: Member, descriptor: int, path: str, info: os.stat_result) -> None:
        """The header promises so much: what is missing by the time it is read is filled up with zeros."""
        self._write(member.header())
        missing = 0
        for start, end in [(0, member.size)] if member.extents is None else member.extents:
            while start < end:
                self._context.check()
                wanted = min(end - start, self._parameters["buffer_size"])
                try:
                    data = os.pread(descriptor, wanted, start)
                except OSError as error:
                    message = "unable to read the file %s: %s" % (text(path), reason(error))
                    raise JobError("io_error", message, text(path)) from error
                if not data:
                    data = bytes(wanted)
                    missing += wanted
                self._data(data)
                start += len(data)
        if missing:
            message = "the file became shorter while it was packed: its last %d bytes are zeros" % missing
            self._warn("source_changed", message, path)
        elif _changed(info, os.fstat(descriptor)):
            self._warn("source_changed", "the file changed while it was packed", path)

    def _data(self, data: bytes) -> None:
        self._tally.bytes_done += len(data)
        self._write(data)

    def _read_small(self, descriptor: int, info: os.stat_result) -> Tuple[Optional[bytes], bool, os.stat_result]:
        """Read the whole file, once more if it changed meanwhile: whether it did so twice, and what it was like before.

        None instead of the content of a file that grows.
        """
        data = self._read(descriptor, info.st_size + 1)
        now = self._stat(descriptor)
        if len(data) == info.st_size and not _changed(info, now):
            return data, False, info
        self._tally.retries += 1
        if now.st_size > _READ_WHOLE:
            return None, True, now
        info = now
        data = self._read(descriptor, info.st_size + 1)
        now = self._stat(descriptor)
        if len(data) > info.st_size:
            return None, True, now
        return data, len(data) != info.st_size or _changed(info, now), info

    def _read(self, descriptor: int, most: int) -> bytes:
        data = b""
        try:
            while len(data) < most:
                piece = os.pread(descriptor, most - len(data), len(data))
                if not piece:
                    break
                data += piece
        except OSError as error:
            raise step("read the file", error) from error
        return data

    def _stat(self, descriptor: int) -> os.stat_result:
        try:
            return os.fstat(descriptor)
        except OSError as error:
            raise step("read the file", error) from error

    def _member(self, path: str, member_kind: bytes, info: os.stat_result) -> Member:
        """What is packed of an entry, as far as the job keeps it."""
        member = Member(path, member_kind)
        member.mtime_ns = self._mtime(info)
        if self._preserve["permissions"]:
            member.mode = stat.S_IMODE(info.st_mode)
        elif member_kind == tarball.DIRECTORY:
            member.mode = 0o755
        if self._preserve["owner"]:
            member.user = info.st_uid
        if self._preserve["group"]:
            member.group = info.st_gid
        if member_kind == tarball.FILE:
            member.size = info.st_size
        return member

    def _mtime(self, info: os.stat_result) -> int:
        return info.st_mtime_ns if self._preserve["timestamps"] else 0

    def _labelled(self, found: xattrs.Xattrs) -> xattrs.Xattrs:
        """Leave SELinux contexts out if the job does."""
        return found if self._preserve["selinux"] else xattrs.without_label(found)

    def _read_xattrs(self, member: Member, descriptor: int) -> None:
        if not self._xattrs:
            return
        try:
            member.xattrs = self._labelled(xattrs.read_open(descriptor, self._root_user))
        except OSError as error:
            raise step("read the extended attributes", error) from error


def _changed(before: os.stat_result, after: os.stat_result) -> bool:
    return before.st_mtime_ns != after.st_mtime_ns or before.st_size != after.st_size


def _entry(directory: int, name: str) -> Optional[os.stat_result]:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
