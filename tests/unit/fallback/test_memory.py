# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gc
import time
import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback._context import Context
from ansible_collections.migration.assistant.plugins.module_utils._fallback._errors import JobError
from ansible_collections.migration.assistant.plugins.module_utils._fallback._memory import MemoryWatch
from ansible_collections.migration.assistant.plugins.module_utils._fallback._meter import resident_memory

MEBIBYTE = 1 << 20


class Garbage:
    """Keeps memory until cycles are collected."""

    def __init__(self, size: int) -> None:
        self.itself = self
        self.content = b"x" * size


@pytest.fixture
def context() -> Context:
    return Context({}, False, lambda event: None, lambda: False)


@pytest.fixture
def no_collection() -> t.Iterator[None]:
    """Cycles stay until they are asked for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def until(condition: t.Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_garbage_is_collected_from_the_threshold_on(context: Context, no_collection: None) -> None:
    limit = resident_memory() + 400 * MEBIBYTE
    collections = gc.get_stats()[2]["collections"]
    threshold = 100 * (resident_memory() + 50 * MEBIBYTE) / limit
    with MemoryWatch(context, limit, threshold):
        time.sleep(0.3)
        assert gc.get_stats()[2]["collections"] == collections
        for _number in range(10):
            Garbage(10 * MEBIBYTE)
        assert until(lambda: gc.get_stats()[2]["collections"] > collections)
        assert until(lambda: resident_memory() < limit - 300 * MEBIBYTE)
    context.check()


def test_a_job_that_needs_more_than_the_limit_ends(context: Context) -> None:
    # What earlier tests have left goes when it is collected, and makes room.
    gc.collect()
    with MemoryWatch(context, resident_memory() + 50 * MEBIBYTE, 80):
        context.check()
        needed = b"x" * (400 * MEBIBYTE)

        def is_ended() -> bool:
            try:
                context.check()
            except JobError as error:
                return error.code == "memory_exceeded" and error.resumable and "memory_limit allows" in error.message
            return False

        assert until(is_ended)
        assert len(needed)
