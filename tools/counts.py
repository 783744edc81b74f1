# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gates print, counted."""

from __future__ import annotations

import re
from typing import NamedTuple


class Counts(NamedTuple):
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: object) -> Counts:
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*(mine + theirs for mine, theirs in zip(self, other)))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def whole(output: str, succeeded: bool) -> Counts:
    """A tool that only says yes or no."""
    return Counts(passed=1) if succeeded else Counts(failed=1)


def pytest(output: str, succeeded: bool) -> Counts:
    """The closing line of pytest, or one of our own in the same words."""
    closing = [line for line in output.splitlines() if re.search(r"\d+ (passed|failed|skipped|error)", line)]
    return _words(closing[-1]) if closing else Counts()


def go_test(output: str, succeeded: bool) -> Counts:
    """The verbose output of go test: every test and subtest that has its own line."""
    ended = re.findall(r"^ *--- (PASS|FAIL|SKIP): ", output, re.MULTILINE)
    broken = len(re.findall(r"^FAIL\s+\S+ \[(?:build|setup) failed\]", output, re.MULTILINE))
    return Counts(ended.count("PASS"), ended.count("FAIL") + broken, ended.count("SKIP"))


def sanity(output: str, succeeded: bool) -> Counts:
    """ansible-test sanity: one per test and Python that ran, failed ones as its last words list them."""
    ran = len(re.findall(r'^Running sanity test "', output, re.MULTILINE))
    found = re.search(r"^FATAL: The (\d+) sanity test\(s\)", output, re.MULTILINE)
    failed = int(found.group(1)) if found else int(not succeeded)
    skipped = len(re.findall(r"^WARNING: (?:Required program|Skipping sanity test)", output, re.MULTILINE))
    return Counts(max(ran - failed - skipped, 0), failed, skipped)


def _words(line: str) -> Counts:
    number = {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", line)}
    failed = number.get("failed", 0) + number.get("error", 0) + number.get("errors", 0)
    return Counts(number.get("passed", 0) + number.get("xfailed", 0), failed, number.get("skipped", 0))
