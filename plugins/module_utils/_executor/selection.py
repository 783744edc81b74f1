# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Decide which executor runs a job on this host, and say why."""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import typing as t
from dataclasses import dataclass

from .._version import VERSION
from . import places

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ExecutorUnavailable(Exception):
    """The executor that was asked for cannot run on this host."""


@dataclass(frozen=True)
class Candidate:
    """A place where the engine may be.

    sha256: its sum, or the first digits of it; None where it is not known. cached: it lies in a directory of ours,
    which must be closed to others; that it is missing there is not worth a word.
    """

    path: str
    origin: str
    sha256: t.Optional[str] = None
    cached: bool = False


@dataclass(frozen=True)
class Wish:
    """What the task asks for.

    executor: auto, go or python. reason: where that wish comes from. fallback: whether auto may end in
    the Python fallback. candidates: where to look for the engine, best first. notes: what the controller
    found out about them.
    """

    executor: str = "auto"
    reason: str = ""
    fallback: bool = True
    candidates: t.Tuple[Candidate, ...] = ()
    notes: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The executor that runs: ``used`` go or python; ``path`` of the binary, None for the fallback."""

    used: str
    version: str
    path: t.Optional[str]
    reason: str

    def as_result(self) -> t.Dict[str, t.Optional[str]]:
        return {"used": self.used, "version": self.version, "path": self.path, "reason": self.reason}


def host_platform() -> str:
    """Operating system and architecture in Go's terms, such as linux-amd64."""
    return platform_name(platform.system(), platform.machine())


def platform_name(system: str, machine: str) -> str:
    """The same of the words that uname has for them."""
    return "%s-%s" % (system.lower(), _ARCHITECTURES.get(machine.lower(), machine.lower()))


def choose(wish: Wish) -> Choice:
    """Pick the executor. Raises ExecutorUnavailable when what the task insists on cannot be had."""
    if wish.executor == "python":
        return python_choice(wish.reason or "executor is python")
    refusals = list(wish.notes)
    for candidate in wish.candidates:
        problem = inspect(candidate)
        if problem is None:
            return Choice("go", VERSION, candidate.path, candidate.origin)
        if not candidate.cached or os.path.lexists(candidate.path):
            refusals.append(problem)
    return after_refusal(wish, "; ".join(refusals) or "no engine for %s on this host" % host_platform())


def can_run(wish: Wish) -> bool:
    """Whether an engine is where the wish looks for it, and may be started."""
    return any(inspect(candidate) is None for candidate in wish.candidates)


def after_refusal(wish: Wish, why: str) -> Choice:
    """The fallback where the task allows it, else ExecutorUnavailable."""
    if wish.executor == "go":
        raise ExecutorUnavailable("executor: go was asked for, but the engine cannot run: %s" % why)
    if not wish.fallback:
        raise ExecutorUnavailable("fallback_to_python is false, but the engine cannot run: %s" % why)
    return python_choice(why)


def python_choice(reason: str) -> Choice:
    return Choice("python", VERSION, None, reason)


def inspect(candidate: Candidate) -> t.Optional[str]:
    """Why the engine at this place must not be started, or None if it may."""
    path = candidate.path
    try:
        problem = places.distrust(os.path.dirname(path)) if candidate.cached else None
        if problem:
            return problem
        info = os.stat(path)
    except OSError as exc:
        return "no engine at %s (%s)" % (path, exc.strerror)
    if not stat.S_ISREG(info.st_mode):
        return "%s is not a file" % path
    if os.name == "posix":
        if info.st_uid not in (0, os.geteuid()):
            return "%s belongs to another user (uid %d)" % (path, info.st_uid)
        if info.st_mode & stat.S_IWOTH:
            return "%s can be written by everyone" % path
        if not os.access(path, os.X_OK):
            return "%s is not executable" % path
    if candidate.sha256 is not None and not _sha256(path).startswith(candidate.sha256):
        return "%s is corrupt or of another build (its sha256 is not the one in the manifest)" % path
    return None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
