# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the gates: gate_runner.py all, or gate_runner.py with names of gates or of their groups (lint, unit, sanity …).

Each gate writes build/test-logs/NAME.log. The last line counts every test of every gate.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from counts import Counts
from engine import this_platform
from environment import BUILD, ROOT, SetupError, ensure_venv, fail, only_one, say
from gates import Environment, Gate, all_gates, environments
from setup import prepare_engine, prepare_test, prepare_windows

LOGS = BUILD / "test-logs"
_TAIL = 90
# What go test -v says of a test that did not fail.
_PASSED = re.compile(r" *(=== (RUN|PAUSE|CONT|NAME) |--- PASS: |PASS$|ok\s)")
_SLOWEST = 5


class Cost(NamedTuple):
    """What a gate took: seconds from its begin to its end, and of processors."""

    seconds: float = 0.0
    cpu: float = 0.0

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s {self.cpu:6.1f} s CPU"


def main() -> None:
    wanted = sys.argv[1:] or ["all"]
    started = time.monotonic()
    try:
        prepare_test()
        others, missing = environments()
        gates = [gate for gate in all_gates(others) if {"all", gate.name, gate.group} & set(wanted)]
        known = {"all", *(gate.name for gate in all_gates(others)), *(gate.group for gate in all_gates(others))}
        for name in wanted:
            if name not in known:
                fail(f"there is no gate or group of gates named {name}; there are: {', '.join(sorted(known))}")
        if any(gate.needs_engine for gate in gates):
            prepare_engine()
        if any(gate.needs_windows for gate in gates):
            prepare_windows()
        prepare_environments([one for one in others if _used(one, gates)])
    except SetupError as exc:
        fail(exc)
    say(f"{len(gates)} gates on {this_platform()}, each with its output in {LOGS.relative_to(ROOT)}")
    total, broken, costs = run_gates(gates)
    for what in missing:
        say(f"not tested, since that Python is not on this machine: {what}")
    if not any(gate.needs_windows for gate in all_gates(others)):
        say("not tested, since it needs Linux on x86-64: the Windows build under Wine")
    say(f"{len(gates) - len(broken)} of {len(gates)} gates passed in {time.monotonic() - started:.0f} s")
    slowest = sorted(costs, key=lambda name: costs[name], reverse=True)[:_SLOWEST]
    say(f"the slowest: {', '.join(f'{name} {costs[name].seconds:.0f} s' for name in slowest)}")
    if broken:
        say(f"failed: {', '.join(sorted(broken))}")
    say(str(total))
    sys.exit(1 if broken or not total.passed else 0)


def _used(environment: Environment, gates: list[Gate]) -> bool:
    return any(str(environment.path) in str(part) for gate in gates for part in gate.command)


def prepare_environments(wanted: list[Environment]) -> None:
    with only_one(), ThreadPoolExecutor(max_workers=_slots()) as pool:
        jobs = [pool.submit(_prepare, one) for one in wanted]
        for job in jobs:
            job.result()


def _prepare(one: Environment) -> None:
    ensure_venv(one.path, lambda: one.python, *one.files, constraint=one.constraint)


def run_gates(gates: list[Gate]) -> tuple[Counts, set[str], dict[str, Cost]]:
    """Run the gates side by side. Gives the sum of their counts, the names of those that failed, and what each took."""
    LOGS.mkdir(parents=True, exist_ok=True)
    total, broken, costs = Counts(), set(), {}
    with ThreadPoolExecutor(max_workers=_slots()) as pool:
        jobs = {pool.submit(run_gate, gate): gate for gate in gates}
        for job in as_completed(jobs):
            gate = jobs[job]
            counted, problem, costs[gate.name] = job.result()
            total += counted
            say(f"{'FAILED' if problem else 'ok':7}{gate.name:32}{costs[gate.name]}  {counted}")
            if problem:
                broken.add(gate.name)
                show_failure(gate, problem)
    return total, broken, costs


def run_gate(gate: Gate) -> tuple[Counts, str, Cost]:
    """Counts, why the gate failed (empty if it did not), and what it took."""
    started = time.monotonic()
    cpu = 0.0
    log = _log(gate)
    with open(log, "w", encoding="utf-8") as stream:
        try:
            process = subprocess.Popen(
                [str(part) for part in gate.command],
                cwd=gate.cwd,
                env=_environment(gate),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            # Unlike Popen.wait, it tells what the process and those that it waited for have used.
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = code = os.waitstatus_to_exitcode(status)
            cpu = usage.ru_utime + usage.ru_stime
        except OSError as exc:
            stream.write(f"{exc}\n")
            code = 127
    counted = gate.count(log.read_text(encoding="utf-8", errors="replace"), code == 0)
    problem = ""
    if code != 0:
        problem = f"exit code {code}"
        counted = counted if counted.failed else counted + Counts(failed=1)
    elif counted.failed:
        problem = "tests failed"
    elif not counted.passed:
        problem = "it ran no test"
        counted = counted + Counts(failed=1)
    return counted, problem, Cost(time.monotonic() - started, cpu)


def _environment(gate: Gate) -> dict[str, str]:
    """This process's, for output that can be read. Python keeps what it compiles: a gate starts it a thousand times."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PY_COLORS": "0", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **gate.env}


def show_failure(gate: Gate, problem: str) -> None:
    lines = _log(gate).read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line for line in lines if not _PASSED.match(line)]
    say(f"---- {gate.name}: {problem}; the end of {os.path.relpath(_log(gate), ROOT)}:")
    for line in lines[-_TAIL:]:
        say(f"    {line}")
    say("----")


def _log(gate: Gate) -> Path:
    return LOGS / f"{gate.name}.log"


def _slots() -> int:
    """One more than there are processors: the tests on remote hosts mostly wait."""
    return 1 + max(2, os.cpu_count() or 2)


if __name__ == "__main__":
    main()
