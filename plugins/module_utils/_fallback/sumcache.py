# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Checksums of files that are remembered from one job to the next, in one file for each user and host.

The Go engine shares the file. Its format, and when an entry is trusted, stand in
``go-engine/internal/sumcache/doc.go``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
import time
from typing import Dict, Optional

from . import _platform
from .digests import Algorithm

PAGE = 4096
_KEY = struct.Struct("<QQ8s")
_VERSION = struct.Struct("<QQQ")
_STORED = struct.Struct("<Q")
_ENTRY = 96
_STORED_AT = _KEY.size + _VERSION.size
_SUM_AT = _STORED_AT + _STORED.size
_SUM = 32
_SEAL = 8
_PLACES = range(0, PAGE - _ENTRY + 1, _ENTRY)
_ALL = (1 << 64) - 1
# For how many seconds a file must have been left alone before it is read.
_SETTLED = 2.0
# Their times of change are set by this system alone, and whatever is written shows in them.
_TRUSTED = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"))


class Reading:
    """A file whose checksum is being computed, and may be kept."""

    def __init__(self, cache: Cache, algorithm: Algorithm, info: os.stat_result) -> None:
        self._cache = cache
        self._algorithm = algorithm
        self._info = info

    def keep(self, descriptor: int, checksum: bytes) -> None:
        """Remember the checksum, if the file is still what it was."""
        now = os.fstat(descriptor)
        if (_key(self._algorithm, now), _version(now)) == (_key(self._algorithm, self._info), _version(self._info)):
            self._cache.keep(self._algorithm, now, checksum)


class Cache:
    """The open file. Its methods are called from any thread."""

    def __init__(self, descriptor: int, pages: int, max_age: int, read_only: bool) -> None:
        self._descriptor = descriptor
        self.pages = pages
        self._max_age = max_age
        self._read_only = read_only
        self._lock = threading.Lock()
        self._devices: Dict[int, bool] = {}
        self.damaged = 0

    def find(self, algorithm: Algorithm, descriptor: int, info: os.stat_result) -> Optional[bytes]:
        """The checksum of an open file that is as it was when that was computed."""
        if not self._trusts(descriptor, info):
            return None
        key, version = _key(algorithm, info), _version(info)
        for last in (False, True):
            page = os.pread(self._descriptor, PAGE, self._page(info.st_dev, info.st_ino))
            start = _place_of(page, key)
            if start < 0 or page[start + _KEY.size : start + _STORED_AT] != version:
                return None
            entry = page[start : start + _ENTRY]
            if is_sealed(entry):
                return None if self._is_old(entry) else entry[_SUM_AT : _SUM_AT + algorithm.size]
            # Another process may just have been writing it.
            if last:
                with self._lock:
                    self.damaged += 1
        return None

    def begin(self, algorithm: Algorithm, descriptor: int, info: os.stat_result) -> Optional[Reading]:
        """To be called before an open file is read; None if its checksum is not to be kept."""
        if self._read_only or not self._trusts(descriptor, info) or time.time() - info.st_ctime < _SETTLED:
            return None
        return Reading(self, algorithm, info) if _platform.write_back(descriptor) else None

    def keep(self, algorithm: Algorithm, info: os.stat_result, checksum: bytes) -> None:
        """Write an entry. A disk that is full keeps no checksums, and the job is none the worse."""
        entry = _key(algorithm, info) + _version(info) + _STORED.pack(int(time.time())) + checksum.ljust(_SUM, b"\0")
        with self._lock, contextlib.suppress(OSError):
            self._put(sealed(entry))

    def _put(self, entry: bytes) -> None:
        device, number, _algorithm = _KEY.unpack_from(entry)
        at = self._page(device, number)
        page = os.pread(self._descriptor, PAGE, at)
        start = _place_of(page, entry[: _KEY.size])
        os.pwrite(self._descriptor, entry, at + (start if start >= 0 else self._leaving(page, entry)))

    def _leaving(self, page: bytes, entry: bytes) -> int:
        """Where the entry begins that makes room for a new one: a free one, one that is too old, or by chance any.

        The oldest would be the wrong one: of a tree that the cache cannot hold, each would go just before it is asked
        for.
        """
        old = (start for start in _PLACES if self._is_old(page[start : start + _ENTRY]))
        return next(old, entry[-1] % len(_PLACES) * _ENTRY)

    def take(self, earlier: Cache) -> None:
        """Copy the entries of a cache of another size."""
        for number in range(1, earlier.pages + 1):
            page = os.pread(earlier._descriptor, PAGE, number * PAGE)
            if not page.strip(b"\0"):
                continue
            for start in _PLACES:
                entry = page[start : start + _ENTRY]
                if is_sealed(entry) and not self._is_old(entry):
                    self._put(entry)

    def close(self) -> None:
        os.close(self._descriptor)

    def _page(self, device: int, number: int) -> int:
        """Where the page of a file begins."""
        mixed = ((device * 0x9E3779B97F4A7C15 + (number >> 2)) & _ALL) * 0xD6E8FEB86659FD93 & _ALL
        return (1 + (mixed * self.pages >> 64)) * PAGE

    def _is_old(self, entry: bytes) -> bool:
        """Whether an entry does not count by its age; a free one does not either, nor one of the future."""
        stored: int = _STORED.unpack_from(entry, _STORED_AT)[0]
        age = int(time.time()) - stored
        return not stored or age < 0 or 0 < self._max_age < age

    def _trusts(self, descriptor: int, info: os.stat_result) -> bool:
        if info.st_dev not in self._devices:
            self._devices[info.st_dev] = _platform.file_system(descriptor) in _TRUSTED
        return self._devices[info.st_dev]


def sealed(content: bytes) -> bytes:
    """The content with its seal."""
    return content + hashlib.sha256(content).digest()[:_SEAL]


def is_sealed(content: bytes) -> bool:
    return bool(content == sealed(content[:-_SEAL]))


def _key(algorithm: Algorithm, info: os.stat_result) -> bytes:
    return _KEY.pack(info.st_dev, info.st_ino, algorithm.name.encode("ascii"))


def _version(info: os.stat_result) -> bytes:
    return _VERSION.pack(info.st_size, info.st_mtime_ns & _ALL, info.st_ctime_ns & _ALL)


def _place_of(page: bytes, key: bytes) -> int:
    """Where the entry with that key begins, -1 for none."""
    start = page.find(key)
    while start >= 0 and start % _ENTRY:
        start = page.find(key, start + 1)
    return start
