# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Tar archives: headers in the PAX format, and a reader of all that GNU tar and POSIX tools write.

Python's own library writes no sparse files, and takes an archive that is corrupt in its middle for one that ends there.
"""

from __future__ import annotations

import os
import stat
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from . import acl
from .compression import Corrupt
from .xattrs import DEFAULT_ACL, LABEL

BLOCK = 512
END = bytes(2 * BLOCK)
_ATTRIBUTE = "SCHILY.xattr."
# Where GNU tar has the SELinux context, without the null byte at its end.
_LABEL = b"RHT.security.selinux"
_MOST_7_DIGITS = (1 << 21) - 1
_MOST_11_DIGITS = (1 << 33) - 1
# What precedes a file, such as its records, may not be larger.
_LARGEST_RECORDS = 1 << 20
_LONGEST_SPARSE_MAP = 1 << 20

Extent = Tuple[int, int]

FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
TYPES: Dict[bytes, int] = {
    FILE: stat.S_IFREG,
    b"7": stat.S_IFREG,
    b"S": stat.S_IFREG,
    LINK: stat.S_IFREG,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    DIRECTORY: stat.S_IFDIR,
    FIFO: stat.S_IFIFO,
}


def padding(size: int) -> bytes:
    """The zeros that follow that many bytes."""
    return END[: -size % BLOCK]


class Member:
    """What an archive says of one file. ``path`` is relative to the tree, empty for its root; ``extents`` are the parts
    of a file with holes that hold data, None for a file without."""

    def __init__(self, path: str, kind: bytes) -> None:
        self.path = path
        self.kind = kind
        self.target = ""
        self.mode = 0o644
        self.user = 0
        self.group = 0
        self.size = 0
        self.mtime_ns = 0
        self.device = (0, 0)
        self.xattrs: Dict[str, bytes] = {}
        self.extents: Optional[List[Extent]] = None

    @property
    def data_size(self) -> int:
        """How many bytes of the file's content are in the archive."""
        return self.size if self.extents is None else sum(end - start for start, end in self.extents)

    def header(self) -> bytes:
        """All that precedes the content."""
        name, size, sparse = self._name(), self.size, b""
        records: Dict[bytes, bytes] = {}
        if self.extents is not None:
            sparse = self._sparse_map()
            size = len(sparse) + self.data_size
            records.update({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.name": name})
            records[b"GNU.sparse.realsize"] = b"%d" % self.size
            above, slash, base = name.rpartition(b"/")
            name = above + slash + b"GNUSparseFile.0/" + base
        for attribute, value in self.xattrs.items():
            record, content = _record(attribute, value)
            records[record] = content
        if self.mtime_ns % 10**9 or not 0 <= self.mtime_ns // 10**9 <= _MOST_11_DIGITS:
            records[b"mtime"] = _time_text(self.mtime_ns)
        block = self._block(name, size, records)
        if not records:
            return block + sparse
        text = _records_text(records)
        above_block = Member("", b"x")._block(b"././@PaxHeader", len(text), {})
        return above_block + text + padding(len(text)) + block + sparse

    def _name(self) -> bytes:
        if not self.path:
            return b"./"
        return os.fsencode(self.path) + (b"/" if self.kind == DIRECTORY else b"")

    def _sparse_map(self) -> bytes:
        """The list of extents, as GNU tar's format 1.0 has it."""
        extents = self.extents or []
        text = b"%d\n" % len(extents) + b"".join(b"%d\n%d\n" % (start, end - start) for start, end in extents)
        return text + padding(len(text))

    def _block(self, name: bytes, size: int, records: Dict[bytes, bytes]) -> bytes:
        """The header's block; what has no room in it is added to the records."""

        def number(value: int, most: int, record: bytes) -> int:
            if value <= most:
                return value
            records[record] = b"%d" % value
            return 0

        def text(value: bytes, record: bytes) -> bytes:
            if value != _plain(value):
                records[record] = value
            return _plain(value)

        fields = [
            text(name, b"path").ljust(100, b"\0"),
            b"%07o\0" % self.mode,
            b"%07o\0" % number(self.user, _MOST_7_DIGITS, b"uid"),
            b"%07o\0" % number(self.group, _MOST_7_DIGITS, b"gid"),
            b"%011o\0" % number(size, _MOST_11_DIGITS, b"size"),
            b"%011o\0" % min(max(self.mtime_ns // 10**9, 0), _MOST_11_DIGITS),
            b"        ",
            self.kind,
            text(os.fsencode(self.target), b"linkpath").ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0%07o\0" % self.device,
        ]
        block = b"".join(fields).ljust(BLOCK, b"\0")
        return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _plain(text: bytes) -> bytes:
    """What stands in the header for a text; another one than the text itself if only a record can hold that."""
    return bytes(value if value < 0x80 else 0x3F for value in text[:100])


def _time_text(mtime_ns: int) -> bytes:
    """Seconds with the nanoseconds as a fraction."""
    seconds, nanoseconds = divmod(abs(mtime_ns), 10**9)
    text = "%s%d" % ("-" if mtime_ns < 0 else "", seconds)
    if nanoseconds:
        text = ("%s.%09d" % (text, nanoseconds)).rstrip("0")
    return text.encode()


def _records_text(records: Dict[bytes, bytes]) -> bytes:
    text = b""
    for name in sorted(records):
        rest = len(name) + len(records[name]) + len(b" =\n")
        length, previous = rest, 0
        while length != previous:
            length, previous = rest + len(str(length)), length
        text += b"%d %s=%s\n" % (length, name, records[name])
    return text


def _record(attribute: str, value: bytes) -> Tuple[bytes, bytes]:
    """The record that holds an extended attribute. Its name is written as GNU tar does, since it ends at the first
    equals sign."""
    if attribute in acl.RECORDS:
        text = acl.to_text(value)
        if text is not None:
            return acl.RECORDS[attribute].encode(), text
    return os.fsencode(_ATTRIBUTE + attribute.replace("%", "%25").replace("=", "%3D")), value


class Found(Member):
    """A member as it is read. Its content is read from the reader before the next member is asked for."""

    def __init__(self, path: str, kind: bytes) -> None:
        super().__init__(path, kind)
        self.stored = 0


class TarReader:
    """Reads an archive member by member, from a function that gives the next bytes, or nothing at the end.

    Raises Corrupt for what is no archive, or a truncated one.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._left = 0
        self._padding = 0
        self._member: Optional[Found] = None

    def next(self) -> Optional[Found]:
        """The next member, None at the end of the archive, behind which there are only zeros."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        records: Dict[bytes, bytes] = {}
        sparse: List[bytes] = []
        long_name = long_target = None
        while True:
            block = self._exactly(BLOCK)
            if block == END[:BLOCK]:
                self._finish()
                return None
            _check_sum(block)
            kind = block[156:157]
            size = _number(block[124:136])
            if size < 0:
                raise Corrupt
            if kind == b"x":
                records, sparse = _parse_records(self._special(size))
            elif kind == b"L":
                long_name = self._special(size).split(b"\0")[0]
            elif kind == b"K":
                long_target = self._special(size).split(b"\0")[0]
            elif kind == b"g":
                self._special(size)
            else:
                return self._make(block, size, records, sparse, long_name, long_target)

    def _special(self, size: int) -> bytes:
        if size > _LARGEST_RECORDS:
            raise Corrupt
        return self._exactly(size + len(padding(size)))[:size]

    def _make(
        self,
        block: bytes,
        size: int,
        records: Dict[bytes, bytes],
        sparse: List[bytes],
        long_name: Optional[bytes],
        long_target: Optional[bytes],
    ) -> Found:
        name = block[:100].split(b"\0")[0]
        prefix = block[345:500].split(b"\0")[0]
        if block[257:263] == b"ustar\0" and prefix:
            name = prefix + b"/" + name
        name = records.get(b"GNU.sparse.name") or records.get(b"path") or long_name or name
        target = records.get(b"linkpath") or long_target or block[157:257].split(b"\0")[0]
        kind = block[156:157]
        if kind == b"\0":
            kind = DIRECTORY if name.endswith(b"/") else FILE
        member = Found(os.fsdecode(name), kind)
        member.target = os.fsdecode(target)
        member.mode = _number(block[100:108]) & 0o7777
        member.user = _decimal(records, b"uid", _number(block[108:116]))
        member.group = _decimal(records, b"gid", _number(block[116:124]))
        member.mtime_ns = _time(records[b"mtime"]) if b"mtime" in records else _number(block[136:148]) * 10**9
        if kind in (CHARACTER, BLOCK_DEVICE):
            member.device = (_number(block[329:337]), _number(block[337:345]))
        member.xattrs = _attributes(records)
        size = _decimal(records, b"size", size)
        if size < 0:
            raise Corrupt
        if TYPES.get(kind, stat.S_IFREG) != stat.S_IFREG or kind == LINK:
            size = 0
        member.size = member.stored = self._left = size
        self._padding = len(padding(size))
        self._member = member
        if kind == b"S" or any(each.startswith(b"GNU.sparse.") for each in records):
            self._make_sparse(member, block, records, sparse)
        return member

    def _make_sparse(self, member: Found, block: bytes, records: Dict[bytes, bytes], sparse: List[bytes]) -> None:
        """Read which parts of a sparse file the archive holds: GNU tar's old format, and 0.0, 0.1 and 1.0 of PAX."""
        if member.kind == b"S":
            numbers = self._old_map(block)
            real = _number(block[483:495])
        elif records.get(b"GNU.sparse.major") == b"1":
            numbers = self._map_before_content()
            real = _decimal(records, b"GNU.sparse.realsize", -1)
        else:
            numbers = [_integer(each) for each in sparse or records.get(b"GNU.sparse.map", b"").split(b",") if each]
            real = _decimal(records, b"GNU.sparse.size", -1)
        extents = [(start, start + length) for start, length in zip(numbers[::2], numbers[1::2])]
        end = 0
        for start, stop in extents:
            if start < end or stop < start:
                raise Corrupt
            end = stop
        if len(numbers) % 2 or real < end or sum(numbers[1::2]) != self._left:
            raise Corrupt
        member.size, member.extents = real, extents

    def _old_map(self, block: bytes) -> List[int]:
        numbers: List[int] = []
        fields, more, count = block[386:482], block[482:483] not in (b"\0", b"0"), 4
        while True:
            for index in range(count):
                field = fields[24 * index : 24 * index + 24]
                if field[:1] == b"\0" or field[12:13] == b"\0":
                    break
                numbers += [_number(field[:12]), _number(field[12:])]
            if not more or len(numbers) > _LONGEST_SPARSE_MAP:
                return numbers
            extension = self._exactly(BLOCK)
            fields, more, count = extension[:504], extension[504:505] not in (b"\0", b"0"), 21

    def _map_before_content(self) -> List[int]:
        lines: List[bytes] = []
        text, wanted = b"", 1
        while len(lines) < wanted:
            if self._left < BLOCK or wanted > _LONGEST_SPARSE_MAP:
                raise Corrupt
            self._left -= BLOCK
            text += self._exactly(BLOCK)
            *complete, text = text.split(b"\n")
            lines += complete
            if lines and wanted == 1:
                wanted += 2 * _integer(lines[0])
        return [_integer(line) for line in lines[1:wanted]]

    def content(self) -> Iterator[Tuple[int, bytes]]:
        """The content of the member as pieces, each with its place in the file; what is between them are zeros."""
        member = self._member
        if member is None:
            return
        for start, end in [(0, member.size)] if member.extents is None else member.extents:
            while start < end:
                piece = self._some(end - start)
                self._left -= len(piece)
                yield start, piece
                start += len(piece)

    def _some(self, size: int) -> bytes:
        piece = self._read(min(size, 1 << 18))
        if not piece:
            raise Corrupt
        return piece

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self._some(size - len(data))
        return data

    def _skip(self, size: int) -> None:
        while size > 0:
            size -= len(self._some(size))

    def _finish(self) -> None:
        while True:
            rest = self._read(1 << 18)
            if not rest:
                return
            if rest.strip(b"\0"):
                raise TrailingData


class TrailingData(Corrupt):
    """There is something behind the end of the archive."""


def _check_sum(block: bytes) -> None:
    without = block[:148] + b"        " + block[156:]
    found, total = _number(block[148:156]), sum(without)
    # Some old tools sum up signed bytes.
    if found != total and found != total - 256 * sum(value > 127 for value in without):
        raise Corrupt


def _number(field: bytes) -> int:
    """Octal digits, or a binary number as GNU tar writes it."""
    if field[:1] >= b"\x80":
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    text = field.split(b"\0")[0].strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        raise Corrupt from error


def _integer(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise Corrupt
    return int(text)


def _decimal(records: Dict[bytes, bytes], name: bytes, otherwise: int) -> int:
    return _integer(records[name]) if records.get(name) else otherwise


def _time(text: bytes) -> int:
    sign = -1 if text.startswith(b"-") else 1
    seconds, _point, fraction = text.lstrip(b"-").partition(b".")
    return sign * (_integer(seconds or b"0") * 10**9 + _integer(fraction[:9].ljust(9, b"0")))


def _parse_records(text: bytes) -> Tuple[Dict[bytes, bytes], List[bytes]]:
    """The records by name, and the values that may come many times, of GNU tar's sparse format 0.0."""
    records: Dict[bytes, bytes] = {}
    sparse: List[bytes] = []
    while text:
        length, space, _rest = text.partition(b" ")
        end = _integer(length) if space else 0
        name, equals, value = text[len(length) + 1 : end].partition(b"=")
        if not equals or not name or not value.endswith(b"\n") or end > len(text):
            raise Corrupt
        if name in (b"path", b"linkpath") and b"\0" in value:
            raise Corrupt
        if name in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse.append(value[:-1])
        records[name] = value[:-1]
        text = text[end:]
    return records, sparse


def _attributes(records: Dict[bytes, bytes]) -> Dict[str, bytes]:
    found: Dict[str, bytes] = {}
    prefix = _ATTRIBUTE.encode()
    if records.get(_LABEL):
        found[LABEL] = records[_LABEL] + b"\0"
    for name, value in records.items():
        if name.startswith(prefix):
            found[os.fsdecode(name[len(prefix) :]).replace("%3D", "=").replace("%25", "%")] = value
    for attribute, record in acl.RECORDS.items():
        value = acl.from_text(records.get(record.encode(), b""))
        # A list of user, group and other alone says no more than the mode, and Linux keeps none.
        if len(value) > acl.PLAIN_SIZE or (value and attribute == DEFAULT_ACL):
            found[attribute] = value
    return found
