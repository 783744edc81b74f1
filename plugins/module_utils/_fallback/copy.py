# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Moves the bytes of one file: as a reflink, inside the kernel, or by read and write."""

from __future__ import annotations

import errno
import os
import threading
from typing import Iterator, List, Optional, Set, Tuple

from . import _platform, direct
from ._context import Context
from ._limiter import Limiter
from .origin import SourceFile
from .partial import Partial, pieces
from .workers import Worker

_FICLONE = 0x40049409
# Below this size copy_file_range costs more than it saves.
_KERNEL_COPY_FROM = 1 << 20
# One call at most, so that a cancelled job stops soon.
_KERNEL_PIECE = 16 << 20
_CANNOT_REFLINK = frozenset([errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.ENOSYS])
_CANNOT_KERNEL_COPY = frozenset([errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY, errno.EPERM])


class Copier:
    """Copies file contents between descriptors, by the fastest way that the file systems allow."""

    def __init__(
        self,
        context: Context,
        buffer_size: int,
        chunk_size: int,
        parallel_chunks: int,
        bandwidth_limit: int,
        direct_io: bool = False,
    ) -> None:
        self._context = context
        self._direct = direct_io
        self._warned = threading.Lock()
        self._check = context.check
        self._buffer_size = buffer_size
        self._chunk_size = chunk_size
        self._parallel_chunks = parallel_chunks
        self._limiter = Limiter(bandwidth_limit, context.check) if bandwidth_limit else None
        # Pairs of devices that a reflink was refused for.
        self._not_reflinkable: Set[Tuple[int, int]] = set()

    def _warn_once(self, message: str) -> None:
        if self._warned.acquire(blocking=False):  # and never released
            self._context.warning("direct_io_unavailable", message)

    def copy(
        self,
        worker: Worker,
        opened: SourceFile,
        target: int,
        info: os.stat_result,
        partial: Optional[Partial] = None,
        earlier: Optional[int] = None,
    ) -> int:
        """Fill the file ``target``, which has nothing but what ``partial`` says, with the ``info.st_size`` bytes of
        ``opened``.

        A source that is shorter by now gives a shorter file; the caller compares its times and size afterwards.
        ``earlier`` is the open file that is replaced; gives how much of it was used.
        """
        size = info.st_size
        sparse = is_sparse(info)
        source = opened.descriptor
        if source is None:
            return self._receive(worker, opened, target, info, partial, earlier)
        if size <= self._buffer_size and self._limiter is None and not sparse and partial is None:
            self._copy_small(worker, source, target, size)
            return 0
        begun = partial is not None and partial.done
        if not sparse and not begun and self._limiter is None and self._reflink(source, target, info.st_dev):
            worker.tally.bytes_done += size
        elif partial is not None or (size > self._chunk_size and self._parallel_chunks > 1):
            os.ftruncate(target, size)
            self._copy_chunks(worker, source, target, info, partial)
        else:
            if sparse:
                os.ftruncate(target, size)
            self._copy_range(worker, source, target, 0, size, sparse)
        return 0

    def _receive(
        self,
        worker: Worker,
        opened: SourceFile,
        target: int,
        info: os.stat_result,
        partial: Optional[Partial],
        earlier: Optional[int],
    ) -> int:
        """The same for a file on another host."""
        size, sparse = info.st_size, is_sparse(info)
        if sparse or partial is not None:
            os.ftruncate(target, size)
        in_pieces = partial is not None or earlier is not None
        ranges = pieces(size, self._chunk_size, partial) if in_pieces else iter([(0, size)])
        reused = 0
        for (start, end), parts in opened.receive(ranges, self._check, earlier):
            passed = end - start if sparse else 0
            for position, data, known in parts:
                written = 0
                while written < len(data):
                    written += os.pwrite(target, data[written:] if written else data, position + written)
                if known:
                    reused += len(data)
                    passed += len(data)
                    continue
                if self._limiter is not None:
                    self._limiter.take(len(data))
                worker.tally.bytes_done += len(data)
                if sparse:
                    passed -= len(data)
            worker.tally.bytes_passed += passed
            worker.tally.bytes_total -= passed
            if partial is not None:
                partial.note(start, end)
        return reused

    def _copy_small(self, worker: Worker, source: int, target: int, size: int) -> None:
        while size > 0:
            data = os.read(source, size)
            if not data:
                return
            size -= len(data)
            worker.tally.bytes_done += len(data)
            written = os.write(target, data)
            while written < len(data):
                written += os.write(target, data[written:])

    def _reflink(self, source: int, target: int, device: int) -> bool:
        if not _platform.HAS_REFLINK:
            return False
        devices = (device, os.fstat(target).st_dev)
        if devices in self._not_reflinkable:
            return False
        import fcntl

        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            if error.errno in _CANNOT_REFLINK:
                self._not_reflinkable.add(devices)
            return False
        return True

    def _copy_range(self, worker: Worker, source: int, target: int, start: int, end: int, sparse: bool) -> None:
        holes = end - start
        for moved in self._move(source, target, start, end, sparse, worker.buffer):
            worker.tally.bytes_done += moved
            holes -= moved
        if sparse:
            worker.tally.bytes_passed += holes
            worker.tally.bytes_total -= holes

    def _move(self, source: int, target: int, start: int, end: int, sparse: bool, buffer: memoryview) -> Iterator[int]:
        """Copy one range without the holes in it; give each piece's size."""
        for first, last in data_ranges(source, start, end) if sparse else [(start, end)]:
            yield from self._pieces(source, target, first, last, buffer)

    def _pieces(self, source: int, target: int, start: int, end: int, buffer: memoryview) -> Iterator[int]:
        """Copy one range at its own offsets, so that ranges may be copied at the same time; give each piece's size."""
        position = start
        if self._direct and end - start >= _KERNEL_COPY_FROM:
            position = min(end, start + -start % direct.UNIT)
            yield from self._read_and_write_all(source, target, start, position, buffer)
            begin = position
            for moved in direct.pieces(source, target, position, end):
                self._check()
                if self._limiter is not None:
                    self._limiter.take(moved)
                position += moved
                yield moved
            if position == begin:
                self._warn_once("at least one of the file systems reads and writes through the cache only")
        in_kernel = self._limiter is None and _platform.HAS_COPY_FILE_RANGE and end - start >= _KERNEL_COPY_FROM
        while position < end:
            self._check()
            if in_kernel:
                moved = _kernel_copy(source, target, position, min(end - position, _KERNEL_PIECE))
                # Some file systems refuse, and some pseudo files say that they are at their end: read for certain.
                if not moved:
                    in_kernel = False
                    continue
            else:
                moved = self._read_and_write(source, target, position, end, buffer)
                if not moved:
                    return
            position += moved
            yield moved

    def _read_and_write_all(
        self, source: int, target: int, position: int, end: int, buffer: memoryview
    ) -> Iterator[int]:
        while position < end:
            moved = self._read_and_write(source, target, position, end, buffer)
            if not moved:
                return
            position += moved
            yield moved

    def _read_and_write(self, source: int, target: int, position: int, end: int, buffer: memoryview) -> int:
        wanted = min(end - position, len(buffer))
        if self._limiter is not None:
            # At least ten pieces a second, so that a slow pace stays even.
            wanted = min(wanted, max(self._limiter.rate // 10, 4096))
            self._limiter.take(wanted)
        read = _platform.read_into(source, buffer[:wanted], position)
        written = 0
        while written < read:
            written += os.pwrite(target, buffer[written:read], position + written)
        return read

    def _copy_chunks(
        self, worker: Worker, source: int, target: int, info: os.stat_result, partial: Optional[Partial]
    ) -> None:
        size, sparse = info.st_size, is_sparse(info)
        missing = pieces(size, self._chunk_size, partial)
        lock = threading.Lock()
        failures: List[BaseException] = []

        def copy_pieces() -> None:
            buffer = memoryview(bytearray(self._buffer_size))
            try:
                while not failures:
                    with lock:
                        piece = next(missing, None)
                    if piece is None:
                        return
                    start, end = piece
                    holes = end - start
                    for moved in self._move(source, target, start, end, sparse, buffer):
                        holes -= moved
                        with lock:
                            worker.tally.bytes_done += moved
                    if sparse:
                        with lock:
                            worker.tally.bytes_passed += holes
                            worker.tally.bytes_total -= holes
                    if partial is not None:
                        partial.note(start, end)
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=copy_pieces, name="chunk", daemon=True)
            for _number in range(min(self._parallel_chunks, -(-size // self._chunk_size)) - 1)
        ]
        for thread in threads:
            thread.start()
        copy_pieces()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


def is_sparse(info: os.stat_result) -> bool:
    """Whether a file has holes, as far as its number of blocks tells."""
    return _platform.HAS_SEEK_HOLE and getattr(info, "st_blocks", 0) * 512 < info.st_size


def data_ranges(descriptor: int, begin: int, limit: int) -> Iterator[Tuple[int, int]]:
    """Start and end of each part of a range of a file that is not a hole."""
    end = begin
    while end < limit:
        start = _next_data(descriptor, end)
        if start is None or start >= limit:
            return
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), limit)
        yield start, end


def _next_data(descriptor: int, position: int) -> Optional[int]:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        # Nothing but a hole up to the end.
        if error.errno == errno.ENXIO:
            return None
        raise


def _kernel_copy(source: int, target: int, position: int, size: int) -> int:
    """Bytes copied inside the kernel; 0 where it cannot."""
    try:
        return os.copy_file_range(source, target, size, position, position)
    except OSError as error:
        if error.errno in _CANNOT_KERNEL_COPY:
            return 0
        raise
