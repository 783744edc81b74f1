# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The walk over a tree that computes the checksums of its files."""

from __future__ import annotations

import functools
import os
import stat
import threading
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from . import _platform, manifest, tree
from ._context import Context
from ._meter import Tally
from .census import Census
from .digests import Algorithm
from .file_place import FilePlace
from .filters import Filters
from .measure import Node
from .session import failures_of, step
from .sumcache import Cache, Reading
from .tree import Vanished, join, text
from .workers import Pool

_BATCH_FILES = 64
_BATCH_BYTES = 8 << 20

File = Tuple[str, os.stat_result]


class Taker:
    """What becomes of the files of a tree. Its methods are called from any thread."""

    algorithms: List[Algorithm]

    def wants(self, path: str) -> bool:
        """Whether the file is to be read."""
        return True

    def take(self, path: str, algorithms: Sequence[Algorithm], sums: Sequence[bytes]) -> None:
        """The file has these checksums."""
        raise NotImplementedError

    def skip(self, path: str, mode: int) -> None:
        """The entry is no file whose checksum counts."""

    def fail(self, path: str) -> None:
        """The file could not be read."""

    def vanish(self, context: Context, path: str) -> None:
        """The file is no longer there."""


class Records(Taker):
    """Collects the records of a new manifest."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithms = [algorithm]
        self.entries: List[bytes] = []

    def take(self, path: str, algorithms: Sequence[Algorithm], sums: Sequence[bytes]) -> None:
        self.entries.append(manifest.record(os.fsencode(path), sums[0]))

    def vanish(self, context: Context, path: str) -> None:
        context.warning("vanished", "the entry vanished before it was read", text(path))


class ChecksumWorker:
    """What one thread owns."""

    def __init__(self, context: Context) -> None:
        self.tally: Tally = context.meter.tally()
        self.buffer = memoryview(bytearray(context.parameters["buffer_size"]))
        self.counts: Dict[str, int] = dict.fromkeys(
            (
                "files_total",
                "directories_total",
                "symlinks_total",
                "specials_total",
                "files_hashed",
                "bytes_hashed",
                "checksums_cached",
                "skipped",
            ),
            0,
        )


class ChecksumWalk:
    """Goes through a tree, after filters, and gives what it finds to a taker."""

    def __init__(
        self, context: Context, root: Node, place: FilePlace, taker: Taker, cache: Optional[Cache] = None
    ) -> None:
        self._context = context
        self._cache = cache
        self._root = root
        self._place = place
        self._taker = taker
        self.filters = Filters(context.parameters["filters"])
        # Directories of which it is not known what is in them.
        self.unread: Set[str] = set()
        self._workers: List[ChecksumWorker] = []
        self._lock = threading.Lock()
        self._pool: Pool[ChecksumWorker] = Pool(context.parameters["parallel_files"], self._worker)

    def run(self) -> None:
        self._context.meter.phase = "checksum"
        with Census(self._root.descriptor, self.filters, self._context.meter.set_totals):
            self._pool.add(functools.partial(self._visit, parent=self._root, name=None))
            self._pool.run()

    def counts(self) -> Dict[str, Any]:
        """The statistics of what was done so far."""
        total = ChecksumWorker(self._context).counts
        for worker in self._workers:
            for name, count in worker.counts.items():
                total[name] += count
        return dict(total)

    def _worker(self) -> ChecksumWorker:
        worker = ChecksumWorker(self._context)
        with self._lock:
            self._workers.append(worker)
        return worker

    def _visit(self, worker: ChecksumWorker, parent: Node, name: Optional[str]) -> None:
        self._context.check()
        path = parent.path if name is None else join(parent.path, name)
        self._context.meter.current = text(path) or "."
        listed = False
        with failures_of(self._context, path or "."):
            directory = parent
            try:
                if name is not None:
                    worker.counts["directories_total"] += 1
                    directory = Node(path, _open(parent, name))
                self._list(worker, directory)
            except Vanished:
                listed = True
                raise
            listed = True
        if not listed:
            with self._lock:
                self.unread.add(path)
        if name is not None:
            worker.tally.items_done += 1

    def _list(self, worker: ChecksumWorker, directory: Node) -> None:
        files: List[File] = []
        below: List[str] = []
        try:
            with os.scandir(directory.descriptor) as entries:
                for entry in entries:
                    self._sort(worker, directory, entry, files, below)
        except OSError as error:
            raise step("read the directory", error) from error
        batches = [functools.partial(self._batch, directory=directory, files=batch) for batch in _batches(files)]
        size = sum(info.st_size for _name, info in files) if len(batches) > 1 else 0
        # Taken from the end: what is in the directory itself comes first.
        self._pool.add(
            *[functools.partial(self._visit, parent=directory, name=name) for name in below],
            *batches,
            heavy=size >= _BATCH_BYTES,
        )

    def _sort(
        self, worker: ChecksumWorker, directory: Node, entry: os.DirEntry[str], files: List[File], below: List[str]
    ) -> None:
        name, counts = entry.name, worker.counts
        path = join(directory.path, name)
        is_directory = entry.is_dir(follow_symlinks=False)
        if self.filters.any_hidden and self.filters.hides(text(path), is_directory):
            return
        try:
            info = tree.lstat_entry(entry)
        except Vanished:
            self._taker.vanish(self._context, path)
            return
        worker.tally.items_total += 1
        if stat.S_ISDIR(info.st_mode):
            below.append(name)
            return
        is_file = stat.S_ISREG(info.st_mode)
        if is_file and not tree.is_temporary(name) and not self._place.is_file(directory.descriptor, name):
            counts["files_total"] += 1
            files.append((name, info))
            return
        if not is_file:
            counts["symlinks_total" if stat.S_ISLNK(info.st_mode) else "specials_total"] += 1
        counts["skipped"] += 1
        worker.tally.items_done += 1
        self._taker.skip(path, info.st_mode)

    def _batch(self, worker: ChecksumWorker, directory: Node, files: List[File]) -> None:
        for name, info in files:
            path = join(directory.path, name)
            self._context.check()
            self._context.meter.current = text(path)
            if self._taker.wants(path):
                self._context.meter.begin()
                try:
                    self._file(worker, directory, name, info)
                finally:
                    self._context.meter.end()
            worker.tally.items_done += 1

    def _file(self, worker: ChecksumWorker, directory: Node, name: str, info: os.stat_result) -> None:
        path = join(directory.path, name)
        algorithms = tuple(self._taker.algorithms)
        sums: List[bytes] = []
        with failures_of(self._context, path):
            try:
                sums = self._checksums(worker, directory, name, info, algorithms)
            except Vanished:
                self._taker.vanish(self._context, path)
                return
            except OSError as error:
                raise step("read the file", error) from error
        if sums:
            self._taker.take(path, algorithms, sums)
        else:
            self._taker.fail(path)

    def _checksums(
        self,
        worker: ChecksumWorker,
        directory: Node,
        name: str,
        info: os.stat_result,
        algorithms: Sequence[Algorithm],
    ) -> List[bytes]:
        """Read a file, once more if it changed meanwhile."""
        descriptor = tree.open_source_file(directory.descriptor, name, info)
        try:
            before = os.fstat(descriptor)
            if not tree.same_entry(before, info):
                raise tree.replaced("source")
            reading: Optional[Reading] = None
            if self._cache is not None:
                known = self._cache.find(algorithms[0], descriptor, before)
                if known is not None:
                    worker.counts["checksums_cached"] += 1
                    worker.tally.bytes_passed += before.st_size
                    return [known]
                reading = self._cache.begin(algorithms[0], descriptor, before)
            worker.tally.bytes_total += before.st_size
            path = join(directory.path, name)
            sums, length = self._read(worker, path, descriptor, algorithms)
            if reading is not None:
                reading.keep(descriptor, sums[0])
            after = os.fstat(descriptor)
            if not _is_unchanged(before, after):
                worker.tally.retries += 1
                sums, length = self._read(worker, path, descriptor, algorithms)
                if not _is_unchanged(after, os.fstat(descriptor)):
                    message = "the file changed twice while it was read"
                    self._context.warning("source_changed", message, text(path))
        finally:
            os.close(descriptor)
        worker.counts["files_hashed"] += 1
        worker.counts["bytes_hashed"] += length
        return sums

    def _read(
        self, worker: ChecksumWorker, path: str, descriptor: int, algorithms: Sequence[Algorithm]
    ) -> Tuple[List[bytes], int]:
        hashes = [algorithm.new() for algorithm in algorithms]
        position = 0
        while True:
            self._context.check()
            length = _platform.read_into(descriptor, worker.buffer, position)
            if not length:
                return [each.digest() for each in hashes], position
            for each in hashes:
                each.update(worker.buffer[:length])
            position += length
            # Others have told theirs since.
            self._context.meter.current = text(path)
            worker.tally.bytes_done += length


def _open(parent: Node, name: str) -> int:
    try:
        return tree.open_source_directory(parent.descriptor, name)
    except OSError as error:
        raise step("open the directory", error) from error


def _batches(files: List[File]) -> List[List[File]]:
    """The files in the order given, in parts that are enough work for one thread at a stretch."""
    batches: List[List[File]] = []
    size = _BATCH_BYTES
    for name, info in files:
        if size >= _BATCH_BYTES or len(batches[-1]) >= _BATCH_FILES:
            batches.append([])
            size = 0
        batches[-1].append((name, info))
        size += info.st_size
    return batches


def _is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return before.st_mtime_ns == after.st_mtime_ns and before.st_size == after.st_size
