# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What to say of a destination that is full."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import List, Optional

from . import tree
from ._context import Context
from ._errors import ItemError, JobError


def no_room(root: Optional[int], path: str, error: BaseException) -> JobError:
    """An entry has no room: tell how much it needs, if that is known, and how much there is.

    ``root`` is the open destination, ``path`` the entry in it, empty for none.
    """
    message = "the destination has no room left"
    if path:
        message += " for %s" % tree.text(path)
    details = _details(root, path, error)
    if details:
        message += ": " + ", ".join(details)
    return JobError("disk_full", message, tree.text(path) if path else None)


def warn_of_room(context: Context, path: str, size: int, entries: int) -> None:
    """Tell of a run that would need more than the file system of the directory ``path`` has."""
    try:
        left = os.statvfs(path)
    except OSError:
        return
    free = left.f_bavail * left.f_frsize
    if size > free:
        context.warning("room_short", "the run would need %d bytes more, and %d are free" % (size, free))
    if left.f_files > 0 and entries > left.f_ffree:
        message = "the run would make %d entries, and there is room for %d" % (entries, left.f_ffree)
        context.warning("room_short", message)


def _details(root: Optional[int], path: str, error: BaseException) -> List[str]:
    details = []
    if isinstance(error, ItemError) and error.needed:
        details.append("it has %d bytes" % error.needed)
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.EDQUOT:
        details.append("this user's quota is used up")
    elif root is not None:
        with contextlib.suppress(OSError):
            left = _left_near(root, path)
            details.append("%d bytes are free" % (left.f_bavail * left.f_frsize))
            # Some file systems make room for entries as they need it, and tell that there are none at all.
            if left.f_files > 0 and left.f_ffree == 0:
                details.append("no further entry can be made")
    return details


def _left_near(root: int, path: str) -> os.statvfs_result:
    """What is left where the entry's directory is, or the nearest above it that is there."""
    current = os.dup(root)
    try:
        for name in path.split("/")[:-1]:
            try:
                below = tree.open_directory(current, name)
            except OSError:
                break
            os.close(current)
            current = below
        return os.fstatvfs(current)
    finally:
        os.close(current)
