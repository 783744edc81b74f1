# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Something that is looked at again and again while a job is at work."""

from __future__ import annotations

import abc
import threading


class Watch(abc.ABC):
    """Looks every so many seconds, in a thread of its own, while entered; not at all unless it is ``wanted``."""

    def __init__(self, name: str, seconds: float, wanted: bool) -> None:
        self._seconds = seconds
        self._wanted = wanted
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Watch:
        if self._wanted:
            self.begin()
            self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()

    def wait(self, seconds: float) -> None:
        """Look again after so many seconds from now on."""
        self._seconds = seconds

    def is_ended(self, seconds: float) -> bool:
        """Wait so long, and no longer than it is looked; whether that has ended."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    @abc.abstractmethod
    def begin(self) -> None:
        """Look for the first time, before the job begins."""

    @abc.abstractmethod
    def look(self) -> None:
        """Look once more."""
