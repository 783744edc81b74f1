# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Users and groups of another host: the same as those of this host by their names, or by their numbers where there is
no such name."""

from __future__ import annotations

import struct
import threading
from typing import Callable, Dict, Optional, Set, Tuple

from ..xattrs import ACCESS_ACL, DEFAULT_ACL, Xattrs

# Whether it is a group, and its number.
Owner = Tuple[bool, int]
# Names by the numbers of the other host, of users under "u" and of groups under "g".
Names = Dict[str, Dict[str, str]]

_NAMED_USER, _NAMED_GROUP = 0x02, 0x08


class Namer:
    """Tells the name of each owner once."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._told: Set[Owner] = set()
        self._names: Names = {}

    def note(self, user: int, group: int, found: Optional[Xattrs] = None) -> None:
        """Say that an entry with these owners, and access control lists, is about to be told."""
        if not self._wanted:
            return
        self._add((False, user))
        self._add((True, group))
        for name in (ACCESS_ACL, DEFAULT_ACL):
            if found and name in found:
                each_owner(found[name], self._add)

    def _add(self, owner: Owner) -> int:
        if owner not in self._told:
            self._told.add(owner)
            name = _name_of(owner)
            if name is not None:
                self._names.setdefault("g" if owner[0] else "u", {})[str(owner[1])] = name
        return owner[1]

    def take(self) -> Names:
        """The names that are to be told by now."""
        names, self._names = self._names, {}
        return names


class Owners:
    """What an owner of the other host is here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here: Dict[Owner, int] = {}

    def learn(self, names: Names) -> None:
        for kind, known in names.items():
            for number, name in known.items():
                found = _number_of(kind == "g", name)
                if found is not None:
                    with self._lock:
                        self._here[kind == "g", int(number)] = found

    def user(self, number: int) -> int:
        return self._here.get((False, number), number)

    def group(self, number: int) -> int:
        return self._here.get((True, number), number)

    def lists(self, found: Xattrs) -> Xattrs:
        """The attributes with access control lists for the owners of this host."""
        for name in (ACCESS_ACL, DEFAULT_ACL):
            if name in found:
                found[name] = each_owner(found[name], lambda owner: self._here.get(owner, owner[1]))
        return found


def each_owner(value: bytes, change: Callable[[Owner], int]) -> bytes:
    """A list with what ``change`` gives in the place of each user and group that it is for."""
    if len(value) < 4 or (len(value) - 4) % 8:
        return value
    changed = bytearray(value)
    for position in range(4, len(value), 8):
        tag, _bits, number = struct.unpack_from("<HHI", value, position)
        if tag in (_NAMED_USER, _NAMED_GROUP):
            struct.pack_into("<I", changed, position + 4, change((tag == _NAMED_GROUP, number)))
    return bytes(changed)


def _name_of(owner: Owner) -> Optional[str]:
    try:
        if owner[0]:
            import grp

            return grp.getgrgid(owner[1]).gr_name
        import pwd

        return pwd.getpwuid(owner[1]).pw_name
    except (ImportError, KeyError, OverflowError):
        return None


def _number_of(group: bool, name: str) -> Optional[int]:
    try:
        if group:
            import grp

            return grp.getgrnam(name).gr_gid
        import pwd

        return pwd.getpwnam(name).pw_uid
    except (ImportError, KeyError, ValueError):
        return None
