# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Unfinished large files: what an earlier run has copied of one is not copied again.

The content is in ``.migration-assistant-DIGITS.part``, whose digits follow from the file's name. Beside it
``….done`` tells in its first line of which source it is a copy, and in each further one the first byte of a range that
is written and the byte after it. Both executors go on with what the other left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import _platform, tree

PARTIAL_SUFFIX = ".part"
RECORD_SUFFIX = ".done"
_FORMAT = "migration-assistant 2"
# In place of the boot on systems that do not tell it: every range is on the disk before it is recorded.
_FLUSHED = "flushed"
# How much of a file is copied between two notes.
_PIECE = 16 << 20
# More than any record can have.
_LONGEST = 64 << 20
_UPDATE_FLAGS: int = (
    os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)

Range = Tuple[int, int]


class Unusable(Exception):
    """What an earlier run left is no part of this source."""


class Halves(NamedTuple):
    """The names of the two files."""

    content: str
    record: str


def stem_of(name: str) -> str:
    """What the names of both files begin with, for the file of that name."""
    return tree.TEMPORARY_PREFIX + hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def halves(stem: str) -> Halves:
    return Halves(stem + PARTIAL_SUFFIX, stem + RECORD_SUFFIX)


class Partial:
    """One unfinished file, open. ``resumed`` are the bytes that an earlier run wrote. Raises OSError."""

    def __init__(self, directory: int, stem: str, content: int, record: int) -> None:
        self._directory = directory
        self._stem = stem
        self.content = content
        self._record = record
        self._boot = _platform.boot_id() or _FLUSHED
        self._end = 0
        self._lock = threading.Lock()
        self.done: List[Range] = []
        self.resumed = 0

    @property
    def name(self) -> str:
        return halves(self._stem).content

    def finish(self) -> None:
        """Forget the record of a file that bears its own name now."""
        tree.discard(self._directory, halves(self._stem).record)

    def discard(self) -> None:
        remove(self._directory, self._stem)

    @classmethod
    def begin(cls, directory: int, stem: str, source: os.stat_result) -> Partial:
        """Make both files, without a content."""
        names = halves(stem)
        content = tree.create_file(directory, names.content, readable=True)
        try:
            record = tree.create_file(directory, names.record, readable=True)
        except OSError:
            os.close(content)
            tree.discard(directory, names.content)
            raise
        made = cls(directory, stem, content, record)
        try:
            made.restart(source)
        except OSError:
            made.close()
            remove(directory, stem)
            raise
        return made

    @classmethod
    def go_on(cls, directory: int, stem: str, source: os.stat_result) -> Partial:
        """Open what an earlier run left of this very source. Raises Unusable."""
        names = halves(stem)
        opened: List[int] = []
        try:
            opened.append(_open_own(directory, names.content, source.st_size))
            opened.append(_open_own(directory, names.record, _LONGEST))
            found = cls(directory, stem, *opened)
            found._read(source)
        except (OSError, Unusable) as error:
            for descriptor in opened:
                os.close(descriptor)
            raise Unusable from error
        return found

    def _header(self, source: os.stat_result) -> bytes:
        """The first line of the record, with the source's time of change, since that of modification can be put back
        after the content was written anew. It names the unfinished file too: another in its place is not gone on with.
        """
        times = (source.st_mtime_ns, source.st_ctime_ns)
        numbers = (source.st_size, *times, source.st_ino, os.fstat(self.content).st_ino)
        return ("%s %s %s\n" % (_FORMAT, self._boot, " ".join(str(number) for number in numbers))).encode("ascii")

    def _read(self, source: os.stat_result) -> None:
        with os.fdopen(os.dup(self._record), "rb") as stream:
            text = stream.read()
        header = self._header(source)
        if not text.startswith(header):
            raise Unusable
        # A line that was not written to its end does not count.
        self._end = text.rindex(b"\n") + 1
        for line in text[len(header) : self._end].splitlines():
            self._add(_read_range(line, source.st_size))
        self.resumed = sum(end - start for start, end in self.done)
        # Until the first range is written the content may be shorter.
        if not self.resumed or os.fstat(self.content).st_size != source.st_size:
            raise Unusable

    def note(self, start: int, end: int) -> None:
        """Record that a range is written."""
        if self._boot == _FLUSHED:
            os.fsync(self.content)
        with self._lock:
            self._add((start, end))
            self._write(b"%d %d\n" % (start, end))

    def _write(self, line: bytes) -> None:
        self._end += os.pwrite(self._record, line, self._end)

    def _add(self, written: Range) -> None:
        """Join a range with those that it touches."""
        start, end = written
        apart = []
        for one in self.done:
            if one[1] < start or end < one[0]:
                apart.append(one)
            else:
                start, end = min(start, one[0]), max(end, one[1])
        self.done = sorted([*apart, (start, end)])

    def missing(self, start: int, end: int) -> List[Range]:
        """What of a range is not written."""
        with self._lock:
            found = []
            for first, last in self.done:
                if last <= start or end <= first:
                    continue
                if start < first:
                    found.append((start, first))
                start = last
            if start < end:
                found.append((start, end))
            return found

    def restart(self, source: os.stat_result) -> None:
        """Forget what is written, since the source has become another."""
        self.done, self.resumed, self._end = [], 0, 0
        os.ftruncate(self._record, 0)
        self._write(self._header(source))

    def close(self) -> None:
        os.close(self.content)
        os.close(self._record)


