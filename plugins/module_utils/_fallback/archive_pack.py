# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Packing: makes an archive hold a tree, and leaves it alone if it does already."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import IO, Any, Dict, Optional

from . import compression
from ._context import Context
from ._errors import ItemError
from .archive_walk import PackWalk, Sink
from .census import Census
from .compression import Corrupt, Writer
from .file_place import FilePlace
from .filters import Filters
from .metadata import octal
from .roots import open_source
from .tree import held, text


class _Different(Exception):
    """The archive differs from the tree."""


class _Incomplete(Exception):
    """Entries failed, which are told."""


class _Writing(Sink):
    wants_data = True

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)


class _Comparing(Sink):
    """Ends at the first difference."""

    def __init__(self, reader: compression.Reader, by_content: bool) -> None:
        self._reader = reader
        self.wants_data = by_content

    def _next(self, size: int) -> bytes:
        data = self._reader.read(size)
        if not data:
            raise _Different
        return data

    def write(self, data: bytes) -> None:
        found = b""
        while len(found) < len(data):
            found += self._next(len(data) - len(found))
        if found != data:
            raise _Different

    def skip(self, length: int) -> None:
        while length > 0:
            length -= len(self._next(length))

    def end(self) -> None:
        if self._reader.read(1):
            raise _Different


class Packing:
    """One packing at work."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._parameters = context.parameters
        self._format = compression.FORMATS[context.parameters["format"]]
        self._tally = context.meter.tally()

    def run(self) -> None:
        self._format.require()
        root = open_source(self._parameters["source"])
        try:
            filters = Filters(self._parameters["filters"])
            place = FilePlace("archive", self._parameters["destination"], False)
            with place, Census(root, filters, self._context.meter.set_totals, self._parameters["one_file_system"]):
                self._pack(root, place)
        finally:
            os.close(root)

    def _pack(self, root: int, place: FilePlace) -> None:
        context = self._context
        if place.existing is not None:
            context.meter.phase = "compare"
            walk = self._compare(root, place)
            if walk is not None:
                context.statistics = walk.counts
                if not walk.failed:
                    self._set_mode(place, place.existing)
                walk.tell()
                return
        context.meter.phase = "copy"
        walk = PackWalk(context, self._tally, place)
        try:
            if context.dry_run:
                walk.run(root, Sink())
            else:
                place.replace(lambda stream: self._write(root, walk, stream), 0o600, self._parameters["mode"])
                if self._parameters["fsync"]:
                    os.fsync(place.directory)
        except _Incomplete:
            pass
        finally:
            if walk.above is not None and not context.dry_run:
                # What is written in the tree beside it must not make the archive out of date. Others than the owner
                # cannot.
                with contextlib.suppress(OSError):
                    os.utime(place.directory, ns=(walk.above.st_atime_ns, walk.above.st_mtime_ns))
            walk.tell()
            context.statistics = walk.counts
        if not walk.failed:
            self._report(place, walk.counts)

    def _write(self, root: int, walk: PackWalk, stream: IO[bytes]) -> None:
        writer = self._format.writer(stream, self._parameters["level"], self._parameters["parallel"])
        try:
            walk.run(root, _Writing(writer))
            if walk.failed:
                raise _Incomplete
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        stream.flush()
        if self._parameters["fsync"]:
            os.fsync(stream.fileno())

    def _compare(self, root: int, place: FilePlace) -> Optional[PackWalk]:
        """Walk the tree, and read the archive beside it. None if they differ."""
        descriptor = place.open()
        try:
            if self._format.name != "brotli" and compression.detect(descriptor) is not self._format:
                return None
            reader = self._format.reader(descriptor)
            walk = PackWalk(self._context, self._tally, place)
            try:
                sink = _Comparing(reader, self._parameters["by_content"])
                walk.run(root, sink)
                sink.end()
            except (_Different, Corrupt):
                return None
            finally:
                with contextlib.suppress(OSError):
                    reader.close()
            return walk
        finally:
            os.close(descriptor)

    def _set_mode(self, place: FilePlace, existing: os.stat_result) -> None:
        """Give an archive that is up to date the mode that the job asks for."""
        mode = self._parameters["mode"]
        if mode is None or mode == stat.S_IMODE(existing.st_mode):
            return
        if not self._context.dry_run:
            try:
                with held(place.directory, place.name, existing) as target:
                    os.chmod(target, mode)
            except (OSError, ItemError) as error:
                raise place.unable("set the mode of", error) from error
        before, after = {"mode": octal(existing.st_mode)}, {"mode": octal(mode)}
        self._context.change("metadata", "file", text(place.path), before, after)

    def _report(self, place: FilePlace, counts: Dict[str, Any]) -> None:
        mode, before, action = self._parameters["mode"], {}, "create"
        if place.existing is not None:
            action = "update"
            before = {"size": place.existing.st_size, "mode": octal(place.existing.st_mode)}
            mode = place.existing.st_mode if mode is None else mode
        after = {
            "files": counts["files_total"],
            "unpacked_size": counts["unpacked_size"],
            "mode": octal(0o600 if mode is None else mode),
        }
        self._context.change(action, "file", text(place.path), before, after)
