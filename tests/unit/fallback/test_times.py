# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is found out of the steps in which file systems keep times."""

from __future__ import annotations

import os

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback import _platform, times


def test_a_device_tells_its_file_system() -> None:
    assert _platform.file_system_of(os.stat("/proc").st_dev) == "proc"
    assert _platform.file_system_of(os.makedev(4095, 1)) == ""


@pytest.mark.parametrize(
    ("step", "words"), [(times.COARSEST, "2s"), (times.SECOND, "1s"), (10**7, "10ms"), (100, "100ns")]
)
def test_a_step_is_told_as_the_engine_tells_it(step: int, words: str) -> None:
    assert times.in_words(step) == words
