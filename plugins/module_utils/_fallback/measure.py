# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Figures of a tree: how many entries of which sizes, for the choice of a method."""

from __future__ import annotations

import functools
import os
import stat
import threading
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from . import following, tree
from ._context import Context
from ._meter import Tally
from .copy import is_sparse
from .filters import Filters
from .roots import open_source
from .session import failures_of
from .tree import Vanished, join, text
from .workers import Pool

_MEBIBYTE = 1 << 20
_CLASSES = (("<=4KiB", 4096), ("<=64KiB", 65536), ("<=1MiB", _MEBIBYTE), ("<=100MiB", 100 * _MEBIBYTE))
_LARGEST_CLASS = ">100MiB"


class Figures:
    """What one worker counted."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.counts: Dict[str, int] = dict.fromkeys(
            (
                "files_total",
                "directories_total",
                "symlinks_total",
                "specials_total",
                "bytes_total",
                "hard_links",
                "sparse_files",
            ),
            0,
        )
        self.largest_file = 0
        self.histogram: Dict[str, int] = dict.fromkeys([label for label, _limit in _CLASSES] + [_LARGEST_CLASS], 0)

    def count(self, info: os.stat_result) -> None:
        """Add one entry."""
        counts = self.counts
        self.tally.items_total += 1
        self.tally.items_done += 1
        if stat.S_ISDIR(info.st_mode):
            counts["directories_total"] += 1
        elif stat.S_ISLNK(info.st_mode):
            counts["symlinks_total"] += 1
        elif not stat.S_ISREG(info.st_mode):
            counts["specials_total"] += 1
        else:
            counts["files_total"] += 1
            counts["bytes_total"] += info.st_size
            counts["hard_links"] += info.st_nlink > 1
            counts["sparse_files"] += is_sparse(info)
            self.largest_file = max(self.largest_file, info.st_size)
            self.histogram[_class_of(info.st_size)] += 1


class Node:
    """A directory that is open as long as one of its subdirectories has to be opened."""

    def __init__(self, path: str, descriptor: int, parent: Optional[Node] = None) -> None:
        self.path = path
        self.descriptor = descriptor
        info = os.fstat(descriptor)
        above = parent.within if parent is not None else frozenset()
        # Itself and the directories that it is in, which symbolic links may lead back to.
        self.within: FrozenSet[Tuple[int, int]] = above | {(info.st_dev, info.st_ino)}

    def __del__(self) -> None:
        os.close(self.descriptor)


class Measure:
    """Counts the entries of a tree, after filters."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._filters = Filters(context.parameters["filters"])
        self._follow: bool = context.parameters["follow_symlinks"]
        self._figures: List[Figures] = []
        self._lock = threading.Lock()
        self._pool: Pool[Figures] = Pool(context.parameters["parallel_files"], self._worker)

    def run(self) -> Dict[str, Any]:
        """Walk the whole tree and return the statistics."""
        root = Node("", open_source(self._context.parameters["source"]))
        self._pool.add(functools.partial(self._visit, parent=root, name=None))
        # The task alone keeps a directory open.
        del root
        self._pool.run()
        return self._statistics()

    def _worker(self) -> Figures:
        figures = Figures(self._context.meter.tally())
        with self._lock:
            self._figures.append(figures)
        return figures

    def _visit(self, figures: Figures, parent: Node, name: Optional[str]) -> None:
        self._context.check()
        path = parent.path if name is None else join(parent.path, name)
        self._context.meter.current = text(path) or "."
        with failures_of(self._context, path or "."):
            directory = parent
            if name is not None:
                directory = Node(path, tree.open_source_directory(parent.descriptor, name, self._follow), parent)
            self._list(figures, directory)

    def _list(self, figures: Figures, directory: Node) -> None:
        filters = self._filters
        with following.scan(directory.descriptor, self._follow) as entries:
            for entry in entries:
                path = join(directory.path, entry.name)
                is_directory = entry.is_dir(follow_symlinks=False)
                if filters.any_hidden and filters.hides(text(path), is_directory):
                    continue
                try:
                    info = tree.lstat_entry(entry)
                except Vanished:
                    continue
                figures.count(info)
                if is_directory and not (self._follow and (info.st_dev, info.st_ino) in directory.within):
                    self._pool.add(functools.partial(self._visit, parent=directory, name=entry.name))

    def _statistics(self) -> Dict[str, Any]:
        total = Figures(Tally())
        for figures in self._figures:
            total.largest_file = max(total.largest_file, figures.largest_file)
            for name, count in figures.counts.items():
                total.counts[name] += count
            for label, count in figures.histogram.items():
                total.histogram[label] += count
        files = total.counts["files_total"]
        return dict(
            total.counts,
            largest_file=total.largest_file,
            average_file_size=total.counts["bytes_total"] // files if files else 0,
            files_over_100mib=total.histogram[_LARGEST_CLASS],
            size_histogram=total.histogram,
        )


def _class_of(size: int) -> str:
    for label, limit in _CLASSES:
        if size <= limit:
            return label
    return _LARGEST_CLASS
