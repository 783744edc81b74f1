# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback.adjust import REST, Adjuster
from ansible_collections.migration.assistant.plugins.module_utils._fallback.workers import Pool

SLOW = 0.5e6


@pytest.mark.parametrize(
    ("rate", "allowed"),
    [
        (lambda workers: SLOW, [4, 2, 1, 1, 1]),
        (lambda workers: 5e6, [8, 8, 8]),
        (lambda workers: SLOW * 8 / workers, [4, 2, 4, 2, 2]),
        (lambda workers: 1e5 * workers, [4, 8, 8, 8]),
        (lambda workers: 2e6, [8, 8]),
    ],
    ids=["a slow link", "fast enough", "fewer are faster", "fewer are slower", "at the threshold"],
)
def test_fewer_at_a_time_where_that_does_no_harm(rate: t.Callable[[int], float], allowed: t.List[int]) -> None:
    adjuster = Adjuster(2e6, 8)
    assert [adjuster.next(rate(adjuster.allowed)) for _measurement in allowed] == allowed


def test_a_harmful_change_is_not_tried_again_at_once() -> None:
    adjuster = Adjuster(2e6, 8)
    numbers = [adjuster.next(1e5 * adjuster.allowed) for _measurement in range(2 + REST + 2)]
    assert numbers.count(4) == 2


def test_a_pool_keeps_to_the_number_that_is_allowed() -> None:
    lock = threading.Lock()
    seen: t.List[int] = []
    busy = 0
    pool: Pool[int] = Pool(6, lambda: 0)

    def task(_worker: int) -> None:
        nonlocal busy
        with lock:
            busy += 1
            seen.append(busy)
            if len(seen) == 30:
                pool.allow(2)
        time.sleep(0.005)
        with lock:
            busy -= 1

    pool.add(*[task] * 100, heavy=True)
    pool.run()
    assert len(seen) == 100
    assert max(seen[:30]) > 2
    # Those that were at work then first end what they had in hand.
    assert max(seen[40:]) == 2
