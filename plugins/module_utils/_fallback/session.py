# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all parts of one ``file_sync`` job share."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, ContextManager, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import tree
from ._context import Context
from ._errors import ItemError
from .compare import Checksums
from .copy import Copier
from .filters import Filters
from .flush import Flusher
from .inodes import Inodes
from .metadata import Metadata
from .origin import SourceDirectory
from .partial import Partials
from .room import no_room, warn_of_room
from .tree import Vanished
from .workers import DEEDS, Counters, Worker


class Place(NamedTuple):
    """A directory on both sides: its relative path, and both of them open.

    ``destination`` is None in a dry run if the directory would be created. ``inherits_acl``: new entries in it get an
    access control list of their own, from its default one.
    """

    path: str
    source: SourceDirectory
    destination: Optional[int]
    inherits_acl: bool


class Session:
    """The job's parameters in the form in which the work needs them, and its findings for the later phases."""

    def __init__(self, context: Context) -> None:
        parameters = context.parameters
        self.context = context
        self.dry_run = context.dry_run
        self.by_content: bool = parameters["by_content"]
        # By which contents are compared, if not by themselves.
        self.checksums: Optional[Checksums] = None
        self.update: bool = parameters["update"]
        self.verify: bool = parameters["verify"]
        self.resume: bool = parameters["resume"]
        self.partials = Partials()
        self.inodes = Inodes()
        self.fail_vanished = parameters["on_vanished"] == "fail"
        self.delete: bool = parameters["delete"]
        self.max_delete: Optional[int] = parameters["max_delete"]
        self.hard_links: bool = parameters["preserve"]["hard_links"]
        self.specials: bool = parameters["preserve"]["specials"]
        self.one_file_system: bool = parameters["one_file_system"]
        self.follow_symlinks: bool = parameters["follow_symlinks"]
        self.source_device = -1
        self.destination: Optional[int] = None
        self.filters = Filters(parameters["filters"])
        self.metadata = Metadata(parameters["preserve"], context)
        self.chunk_size: int = parameters["chunk_size"]
        self.copier = Copier(
            context,
            parameters["buffer_size"],
            parameters["chunk_size"],
            parameters["parallel_chunks"],
            parameters["bandwidth_limit"],
            parameters["direct_io"],
        )
        self.flusher = Flusher(0 if context.dry_run else parameters["sync_frequency"])
        # Identities of the two directories that the job names.
        self.roots: Set[Tuple[int, int]] = set()
        self._buffer_size: int = parameters["buffer_size"]
        self._workers: List[Worker] = []
        self._lock = threading.Lock()

    def worker(self) -> Worker:
        worker = Worker(self.context, self._buffer_size)
        with self._lock:
            self._workers.append(worker)
        return worker

    def statistics(self, earlier: Optional[Dict[str, int]] = None) -> Dict[str, Any]:
        """What was done, by earlier tries of the job too. Of what there is, this one tells alone, and what an earlier
        one copied was unchanged for it."""
        total = Counters()
        for worker in self._workers:
            total.add(worker.counters)
        figures = total.as_dict()
        if self.checksums is not None:
            figures["checksums_cached"] += self.checksums.known
        if earlier:
            for name in DEEDS:
                figures[name] += earlier[name]
            figures["files_unchanged"] = max(figures["files_unchanged"] - earlier["files_copied"], 0)
        return dict(figures, changes=self.context.changes)

    def is_elsewhere(self, info: os.stat_result) -> bool:
        """Whether a directory of the source is in another file system and is not to be entered."""
        return self.one_file_system and info.st_dev != self.source_device

    def is_in_destination(self, directory: Optional[int]) -> bool:
        """Whether a directory is in the destination's own file system, as one is that would be made."""
        if directory is None or self.destination is None:
            return True
        return os.fstat(directory).st_dev == os.fstat(self.destination).st_dev

    def warn_of_room(self, path: str) -> None:
        """Tell in a dry run what there is no room for; ``path`` is the destination's, or the nearest that exists."""
        warn_of_room(
            self.context,
            path,
            sum(worker.needed_bytes for worker in self._workers),
            sum(worker.needed_entries for worker in self._workers),
        )

    def failures_of(self, path: str) -> ContextManager[None]:
        """As the function of that name."""
        return failures_of(self.context, path, self.fail_vanished, self.destination)


@contextlib.contextmanager
def failures_of(
    context: Context, path: str, fail_vanished: bool = False, destination: Optional[int] = None
) -> Iterator[None]:
    """Turn what goes wrong with one entry into a warning; the work goes on unless nothing more can succeed."""
    try:
        yield
    except Vanished as left_out:
        context.vanished = context.vanished or left_out.code == Vanished.code
        if fail_vanished:
            context.failure(tree.text(path), ItemError(left_out.code, left_out.message))
        else:
            context.warning(left_out.code, left_out.message, tree.text(path))
    except (ItemError, OSError) as error:
        if tree.is_full(error):
            raise no_room(destination, path, error) from error
        context.failure(tree.text(path), error)


def step(description: str, error: OSError, needed: int = 0) -> ItemError:
    """An error of the system with what it stood in the way of."""
    message = "unable to %s: %s" % (description, error.strerror or os.strerror(error.errno or 0))
    return ItemError("io_error", message, needed)
