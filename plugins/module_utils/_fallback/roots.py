# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two directories that a job names: whether they may be used, and their descriptors."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Callable, List, Optional, Set, Tuple

from . import tree
from ._context import Context
from ._errors import JobError, reason
from .metadata import CLOSED
from .origin import SourceDirectory
from .room import no_room
from .tree import text

_LOCKS_UNSUPPORTED = frozenset([errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])


class Roots:
    """Both roots, open. Symbolic links in their paths are followed, none below them. The source is opened before, and
    its path means the same on this host unless ``is_seen_from_here`` is false.

    ``existing`` is the destination as it was before the job, None if it was absent; ``destination`` is None only in a
    dry run that finds none. ``first_mode`` gives the mode of a new one. Use it as a context manager.
    """

    def __init__(
        self, context: Context, source: SourceDirectory, is_seen_from_here: bool, first_mode: Callable[[], int]
    ) -> None:
        self._context = context
        self._first_mode = first_mode
        self._is_seen_from_here = is_seen_from_here
        self.source = source
        self.destination: Optional[int] = None
        self.existing: Optional[os.stat_result] = None

    def __enter__(self) -> Roots:
        context = self._context
        try:
            path: str = context.parameters["destination"]
            self.existing = _examine_destination(path)
            if self._is_seen_from_here:
                _refuse_overlap(context.parameters["source"], path, context.parameters["one_file_system"])
            _check_writable(path)
            if self.existing is not None:
                self.destination = _open(path)
            elif not context.dry_run:
                self.destination = _create(path, self._first_mode())
            if self.destination is not None and not context.dry_run:
                _lock(context, self.destination, path, context.parameters["far"]["lock_timeout"])
        except BaseException:
            if self.destination is not None:
                os.close(self.destination)
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.destination is not None:
            os.close(self.destination)


class Destination:
    """The directory that a job writes in. ``existing`` and ``descriptor`` are as in Roots; use it as a context manager.

    It is locked, unless this is a dry run. Where it is missing it is made by ``create`` only.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._path: str = context.parameters["destination"]
        self.descriptor: Optional[int] = None
        self.existing: Optional[os.stat_result] = None

    def __enter__(self) -> Destination:
        self.existing = _examine_destination(self._path)
        _check_writable(self._path)
        if self.existing is not None:
            self.descriptor = _open(self._path)
            try:
                self._lock()
            except BaseException:
                os.close(self.descriptor)
                raise
        return self

    def create(self, mode: int = CLOSED) -> int:
        """Make the directory, if it is missing; its descriptor."""
        if self.descriptor is None:
            self.descriptor = _create(self._path, mode)
            self._lock()
        return self.descriptor

    def _lock(self) -> None:
        if self.descriptor is not None and not self._context.dry_run:
            _lock(self._context, self.descriptor, self._path)

    def __exit__(self, *_exception: object) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def _lock(context: Context, descriptor: int, path: str, patience: float = 0) -> None:
    """Keep other jobs out of the destination until its descriptor is closed; wait for one so many seconds."""
    import fcntl

    until = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise _error("destination_busy", "another job is writing to the destination %s", path) from error
            context.check()
            time.sleep(0.05)
    except OSError as error:
        if error.errno not in _LOCKS_UNSUPPORTED:
            raise
        message = "the destination cannot be locked; do not run two jobs on it: %s" % reason(error)
        context.warning("lock_unavailable", message)


def open_source(path: str) -> int:
    """Descriptor of the source directory, or a JobError that says why there is none."""
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _error("source_missing", "the source %s does not exist", path) from error
    except OSError as error:
        raise _error("io_error", "unable to open the source %s: " + reason(error), path) from error
    if not stat.S_ISDIR(info.st_mode):
        raise _error("source_not_directory", "the source %s is not a directory", path)
    try:
        return _open(path)
    except OSError as error:
        raise _error("io_error", "unable to open the source %s: " + reason(error), path) from error


def nearest_existing(path: str) -> str:
    """The path itself or the closest of its parents that exists."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _examine_destination(path: str) -> Optional[os.stat_result]:
    """What the destination is, None if it is absent. A symbolic link that leads nowhere is no directory either."""
    try:
        info = os.stat(nearest_existing(path))
    except FileNotFoundError as error:
        raise _not_a_directory(path) from error
    except OSError as error:
        raise _error("io_error", "unable to open the destination %s: " + reason(error), path) from error
    if not stat.S_ISDIR(info.st_mode):
        raise _not_a_directory(path)
    return info if os.path.lexists(path) else None


def _not_a_directory(path: str) -> JobError:
    return _error("destination_not_directory", "the destination %s is not a directory, or lies below a file", path)


def _refuse_overlap(source: str, destination: str, one_file_system: bool) -> None:
    """Compare by identity, so that bind mounts and other spellings of one directory are noticed.

    A destination in a file system that the walk does not enter may be inside the source.
    """
    apart = one_file_system and os.stat(source).st_dev != os.stat(nearest_existing(destination)).st_dev
    if not apart and _identity(source) in _lineage(destination):
        raise _error("paths_overlap", "the destination %s is the source " + text(source) + " or inside it", destination)
    if os.path.lexists(destination) and _identity(destination) in _lineage(source):
        raise _error("paths_overlap", "the source %s is inside the destination " + text(destination), source)


def _identity(path: str) -> Tuple[int, int]:
    info = os.stat(path)
    return (info.st_dev, info.st_ino)


def _lineage(path: str) -> Set[Tuple[int, int]]:
    """Identities of a directory, or of the nearest that exists, and of all its parents."""
    path = os.path.realpath(nearest_existing(path))
    found = {_identity(path)}
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        found.add(_identity(path))
    return found


def _check_writable(path: str) -> None:
    place = nearest_existing(path)
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        code = "destination_unwritable"
        if place == path:
            raise _error(code, "the destination %s cannot be written", path)
        raise _error(code, "the destination %s cannot be created: " + text(place) + " cannot be written", path)


def _open(path: str) -> int:
    """Open a root, following symbolic links."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _create(path: str, mode: int) -> int:
    """Make the destination and its missing parents."""
    missing: List[str] = []
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    umask = os.umask(0)
    try:
        for directory in reversed(missing):
            os.mkdir(directory, 0o755)
        os.mkdir(path, mode)
        return _open(path)
    except OSError as error:
        if tree.is_full(error):
            above = _open(nearest_existing(os.path.dirname(path)))
            try:
                raise no_room(above, "", error) from error
            finally:
                os.close(above)
        raise _error("destination_unwritable", "unable to create the destination %s: " + reason(error), path) from error
    finally:
        os.umask(umask)


def _error(code: str, message: str, path: str) -> JobError:
    return JobError(code, message.replace("%s", text(path), 1))
