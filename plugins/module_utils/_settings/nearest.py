# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The name that somebody probably meant."""

from __future__ import annotations

import typing as t


def nearest(name: str, known: t.Iterable[str]) -> str | None:
    """The one of *known* that *name* is a slip of: at most a third of its letters, and at most three, differ."""
    best = min(((distance(name, other), other) for other in known), default=None)
    if best is None or best[0] > min(3, max(1, len(best[1]) // 3)):
        return None
    return best[1]


def near_miss(name: str, known: t.Iterable[str]) -> str | None:
    """The one of *known* that *name* differs from by one letter, or two of a name longer than ten letters.

    Narrower than nearest(), for names that may as well be somebody else's.
    """
    for other in known:
        allowed = 2 if len(other) > 10 else 1
        if name != other and abs(len(name) - len(other)) <= allowed and distance(name, other) <= allowed:
            return other
    return None


def distance(one: str, other: str) -> int:
    """Letters to insert, remove, replace or swap with their neighbour; upper and lower case are alike."""
    one, other = one.lower().replace("-", "_"), other.lower().replace("-", "_")
    before: list[int] = []
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, candidate in enumerate(other, 1):
            least = min(above[column] + 1, line[-1] + 1, above[column - 1] + (letter != candidate))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == candidate:
                least = min(least, before[column - 2] + 1)
            line.append(least)
        before, above = above, line
    return above[-1]
