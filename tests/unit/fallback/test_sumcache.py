# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache of checksums: what tests/conformance/test_checksum_cache.py cannot time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback import _platform
from ansible_collections.migration.assistant.plugins.module_utils._fallback.digests import ALGORITHMS
from ansible_collections.migration.assistant.plugins.module_utils._fallback.sumcache import PAGE, Cache

SHA256 = ALGORITHMS["sha256"]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    (tmp_path / "cache").write_bytes(bytes(2 * PAGE))
    made = Cache(os.open(tmp_path / "cache", os.O_RDWR), 1, 0, read_only=False)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    kind = _platform.file_system(descriptor)
    os.close(descriptor)
    if kind not in ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"):
        pytest.skip("the file system of temporary files is not one whose times of change are trusted")
    return made


def test_a_file_that_was_changed_a_moment_ago_is_not_remembered(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    assert cache.begin(SHA256, descriptor, os.fstat(descriptor)) is None
    time.sleep(2.1)
    reading = cache.begin(SHA256, descriptor, os.fstat(descriptor))
    assert reading is not None
    reading.keep(descriptor, b"1" * 32)
    assert cache.find(SHA256, descriptor, os.fstat(descriptor)) == b"1" * 32
    # Nor is one that changes while it is read.
    reading = cache.begin(SHA256, descriptor, os.fstat(descriptor))
    assert reading is not None
    os.utime(tmp_path / "file", ns=(0, os.fstat(descriptor).st_mtime_ns))
    reading.keep(descriptor, b"2" * 32)
    assert cache.find(SHA256, descriptor, os.fstat(descriptor)) is None
    os.close(descriptor)
    cache.close()


def test_a_file_system_that_is_not_known_is_not_trusted(cache: Cache, tmp_path: Path) -> None:
    descriptor = os.open("/proc/self/status", os.O_RDONLY)
    assert cache.find(SHA256, descriptor, os.fstat(descriptor)) is None
    assert cache.begin(SHA256, descriptor, os.fstat(descriptor)) is None
    os.close(descriptor)
    cache.close()
