# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""file_sync with performance_threshold: below that rate fewer files are copied at a time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, started
from .trees import rsync_differences, settle, temporaries, write


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_slow_way_is_shared_by_fewer_files(executor: Executor, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    for number in range(250):
        write(source / f"{number}", os.urandom(20_000))
    settle(source)
    parameters = {
        "source": str(source),
        "destination": str(destination),
        "parallel_files": 8,
        "bandwidth_limit": 500_000,
        "performance_threshold": 5_000_000,
    }
    told, open_at_once = [], {}
    with started(executor, "file_sync", parameters) as events:
        for event in events:
            if event["event"] == "warning":
                told.append((event["code"], event["message"].partition(":")[0]))
                time.sleep(1)  # what was in hand ends
                open_at_once[len(told)] = len(temporaries(destination))
    assert told == [
        ("parallelism_adjusted", f"{fewer} instead of {more} files at a time")
        for more, fewer in ((8, 4), (4, 2), (2, 1))
    ]
    assert open_at_once[3] <= 1 <= open_at_once[1] <= 4
    assert event["event"] == "result"
    assert rsync_differences(source, destination) == ""
