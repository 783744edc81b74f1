# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Descriptor-relative primitives. Below the two roots no path ever has more than one component, and no symbolic
link is followed, so that nobody who writes in a tree can lead the work out of it. Only reading can be asked to follow
them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from typing import Dict, Iterator, List, Tuple, Union

from . import _platform
from ._errors import ItemError, JobError

DIRECTORY_FLAGS: int = (
    os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)
# O_NONBLOCK: a fifo swapped in must not make us wait for its writer.
_FILE_FLAGS: int = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_CREATE_FLAGS: int = os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
TEMPORARY_PREFIX = ".migration-assistant-"
_TEMPORARY = re.compile(r"\.migration-assistant-[0-9a-f]{16}\.(tmp|part|done)")

# What metadata calls take: an open descriptor, or the /proc path of an O_PATH descriptor.
Target = Union[int, str]
# What a directory is part of: its file system and, where the system tells it, the number of its mount.
Mount = Tuple[int, str]


class Vanished(Exception):
    """The source's entry is no longer there: it is left out, which is told by the event of this ``code``."""

    code = "vanished"
    message = "the entry vanished before it was read"


class Dangling(Vanished):
    """The entry is a symbolic link that was to be followed."""

    code = "symlink_dangling"
    message = "the symbolic link leads nowhere"


class Loop(Vanished):
    """What the entry leads to is being copied already."""

    code = "symlink_loop"
    message = "the symbolic link leads to a directory that it is in"


def join(directory: str, name: str) -> str:
    """Path of an entry relative to the root, whose own path is the empty string."""
    return directory + "/" + name if directory else name


if sys.getfilesystemencoding().lower() in ("utf-8", "utf8"):

    def text(path: str) -> str:
        """A path as the protocol writes it: UTF-8, with bytes that are none as lone surrogates."""
        return path

else:

    def text(path: str) -> str:
        """A path as the protocol writes it: UTF-8, with bytes that are none as lone surrogates."""
        return os.fsencode(path).decode("utf-8", "surrogateescape")


def from_text(path: str) -> str:
    """A path of the protocol as this Python's functions take it. Raises ValueError for what no path can be."""
    encoded = path.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return os.fsdecode(encoded)


def is_temporary(name: str) -> bool:
    """Whether a name is one that only our own unfinished work has."""
    return name.startswith(TEMPORARY_PREFIX) and _TEMPORARY.fullmatch(name) is not None


def kind(mode: int) -> str:
    """The protocol's word for a type of file."""
    return _KINDS.get(stat.S_IFMT(mode), "device")


