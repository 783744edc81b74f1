# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""How an entry of the source is told: numbers in a list, with the names of owners that were not told yet."""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional, cast

from .._errors import ItemError, JobError, reason
from ..tree import Dangling, Vanished, replaced
from .frames import ConnectionLost

Message = Dict[str, Any]

_REPLACED = "replaced"
_VANISHED = "vanished"
_DANGLING = "dangling"


class FarStat(NamedTuple):
    """What of a stat_result this collection looks at."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_blocks: int
    st_rdev: int


def stat_to_list(info: os.stat_result) -> List[int]:
    numbers = [
        *(info.st_mode, info.st_ino, info.st_dev, info.st_nlink, info.st_uid, info.st_gid, info.st_size),
        *(info.st_atime_ns, info.st_mtime_ns, info.st_ctime_ns),
        getattr(info, "st_blocks", -(-info.st_size // 512)),
    ]
    if stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
        numbers += [os.major(info.st_rdev), os.minor(info.st_rdev)]
    return numbers


def stat_from_list(numbers: List[int]) -> os.stat_result:
    if not all(isinstance(number, int) for number in numbers) or len(numbers) not in (11, 13) or numbers[6] < 0:
        raise ConnectionLost("the other host sent what is no entry")
    device = os.makedev(numbers[11], numbers[12]) if len(numbers) == 13 else 0
    return cast("os.stat_result", FarStat._make([*numbers[:11], device]))


_ENCODER = json.JSONEncoder(separators=(",", ":"))


def encode(message: Message) -> bytes:
    return _ENCODER.encode(message).encode("ascii")


def encode_listing(message: Message, entries: List[bytes]) -> bytes:
    """A message with entries that are encoded already."""
    return encode({**message, "entries": []})[:-2] + b",".join(entries) + b"]}"


def decode(payload: bytes) -> Message:
    try:
        message = json.loads(payload)
    except ValueError as error:
        raise ConnectionLost("the other host sent what is no message") from error
    if not isinstance(message, dict):
        raise ConnectionLost("the other host sent what is no message")
    return message


def failure_of(error: BaseException) -> Message:
    """What went wrong at this end, for the other."""
    if isinstance(error, JobError):
        return {"failed": "job", "code": error.code, "text": error.message}
    if isinstance(error, Dangling):
        return {"failed": _DANGLING}
    if isinstance(error, (Vanished, FileNotFoundError)):
        return {"failed": _VANISHED}
    if isinstance(error, ItemError) and error.code == "source_changed":
        return {"failed": _REPLACED}
    number = error.errno if isinstance(error, OSError) else None
    return {"failed": errno.errorcode.get(number or errno.EIO, "EIO"), "text": reason(error)}


def raise_failure(message: Optional[Message]) -> None:
    """Raise what the other end tells that went wrong, if it does."""
    if not message or "failed" not in message:
        return
    failed = str(message["failed"])
    text = str(message.get("text", ""))
    if failed == "job":
        raise JobError(str(message.get("code", "internal")), text)
    if failed == _VANISHED:
        raise Vanished
    if failed == _DANGLING:
        raise Dangling
    if failed == _REPLACED:
        raise replaced("source")
    number = getattr(errno, failed, errno.EIO)
    raise OSError(number if isinstance(number, int) else errno.EIO, text)
