# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The entries of an archive that is unpacked: what leads out of the tree, or comes twice, is refused."""

from __future__ import annotations

import os
import stat
from typing import Dict, List, Optional

from . import acl, tree
from ._errors import JobError
from .items import Differences
from .metadata import Metadata
from .tarball import LINK, TYPES, Extent, Found
from .tree import text
from .xattrs import ACCESS_ACL, Xattrs

NOTHING, MAKE, METADATA = range(3)
_PRIVILEGES = stat.S_ISUID | stat.S_ISGID
_MOST_OWNER = 0xFFFFFFFF
_CAPABILITIES = "security.capability"
_ROOT_ONLY = ("security.", "trusted.")


class Entry:
    """An entry of an archive, and what is to be done for it.

    ``info`` is what lstat will say of it, None for a type that is not known. ``leader`` is the file of a hard link.
    ``listed``: the archive has it at this place of the order. ``implied``: a directory that no entry stands for, but
    something is in it. ``existing`` and ``old_target``: what has the name now, where something may be to be done.
    ``inode`` names a file that is up to date.
    """

    __slots__ = (
        "differences",
        "error",
        "existing",
        "extents",
        "implied",
        "info",
        "inode",
        "leader",
        "listed",
        "old_target",
        "path",
        "silent",
        "target",
        "todo",
        "xattrs",
    )

    def __init__(self, path: str, info: Optional[os.stat_result]) -> None:
        self.path = path
        self.info = info
        self.target: Optional[str] = None
        self.leader: Optional[Entry] = None
        self.xattrs: Xattrs = {}
        self.extents: Optional[List[Extent]] = None
        self.listed = False
        self.implied = False
        self.silent = False
        self.todo = NOTHING
        self.existing: Optional[os.stat_result] = None
        self.old_target: Optional[str] = None
        self.differences = Differences({}, {}, {}, {})
        self.error: Optional[Exception] = None
        self.inode = (0, 0)

    @property
    def type(self) -> int:
        return 0 if self.info is None else stat.S_IFMT(self.info.st_mode)

    @property
    def stat(self) -> os.stat_result:
        if self.info is None:
            raise AssertionError("an entry of an unknown type is not made")
        return self.info


def described(
    mode: int, size: int = 0, mtime_ns: int = 0, user: int = -1, group: int = -1, device: int = 0
) -> os.stat_result:
    """What lstat says of such an entry."""
    numbers = (mode, 0, 0, 1, user, group, size, 0, 0, 0)
    return os.stat_result(numbers, {"st_atime_ns": mtime_ns, "st_mtime_ns": mtime_ns, "st_rdev": device})


class Entries:
    """What was read of an archive so far, by path."""

    def __init__(self, archive: str, metadata: Metadata, keeps_owner: bool, outside: bool, limit: int) -> None:
        self._archive = text(archive)
        self._metadata = metadata
        self._privileges = metadata.root and keeps_owner
        self._outside = outside
        self._limit = limit
        self._size = 0
        self.by_path: Dict[str, Entry] = {}

    def invalid(self, message: str) -> JobError:
        return JobError("archive_invalid", "the archive %s: %s" % (self._archive, message))

    def unsafe(self, message: str) -> JobError:
        return JobError("archive_unsafe", "the archive %s: %s" % (self._archive, message))

    def too_large(self) -> JobError:
        message = "the archive %s unpacks to more than max_unpacked_size, which is %d bytes" % (
            self._archive,
            self._limit,
        )
        return JobError("archive_too_large", message)

    def read(self, member: Found) -> Entry:
        """Make an entry of what the archive says."""
        path = self.inside(member.path, "the entry")
        kind = TYPES.get(member.kind)
        if kind is None:
            return Entry(path, None)
        if not (0 <= member.user <= _MOST_OWNER and 0 <= member.group <= _MOST_OWNER):
            raise self.invalid("the entry %s has an impossible owner" % text(path))
        self._place(path, kind)
        if member.kind == LINK:
            return self._link(path, member.target)
        if kind == stat.S_IFLNK and leads_out(path, member.target) and not self._outside:
            message = "the symbolic link %s may lead out of the tree, to %s; allow_outside_links: true would make it"
            raise self.unsafe(message % (text(path), text(member.target)))
        mode = member.mode if self._privileges else member.mode & ~_PRIVILEGES
        size = member.size if kind == stat.S_IFREG else 0
        self._size += size
        if self._size > self._limit:
            raise self.too_large()
        device = os.makedev(*member.device) if member.device != (0, 0) else 0
        kept: Xattrs = {}
        if self._metadata.xattrs and kind != stat.S_IFLNK:
            kept = {name: value for name, value in member.xattrs.items() if self._keeps(name)}
            mode = acl.permissions(kept.get(ACCESS_ACL, b""), mode)
        entry = Entry(path, described(kind | mode, size, member.mtime_ns, member.user, member.group, device))
        entry.extents = member.extents
        entry.xattrs = kept
        if kind == stat.S_IFLNK:
            entry.target = member.target
        return entry

    def _keeps(self, name: str) -> bool:
        if name == _CAPABILITIES and not self._privileges:
            return False
        return self._metadata.root or not name.startswith(_ROOT_ONLY)

    def _link(self, path: str, target: str) -> Entry:
        to = self.inside(target, "the hard link %s to" % text(path))
        leader = self.by_path.get(to)
        if leader is None or leader.implied or leader.type != stat.S_IFREG:
            message = "the hard link %s is to %s, which is no file before it in the archive"
            raise self.unsafe(message % (text(path), text(to)))
        entry = Entry(path, leader.info)
        entry.leader = leader.leader or leader
        return entry

    def inside(self, name: str, what: str) -> str:
        """The path of a name relative to the tree."""
        problem = ""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/"):
            problem = "has an absolute path"
        elif ".." in parts:
            problem = "leads out of the tree"
        elif any(tree.is_temporary(part) for part in parts):
            problem = "has a name that only temporary files of this collection have"
        if problem:
            raise self.unsafe("%s %s %s" % (what, text(name), problem))
        return "/".join(parts)

    def _place(self, path: str, kind: int) -> None:
        """Nothing has the path yet, and all that is above it are directories."""
        before = self.by_path.get(path)
        if before is not None and not (before.implied and kind == stat.S_IFDIR):
            if before.implied:
                raise self.unsafe("the entry %s is no directory, but another is in it" % text(path))
            raise self.invalid("the entry %s is there twice" % text(path))
        above = path
        while above:
            above = above.rpartition("/")[0]
            found = self.by_path.get(above)
            if found is not None:
                if found.type != stat.S_IFDIR:
                    raise self.unsafe("the entry %s is below %s, which is no directory" % (text(path), text(above)))
                break


def leads_out(path: str, target: str) -> bool:
    """Whether a symbolic link at the path may lead out of the tree.

    Only at its beginning ".." is known to lead to the directory above: behind a name, which may be that of another
    link, it may lead anywhere.
    """
    if target.startswith("/"):
        return True
    depth, named = path.count("/"), False
    for part in target.split("/"):
        if part == "..":
            if named or depth == 0:
                return True
            depth -= 1
        elif part not in ("", "."):
            named = True
    return False


def skips(entry: Entry, metadata: Metadata, preserve: Dict[str, bool]) -> bool:
    """Whether an entry is a special file that this job does not make."""
    if entry.type in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        return False
    is_device = entry.type in (stat.S_IFBLK, stat.S_IFCHR)
    return not preserve["specials"] or (is_device and not (metadata.root and preserve["devices"]))
