# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Where the one file of a job is, a manifest or an archive, and how it is put there."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import IO, Callable, Optional, Tuple

from . import tree
from ._errors import ItemError, JobError, reason
from .tree import text


class FilePlace:
    """The directory of the one file of a job, a manifest or an archive, open, and its name there. Use it as a context
    manager.

    ``existing`` is what has the name, None for nothing. Raises a JobError before anything else is read if the file can
    neither be read, with ``to_read``, nor be written. ``noun`` is what messages call it.
    """

    def __init__(self, noun: str, path: str, to_read: bool) -> None:
        self.noun = noun
        self.path = path
        self._to_read = to_read
        self._above, self.name = os.path.split(path)
        self.directory = -1
        self.existing: Optional[os.stat_result] = None
        self._identity: Tuple[int, int] = (0, 0)

    def __enter__(self) -> FilePlace:
        code = "source_missing" if self._to_read else "destination_unwritable"
        try:
            self.directory = os.open(self._above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise JobError(code, "the directory of the %s %s does not exist" % (self.noun, text(self.path))) from error
        except OSError as error:
            raise self.unable("open the directory of", error) from error
        try:
            self._examine()
        except BaseException:
            os.close(self.directory)
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self.directory)

    def _examine(self) -> None:
        info = os.fstat(self.directory)
        self._identity = (info.st_dev, info.st_ino)
        path = text(self.path)
        try:
            self.existing = os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError as error:
            if self._to_read:
                raise JobError("source_missing", "the %s %s does not exist" % (self.noun, path)) from error
        except OSError as error:
            raise self.unable("open", error) from error
        if self.existing is not None and not stat.S_ISREG(self.existing.st_mode):
            raise JobError("destination_unwritable", "the %s %s is not a regular file" % (self.noun, path))
        by_effective_ids = os.access in os.supports_effective_ids
        if not self._to_read and not os.access(self._above, os.W_OK | os.X_OK, effective_ids=by_effective_ids):
            message = "the %s %s cannot be written: %s cannot be written" % (self.noun, path, text(self._above))
            raise JobError("destination_unwritable", message)

    def is_file(self, directory: int, name: str) -> bool:
        """Whether an entry of an open directory is the file itself."""
        if name != self.name:
            return False
        info = os.fstat(directory)
        return (info.st_dev, info.st_ino) == self._identity

    def is_directory(self, info: os.stat_result) -> bool:
        """Whether it is the directory that the file is in."""
        return (info.st_dev, info.st_ino) == self._identity

    def open(self) -> int:
        """Descriptor of the file that is there."""
        if self.existing is None:
            raise AssertionError("there is no file to open")
        try:
            return tree.open_existing_file(self.directory, self.name, self.existing, self.noun)
        except (OSError, ItemError) as error:
            raise self.unable("read", error) from error

    def replace(self, write: Callable[[IO[bytes]], None], new_mode: int, mode: Optional[int] = None) -> None:
        """Have the file written under a temporary name, and rename it.

        One that was there keeps its owner, where that is allowed, and without ``mode`` its mode too; a new one gets
        what the umask leaves of ``new_mode``.
        """
        try:
            self._replace(write, new_mode, mode)
        except OSError as error:
            if tree.is_full(error):
                raise JobError("disk_full", "the destination has no room left", text(self.path)) from error
            raise self.unable("write", error) from error

    def _replace(self, write: Callable[[IO[bytes]], None], new_mode: int, mode: Optional[int]) -> None:
        self._remove_leftovers()
        temporary = "%s%s.tmp" % (self._temporary_prefix(), os.urandom(4).hex())
        if self.existing is not None:
            new_mode = 0o600
            mode = stat.S_IMODE(self.existing.st_mode) if mode is None else mode
        descriptor = tree.create_file(self.directory, temporary, readable=False, mode=new_mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                write(stream)
                stream.flush()
                if self.existing is not None:
                    _keep_owner(descriptor, self.existing)
                if mode is not None:
                    os.fchmod(descriptor, mode)
            os.rename(temporary, self.name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        except BaseException:
            tree.discard(self.directory, temporary)
            raise

    def _temporary_prefix(self) -> str:
        """What begins the names of this file's temporary files, and of no other's."""
        return tree.TEMPORARY_PREFIX + hashlib.sha256(os.fsencode(self.name)).hexdigest()[:8]

    def _remove_leftovers(self) -> None:
        """Remove what a killed run left."""
        prefix = self._temporary_prefix()
        with os.scandir(self.directory) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(prefix)]
        for name in names:
            if tree.is_temporary(name):
                tree.discard(self.directory, name)

    def unable(self, action: str, error: BaseException) -> JobError:
        """What to say of an error of the system."""
        return JobError("io_error", "unable to %s the %s %s: %s" % (action, self.noun, text(self.path), reason(error)))


def _keep_owner(descriptor: int, info: os.stat_result) -> None:
    try:
        os.fchown(descriptor, info.st_uid, info.st_gid)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
