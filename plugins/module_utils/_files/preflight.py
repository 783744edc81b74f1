# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be known about the two directories before a job starts, as one clear error each."""

from __future__ import annotations

import os
import stat
import typing as t


class FileSyncError(Exception):
    """An option cannot be used. ``option``: its name, empty where the message says it all; ``value``: what was given;
    ``message``: what is wrong, or what is allowed."""

    def __init__(self, option: str, value: t.Any, message: str) -> None:
        super().__init__("%s: %r: %s" % (option, value, message) if option else message)
        self.option = option
        self.value = value
        self.message = message


def check_paths(source: str, destination: str, one_file_system: bool = False) -> t.Tuple[str, str]:
    """Both paths as given, if a tree can be brought from one to the other; else FileSyncError.

    Symbolic links in the paths are followed, and must lead somewhere. The destination and its parents may be missing.
    """
    check_source(source)
    place = _directory_above(destination)
    _refuse_overlap(source, destination, place, one_file_system)
    _check_writable(destination, place)
    return source, destination


def check_destination(destination: str) -> str:
    """The path as given, if it is a directory that can be written in, or can be made; else FileSyncError."""
    _check_writable(destination, _directory_above(destination))
    return destination


def _directory_above(destination: str) -> str:
    """The destination itself or the nearest above it that is there, which is a directory."""
    check_absolute("destination", destination)
    target = os.path.normpath(destination)
    place = _nearest_existing(target)
    if not os.path.isdir(place):
        where = "it is" if place == target else "%s is" % place
        raise FileSyncError("destination", destination, "%s not a directory" % where)
    return place


def _check_writable(destination: str, place: str) -> None:
    target = os.path.normpath(destination)
    if not _may(place, os.W_OK | os.X_OK):
        if place == target:
            raise FileSyncError("destination", destination, "the directory cannot be written by this user")
        message = "the directory cannot be created, since this user cannot write to %s" % place
        raise FileSyncError("destination", destination, message)


def check_file(path: str, option: str) -> str:
    """The path as given, if it is a regular file that can be read; else FileSyncError. Its name is not followed."""
    if _file_mode(path, option) is None:
        raise FileSyncError(option, path, "the file does not exist")
    if not _may(path, os.R_OK):
        raise FileSyncError(option, path, "the file cannot be read by this user")
    return path


def check_new_file(path: str, option: str) -> str:
    """The path as given, if a file can be written there; else FileSyncError."""
    _file_mode(path, option)
    above = os.path.dirname(os.path.normpath(path))
    if not _may(above, os.W_OK | os.X_OK):
        raise FileSyncError(option, path, "this user cannot write to %s" % above)
    return path


def _file_mode(path: str, option: str) -> t.Optional[int]:
    """The mode of a regular file, None for one that is not there."""
    check_absolute(option, path)
    above = os.path.dirname(os.path.normpath(path))
    if not os.path.isdir(above):
        raise FileSyncError(option, path, "%s is not a directory" % above)
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise FileSyncError(option, path, exc.strerror or str(exc)) from exc
    if not stat.S_ISREG(mode):
        raise FileSyncError(option, path, "it is not a regular file")
    return mode


def _may(path: str, access: int) -> bool:
    return os.access(path, access, effective_ids=os.access in os.supports_effective_ids)


def check_source(source: str, option: str = "source") -> str:
    """The path as given, if it is a directory that this user can read; else FileSyncError."""
    check_absolute(option, source)
    if not os.path.lexists(source):
        raise FileSyncError(option, source, "the directory does not exist")
    if not os.path.exists(source):
        raise FileSyncError(option, source, "the symbolic link leads nowhere")
    if not os.path.isdir(source):
        raise FileSyncError(option, source, "it is not a directory")
    if not _may(source, os.R_OK | os.X_OK):
        raise FileSyncError(option, source, "the directory cannot be read by this user")
    return source


def check_absolute(option: str, path: str) -> None:
    """FileSyncError for a path that is not absolute."""
    if not os.path.isabs(path) or "\0" in path:
        raise FileSyncError(option, path, "give an absolute path")


def _nearest_existing(path: str) -> str:
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _refuse_overlap(source: str, destination: str, place: str, one_file_system: bool) -> None:
    """Compare by identity, which sees through symbolic links and bind mounts.

    A destination in a file system that is not entered may be inside the source.
    """
    inside = _lineage(os.path.realpath(place))
    apart = one_file_system and _identity(source)[0] != _identity(place)[0]
    if not apart and _identity(source) in inside:
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
