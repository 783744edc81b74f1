# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Brings what was written to the disk: after every so many files, and at the end."""

from __future__ import annotations

import os
import threading
from typing import Dict

from . import _platform, tree
from ._errors import ItemError, JobError, reason
from .room import no_room


class Flusher:
    """Waits for the disk after ``every`` copied files; 0 for never.

    Where the system has no call for a whole file system, each file is flushed before it gets its name.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._syncfs = _platform.syncfs() if every else None
        self._copied = 0
        # A descriptor of each file system of the destination, by device.
        self._systems: Dict[int, int] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        for descriptor in self._systems.values():
            os.close(descriptor)
        self._systems.clear()

    def add(self, directory: int, info: os.stat_result) -> None:
        """Note the file system of an open directory of the destination."""
        if self._syncfs is None or info.st_dev in self._systems:
            return
        with self._lock:
            if info.st_dev not in self._systems:
                self._systems[info.st_dev] = os.dup(directory)

    def file(self, target: int) -> None:
        """Flush a file that is about to get its name, where that is the only way."""
        if not self._every or self._syncfs is not None:
            return
        try:
            os.fsync(target)
        except OSError as error:
            message = "unable to flush the file to the disk: %s" % reason(error)
            raise ItemError("io_error", message) from error

    def copied(self) -> None:
        """Count a file that has its name, and flush all when it is time to."""
        if not self._every:
            return
        with self._lock:
            self._copied += 1
            if self._copied % self._every == 0:
                self._flush()

    def finish(self) -> None:
        """Flush what the whole run did."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._syncfs is None:
            return
        for descriptor in self._systems.values():
            try:
                self._syncfs(descriptor)
            except OSError as error:
                if tree.is_full(error):
                    raise no_room(descriptor, "", error) from error
                message = "unable to flush the destination to the disk: %s" % reason(error)
                raise JobError("io_error", message) from error
