# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether two files hold the same bytes."""

from __future__ import annotations

import os
from typing import Callable

# How much is read of a file in one piece.
MOST_AT_ONCE = 1 << 18


def same_content(source: int, destination: int, size: int, check: Callable[[], None]) -> bool:
    """Read both open files side by side up to the first difference; both must end after ``size`` bytes."""
    position = 0
    while position < size:
        check()
        wanted = min(MOST_AT_ONCE, size - position)
        # Bytes and not a shared buffer: their comparison is a memcmp, that of memory views is not.
        piece = _read(source, wanted, position)
        if len(piece) != wanted or piece != _read(destination, wanted, position):
            return False
        position += wanted
    return os.fstat(source).st_size == size and os.fstat(destination).st_size == size


def _read(descriptor: int, size: int, position: int) -> bytes:
    """``size`` bytes, fewer only where the file ends."""
    data = os.pread(descriptor, size, position)
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), position + len(data))
        if not more:
            break
        data += more
    return data
