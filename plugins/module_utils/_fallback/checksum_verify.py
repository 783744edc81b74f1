# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What differs between a tree and its manifest."""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set

from . import digests, manifest, tree
from ._context import Context
from ._errors import JobError, reason
from .checksum_walk import Taker
from .digests import ALGORITHMS, Algorithm
from .file_place import FilePlace
from .filters import Filters
from .tree import text


def read_manifest(place: FilePlace, algorithm: Optional[Algorithm]) -> List[bytes]:
    """The records of the manifest; any algorithm will do where none is given."""
    sizes = [each.size for each in ALGORITHMS.values() if algorithm in (None, each)]
    try:
        with os.fdopen(place.open(), "rb") as stream:
            return manifest.read(stream, sorted(set(sizes), key=sizes.index))
    except manifest.ManifestError as error:
        raise JobError("manifest_invalid", "the manifest %s%s" % (text(place.path), error)) from error
    except OSError as error:
        message = "unable to read the manifest %s: %s" % (text(place.path), reason(error))
        raise JobError("io_error", message) from error


class Mismatch(NamedTuple):
    """A file that is not as its record says: it has another checksum by each algorithm, or is of another kind."""

    place: int
    sums: Dict[str, bytes]
    kind: str = ""


class Comparison(Taker):
    """Compares what the walk finds with the records of a manifest."""

    def __init__(self, context: Context, listed: List[bytes], algorithm: Optional[Algorithm]) -> None:
        self._context = context
        self._listed = listed
        self._seen = bytearray(len(listed))
        self._given = algorithm
        self._possible = [algorithm] if algorithm is not None else _possible(listed)
        self.algorithms = [each for each in self._possible if each.is_available()]
        if not self.algorithms:
            self._possible[0].require()
        self._matched = 0
        self._mismatched: List[Mismatch] = []
        self._unexpected: List[bytes] = []
        self._lock = threading.Lock()

    def wants(self, path: str) -> bool:
        raw = os.fsencode(path)
        if manifest.find(self._listed, raw) >= 0:
            return True
        with self._lock:
            self._unexpected.append(raw)
        return False

    def skip(self, path: str, mode: int) -> None:
        place = manifest.find(self._listed, os.fsencode(path))
        if place < 0:
            return
        self._seen[place] = 1
        kind = tree.kind(mode)
        if kind != "file":
            with self._lock:
                self._mismatched.append(Mismatch(place, {}, kind))

    def fail(self, path: str) -> None:
        self._seen[manifest.find(self._listed, os.fsencode(path))] = 1

    def take(self, path: str, algorithms: Sequence[Algorithm], sums: Sequence[bytes]) -> None:
        """Judge a file by its checksums. The first one that is as the manifest says shows by which of several
        algorithms the manifest was made."""
        place = manifest.find(self._listed, os.fsencode(path))
        self._seen[place] = 1
        wanted = manifest.checksum_of(self._listed[place])
        with self._lock:
            for algorithm, found in zip(algorithms, sums):
                if algorithm in self.algorithms and found == wanted:
                    self.algorithms = [algorithm]
                    self._matched += 1
                    return
            found_by = {algorithm.name: found for algorithm, found in zip(algorithms, sums)}
            self._mismatched.append(Mismatch(place, found_by))

    def check_algorithm(self) -> None:
        """Raise a JobError if nothing matched, and the manifest may be one of an algorithm that this host lacks."""
        if not self._matched and any(mismatch.sums for mismatch in self._mismatched):
            for algorithm in self._possible:
                algorithm.require()

    def statistics(self) -> Dict[str, Any]:
        return {
            "algorithm": self.algorithms[0].name,
            "files_listed": len(self._listed),
            "matched": self._matched,
            "missing": 0,
            "mismatched": len(self._mismatched),
            "unexpected": len(self._unexpected),
        }

    def report(self, filters: Filters, unread: Set[str]) -> int:
        """Emit the differences in the order of their paths, and give the number of missing files."""
        missing = 0
        for place, entry in enumerate(self._listed):
            if self._seen[place]:
                continue
            path = os.fsdecode(manifest.path_of(entry))
            if not _is_left_out(path, filters, unread):
                missing += 1
                self._context.difference("missing", text(path), manifest.checksum_of(entry).hex())
        name = self.algorithms[0].name
        for mismatch in sorted(self._mismatched, key=lambda each: each.place):
            entry = self._listed[mismatch.place]
            path = text(os.fsdecode(manifest.path_of(entry)))
            found = mismatch.kind or mismatch.sums[name].hex()
            self._context.difference("mismatched", path, manifest.checksum_of(entry).hex(), found)
        for raw in sorted(self._unexpected):
            self._context.difference("unexpected", text(os.fsdecode(raw)))
        return missing

    def judge(self, path: str, statistics: Dict[str, Any]) -> None:
        """Raise a JobError if the tree is not as the manifest says."""
        failing = statistics["missing"] + statistics["mismatched"]
        if self._context.parameters["unexpected"] == "fail":
            failing += statistics["unexpected"]
        if not failing:
            return
        message = "the tree differs from the manifest %s: %d missing, %d mismatched, %d unexpected" % (
            text(path),
            statistics["missing"],
            statistics["mismatched"],
            statistics["unexpected"],
        )
        if self._context.meter.error_count:
            message += "; %d could not be read" % self._context.meter.error_count
        raise JobError("verification_failed", message)


def _possible(listed: List[bytes]) -> List[Algorithm]:
    """The algorithms by which the manifest can have been made."""
    if not listed:
        return [ALGORITHMS["sha256"]]
    return digests.of_size(len(manifest.checksum_of(listed[0])))


def _is_left_out(path: str, filters: Filters, unread: Set[str]) -> bool:
    """Whether a file, or a directory on the way to it, is hidden by a filter, or could not be looked at."""
    if "" in unread:
        return True
    parts = path.split("/")
    for length in range(1, len(parts)):
        above = "/".join(parts[:length])
        if above in unread or filters.hides(text(above), True):
            return True
    return filters.hides(text(path), False)
