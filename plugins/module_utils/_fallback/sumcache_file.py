# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Where the cache of checksums is on this host, and whether it can be used."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from . import _platform
from ._context import Context
from ._validate import Field, integer, nested, read_object
from .sumcache import PAGE, Cache, is_sealed, sealed

_NAME = "migration-assistant"
_DIRECTORY = "checksums"
_FILE = "cache"
_MAGIC = b"migration.assistant checksums 1\n"
_HEADER = struct.Struct("<32sQ36s")
_MOST_BYTES = 1 << 50

_OPTIONS: Dict[str, Field] = {"max_size": Field(integer(0, _MOST_BYTES), 0), "max_age": Field(integer(0), 0)}
# The parameter of a job.
FIELD = Field(nested(_OPTIONS), read_object({}, "checksum_cache", _OPTIONS))


class _Unusable(Exception):
    """The message says why the cache cannot be used."""


class _Damaged(Exception):
    """The message says how."""


class _Outdated(Exception):
    """The cache is from before the system was started."""


@contextlib.contextmanager
def opened(context: Context, wanted: bool = True) -> Iterator[Optional[Cache]]:
    """The cache that the job wants; None where none is wanted, or there can be none."""
    cache: Optional[Cache] = None
    if wanted:
        notices: List[str] = []
        cache = open_cache(context.parameters["checksum_cache"], context.dry_run, notices)
        for notice in notices:
            warn(context, notice)
    try:
        yield cache
    finally:
        if cache is not None:
            cache.close()
            if cache.damaged:
                warn(context, "%d damaged entries of the checksum cache were not used" % cache.damaged)


def cache_options(context: Context) -> Optional[Dict[str, Any]]:
    """How the other host is to remember its checksums; None for not at all."""
    if not context.parameters["by_content"]:
        return None
    return dict(context.parameters["checksum_cache"], read_only=context.dry_run)


def warn(context: Context, notice: str) -> None:
    """Tell what is to be told of the cache."""
    context.warning("checksum_cache", notice)


def open_cache(options: Mapping[str, Any], read_only: bool, notices: List[str]) -> Optional[Cache]:
    """Open this user's cache on this host, and make it if there is none or the one that is there is damaged.

    What is to be told of it is added to ``notices``.
    """
    if options["max_size"] <= 0:
        return None
    if not _platform.HAS_PROC:
        notices.append("checksums are not remembered: this platform has no time of change that can be trusted")
        return None
    try:
        return _open(_base(), options, read_only, notices)
    except _Unusable as error:
        notices.append("checksums are not remembered: %s" % error)
        return None


def _base() -> str:
    """Where this collection keeps what it can do without, on this host and for this user."""
    user = os.geteuid()
    if user == 0:
        return os.path.join("/var/lib", _NAME)
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return os.path.join(named, _NAME)
    home = os.environ.get("HOME", "")
    # It may still be that of the user who became this one.
    with contextlib.suppress(OSError):
        if os.path.isabs(home) and os.stat(home).st_uid == user:
            return os.path.join(home, ".cache", _NAME)
    import pwd

    try:
        return os.path.join(pwd.getpwuid(user).pw_dir, ".cache", _NAME)
    except KeyError:
        raise _Unusable("this user has no home directory") from None


