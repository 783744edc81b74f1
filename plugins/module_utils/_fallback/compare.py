# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether two files hold the same bytes, by themselves or by their checksums."""

from __future__ import annotations

import os
import threading
from typing import Callable, Optional, Tuple

from .digests import Algorithm
from .sumcache import Cache

# How much is read of a file in one piece.
MOST_AT_ONCE = 1 << 18


def same_content(source: int, destination: int, size: int, check: Callable[[], None]) -> bool:
    """Read both open files side by side up to the first difference; both must end after ``size`` bytes."""
    position = 0
    while position < size:
        check()
        wanted = min(MOST_AT_ONCE, size - position)
        # Bytes and not a shared buffer: their comparison is a memcmp, that of memory views is not.
        piece = _read(source, wanted, position)
        if len(piece) != wanted or piece != _read(destination, wanted, position):
            return False
        position += wanted
    return os.fstat(source).st_size == size and os.fstat(destination).st_size == size


class Checksums:
    """Checksums of open files, which a cache may know. Its methods are called from any thread."""

    def __init__(self, algorithm: Algorithm, cache: Optional[Cache], check: Callable[[], None]) -> None:
        self._algorithm = algorithm
        self._cache = cache
        self._check = check
        self._lock = threading.Lock()
        # How many were known.
        self.known = 0

    def of(self, descriptor: int, size: int) -> bytes:
        """That of the first ``size`` bytes."""
        checksum, known = checksum_of(descriptor, size, self._algorithm, self._check, self._cache)
        self.count(known)
        return checksum

    def count(self, known: bool) -> None:
        """Count one that was known, or not."""
        with self._lock:
            self.known += known


def checksum_of(
    descriptor: int,
    size: int,
    algorithm: Algorithm,
    check: Callable[[], None] = lambda: None,
    cache: Optional[Cache] = None,
) -> Tuple[bytes, bool]:
    """The checksum of the first ``size`` bytes of an open file, or of fewer if it has fewer, and whether the cache knew
    it."""
    reading = None
    if cache is not None:
        info = os.fstat(descriptor)
        if info.st_size == size:
            known = cache.find(algorithm, descriptor, info)
            if known is not None:
                return known, True
            reading = cache.begin(algorithm, descriptor, info)
    digest = algorithm.new()
    position = 0
    while position < size:
        data = os.pread(descriptor, min(size - position, MOST_AT_ONCE), position)
        if not data:
            break
        check()
        digest.update(data)
        position += len(data)
    checksum = bytes(digest.digest())
    if reading is not None:
        reading.keep(descriptor, checksum)
    return checksum, False


def _read(descriptor: int, size: int, position: int) -> bytes:
    """``size`` bytes, fewer only where the file ends."""
    data = os.pread(descriptor, size, position)
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), position + len(data))
        if not more:
            break
        data += more
    return data