_KINDS: Dict[int, str] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def same_entry(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether both describe the same inode, of the same type."""
    return (
        one.st_ino == other.st_ino
        and one.st_dev == other.st_dev
        and stat.S_IFMT(one.st_mode) == stat.S_IFMT(other.st_mode)
    )


def same_special(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether both are of the same type, and the same device if they are one."""
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return False
    return kind(one.st_mode) != "device" or one.st_rdev == other.st_rdev


def lstat_entry(entry: os.DirEntry[str]) -> os.stat_result:
    """What an entry of the source's listing is."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError as error:
        raise Vanished from error


def open_directory(parent: int, name: str, follow: bool = False) -> int:
    return os.open(name, _following(DIRECTORY_FLAGS) if follow else DIRECTORY_FLAGS, dir_fd=parent)


def _following(flags: int) -> int:
    return flags & ~getattr(os, "O_NOFOLLOW", 0)


def open_source_directory(parent: int, name: str, follow: bool = False) -> int:
    try:
        return open_directory(parent, name, follow)
    except FileNotFoundError as error:
        raise Vanished from error


def open_source_file(directory: int, name: str, info: os.stat_result, follow: bool = False) -> int:
    """Open the regular file that ``info`` describes for reading, without touching its access time where allowed."""
    usual = flags = _following(_FILE_FLAGS) if follow else _FILE_FLAGS
    # Linux lets only the owner and root leave the access time alone.
    if _platform.O_NOATIME and _platform.effective_user() in (0, info.st_uid):
        flags |= _platform.O_NOATIME
    try:
        try:
            return os.open(name, flags, dir_fd=directory)
        except PermissionError:
            if flags == usual:
                raise
            return os.open(name, usual, dir_fd=directory)
    except FileNotFoundError as error:
        raise Vanished from error


def open_existing_file(directory: int, name: str, info: os.stat_result, side: str = "destination") -> int:
    """Open a regular file of the destination for reading; it must still be the one that ``info`` describes."""
    descriptor = os.open(name, _FILE_FLAGS, dir_fd=directory)
    if not same_entry(os.fstat(descriptor), info):
        os.close(descriptor)
        raise replaced(side)
    return descriptor


def create_file(directory: int, name: str, readable: bool, mode: int = 0o600) -> int:
    access = os.O_RDWR if readable else os.O_WRONLY
    return os.open(name, _CREATE_FLAGS | access, mode, dir_fd=directory)


def replaced(side: str) -> ItemError:
    return ItemError("source_changed", "the %s was replaced by something else during the run" % side)


def check_there(path: str, descriptor: int) -> None:
    """Raise a JobError if an open source was deleted, or its path leads nowhere any more: what is no longer found in it
    must not be taken for what was deleted from it."""
    try:
        os.stat(path)
        vanished = os.fstat(descriptor).st_nlink == 0
    except (FileNotFoundError, NotADirectoryError):
        vanished = True
    if vanished:
        raise JobError("source_changed", "the source %s vanished during the run" % text(path))


@contextlib.contextmanager
def held(directory: int, name: str, info: os.stat_result, new: bool = False) -> Iterator[Target]:
    """A target for metadata calls that stays the entry that ``info`` describes, whatever becomes of its name; if that
    is ``new``, one that was just made after what ``info`` describes, which must not be a file that was swapped in."""
    if _platform.HAS_PROC:
        flags = _platform.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    else:
        flags = _FILE_FLAGS
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        if not (same_special(found, info) if new else same_entry(found, info)):
            raise replaced("destination")
        yield "/proc/self/fd/%d" % descriptor if _platform.HAS_PROC else descriptor
    finally:
        os.close(descriptor)


def discard(directory: int, name: str) -> None:
    """Remove a temporary file of ours; the error that led here is the one worth telling."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=directory)


def mount_of(descriptor: int) -> Mount:
    """What an open directory is part of."""
    device = os.fstat(descriptor).st_dev
    if _platform.HAS_PROC:
        with contextlib.suppress(OSError), open("/proc/self/fdinfo/%d" % descriptor, encoding="ascii") as lines:
            for line in lines:
                if line.startswith("mnt_id:"):
                    return device, line.split()[1]
    return device, ""


def is_empty(parent: int, name: str) -> bool:
    descriptor = open_directory(parent, name)
    try:
        with os.scandir(descriptor) as entries:
            return next(entries, None) is None
    finally:
        os.close(descriptor)


def raise_descriptor_limit() -> None:
    """Every directory on the way down stays open: allow as many descriptors as the system lets us have."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ImportError, OSError, ValueError):
        # macOS refuses its own "unlimited"; the soft limit then has to do.
        return


def is_full(error: BaseException) -> bool:
    """Whether the destination has no room left, so that no further entry can succeed."""
    for cause in (error, error.__cause__):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
    return False


class Step:
    """One directory on the way from a root to a path."""

    __slots__ = ("descriptor", "info", "name", "touched")

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.info = os.fstat(descriptor)
        self.touched = False


def _is_closed(info: os.stat_result) -> bool:
    """Whether this user, the directory's owner, cannot write in it before changing its mode."""
    return _platform.effective_user() == info.st_uid != 0 and info.st_mode & 0o300 != 0o300


class Route:
    """Opens directories below a root component by component and keeps the last way open, so that neighbours are
    cheap. With ``writing`` a directory can be written in: what it loses by that (its times, and for users other than
    root the bits that stood in the way) is given back when the route leaves it. ``follow``: symbolic links are what
    they lead to."""

    def __init__(self, root: int, restore_times: bool, writing: bool, follow: bool = False) -> None:
        self._root = root
        self._restore_times = restore_times
        self._writing = writing
        self._follow = follow
        self._steps: List[Step] = []

    def __enter__(self) -> Route:
        self._steps = [Step("", os.dup(self._root))]
        return self

    def __exit__(self, *_exception: object) -> None:
        self._shorten(0)

    def open(self, path: str) -> int:
        """Descriptor of the directory at ``path``; valid until the next call."""
        names = path.split("/") if path else []
        shared = 0
        while shared < min(len(names), len(self._steps) - 1) and self._steps[shared + 1].name == names[shared]:
            shared += 1
        self._shorten(shared + 1)
        for name in names[shared:]:
            self._steps.append(Step(name, open_directory(self._steps[-1].descriptor, name, self._follow)))
        return self._steps[-1].descriptor

    def touch(self) -> None:
        """Say that the directory opened last is about to be written in."""
        step = self._steps[-1]
        if step.touched or not self._writing:
            return
        step.touched = True
        if _is_closed(step.info):
            os.fchmod(step.descriptor, stat.S_IMODE(step.info.st_mode) | 0o700)

    def _shorten(self, length: int) -> None:
        while len(self._steps) > length:
            step = self._steps.pop()
            try:
                if step.touched:
                    self._give_back(step)
            finally:
                os.close(step.descriptor)

    def _give_back(self, step: Step) -> None:
        info = step.info
        if _is_closed(info):
            os.fchmod(step.descriptor, stat.S_IMODE(info.st_mode))
        if self._restore_times and os.fstat(step.descriptor).st_mtime_ns != info.st_mtime_ns:
            os.utime(step.descriptor, ns=(info.st_atime_ns, info.st_mtime_ns))
