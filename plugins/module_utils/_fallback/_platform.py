# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What this platform's Python can do. The only place that asks for it."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import sys
from typing import Any, Callable, Dict, FrozenSet, Optional, cast

_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}

HAS_DIRECTORY_DESCRIPTORS = hasattr(os, "O_DIRECTORY") and hasattr(os, "O_NOFOLLOW") and os.open in os.supports_dir_fd
HAS_PROC = sys.platform.startswith("linux") and os.path.isdir("/proc/self/fd")
HAS_XATTRS = hasattr(os, "listxattr") and HAS_PROC
HAS_COPY_FILE_RANGE = hasattr(os, "copy_file_range")
HAS_SEEK_HOLE = hasattr(os, "SEEK_HOLE")
HAS_REFLINK = sys.platform.startswith("linux")
HAS_SPECIALS = HAS_PROC
# Whether symbolic links and special files may have several names.
LINKS_ALL = sys.platform.startswith("linux")

# The library of each format that is no part of Python; the command of the same name will do too.
ARCHIVE_LIBRARIES: Dict[str, str] = {"zstd": "zstandard", "lz4": "lz4.frame", "brotli": "brotli"}

# Absent flags are no-ops: without O_PATH metadata is reached by an ordinary descriptor.
O_NOATIME: int = getattr(os, "O_NOATIME", 0)
O_PATH: int = getattr(os, "O_PATH", 0)
# Reads and writes past the cache; 0 where this Python cannot do both.
DIRECT: int = getattr(os, "O_DIRECT", 0) if HAS_PROC and hasattr(os, "preadv") else 0

# SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER.
_WAIT_WRITE_WAIT = 7


def effective_user() -> int:
    """The user that files are created as; -1 where there are no numeric users."""
    return os.geteuid() if hasattr(os, "geteuid") else -1


def boot_id() -> Optional[str]:
    """Names this run of the system; None where that is not known. What was not flushed to a disk may not outlive it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return None


def own_groups() -> FrozenSet[int]:
    """The groups that this user may give its files to."""
    if not hasattr(os, "getgroups"):
        return frozenset()
    return frozenset(os.getgroups()) | {os.getegid()}


def read_into(descriptor: int, part: memoryview, position: int) -> int:
    """Read at ``position`` into ``part``; the number of bytes read."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [part], position)
    data = os.pread(descriptor, len(part), position)
    part[: len(data)] = data
    return len(data)


def syncfs() -> Optional[Callable[[int], None]]:
    """What brings all that was written to the file system of a descriptor to its disk; None where nothing does."""
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, TypeError, AttributeError):
        return None

    def call(descriptor: int) -> None:
        if function(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return call


def file_system(descriptor: int) -> str:
    """The type of the file system that an open file is in, such as ``ext4``; empty where that is not known."""
    try:
        with open("/proc/self/fdinfo/%d" % descriptor, encoding="ascii") as lines:
            number = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), None)
    except OSError:
        return ""
    return _mounted(0, number)


def file_system_of(device: int) -> str:
    """The type of the file system that is this device, such as ``ext4``; empty where that is not known."""
    return _mounted(2, "%d:%d" % (os.major(device), os.minor(device)))


def _mounted(column: int, wanted: Optional[str]) -> str:
    """The type of the first file system in the table of mounts that has this in the column."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields = line.split(" ")
                if fields[column] == wanted:
                    return fields[fields.index("-") + 1]
    except (OSError, ValueError, IndexError):
        pass
    return ""


def write_back(descriptor: int) -> bool:
    """Wait until what was written to the file is handed to its disk; False where that cannot be done.

    What is written through a memory map from then on changes the file's times; before, a page that had been written
    already did not.
    """
    function = _sync_file_range()
    return function is not None and bool(function(descriptor, 0, 0, _WAIT_WRITE_WAIT) == 0)


@functools.lru_cache(maxsize=None)
def _sync_file_range() -> Optional[Callable[[int, int, int, int], Any]]:
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).sync_file_range
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    except (ImportError, OSError, TypeError, AttributeError):
        return None
    return cast("Callable[[int, int, int, int], Any]", function)


def name() -> str:
    """Operating system and architecture in Go's terms, such as ``linux-amd64``."""
    machine = platform.machine()
    return "%s-%s" % (platform.system().lower(), _ARCHITECTURES.get(machine, machine))


def has_library(name: str) -> bool:
    """Whether a Python library that is no part of Python is on this host."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        # Of a module in a package that is not there.
        return False


def has_command(name: str) -> bool:
    """Whether a command is in this host's path."""
    return shutil.which(name) is not None


def capabilities() -> Dict[str, Any]:
    """Optional abilities, for ``hello``."""
    return {
        "python": platform.python_version(),
        "xattrs": HAS_XATTRS,
        "specials": HAS_SPECIALS,
        "sparse": HAS_SEEK_HOLE,
        "reflink": HAS_REFLINK,
        "copy_file_range": HAS_COPY_FILE_RANGE,
        "blake3": has_library("blake3"),
        "xxh3": has_library("xxhash"),
        "postgresql": has_library("psycopg"),
        **{name: has_library(library) or has_command(name) for name, library in ARCHIVE_LIBRARIES.items()},
    }
