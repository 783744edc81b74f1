# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Copies past the system's cache of files, which keeps what others need."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from typing import Iterator

from . import _platform

# What places, lengths and buffers are multiples of: the largest block that disks have.
UNIT = 4096
# How much is read and written at once. Nobody reads ahead here, so that it is much.
_PIECE = 1 << 20


def pieces(source: int, target: int, start: int, end: int) -> Iterator[int]:
    """Copy the range between two open files, and give the size of each piece. What is left over, all of it where the
    file systems cannot do that, must be copied another way."""
    end -= end % UNIT
    if start % UNIT or start >= end or not _platform.DIRECT:
        return
    with contextlib.ExitStack() as stack:
        try:
            reading = _open_again(stack, source, os.O_RDONLY)
            writing = _open_again(stack, target, os.O_WRONLY)
        except OSError:
            return
        # Pages of their own, as these calls want them.
        buffer = stack.enter_context(mmap.mmap(-1, _PIECE))
        view = stack.enter_context(memoryview(buffer))
        position = start
        while position < end:
            try:
                read = os.preadv(reading, [view[: min(_PIECE, end - position)]], position)
                whole = read - read % UNIT
                written = 0
                while written < whole:
                    written += os.pwrite(writing, view[written:whole], position + written)
            except OSError as error:
                if error.errno == errno.EINVAL:  # the file system takes larger units, or knows none
                    return
                raise
            if whole:
                yield whole
            position += whole
            if whole < _PIECE:
                return


def _open_again(stack: contextlib.ExitStack, descriptor: int, flags: int) -> int:
    """Open the file once more: what it is opened for already is shared with others."""
    opened = os.open("/proc/self/fd/%d" % descriptor, flags | _platform.DIRECT | os.O_CLOEXEC)
    stack.callback(os.close, opened)
    return opened
