# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Lists of checksums in the format of sha256sum, which b3sum and xxhsum share: a line for each file, with its checksum
in hexadecimal digits, two spaces, and its path. A line whose path has a backslash, a line feed or a carriage return
begins with a backslash, and its path has ``\\\\``, ``\\n`` and ``\\r`` for them.

A record is the path relative to the tree, a null byte, and the bytes of the checksum. Records take little memory, and
sort by their paths.
"""

from __future__ import annotations

import bisect
import re
from typing import BinaryIO, Iterator, List, Sequence, Tuple

_SEPARATOR = b"\0"
_BLOCK = 64 << 10
# Its path can be longer than what a system call takes, but not by that much.
LONGEST_LINE = 1 << 20
_LINE = re.compile(rb"(\\?)((?:[0-9A-Fa-f]{2})+) [ *](.*)\Z", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_PLAIN = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


class ManifestError(Exception):
    """A manifest cannot be used; the message goes on after its name."""


def record(path: bytes, checksum: bytes) -> bytes:
    return path + _SEPARATOR + checksum


def path_of(entry: bytes) -> bytes:
    return entry[: entry.index(_SEPARATOR)]


def checksum_of(entry: bytes) -> bytes:
    return entry[entry.index(_SEPARATOR) + 1 :]


def find(records: Sequence[bytes], path: bytes) -> int:
    """The place of a path in sorted records, -1 if it is not there."""
    key = path + _SEPARATOR
    place = bisect.bisect_left(records, key)
    return place if place < len(records) and records[place].startswith(key) else -1


def write(records: Sequence[bytes]) -> Iterator[bytes]:
    """The text of the manifest, in blocks."""
    block = bytearray()
    for entry in records:
        block += _line(entry)
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _line(entry: bytes) -> bytes:
    path, checksum = path_of(entry), checksum_of(entry)
    mark = b""
    if b"\\" in path or b"\n" in path or b"\r" in path:
        mark = b"\\"
        path = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return mark + checksum.hex().encode("ascii") + b"  ./" + path + b"\n"


def read(stream: BinaryIO, sizes: Sequence[int]) -> List[bytes]:
    """The records of a manifest, sorted. Its checksums must have one of the sizes, all of them the same.

    Lines that begin with # are comments. Raises ManifestError for the first line that cannot be read.
    """
    records: List[bytes] = []
    number = 0
    while True:
        number += 1
        line = stream.readline(LONGEST_LINE + 2)
        if not line:
            break
        if len(line) > LONGEST_LINE + 1:
            raise ManifestError(", line %d: it is longer than %d bytes" % (number, LONGEST_LINE))
        if line.startswith(b"#"):
            continue
        try:
            path, checksum = _parse(_trim_end(line), sizes)
        except ValueError as error:
            raise ManifestError(", line %d: %s" % (number, error)) from error
        if not records:
            sizes = (len(checksum),)
        records.append(record(path, checksum))
    return _unique(records)


def _trim_end(line: bytes) -> bytes:
    if line.endswith(b"\n"):
        line = line[:-1]
    return line[:-1] if line.endswith(b"\r") else line


def _parse(line: bytes, sizes: Sequence[int]) -> Tuple[bytes, bytes]:
    if not line:
        raise ValueError("it is empty")
    match = _LINE.match(line)
    if match is None or len(match.group(2)) // 2 not in sizes:
        digits = " or ".join(str(2 * size) for size in sizes)
        raise ValueError("it does not begin with a checksum of %s hexadecimal digits and two spaces" % digits)
    mark, checksum, path = match.groups()
    return _relative(_unescape(path) if mark else path), bytes.fromhex(checksum.decode("ascii"))


def _unescape(path: bytes) -> bytes:
    try:
        return _ESCAPE.sub(lambda match: _PLAIN[match.group(1)], path)
    except KeyError:
        raise ValueError(r"its path has a backslash that begins none of \\, \n and \r") from None


def _relative(path: bytes) -> bytes:
    """The path in its shortest form, if it stays within the tree."""
    if path.startswith(b"/"):
        raise ValueError("its path is absolute")
    if _SEPARATOR in path:
        raise ValueError("its path has a null byte")
    kept = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in kept:
        raise ValueError("its path has .. in it, which may lead out of the tree")
    if not kept or path.endswith(b"/"):
        raise ValueError("its path names no file")
    return b"/".join(kept)


def _unique(records: List[bytes]) -> List[bytes]:
    """Sort the records and drop those that are there twice."""
    records.sort()
    kept: List[bytes] = []
    for entry in records:
        if kept and path_of(kept[-1]) == path_of(entry):
            if kept[-1] == entry:
                continue
            path = path_of(entry).decode("utf-8", "surrogateescape")
            raise ManifestError(" lists %s twice, with different checksums" % path)
        kept.append(entry)
    return kept
