# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The engines that were delivered to this host."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import subprocess
import time
import typing as t
import zlib

from .._version import VERSION
from . import places
from .selection import Candidate, host_platform

ORIGIN = "the engine that was delivered to this host"
# Another controller may have another version: the newest others stay.
_OTHERS_KEPT = 2
# No module unpacks an engine for so long.
_INCOMING_SECONDS = 3600.0
_BLOCK = 1 << 20
_PREFIX = "migration-engine-"


class NotInstalled(Exception):
    """A delivered engine cannot be used on this host; the message says why."""


def file_name(sha256: str) -> str:
    """Name of a delivered engine. Builds of one version can differ, so part of the sum belongs to it."""
    return "%s%s-%s-%s" % (_PREFIX, VERSION, host_platform(), sha256[:16])


def candidates(sha256: t.Optional[str]) -> t.List[Candidate]:
    """Where an engine of this version with that sum would lie; without a sum, those that are there."""
    directories = places.engine_directories()
    if places.system_engine_directory() not in directories:
        directories.append(places.system_engine_directory())
    if sha256 is not None:
        names = [os.path.join(directory, file_name(sha256)) for directory in directories]
        return [Candidate(path, ORIGIN, sha256, cached=True) for path in names]
    found = []
    for directory in directories:
        pattern = os.path.join(glob.escape(directory), file_name("?" * 16))
        found += sorted(glob.glob(pattern), key=os.path.getmtime, reverse=True)
    return [Candidate(path, ORIGIN, path[-16:], cached=True) for path in found]


def install(delivered: str, sha256: str) -> str:
    """Put a delivered engine, compressed by gzip or not, in its place, and give its path.

    It gets its name only when its sum is right and it was started once, which it cannot be where programs must not
    run. Raises NotInstalled.
    """
    reasons = []
    for directory in places.engine_directories():
        temporary = None
        try:
            places.make_private(directory, 0o755)
            places.let_enter(directory)
            temporary = os.path.join(directory, ".incoming-%d" % os.getpid())
            _unpack(delivered, temporary, sha256)
            _start(temporary)
            path = os.path.join(directory, file_name(sha256))
            os.rename(temporary, path)
        except OSError as exc:
            reasons.append("%s: %s" % (directory, exc.strerror or exc))
        else:
            _prune(directory, path)
            return path
        finally:
            if temporary and os.path.lexists(temporary):
                os.unlink(temporary)
    raise NotInstalled("the engine cannot be installed on this host: %s" % "; ".join(reasons))


def _unpack(delivered: str, path: str, sha256: str) -> None:
    digest = hashlib.sha256()
    with open(delivered, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if os.path.lexists(path):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
    opened: t.Any = gzip.open if packed else open
    try:
        with os.fdopen(descriptor, "wb") as target, opened(delivered, "rb") as source:
            for block in iter(lambda: source.read(_BLOCK), b""):
                digest.update(block)
                target.write(block)
    except (EOFError, zlib.error) as exc:
        raise NotInstalled("the delivered engine is torn: %s" % exc) from exc
    if digest.hexdigest() != sha256:
        raise NotInstalled("the delivered engine is corrupt: its sha256 is not the one that the controller gave")
    os.chmod(path, 0o755)


def _start(path: str) -> None:
    """Raises OSError where programs in this directory cannot be started."""
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        [path, "version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, timeout=60
    )
    if done.returncode != 0:
        raise OSError("the engine does not run (exit code %d)" % done.returncode)


def _prune(directory: str, newest: str) -> None:
    """Remove engines that nobody is likely to want any more. One that runs goes on: only its name is removed."""
    for path in glob.glob(os.path.join(glob.escape(directory), ".incoming-*")):
        # What a module left that was killed while it unpacked.
        try:
            if time.time() - os.path.getmtime(path) > _INCOMING_SECONDS:
                os.unlink(path)
        except OSError:
            continue
    others = [path for path in glob.glob(os.path.join(glob.escape(directory), _PREFIX + "*")) if path != newest]
    for path in sorted(others, key=os.path.getmtime, reverse=True)[_OTHERS_KEPT:]:
        try:
            os.unlink(path)
        except OSError:
            continue
