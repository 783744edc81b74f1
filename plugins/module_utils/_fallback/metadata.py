# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What of an entry is kept beside its content: compare it, describe it, apply it."""

from __future__ import annotations

import os
import stat
import threading
from typing import Any, Dict, Optional, Tuple

from . import _platform, times, xattrs
from ._context import Context
from .tree import Target, kind, text
from .xattrs import Xattrs

# The mode of a directory that nobody else enters.
CLOSED = 0o700

Attributes = Dict[str, Any]
Difference = Tuple[Attributes, Attributes]


class Metadata:
    """The job's ``preserve`` options, cut down to what this user and platform can do.

    What cannot be preserved is not compared either, and is reported once by a warning.
    """

    def __init__(self, preserve: Dict[str, bool], context: Context) -> None:
        self.permissions = preserve["permissions"]
        self.timestamps = preserve["timestamps"]
        self.xattrs = preserve["xattrs"] and _platform.HAS_XATTRS
        self.root = _platform.effective_user() == 0
        self._wants_owner = preserve["owner"]
        self._wants_group = preserve["group"]
        self._owner = preserve["owner"] and self.root
        self._user = _platform.effective_user()
        self._groups = _platform.own_groups()
        self.umask = _current_umask()
        self._context = context
        self._warned = set(["owner_not_preserved"] if not preserve["owner"] else [])
        self._lock = threading.Lock()
        self._labels = preserve["selinux"]
        self._keeps_labels = self._labels and xattrs.keeps_labels()
        self._known_labels: Dict[bytes, bool] = {}
        self._probe: Optional[Target] = None
        self._kept: Dict[str, bool] = {}
        # By device: the step in which its file system keeps times; and whether a time was read back.
        self._grains: Dict[int, int] = {}
        self._tried = False
        if preserve["xattrs"] and not self.xattrs:
            self.warn_once("xattrs_not_preserved", "extended attributes cannot be read on this platform")

    def owns(self, info: os.stat_result) -> bool:
        """Whether permission bits bind this user, and it can change them: the entry's owner, if not root."""
        return not self.root and info.st_uid == self._user

    def warn_once(self, code: str, message: str, path: Optional[str] = None) -> None:
        with self._lock:
            if code in self._warned:
                return
            self._warned.add(code)
        self._context.warning(code, message, None if path is None else text(path))

    def compare(self, info: os.stat_result, existing: os.stat_result) -> Difference:
        """What differs between two entries of the same type, before and after; both empty when nothing does."""
        before: Attributes = {}
        after: Attributes = {}
        if self.timestamps and not self.same_time(info, existing):
            before["mtime"], after["mtime"] = existing.st_mtime_ns, info.st_mtime_ns
        if self.permissions and info.st_mode != existing.st_mode and not stat.S_ISLNK(info.st_mode):
            before["mode"], after["mode"] = octal(existing.st_mode), octal(info.st_mode)
        if info.st_uid != existing.st_uid and self._keeps_owner(info, existing.st_uid):
            before["owner"], after["owner"] = existing.st_uid, info.st_uid
        if info.st_gid != existing.st_gid and self._keeps_group(info):
            before["group"], after["group"] = existing.st_gid, info.st_gid
        return before, after

    def replacement(
        self, info: os.stat_result, existing: os.stat_result, target: Optional[str], existing_target: Optional[str]
    ) -> Difference:
        """Before and after of an entry that is made anew in another's place: what differs, kinds among it."""
        before = self._describe(existing, existing_target)
        after = self._describe(info, target)
        if info.st_uid != existing.st_uid and self._keeps_owner(info, existing.st_uid):
            before["owner"], after["owner"] = existing.st_uid, info.st_uid
        if info.st_gid != existing.st_gid and self._keeps_group(info):
            before["group"], after["group"] = existing.st_gid, info.st_gid
        alike = [name for name in before if name in after and before[name] == after[name]]
        if self.timestamps and "mtime" not in alike and self.same_time(info, existing):
            alike.append("mtime")
        for name in alike:
            del before[name], after[name]
        return before, after

    def _describe(self, info: os.stat_result, target: Optional[str]) -> Attributes:
        described: Attributes = {"kind": kind(info.st_mode)}
        if stat.S_ISREG(info.st_mode):
            described["size"] = info.st_size
        if target is not None:
            described["target"] = text(target)
        if self.timestamps:
            described["mtime"] = info.st_mtime_ns
        if self.permissions and not stat.S_ISLNK(info.st_mode):
            described["mode"] = octal(info.st_mode)
        return described

    def creation(self, info: os.stat_result, target: Optional[str] = None) -> Attributes:
        """``after`` of an entry that had no predecessor."""
        # For the warnings, which a dry run gives too.
        self.new_owner(info)
        if target is not None:
            return {"target": text(target)}
        after: Attributes = {"mode": octal(self.mode(info, None))}
        if stat.S_ISREG(info.st_mode):
            after["size"] = info.st_size
        return after

    def mode(self, info: os.stat_result, existing: Optional[os.stat_result]) -> int:
        """Permission bits of a new entry: the source's, or without ``permissions`` what the system's defaults give."""
        if self.permissions:
            return stat.S_IMODE(info.st_mode)
        if existing is not None and stat.S_IFMT(existing.st_mode) == stat.S_IFMT(info.st_mode):
            return stat.S_IMODE(existing.st_mode)
        return stat.S_IMODE(info.st_mode) & 0o777 & ~self.umask

    def first_mode(self, info: os.stat_result, kept: bool, found: Xattrs) -> int:
        """Permission bits of a new directory until it is complete.

        It is closed to others if a rerun would put right what a killed run leaves: where modes are ``kept``, and where
        an access control list among the source's attributes, ``found``, makes them. Else it has its final mode from
        the beginning; whatever is in it is protected itself.
        """
        if kept or (self.xattrs and xattrs.ACCESS_ACL in found):
            return CLOSED
        # Without his own bits this user could not write in it.
        return self.mode(info, None) | (0 if self.root else CLOSED)

    def settle_empty(self, directory: int, info: os.stat_result, mode: int, path: str) -> None:
        """Give a new directory in which nothing is yet what it needs if others may enter it from the beginning: its
        owner, and no access by a list that it inherited and does not keep."""
        if self.permissions:
            return
        user, group = self.new_owner(info)
        if user != -1 or group != -1:
            os.fchown(directory, user, group)
        if self.xattrs:
            self.write_xattrs(directory, mode, {}, xattrs.read_open(directory, self.root), path)
        os.fchmod(directory, mode)

    def new_owner(self, info: os.stat_result) -> Tuple[int, int]:
        """User and group to give to a new entry, -1 for what creation gave it."""
        keeps_owner = self._keeps_owner(info, self._user)
        return (info.st_uid if keeps_owner else -1, info.st_gid if self._keeps_group(info) else -1)

    def _keeps_owner(self, info: os.stat_result, current: int) -> bool:
        if not self._owner and self._wants_owner and info.st_uid != current:
            self.warn_once("owner_not_preserved", "owners are not preserved: that needs root")
        return self._owner

    def _keeps_group(self, info: os.stat_result) -> bool:
        if not self._wants_group:
            return False
        if self.root or info.st_gid in self._groups:
            return True
        self.warn_once("group_not_preserved", "groups are not preserved where this user is not a member of them")
        return False

    def apply_difference(self, target: Target, info: os.stat_result, after: Attributes) -> None:
        """Set owner, group and mode of an existing entry as far as ``after`` names them."""
        if "owner" in after or "group" in after:
            os.chown(target, after.get("owner", -1), after.get("group", -1))
        # A change of owner clears the set-user-ID bits, so the mode is set again.
        if "mode" in after or (after.keys() & {"owner", "group"} and self.permissions):
            os.chmod(target, stat.S_IMODE(info.st_mode))

    def same_time(self, info: os.stat_result, existing: os.stat_result) -> bool:
        """Whether an entry of the destination has the source's time of modification, as far as its file system can hold
        that. Where it cannot hold all of it, that is told once."""
        wanted, there = info.st_mtime_ns, existing.st_mtime_ns
        if wanted == there:
            return True
        # Most times that differ do so by more than any file system cuts off.
        if not there < wanted < there + times.COARSEST:
            return False
        grain = times.grain(existing, self._grains)
        if wanted - wanted % grain != there:
            return False
        message = "the destination's file system keeps times in steps of %s; no finer ones are compared"
        self.warn_once("timestamps_not_preserved", message % times.in_words(grain))
        return True

    def set_time(self, target: Target, info: os.stat_result, accessed: int) -> None:
        """Give an entry the source's time. The first that is no whole second is read back, so that of a new tree too it
        is told what its file system cannot hold."""
        os.utime(target, ns=(accessed, info.st_mtime_ns))
        if info.st_mtime_ns % times.SECOND and not self._tried:
            self._tried = True
            self.same_time(info, os.stat(target))

    def backdate(self, target: int, before: os.stat_result, now: os.stat_result) -> None:
        """Give a file, whose source went on changing, the time of before, so that the next run copies it again. Where
        the file system cannot tell that from the time of now, it gets an earlier one."""
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        if self.timestamps and self.same_time(now, os.fstat(target)):
            os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns - times.COARSEST))

    def probe_destination(self, target: Target) -> None:
        """Tell a directory on the destination's file system, to ask which attributes it keeps."""
        self._probe = target

    def wanted_xattrs(self, found: Xattrs, path: str) -> Xattrs:
        """The source's attributes without those that the destination's file system cannot keep."""
        if xattrs.LABEL in found and not self._keeps_label(found[xattrs.LABEL], path):
            found = xattrs.without_label(found)
        if all(self._keeps(name) for name in found):
            return found
        self._warn_xattrs(path)
        return {name: value for name, value in found.items() if self._keeps(name)}

    def _keeps_label(self, label: bytes, path: str) -> bool:
        """Whether an SELinux context is preserved. What would be and cannot is told."""
        if not self._labels:
            return False
        if not self._keeps_labels:
            message = "SELinux contexts are not preserved: the destination's host does not run SELinux"
            self.warn_once("selinux_not_preserved", message)
            return False
        with self._lock:
            known = self._known_labels.get(label)
            asked = known is not None
            if known is None:
                known = self._known_labels[label] = xattrs.knows_label(label)
        if not known and not asked:
            message = "SELinux contexts that the destination's policy does not know are not preserved: "
            words = label.rstrip(b"\0").decode("utf-8", "replace")
            self._context.warning("selinux_not_preserved", message + words, text(path))
        return known

    def _keeps(self, name: str) -> bool:
        # All user attributes are alike; those of the system each have their own handler.
        family = name if name.startswith("system.") else name.split(".")[0]
        kept = self._kept.get(family)
        if kept is None:
            kept = self._kept[family] = self._probe is None or xattrs.keeps(self._probe, name)
        return kept

    def write_xattrs(self, target: Target, mode: int, wanted: Xattrs, current: Xattrs, path: str) -> bool:
        """Make the attributes equal; ``mode`` is what the permission bits are and stay. True if all that was to be done
        is an SELinux context that the host refused."""
        if wanted == current:
            return False
        refusals = []

        def refused(error: OSError) -> None:
            refusals.append(error)
            message = "the SELinux context was refused: %s" % os.strerror(error.errno or 0)
            self._context.warning("selinux_not_preserved", message, text(path))

        # Without root the kernel wants write permission on the entry itself.
        locked = not self.root and not mode & 0o200
        if locked:
            os.chmod(target, mode | 0o200)
        kept = False
        try:
            kept = xattrs.write(target, wanted, current, refused)
        finally:
            # A list that was set has given the bits their final values.
            if locked and not (kept and xattrs.sets_access(wanted, current)):
                os.chmod(target, mode)
        if not kept:
            self._warn_xattrs(path)
        return bool(refusals) and xattrs.differing(wanted, current) == {xattrs.LABEL}

    def _warn_xattrs(self, path: str) -> None:
        self.warn_once("xattrs_not_preserved", "the destination's file system does not keep these attributes", path)


def octal(mode: int) -> str:
    return "%04o" % stat.S_IMODE(mode)


def _current_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
