# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person reads of a job, whatever its files are called."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils import _job_result
from ansible_collections.migration.assistant.plugins.module_utils._executor.outcome import Outcome
from ansible_collections.migration.assistant.plugins.module_utils._executor.selection import Choice

FORGED = "x\n-important.db file size=9"
COLOURED = "red\x1b[31mRED"


class Module:
    """The part of a module that is told of notices."""

    def __init__(self) -> None:
        self.warned: t.List[str] = []

    def warn(self, message: str) -> None:
        self.warned.append(message)


def outcome(**more: t.Any) -> Outcome:
    return Outcome(Choice("go", "0.1.0", None, "a test"), **more)


@pytest.mark.parametrize(
    ("path", "shown"), [(FORGED, "x\\n-important.db file size=9"), (COLOURED, "red\\x1b[31mRED"), ("\udcff", "\\xff")]
)
def test_each_change_is_one_line_of_the_diff(path: str, shown: str) -> None:
    made = {"action": "create", "kind": "file", "path": path, "before": None, "after": {"size": 9}}
    assert _job_result.diff(outcome(changes=[made], changes_count=1)) == {
        "before": "",
        "after": shown + " file size=9\n",
    }


def test_each_notice_names_its_entry_on_one_line() -> None:
    module = Module()
    left_out = [{"event": "warning", "code": "special_skipped", "message": "the fifo was not copied"}]
    told = [dict(left_out[0], path=path) for path in ("a", "fifo", COLOURED)]
    _job_result.notices(t.cast(t.Any, module), outcome(warnings=told, warnings_count=3))
    assert module.warned == [
        "a: the fifo was not copied",
        "fifo: the fifo was not copied",
        "red\\x1b[31mRED: the fifo was not copied",
    ]
