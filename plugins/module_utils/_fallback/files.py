# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file operations: ``file_sync`` and ``file_statistics``."""

from __future__ import annotations

import contextlib
import os
from typing import Any, ContextManager, Dict, Iterator, Optional, Tuple

from . import _platform, digests, sumcache_file, tree
from ._context import Context
from ._errors import JobError
from ._validate import Field, bad_job, boolean, choice, integer, list_of, nested, number, optional, read_object, text
from .adjust import Adjusting
from .census import Census
from .compare import Checksums
from .deletions import Deletions
from .directories import Directories, Directory
from .far import login, pool
from .far.proxy import FIELD as SOCKET
from .far.push import push
from .far.retry import with_retries
from .far.source import far_source
from .filters import Filters, check_filter
from .links import Latecomers, by_path
from .measure import Measure
from .origin import LocalDirectory, SourceDirectory
from .roots import Roots, nearest_existing, open_source
from .session import Session
from .walk import Handlers, Walk
from .workers import Pool, Worker


def absolute_path(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise bad_job("%s must be an absolute path" % where)
    try:
        return os.path.normpath(tree.from_text(value))
    except ValueError as error:
        raise bad_job("%s is no path: %s" % (where, error)) from error


_FAR: Dict[str, Field] = {
    "side": Field(choice("none", "source", "destination"), "none"),
    "name": Field(text(), "the other host"),
    "command": Field(list_of(text()), ()),
    "password": Field(text(), ""),
    "login": login.FIELD,
    "pool": pool.FIELD,
    "prelude": Field(text(), ""),
    "connections": Field(integer(1, 64), 4),
    "connect_timeout": Field(number(), 0),
    "read_timeout": Field(number(), 0),
    "keep_alive_interval": Field(number(), 0),
    "retries": Field(integer(0, 1000), 0),
    "numeric_ids": Field(boolean, False),
    "lock_timeout": Field(number(), 0),
    "compression": Field(choice("auto", "none", "zstd", "gzip", "lz4", "brotli"), "auto"),
    "compression_level": Field(integer(0, 22), 0),
    "stream_buffer_size": Field(integer(256 << 10, 1 << 30), 2 << 20),
    "stream_buffers": Field(integer(0, 1024), 0),
    "socket": SOCKET,
}


def check_far(value: Any, where: str) -> Dict[str, Any]:
    """The side that is on another host, and how that is reached."""
    far = read_object(value, where, _FAR)
    if far["side"] == "destination" and not far["command"]:
        raise bad_job("%s.command must not be empty" % where)
    return far


PRESERVE: Dict[str, Field] = {
    name: Field(boolean, True)
    for name in ("permissions", "timestamps", "owner", "group", "hard_links", "xattrs", "selinux", "specials")
}
COMMON: Dict[str, Field] = {
    "source": Field(absolute_path, required=True),
    "filters": Field(list_of(check_filter), ()),
    "parallel_files": Field(integer(1, 1024), 8),
    "follow_symlinks": Field(boolean, False),
}
SYNC: Dict[str, Field] = {
    **COMMON,
    "destination": Field(absolute_path, required=True),
    "compare": Field(choice("quick", "checksum"), "quick"),
    "checksum_algorithm": Field(choice(*digests.ALGORITHMS), digests.DEFAULT),
    "checksum_cache": sumcache_file.FIELD,
    "update": Field(boolean, False),
    "verify": Field(boolean, False),
    "on_vanished": Field(choice("warn", "fail"), "warn"),
    "delete": Field(boolean, False),
    "max_delete": Field(optional(integer())),
    "one_file_system": Field(boolean, False),
    "preserve": Field(nested(PRESERVE), read_object({}, "preserve", PRESERVE)),
    "performance_threshold": Field(integer(), 0),
    "parallel_chunks": Field(integer(1, 1024), 1),
    "chunk_size": Field(integer(65536), 50 << 20),
    "resume": Field(boolean, True),
    "buffer_size": Field(integer(4096), 256 << 10),
    "bandwidth_limit": Field(integer(), 0),
    "sync_frequency": Field(integer(), 0),
    "direct_io": Field(boolean, False),
    "far": Field(check_far, check_far({}, "far")),
}


def available() -> bool:
    """Whether this platform has what keeps the work inside the trees."""
    return _platform.HAS_DIRECTORY_DESCRIPTORS


def validate_sync(parameters: Dict[str, Any]) -> Dict[str, Any]:
    checked = read_object(parameters, "parameters", SYNC)
    checked["by_content"] = compares_contents(checked)
    return checked


def compares_contents(parameters: Dict[str, Any]) -> bool:
    """Whether files are compared by their contents: where times are not kept they tell nothing."""
    return parameters["compare"] == "checksum" or not parameters["preserve"]["timestamps"]


def validate_statistics(parameters: Dict[str, Any]) -> Dict[str, Any]:
    return read_object(parameters, "parameters", COMMON)


def gather_statistics(context: Context) -> None:
    """Count the source's entries; changes nothing."""
    tree.raise_descriptor_limit()
    context.statistics = Measure(context).run()


def synchronize(context: Context) -> None:
    """Make the destination's tree equal the source's.

    The statistics are those of what was done so far, also when the job ends early.
    """
    tree.raise_descriptor_limit()
    side = context.parameters["far"]["side"]
    if side == "none":
        _synchronize(context, _local_source(context))
    elif side == "source":
        with_retries(context, lambda: _synchronize(context, far_source(context)))
    else:
        with_retries(context, lambda: push(context))


@contextlib.contextmanager
def _local_source(context: Context) -> Iterator[Tuple[SourceDirectory, bool]]:
    parameters = context.parameters
    descriptor = open_source(parameters["source"])
    filters, follow = Filters(parameters["filters"]), parameters["follow_symlinks"]
    try:
        with Census(descriptor, filters, context.meter.set_totals, parameters["one_file_system"], follow):
            yield LocalDirectory(descriptor, follow), True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _checksums(context: Context) -> Iterator[Optional[Checksums]]:
    """By which contents are compared, if they are to be remembered."""
    parameters = context.parameters
    if not parameters["by_content"] or not parameters["checksum_cache"]["max_size"]:
        yield None
        return
    algorithm = digests.ALGORITHMS[parameters["checksum_algorithm"]]
    algorithm.require()
    with sumcache_file.opened(context) as cache:
        # Without one, what is on this host is compared itself.
        is_far = parameters["far"]["side"] != "none"
        yield Checksums(algorithm, cache, context.check) if cache is not None or is_far else None


def _synchronize(context: Context, opening: ContextManager[Tuple[SourceDirectory, bool]]) -> None:
    session = Session(context)
    earlier = context.statistics
    try:
        with opening as opened, _checksums(context) as checksums:
            source, is_seen_from_here = opened
            session.checksums = checksums
            with Roots(context, source, is_seen_from_here, lambda: _first_mode(session, source)) as roots:
                _Synchronization(session, roots).run()
    finally:
        session.flusher.close()
        context.statistics = session.statistics(earlier)


def _first_mode(session: Session, source: SourceDirectory) -> int:
    root = Directory(None, "", source.info(), None)
    root.source = source
    return Directories(session).first_mode(root)


class _Synchronization:
    """The phases of one job, in their order."""

    def __init__(self, session: Session, roots: Roots) -> None:
        self._session = session
        self._context = session.context
        self._roots = roots
        self._worker = session.worker()
        self._deletions = Deletions(session)
        self._handlers = Handlers(session)

    def run(self) -> None:
        try:
            self._make_equal()
        except JobError as error:
            if error.code == "max_delete_exceeded":  # all else is done
                self._flush()
            raise
        self._flush()
        if self._context.dry_run:
            self._session.warn_of_room(nearest_existing(self._context.parameters["destination"]))

    def _flush(self) -> None:
        if self._context.changes:
            self._session.flusher.finish()

    def _make_equal(self) -> None:
        walk = self._walk()
        self._context.meter.phase = "links"
        latecomers = Latecomers(
            self._session, self._handlers, self._worker, self._roots.source, self._roots.destination
        )
        with latecomers:
            latecomers.link(walk.linked)
        if self._deletions.pending or self._context.vanished:
            self._roots.source.check_there(self._context.parameters["source"])
        # Who could not read all of the source must not conclude that something is gone from it.
        if self._context.first_failure is not None:
            return
        self._context.meter.phase = "delete"
        self._deletions.carry_out(self._worker, self._roots.destination)
        with latecomers:
            for item in sorted(walk.blocked, key=by_path):
                latecomers.make(item)
        self._deletions.remove_partials(self._worker, self._roots.destination)
        self._context.meter.phase = "finish"

    def _walk(self) -> Walk:
        roots, session = self._roots, self._session
        info = roots.source.info()
        session.roots.add((info.st_dev, info.st_ino))
        session.source_device = info.st_dev
        if roots.destination is not None:
            session.metadata.probe_destination(roots.destination)
            destination = os.fstat(roots.destination)
            session.roots.add((destination.st_dev, destination.st_ino))
            session.flusher.add(roots.destination, destination)
            session.destination = roots.destination
        root = Directory(None, "", info, roots.existing)
        root.source = roots.source.duplicate()
        if roots.destination is not None:
            root.destination = os.dup(roots.destination)
        self._context.meter.phase = "copy"
        pool: Pool[Worker] = Pool(self._context.parameters["parallel_files"], session.worker)
        walk = Walk(session, pool, self._handlers, self._deletions)
        with Adjusting(self._context, pool):
            walk.run(self._worker, root)
        return walk
