# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Where this collection keeps its own things on a host: in directories that nobody but their owner can write."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import typing as t

_NAME = "migration-assistant"
_SYSTEM = os.path.join("/var/lib", _NAME)


class NoPlace(Exception):
    """None of the directories can be used; the message says why for each."""


def engine_directories() -> t.List[str]:
    """Where an engine that was delivered to this user may lie, best first."""
    return [os.path.join(base, "engine") for base in _bases("XDG_CACHE_HOME", ".cache")]


def state_directories() -> t.List[str]:
    """Where jobs of this user and their lists of changes may be kept, best first."""
    return _bases("XDG_STATE_HOME", os.path.join(".local", "state"))


def system_engine_directory() -> str:
    """Where root has its engine, which every user may start."""
    return os.path.join(_SYSTEM, "engine")


def state_directory() -> str:
    """The first of state_directories that can be used; it is made if it is missing. Raises NoPlace."""
    reasons = []
    for directory in state_directories():
        try:
            # All may enter it: root has its engine beside.
            return make_private(directory, 0o755)
        except OSError as exc:
            reasons.append("%s: %s" % (directory, exc.strerror or exc))
    raise NoPlace("; ".join(reasons))


def make_private(directory: str, mode: int = 0o700) -> str:
    """Make a directory of ours, if it is missing, and give it. Raises OSError if others could write in it."""
    for _attempt in range(10):
        try:
            return _make_private(directory, mode)
        except FileNotFoundError:
            continue  # another job, the last one, has just taken it away
    return _make_private(directory, mode)


def _make_private(directory: str, mode: int) -> str:
    above = os.path.dirname(directory)
    if os.path.basename(directory).startswith(_NAME):
        os.makedirs(above, exist_ok=True)
    else:
        _make_private(above, 0o755)
    try:
        os.mkdir(directory, mode)
        os.chmod(directory, mode)  # whatever the user's umask is
    except FileExistsError:
        pass
    problem = distrust(directory)
    if problem:
        raise OSError(problem)
    return directory


def let_enter(directory: str) -> None:
    """Let all users enter root's directory, which an earlier version or another hand may have closed to them."""
    for path in (os.path.dirname(directory), directory):
        info = os.lstat(path)
        if os.geteuid() == 0 and info.st_uid == 0 and stat.S_ISDIR(info.st_mode) and info.st_mode & 0o055 != 0o055:
            os.chmod(path, 0o755)


def distrust(directory: str) -> t.Optional[str]:
    """Why a directory of ours must not be trusted, or None.

    It must be root's or this user's, and closed to other writers; and so must the one above, if that is ours too.
    """
    if not os.path.basename(directory).startswith(_NAME):
        problem = distrust(os.path.dirname(directory))
        if problem:
            return problem
    info = os.lstat(directory)
    if not _is_ours(info):
        return "%s belongs to another user (uid %d)" % (directory, info.st_uid)
    if stat.S_ISLNK(info.st_mode):
        # A link of ours, such as one to a larger disk; what it leads to must be ours as well.
        info = os.stat(directory)
    if not stat.S_ISDIR(info.st_mode):
        return "%s is not a directory" % directory
    if not _is_ours(info):
        return "%s belongs to another user (uid %d)" % (directory, info.st_uid)
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "%s can be written by others (mode %04o)" % (directory, stat.S_IMODE(info.st_mode))
    return None


def kept() -> t.List[str]:
    """What this collection keeps for this user on this host: the engine, checksums, jobs, lists of changes and
    differences, and proofs that databases are equal."""
    bases = [os.path.dirname(directory) for directory in engine_directories()] + state_directories()
    found = []
    for base in dict.fromkeys(bases):
        for name in ("engine", "checksums", "jobs", "changes", "differences", "equal"):
            directory = os.path.join(base, name)
            if os.path.lexists(directory) and distrust(directory) is None:
                found.append(directory)
    return found


def remove(directory: str) -> None:
    """Remove a directory that kept gave, and the one above if nothing else is in it. Raises OSError."""
    shutil.rmtree(directory)
    try:
        os.rmdir(os.path.dirname(directory))
    except OSError:
        return


def _is_ours(info: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or info.st_uid in (0, os.geteuid())


def _bases(variable: str, below_home: str) -> t.List[str]:
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    bases = []
    if user == 0:
        bases.append(_SYSTEM)
    else:
        named = os.environ.get(variable)
        home = _home(user)
        if named and os.path.isabs(named):
            bases.append(os.path.join(named, _NAME))
        elif home:
            bases.append(os.path.join(home, below_home, _NAME))
    return bases + [os.path.join(place, "%s-%d" % (_NAME, user)) for place in _shared()]


def _shared() -> t.List[str]:
    """For users without a home that they can write, or whose home forbids what is to be done there.

    The last is where Ansible has unpacked this very module, so that there is always one.
    """
    return list(dict.fromkeys(["/var/tmp", "/tmp", "/dev/shm", tempfile.gettempdir()]))


def _home(user: int) -> t.Optional[str]:
    """The home of this user; HOME may still be that of the user who became this one."""
    home = os.environ.get("HOME", "")
    try:
        if os.path.isabs(home) and os.stat(home).st_uid == user:
            return home
    except OSError:
        pass
    try:
        import pwd

        return pwd.getpwuid(user).pw_dir
    except (ImportError, KeyError):
        return None
