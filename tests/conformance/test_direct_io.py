# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies past the system's cache of files: what is in it is not pushed out by what is copied."""

from __future__ import annotations

import ctypes
import mmap
import os
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, run
from .trees import rsync_differences, settle, write

SIZE = (24 << 20) + 12_345
executors = pytest.mark.parametrize("executor", EXECUTORS)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    source = tmp_path / "source"
    write(source / "large", os.urandom(SIZE))
    write(source / "small", b"small")
    with open(source / "holes", "wb") as stream:
        stream.seek(8 << 20)
        stream.write(b"middle")
        stream.truncate(16 << 20)
    settle(source)
    return source, tmp_path / "destination"


def forget(path: Path) -> None:
    """Have the system drop what it has of a file in its cache."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached(path: Path) -> int:
    """How many bytes of a file are in the cache."""
    size = path.stat().st_size
    pages = -(-size // mmap.PAGESIZE)
    found = (ctypes.c_ubyte * pages)()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    with open(path, "rb") as stream:
        place = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED, stream.fileno(), 0)
        assert libc.mincore(ctypes.c_void_p(place), ctypes.c_size_t(size), found) == 0, os.strerror(ctypes.get_errno())
        libc.munmap(ctypes.c_void_p(place), ctypes.c_size_t(size))
    return sum(flag & 1 for flag in found) * mmap.PAGESIZE


def knows_direct_io(folder: Path) -> bool:
    """Whether the file system of the tests has a disk of its own behind its cache."""
    write(folder / "probe", bytes(1 << 20))
    forget(folder / "probe")
    try:
        os.close(os.open(folder / "probe", os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    return cached(folder / "probe") == 0


@executors
@pytest.mark.parametrize(
    "more", [{"parallel_chunks": 1}, {"parallel_chunks": 3, "chunk_size": 5_000_000}, {"bandwidth_limit": 100 << 20}]
)
def test_large_files_do_not_fill_the_cache(
    executor: Executor, more: dict[str, t.Any], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    source, destination = pair
    forget(source / "large")
    wanted = {"source": str(source), "destination": str(destination), "direct_io": True, **more}
    done = run(executor, "file_sync", wanted)
    assert done.terminal["event"] == "result", done.terminal
    remembered = {root: cached(root / "large") for root in pair}
    if knows_direct_io(tmp_path):
        # Chunks that begin and end within a block leave their edges there.
        assert max(remembered.values()) <= 1 << 20, remembered
        assert done.warnings == []
    assert rsync_differences(source, destination) == ""
    assert run(executor, "file_sync", wanted).changes == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
@executors
def test_a_file_system_that_cannot_is_told_once(executor: Executor, pair: tuple[Path, Path]) -> None:
    source, destination = pair
    destination.mkdir()
    write(source / "another", os.urandom(3 << 20))
    mounted = f'mount -t ramfs none "{destination}" && "$@" && cmp "{source}/large" "{destination}/large"'
    wanted = {"source": str(source), "destination": str(destination), "direct_io": True}
    done = run(executor, "file_sync", wanted, prefix=["unshare", "--mount", "sh", "-c", mounted, "sh"])
    assert done.code == 0, done.stderr
    assert done.terminal["event"] == "result"
    assert [event["code"] for event in done.warnings] == ["direct_io_unavailable"]
