# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be known about the two directories before a job starts, as one clear error each."""

from __future__ import annotations

import os
import typing as t


class FileSyncError(Exception):
    """An option cannot be used. ``option``: its name, empty where the message says it all; ``value``: what was given;
    ``message``: what is wrong, or what is allowed."""

    def __init__(self, option: str, value: t.Any, message: str) -> None:
        super().__init__("%s: %r: %s" % (option, value, message) if option else message)
        self.option = option
        self.value = value
        self.message = message


def check_paths(source: str, destination: str) -> t.Tuple[str, str]:
    """Both paths as given, if a tree can be brought from one to the other; else FileSyncError.

    Symbolic links in the paths are followed, and must lead somewhere. The destination and its parents may be missing.
    """
    check_source(source)
    _check_absolute("destination", destination)
    target = os.path.normpath(destination)
    place = _nearest_existing(target)
    if not os.path.isdir(place):
        where = "it is" if place == target else "%s is" % place
        raise FileSyncError("destination", destination, "%s not a directory" % where)
    _refuse_overlap(source, destination, place)
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        if place == target:
            raise FileSyncError("destination", destination, "the directory cannot be written by this user")
        message = "the directory cannot be created, since this user cannot write to %s" % place
        raise FileSyncError("destination", destination, message)
    return source, destination


def check_source(source: str) -> str:
    """The path as given, if it is a directory that this user can read; else FileSyncError."""
    _check_absolute("source", source)
    if not os.path.lexists(source):
        raise FileSyncError("source", source, "the directory does not exist")
    if not os.path.exists(source):
        raise FileSyncError("source", source, "the symbolic link leads nowhere")
    if not os.path.isdir(source):
        raise FileSyncError("source", source, "it is not a directory")
    if not os.access(source, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise FileSyncError("source", source, "the directory cannot be read by this user")
    return source


def _check_absolute(option: str, path: str) -> None:
    if not os.path.isabs(path) or "\0" in path:
        raise FileSyncError(option, path, "give an absolute path")


def _nearest_existing(path: str) -> str:
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _refuse_overlap(source: str, destination: str, place: str) -> None:
    """Compare by identity, which sees through symbolic links and bind mounts."""
    inside = _lineage(os.path.realpath(place))
    if _identity(source) in inside:
        same = os.path.exists(destination) and os.path.samefile(source, destination)
        message = "it is the source itself" if same else "it is inside the source %s" % source
        raise FileSyncError("destination", destination, message)
    if os.path.exists(destination) and _identity(destination) in _lineage(os.path.realpath(source)):
        raise FileSyncError("source", source, "it is inside the destination %s" % destination)


def _identity(path: str) -> t.Tuple[int, int]:
    info = os.stat(path)
    return (info.st_dev, info.st_ino)


def _lineage(path: str) -> t.Set[t.Tuple[int, int]]:
    """Identities of a directory and of all its parents."""
    found = {_identity(path)}
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        found.add(_identity(path))
    return found
