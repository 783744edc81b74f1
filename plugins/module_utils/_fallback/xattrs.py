# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Extended attributes, POSIX ACLs and file capabilities among them."""

from __future__ import annotations

import errno
import os
from typing import Callable, Dict, FrozenSet, List

from ._errors import ItemError
from .tree import Target

Xattrs = Dict[str, bytes]

ACCESS_ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
# The SELinux context. Where the source has none, the destination's stays.
LABEL = "security.selinux"
_SELINUX = "/sys/fs/selinux"
_ROOT_ONLY = ("security.", "trusted.")
_UNSUPPORTED = frozenset([errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
# A value is more than the file system takes of one attribute, or of all of an entry.
_TOO_BIG = frozenset([errno.ENOSPC, errno.E2BIG, errno.ERANGE])
_NO_DATA: int = getattr(errno, "ENODATA", -1)


def read_entry(directory: int, name: str, root: bool, follow: bool = False) -> Xattrs:
    """Attributes of an entry that is no symbolic link, unless what that leads to is meant."""
    return _read("/proc/self/fd/%d/%s" % (directory, name), root, follow)


def read_open(target: Target, root: bool) -> Xattrs:
    return _read(target, root, follow=True)


def _read(target: Target, root: bool, follow: bool) -> Xattrs:
    """The attributes that this user could set elsewhere; none where the file system knows none."""
    try:
        names: List[str] = os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return {}
        raise
    found: Xattrs = {}
    for name in names:
        if not root and name.startswith(_ROOT_ONLY):
            continue
        try:
            found[name] = os.getxattr(target, name, follow_symlinks=follow)
        except OSError as error:
            # Removed since it was listed.
            if error.errno != _NO_DATA:
                raise
    return found


def for_user(found: Xattrs, root: bool) -> Xattrs:
    """Of another user's attributes those that this user could set."""
    return found if root else {name: value for name, value in found.items() if not name.startswith(_ROOT_ONLY)}


def differing(wanted: Xattrs, current: Xattrs) -> FrozenSet[str]:
    """Names of the attributes that are not alike on both sides."""
    if wanted == current:
        return frozenset()
    differing = frozenset(name for name in set(wanted) | set(current) if wanted.get(name) != current.get(name))
    return differing if LABEL in wanted else differing - {LABEL}


def write(target: Target, wanted: Xattrs, current: Xattrs, refused: Callable[[OSError], None]) -> bool:
    """Make the attributes of ``target`` equal ``wanted``; False where the file system cannot keep them.

    ``refused`` is told why the host takes no SELinux context for it, which does no harm to the others.
    """
    try:
        # Access lists last: they may take the permission that setting the others needs.
        for name in sorted(differing(wanted, current), key=lambda name: name.startswith("system.")):
            if name == LABEL:
                _write_label(target, wanted[name], refused)
            elif name in wanted:
                _write_one(target, name, wanted[name])
            else:
                os.removexattr(target, name)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True


def _write_one(target: Target, name: str, value: bytes) -> None:
    try:
        os.setxattr(target, name, value)
    except OSError as error:
        if error.errno not in _TOO_BIG:
            raise
        # Without its cause, which would be a full disk.
        message = "the destination has no place for the extended attribute %s of %d bytes" % (name, len(value))
        raise ItemError("io_error", message) from None


def _write_label(target: Target, label: bytes, refused: Callable[[OSError], None]) -> None:
    try:
        os.setxattr(target, LABEL, label)
    except OSError as error:
        refused(error)


def without_label(found: Xattrs) -> Xattrs:
    """The attributes without the SELinux context."""
    return {name: value for name, value in found.items() if name != LABEL} if LABEL in found else found


def keeps_labels() -> bool:
    """Whether this host runs SELinux. Where what stands for it can only be read, as in a container, files cannot be
    given contexts."""
    try:
        os.stat(_SELINUX + "/enforce")
        return not os.statvfs(_SELINUX).f_flag & os.ST_RDONLY
    except (OSError, AttributeError):
        return False


def knows_label(label: bytes) -> bool:
    """Whether the policy of this host knows an SELinux context. Where it cannot be asked it is taken to."""
    try:
        asked = os.open(_SELINUX + "/context", os.O_WRONLY)
    except OSError:
        return True
    try:
        os.write(asked, label.rstrip(b"\0") + b"\0")
    except OSError:
        return False
    finally:
        os.close(asked)
    return True


def sets_access(wanted: Xattrs, current: Xattrs) -> bool:
    """Whether an access list is to be set, which makes the permission bits too."""
    return ACCESS_ACL in wanted and wanted[ACCESS_ACL] != current.get(ACCESS_ACL)


def keeps(probe: Target, name: str) -> bool:
    """Whether the file system of ``probe`` knows attributes of this name's kind."""
    try:
        os.getxattr(probe, name)
    except OSError as error:
        return error.errno not in _UNSUPPORTED
    return True
