# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test runner itself: it must not be green when something failed, or when nothing ran."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import counts
import gate_runner as runner
import pytest
from counts import Counts
from gates import Gate

GO_OUTPUT = """\
=== RUN   TestCopy
    --- PASS: TestCopy/empty (0.00s)
    --- FAIL: TestCopy/sparse (0.00s)
--- FAIL: TestCopy (0.01s)
--- SKIP: TestDevice (0.00s)
FAIL	migration.assistant/engine/internal/wire [build failed]
"""
SANITY_OUTPUT = """\
Running sanity test "compile" on Python 3.8
Running sanity test "pep8"
Running sanity test "shellcheck"
WARNING: Required program "shellcheck" not found.
FATAL: The 1 sanity test(s) listed below (out of 3) failed. See error output above for details.
"""


@pytest.mark.parametrize(
    ("count", "output", "expected"),
    [
        (counts.pytest, "..s\n12 passed, 1 skipped in 0.30s\n", Counts(12, 0, 1)),
        (counts.pytest, "2 failed, 3 passed, 1 error in 1.00s\n", Counts(3, 3, 0)),
        (counts.pytest, "no tests ran in 0.01s\n", Counts()),
        (counts.go_test, GO_OUTPUT, Counts(1, 3, 1)),
        (counts.go_test, "?   	package	[no test files]\n", Counts()),
        (counts.sanity, SANITY_OUTPUT, Counts(1, 1, 1)),
        (counts.sanity, "WARNING: All targets skipped.\n", Counts()),
    ],
)
def test_counting(count: t.Callable[[str, bool], Counts], output: str, expected: Counts) -> None:
    assert count(output, not expected.failed) == expected


@pytest.mark.parametrize(
    ("program", "expected", "problem"),
    [
        ("print('1 passed')", Counts(1, 0, 0), ""),
        ("print('0 passed')", Counts(0, 1, 0), "it ran no test"),
        ("print('2 passed'); raise SystemExit(3)", Counts(2, 1, 0), "exit code 3"),
        ("print('1 passed, 1 failed')", Counts(1, 1, 0), "tests failed"),
    ],
)
def test_a_gate(program: str, expected: Counts, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    found, why, seconds = runner.run_gate(Gate("one", "unit", [sys.executable, "-c", program], counts.pytest))
    assert (found, why) == (expected, problem)
    assert program.split("'")[1] in (tmp_path / "one.log").read_text(encoding="utf-8")


def test_a_command_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    found, why, seconds = runner.run_gate(Gate("one", "lint", ["/nonexistent/tool"]))
    assert found == Counts(0, 1, 0)
    assert why == "exit code 127"


def test_a_failure_shows_what_failed_and_not_what_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    (tmp_path / "one.log").write_text(GO_OUTPUT + "=== RUN   TestX\n--- PASS: TestX (0.00s)\n" * 100, encoding="utf-8")
    runner.show_failure(Gate("one", "unit", []), "exit code 1")
    shown = capsys.readouterr().out
    assert "--- FAIL: TestCopy/sparse" in shown
    assert "PASS" not in shown
