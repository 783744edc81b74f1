# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the destination has and the source lacks: collected during the walk, deleted only after all else succeeded."""

from __future__ import annotations

import os
import stat
from typing import List, NamedTuple, Optional

from . import tree
from ._errors import ItemError, JobError
from .metadata import Attributes
from .partial import halves
from .session import Session
from .tree import Route, join, kind, text
from .workers import Worker

_MOUNT_POINT = "the directory is a mount point, and nothing in it is deleted; unmount it, or protect it by a filter"


class Doomed(NamedTuple):
    """One entry that is to be deleted, after everything in it."""

    directory: str
    name: str
    kind: str
    size: int


class _Level:
    """A directory on the way down while a subtree is collected."""

    def __init__(self, parent: int, path: str, name: str, above: tree.Mount) -> None:
        self.path = path
        self.name = name
        self.keep = False
        self.entries: List[os.DirEntry[str]] = []
        self.descriptor = tree.open_directory(parent, name)
        # What is mounted there belongs to somebody else. Emptied, it could not be removed either.
        self.mount = tree.mount_of(self.descriptor)
        self.mounted = self.mount != above
        if self.mounted:
            self.keep = True
            return
        with os.scandir(self.descriptor) as entries:
            self.entries = list(entries)


class Deletions:
    """Collects and deletes extra entries."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._context = session.context
        self._doomed: List[Doomed] = []

    def remove_temporary(self, worker: Worker, path: str, directory: int, name: str) -> None:
        """Remove what a killed run left."""
        if not self._session.dry_run:
            os.unlink(name, dir_fd=directory)
        worker.counters.temporaries_removed += 1
        self._context.change("delete", "temporary", text(join(path, name)))

    def remove_partials(self, worker: Worker, destination: Optional[int]) -> None:
        """Remove what earlier runs left of files that were not copied after all."""
        unclaimed = self._session.partials.unclaimed()
        if destination is None or not unclaimed:
            return
        with Route(destination, self._session.metadata.timestamps, writing=not self._session.dry_run) as route:
            for path, stem in unclaimed:
                with self._session.failures_of(path or "."):
                    directory = route.open(path)
                    route.touch()
                    for name in reversed(halves(stem)):
                        self.remove_temporary(worker, path, directory, name)

    def collect(self, parent: int, path: str, name: str) -> bool:
        """Note an entry and all in it, except what filters protect; True if nothing of it will be left."""
        info = os.stat(name, dir_fd=parent, follow_symlinks=False)
        is_directory = stat.S_ISDIR(info.st_mode)
        if self._session.filters.protects(text(join(path, name)), is_directory):
            return False
        if is_directory and not self.collect_contents(parent, path, name):
            return False
        self._note(path, name, info)
        return True

    def collect_contents(self, parent: int, path: str, name: str) -> bool:
        """Note all that is in a directory, but not the directory; True if it will be empty."""
        levels = [_Level(parent, path, name, tree.mount_of(parent))]
        try:
            while True:
                self._context.check()
                level = levels[-1]
                below = self._descend(level)
                if below is not None:
                    levels.append(below)
                    continue
                os.close(levels.pop().descriptor)
                if level.mounted:
                    self._context.failure(text(join(level.path, level.name)), ItemError("mount_point", _MOUNT_POINT))
                if not levels:
                    return not level.keep
                if level.keep:
                    levels[-1].keep = True
                else:
                    self._note_directory(level)
        finally:
            for level in levels:
                os.close(level.descriptor)

    def _descend(self, level: _Level) -> Optional[_Level]:
        """Note entries of the level up to the next directory, which is the next level; None at the end."""
        filters = self._session.filters
        path = join(level.path, level.name)
        while level.entries:
            entry = level.entries.pop()
            is_directory = entry.is_dir(follow_symlinks=False)
            if filters.any_protected and filters.protects(text(join(path, entry.name)), is_directory):
                level.keep = True
            elif is_directory:
                return _Level(level.descriptor, path, entry.name, level.mount)
            else:
                self._note(path, entry.name, entry.stat(follow_symlinks=False))
        return None

    def _note(self, path: str, name: str, info: os.stat_result) -> None:
        self._doomed.append(Doomed(path, name, kind(info.st_mode), info.st_size))

    def _note_directory(self, level: _Level) -> None:
        self._doomed.append(Doomed(level.path, level.name, "directory", 0))

    @property
    def pending(self) -> bool:
        """Whether anything is to be deleted."""
        return bool(self._doomed)

    def carry_out(self, worker: Worker, destination: Optional[int]) -> None:
        """Delete what was collected, unless it is more than the job allows."""
        limit = self._session.max_delete
        if limit is not None and len(self._doomed) > limit:
            message = "%d entries would be deleted; max_delete allows %d" % (len(self._doomed), limit)
            raise JobError("max_delete_exceeded", message)
        if destination is None or not self._doomed:
            return
        with Route(destination, self._session.metadata.timestamps, writing=not self._session.dry_run) as route:
            for doomed in self._doomed:
                self._context.check()
                with self._session.failures_of(join(doomed.directory, doomed.name)):
                    self._delete(worker, route, doomed)

    def _delete(self, worker: Worker, route: Route, doomed: Doomed) -> None:
        if not self._session.dry_run:
            try:
                directory = route.open(doomed.directory)
                route.touch()
                if doomed.kind == "directory":
                    os.rmdir(doomed.name, dir_fd=directory)
                else:
                    os.unlink(doomed.name, dir_fd=directory)
            except FileNotFoundError:
                # Somebody else was faster: it is not our change.
                return
        worker.counters.deleted += 1
        before: Attributes = {"size": doomed.size} if doomed.kind == "file" else {}
        self._context.change("delete", doomed.kind, text(join(doomed.directory, doomed.name)), before)
