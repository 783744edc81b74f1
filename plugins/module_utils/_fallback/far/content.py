# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""A file of a tree on another host."""

from __future__ import annotations

import base64
import collections
import os
import struct
import zlib
from typing import Callable, Deque, Iterator, Optional, Tuple

from ..compare import MOST_AT_ONCE, Checksums
from ..origin import Part, Range, SourceFile
from ..tree import text
from ..xattrs import Xattrs
from .answers import BLOCK, block_digest
from .frames import DATA, SAME, ConnectionLost
from .listing import FarTree
from .messages import Message
from .questions import Answer

_POSITION = struct.Struct(">Q")


class FarFile(SourceFile):
    """A file on another host. ``ask`` is the first call, ``open`` the next."""

    def __init__(self, tree: FarTree, path: str, info: os.stat_result, read_xattrs: Callable[[bool], Xattrs]) -> None:
        self._tree = tree
        self._path = path
        self._read_xattrs = read_xattrs
        self._identity = [info.st_dev, info.st_ino]
        self._answer: Optional[Tuple[Range, Answer]] = None
        self._first: Optional[os.stat_result] = None
        self._info = info

    def ask(self, wanted: Range, ahead: bool = False) -> FarFile:
        self._answer = (wanted, self._ask(wanted, ahead))
        return self

    def _ask(self, wanted: Range, ahead: bool = False, known: str = "") -> Answer:
        question = {"ask": "file", "path": text(self._path), "identity": self._identity, "range": wanted}
        if known:
            question["known"] = known
        return self._tree.questions.ask(question, ahead)

    def open(self) -> FarFile:
        """Wait for the beginning of the answer, and take over what the file is."""
        if self._answer is None:
            raise AssertionError("it was asked for")
        self._begin(self._answer[1])
        return self

    def _begin(self, answer: Answer) -> None:
        """Read how an answer begins."""
        _kind, payload = answer.take()
        self._note(self._tree.stat(self._tree.read(payload)))

    def _note(self, info: os.stat_result) -> None:
        """Keep what the file is; once it has changed, what is known of that."""
        if self._first is None:
            self._first = self._info = info
        elif (info.st_size, info.st_mtime_ns) != (self._first.st_size, self._first.st_mtime_ns):
            self._info = info

    def info(self) -> os.stat_result:
        return self._info

    def xattrs(self, root: bool) -> Xattrs:
        return self._read_xattrs(root)

    def same_content(self, target: int, size: int, check: Callable[[], None]) -> bool:
        return self._same(target, size, Checksums(self._tree.algorithm, None, check), {})

    def same_checksum(self, target: int, size: int, checksums: Checksums) -> bool:
        return self._same(target, size, checksums, {"known": True})

    def _same(self, target: int, size: int, checksums: Checksums, known: Message) -> bool:
        """Compare the checksums of both files, which each end computes, or knows if ``known`` is asked for."""
        question = {"ask": "digest", "path": text(self._path), "identity": self._identity, "size": size, **known}
        answer = self._tree.questions.ask(question)
        here = checksums.of(target, size)
        message = self._tree.read(answer.take()[1])
        self._tree.tell(message)
        checksums.count(bool(message.get("known")))
        ends = self._tree.stat(message).st_size == os.fstat(target).st_size == size
        return ends and message.get("digest") == here.hex()

    def receive(
        self, ranges: Iterator[Range], check: Callable[[], None], earlier: Optional[int]
    ) -> Iterator[Tuple[Range, Iterator[Part]]]:
        under_way: Deque[Tuple[Range, Answer, bool]] = collections.deque()

        def ask_next() -> None:
            wanted = next(ranges, None)
            if wanted is None:
                return
            first, self._answer = self._answer, None
            if first is not None and first[0] == wanted:
                under_way.append((*first, True))
                return
            if first is not None:
                first[1].drop()
            under_way.append((wanted, self._ask(wanted, known=_known(earlier, wanted, check)), False))

        try:
            ask_next()
            while under_way:
                ask_next()  # on its way while the one before it is written
                wanted, answer, begun = under_way[0]
                if not begun:
                    self._begin(answer)
                yield wanted, self._parts(answer, check, earlier)
                under_way.popleft()
        finally:
            for _wanted, answer, _begun in under_way:
                answer.drop()

    def _parts(self, answer: Answer, check: Callable[[], None], earlier: Optional[int]) -> Iterator[Part]:
        total = 0
        while True:
            check()
            kind, payload = answer.take()
            if kind == DATA:
                data = memoryview(payload)[_POSITION.size :]
                total = zlib.crc32(data, total)
                yield _POSITION.unpack_from(payload)[0], data, False
            elif kind == SAME and earlier is not None:
                position, length = (number for (number,) in _POSITION.iter_unpack(payload))
                for same in _read(earlier, position, length):
                    total = zlib.crc32(same, total)
                    yield position, memoryview(same), True
                    position += len(same)
            else:
                break
        message = self._tree.read(payload)
        self._note(self._tree.stat(message))
        if message.get("crc") != total:
            raise ConnectionLost("the data was damaged on its way: its CRC-32 is %08x" % total)

    def restart(self) -> None:
        self._first = None

    def close(self) -> None:
        if self._answer is not None:
            self._answer[1].drop()
            self._answer = None


def _known(earlier: Optional[int], wanted: Range, check: Callable[[], None]) -> str:
    """The digests of what there is of a range in the file that is replaced."""
    if earlier is None:
        return ""
    digests = []
    for position in range(*wanted, BLOCK):
        check()
        block = os.pread(earlier, min(BLOCK, wanted[1] - position), position)
        if not block:
            break
        digests.append(block_digest(block))
    return base64.b64encode(b"".join(digests)).decode("ascii")


def _read(descriptor: int, position: int, length: int) -> Iterator[bytes]:
    """Bytes of the file that is replaced; fewer if it has become shorter, as the CRC-32 of the whole will tell."""
    while length > 0:
        data = os.pread(descriptor, min(length, MOST_AT_ONCE), position)
        if not data:
            return
        yield data
        position += len(data)
        length -= len(data)