def _open(base: str, options: Mapping[str, Any], read_only: bool, notices: List[str]) -> Optional[Cache]:
    pages = max(min(options["max_size"], _MOST_BYTES) // PAGE - 1, 1)
    path = os.path.join(base, _DIRECTORY, _FILE)
    with contextlib.ExitStack() as stack:
        directory = _open_directory(stack, base, read_only)
        if directory is None:
            return None
        earlier = _read(directory, path, options["max_age"], read_only, notices)
        if read_only or (earlier is not None and earlier.pages == pages):
            return earlier
        if earlier is not None:
            stack.callback(earlier.close)
        return _make(directory, path, pages, options["max_age"], earlier)


def _open_directory(stack: contextlib.ExitStack, base: str, read_only: bool) -> Optional[int]:
    """The directory of the cache, which nobody but this user can enter; None if it is not there and not to be made."""
    path = os.path.join(base, _DIRECTORY)
    flags = os.O_DIRECTORY | os.O_CLOEXEC
    with _telling(base):
        if read_only and not os.path.lexists(path):
            return None
        os.makedirs(base, 0o755, exist_ok=True)
        above = os.open(base, flags | _platform.O_PATH)
    stack.callback(os.close, above)
    _check(above, base, 0o022, (0, os.geteuid()))
    with _telling(path):
        if not read_only:
            with contextlib.suppress(FileExistsError):
                os.mkdir(_DIRECTORY, 0o700, dir_fd=above)
        if stat.S_ISLNK(os.stat(_DIRECTORY, dir_fd=above, follow_symlinks=False).st_mode):
            raise _Unusable("%s is not a directory" % path)
        directory = os.open(_DIRECTORY, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=above)
    stack.callback(os.close, directory)
    _check(directory, path, 0o077, (os.geteuid(),))
    return directory


def _read(directory: int, path: str, max_age: int, read_only: bool, notices: List[str]) -> Optional[Cache]:
    """The cache that is there, None if there is none that can be used."""
    flags = (os.O_RDONLY if read_only else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _telling(path):
        try:
            if stat.S_ISLNK(os.stat(_FILE, dir_fd=directory, follow_symlinks=False).st_mode):
                raise _Unusable("%s is a symbolic link" % path)
            descriptor = os.open(_FILE, flags, dir_fd=directory)
        except FileNotFoundError:
            return None
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        _check(descriptor, path, 0o077, (os.geteuid(),))
        try:
            cache = Cache(descriptor, _pages(descriptor, path), max_age, read_only)
        except _Outdated:
            return None
        except _Damaged as error:
            notices.append("the checksum cache is thrown away: %s" % error)
            return None
        stack.pop_all()
        return cache


def _pages(descriptor: int, path: str) -> int:
    """How many pages the cache has, by its header."""
    header = os.pread(descriptor, PAGE, 0)
    if len(header) < PAGE:
        raise _Damaged("%s has no header" % path)
    magic, pages, boot = _HEADER.unpack_from(header)
    if magic != _MAGIC or not is_sealed(header):
        raise _Damaged("%s is damaged" % path)
    if not pages or os.fstat(descriptor).st_size != (1 + pages) * PAGE:
        raise _Damaged("%s has not the size that it should have" % path)
    if boot.rstrip(b"\0") != _boot():
        raise _Outdated
    return int(pages)


def _make(directory: int, path: str, pages: int, max_age: int, earlier: Optional[Cache]) -> Cache:
    """A cache with what is not too old in an earlier one."""
    temporary = ".%s-%s" % (_FILE, os.urandom(8).hex())
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _telling(path), contextlib.ExitStack() as stack:
        descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
        stack.callback(os.close, descriptor)
        cache = Cache(descriptor, pages, max_age, read_only=False)
        try:
            header = _HEADER.pack(_MAGIC, pages, _boot())
            os.pwrite(descriptor, sealed(header.ljust(PAGE - 8, b"\0")), 0)
            os.ftruncate(descriptor, (1 + pages) * PAGE)
            if earlier is not None:
                cache.take(earlier)
            os.rename(temporary, _FILE, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(temporary, dir_fd=directory)
            raise
        stack.pop_all()
        return cache


def _boot() -> bytes:
    return (_platform.boot_id() or "").encode("ascii")[:36]


@contextlib.contextmanager
def _telling(path: str) -> Iterator[None]:
    """Say of an error which path it was."""
    try:
        yield
    except OSError as error:
        raise _Unusable("%s: %s" % (path, error.strerror or error)) from error


def _check(descriptor: int, path: str, forbidden: int, owners: Tuple[int, ...]) -> None:
    """Raise _Unusable if others than these owners could have written what is open."""
    info = os.fstat(descriptor)
    mode = stat.S_IMODE(info.st_mode)
    if info.st_uid not in owners:
        raise _Unusable("%s belongs to another user (uid %d)" % (path, info.st_uid))
    if mode & forbidden:
        raise _Unusable("%s is open to other users (mode %04o)" % (path, mode))
    if stat.S_ISREG(info.st_mode) and info.st_nlink > 1:
        raise _Unusable("%s has another name" % path)
    if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
        raise _Unusable("%s is not a file" % path)
