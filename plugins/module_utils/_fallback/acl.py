# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""POSIX access control lists: extended attributes to Linux, and text in archives, as GNU tar and star write it."""

from __future__ import annotations

import re
import struct
from typing import Dict, List, Optional, Tuple

from .compression import Corrupt
from .xattrs import ACCESS_ACL, DEFAULT_ACL

RECORDS: Dict[str, str] = {ACCESS_ACL: "SCHILY.acl.access", DEFAULT_ACL: "SCHILY.acl.default"}
_VERSION = 2
# Of a list of three entries.
PLAIN_SIZE = 4 + 3 * 8
_NOBODY = 0xFFFFFFFF
# What an entry is for: its word, and whether it is for the one user or group of a number.
_TAGS: Dict[int, Tuple[bytes, bool]] = {
    0x01: (b"user", False),
    0x02: (b"user", True),
    0x04: (b"group", False),
    0x08: (b"group", True),
    0x10: (b"mask", False),
    0x20: (b"other", False),
}
_NUMBERS = {words: number for number, words in _TAGS.items()}


def to_text(value: bytes) -> Optional[bytes]:
    """A list as text, with numbers for users and groups; None for what is no list."""
    if len(value) < 4 or (len(value) - 4) % 8 or struct.unpack_from("<I", value)[0] != _VERSION:
        return None
    parts: List[bytes] = []
    for tag, bits, number in struct.iter_unpack("<HHI", value[4:]):
        if tag not in _TAGS:
            return None
        word, named = _TAGS[tag]
        letters = b"".join(b"%c" % letter if bits & (4 >> index) else b"-" for index, letter in enumerate(b"rwx"))
        parts.append(b"%s:%s:%s" % (word, b"%d" % number if named else b"", letters))
    return b",".join(parts)


def from_text(text: bytes) -> bytes:
    """The reverse, empty for an empty text; Corrupt for what is no list.

    GNU tar writes names, and the numbers behind them.
    """
    entries: List[Tuple[int, int, int]] = []
    for part in re.split(rb"[,\n]", text):
        if not part.strip():
            continue
        fields = part.strip().split(b":")
        tag = _NUMBERS.get((fields[0], len(fields) > 1 and fields[1] != b""))
        if tag is None or len(fields) < 3:
            raise Corrupt
        number, qualifier = _NOBODY, fields[3] if len(fields) > 3 else fields[1]
        if fields[1]:
            if not qualifier.isdigit() or int(qualifier) > _NOBODY:
                raise Corrupt
            number = int(qualifier)
        bits = sum(4 >> index for index, letter in enumerate(b"rwx") if letter in fields[2])
        entries.append((tag, number, bits))
    if not entries:
        return b""
    entries.sort(key=lambda entry: entry[:2])
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", tag, bits, id_) for tag, id_, bits in entries)


def permissions(value: bytes, mode: int) -> int:
    """The mode of an entry that has this list, or none. On Linux the list says it, with its mask for the group; bsdtar
    writes the group's own bits."""
    if len(value) <= PLAIN_SIZE:
        return mode
    bits: Dict[int, int] = {tag: word & 7 for tag, word, _number in struct.iter_unpack("<HHI", value[4:])}
    user, other = bits.get(0x01, mode >> 6 & 7), bits.get(0x20, mode & 7)
    group = bits.get(0x10, bits.get(0x04, mode >> 3 & 7))
    return mode & ~0o777 | user << 6 | group << 3 | other