def remove(directory: int, stem: str) -> None:
    """Remove both files; the record goes first, since it vouches for the other."""
    names = halves(stem)
    tree.discard(directory, names.record)
    tree.discard(directory, names.content)


def pieces(size: int, chunk_size: int, partial: Optional[Partial]) -> Iterator[Range]:
    """What is missing of a file, chunk by chunk."""
    for chunk in range(0, size, chunk_size):
        whole = (chunk, min(chunk + chunk_size, size))
        for start, end in partial.missing(*whole) if partial is not None else [whole]:
            for first in range(start, end, _PIECE):
                yield first, min(first + _PIECE, end)


def _open_own(directory: int, name: str, most: int) -> int:
    """Open a file of at most that size that only this user can have made."""
    descriptor = os.open(name, _UPDATE_FLAGS, dir_fd=directory)
    info = os.fstat(descriptor)
    own = _platform.effective_user() in (-1, info.st_uid)
    if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1 or info.st_size > most or not own:
        os.close(descriptor)
        raise Unusable
    return descriptor


def _read_range(line: bytes, size: int) -> Range:
    with contextlib.suppress(ValueError):
        start, end = (int(word) for word in line.split(b" "))
        if 0 <= start < end <= size:
            return start, end
    raise Unusable


class Partials:
    """Those of one job: what earlier runs left of files that are now to be copied, and which are taken. Each is known
    by its directory's path and its stem."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: Dict[Tuple[str, str], bool] = {}

    def sort_out(self, path: str, names: Iterable[str], files: Iterable[str]) -> Set[str]:
        """Of the names in a directory of the destination, those to keep: both halves of one of these files."""
        there = {name for name in names if tree.is_temporary(name) and name.endswith((PARTIAL_SUFFIX, RECORD_SUFFIX))}
        kept: Set[str] = set()
        if len(there) < 2:
            return kept
        for file in files:
            stem = stem_of(file)
            if there.issuperset(halves(stem)):
                kept.update(halves(stem))
                with self._lock:
                    self._left[path, stem] = True
        return kept

    def claim(self, path: str, stem: str) -> Tuple[bool, bool]:
        """Take one for a file: whether an earlier run left it, and whether no other file has it."""
        with self._lock:
            known = (path, stem) in self._left
            found = self._left.get((path, stem), False)
            self._left[path, stem] = False
        return found, found or not known

    def unclaimed(self) -> List[Tuple[str, str]]:
        """Those of files that were not copied after all."""
        return sorted(key for key, left in self._left.items() if left)
