# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The checksums of files that this host's Python can compute."""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from . import _platform
from ._errors import JobError


class Algorithm(NamedTuple):
    """One kind of checksum: its size in bytes, and the library that it needs besides Python's own."""

    name: str
    size: int
    library: str = ""

    def is_available(self) -> bool:
        return not self.library or _platform.has_library(self.library)

    def require(self, host: str = "this host") -> None:
        """Raise a JobError if the host that runs this lacks the library."""
        if not self.is_available():
            raise JobError(
                "capability_missing",
                "the Python fallback needs the Python library %s on %s for the algorithm %s; "
                "install it there, or let the Go engine do the work" % (self.library, host, self.name),
            )

    def new(self) -> Any:
        """A new hash object with update and digest."""
        return _MAKERS[self.name]()


def _blake3() -> Any:
    import blake3

    return blake3.blake3()


def _xxh3() -> Any:
    import xxhash

    return xxhash.xxh3_128()


_MAKERS: Dict[str, Callable[[], Any]] = {"sha256": hashlib.sha256, "blake3": _blake3, "xxh3": _xxh3}

# Where several have the same size, the first is the more common one. XXH3 is the one of 128 bits, whose checksums are
# those of xxh128sum.
ALGORITHMS: Dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (Algorithm("sha256", 32), Algorithm("blake3", 32, "blake3"), Algorithm("xxh3", 16, "xxhash"))
}


# The one that is taken where nobody says which.
DEFAULT = "sha256"


def of_size(size: int) -> List[Algorithm]:
    """The algorithms whose checksums have that many bytes."""
    return [algorithm for algorithm in ALGORITHMS.values() if algorithm.size == size]


def of_sync(parameters: Mapping[str, Any]) -> Optional[Algorithm]:
    """By which a job compares contents on two hosts; None for one that compares none."""
    if parameters["by_content"] or parameters["verify"]:
        return ALGORITHMS[parameters["checksum_algorithm"]]
    return None
