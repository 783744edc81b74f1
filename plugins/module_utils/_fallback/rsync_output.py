# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What rsync says: a line for each entry that it changes, and what goes wrong."""

from __future__ import annotations

import os
import re
from typing import NamedTuple, Optional

from .tree import Dangling, Vanished, text

# The two slashes are in no path of an entry; without them a name could not be told from what follows.
OUT_FORMAT = "%i %l %n//%L"

_LINE = re.compile(rb"([<>ch.*][fdLDS?][^ ]{9}|\*deleting  ) (\d+) (.*)\Z", re.DOTALL)
_ESCAPED = re.compile(rb"\\#([0-7]{3})")
_KINDS = {"f": "file", "d": "directory", "L": "symlink", "D": "device", "S": "fifo"}
_FAILURE = re.compile(rb'(?:rsync: )?(?:\[\w+\] )?(?P<what>.*?)"(?P<path>.*)"(?P<more>.*)\Z', re.DOTALL)
_RENAME = re.compile(rb'(?:rsync: )?(?:\[\w+\] )?rename ".*" -> "(?P<path>.*)":', re.DOTALL)
_BEGIN = re.compile(rb"\A(?:ERROR: |rsync: (?:\[\w+\] )?)")
_UNEQUAL = re.compile(rb"ERROR: (?P<path>.*) (?P<what>failed verification -- update [^/]*)\.\Z", re.DOTALL)
_NUMBER = re.compile(rb"\((\d+)\)\Z")
_VANISHED = b"file has vanished: "
_DANGLING = b"symlink has no referent: "
_SKIPPED = b"skipping non-regular file "
_IN_THE_WAY = re.compile(rb"could not make way for .*?: (?P<path>.*)\Z", re.DOTALL)
IN_THE_WAY = "a directory is in the way; delete: true would replace it"


class Line(NamedTuple):
    """One entry that rsync has changed, or would. ``sent`` says that its content was transferred."""

    action: str
    kind: str
    path: str
    size: int
    target: Optional[str]
    sent: bool


class Complaint(NamedTuple):
    """Something that went wrong. ``code`` is that of a warning; path is absolute, or relative to the source.
    ``is_failure`` says that rsync itself counts the entry as not done."""

    code: str
    message: str
    path: Optional[str]
    number: Optional[int]
    is_failure: bool


def parse_line(line: bytes) -> Optional[Line]:
    """What a line of the standard output tells of an entry, None if it is about something else."""
    match = _LINE.match(line)
    if match is None:
        return None
    codes, rest = match.group(1).decode("ascii"), match.group(3)
    name, _slashes, more = rest.partition(b"//")
    if codes.startswith("*"):
        kind = "directory" if more.startswith(b"/") else "file"
        return Line("delete", kind, _path(name), 0, None, False)
    kind = _KINDS.get(codes[1], "file")
    new = codes[2:].startswith("+++")
    if codes[0] == ".":
        action = "metadata"
    else:
        action = "create" if new else "update"
        if kind == "directory" and not new:
            action = "metadata"
    target = _path(more[4:]) if kind == "symlink" and more.startswith(b" -> ") else None
    return Line(action, kind, _path(name), int(match.group(2)), target, codes[0] in "<>" and kind == "file")


def parse_complaint(line: bytes) -> Optional[Complaint]:
    """What a line tells that went wrong, None for one that only sums up or goes with another."""
    if line.startswith(_VANISHED):
        return Complaint(Vanished.code, Vanished.message, _quoted(line), None, False)
    if line.startswith(_DANGLING):
        return Complaint(Dangling.code, Dangling.message, _quoted(line), None, True)
    if line.startswith(_SKIPPED):
        return Complaint("special_skipped", "the special file was not copied", _quoted(line), None, False)
    in_the_way = _IN_THE_WAY.match(line)
    if in_the_way is not None:
        return Complaint("io_error", IN_THE_WAY, _path(in_the_way.group("path")), None, True)
    unequal = _UNEQUAL.match(line)
    if unequal is not None:
        return Complaint("io_error", _words(unequal.group("what")), _path(unequal.group("path")), None, True)
    if not line.startswith((b"rsync: ", b"ERROR: ")):
        return None
    match = _RENAME.match(line) or _FAILURE.match(line)
    numbers = _NUMBER.search(line.rstrip())
    number = int(numbers.group(1)) if numbers else None
    words = _words(_BEGIN.sub(b"", line))
    if b"mknod" in line:
        return Complaint("special_skipped", "the special file was not copied", _quoted(line), None, True)
    return Complaint("io_error", words, _path(match.group("path")) if match else None, number, True)


def _words(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()


def _quoted(line: bytes) -> Optional[str]:
    match = _FAILURE.match(line)
    return _path(match.group("path")) if match else None


def _path(escaped: bytes) -> str:
    """A path as the protocol has it."""
    return text(os.fsdecode(unescape(escaped)))


def unescape(path: bytes) -> bytes:
    """A path in which rsync has written some bytes by their numbers."""
    return _ESCAPED.sub(lambda match: bytes([int(match.group(1), 8) & 0xFF]), path)
