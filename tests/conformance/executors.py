# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a job by either executor, as its own process, over the protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE = REPOSITORY / "build" / "engine" / "migration-engine-linux-amd64"
FALLBACK = "ansible_collections.migration.assistant.plugins.module_utils._fallback"

Event = t.Dict[str, t.Any]
Executor = t.Literal["go", "python"]
EXECUTORS: tuple[Executor, ...] = ("go", "python")


@dataclass
class Run:
    """What one run of an executor said."""

    code: int
    events: list[Event]
    stderr: str
    changes: list[Event] = field(init=False)
    terminal: Event = field(init=False)

    def __post_init__(self) -> None:
        self.changes = [event for event in self.events if event["event"] == "change"]
        self.terminal = self.events[-1] if self.events else {}

    @property
    def warnings(self) -> list[Event]:
        return [event for event in self.events if event["event"] == "warning"]

    @property
    def statistics(self) -> dict[str, int]:
        return dict(self.terminal.get("statistics") or {})

    def comparable(self, roots: t.Mapping[Path, str]) -> dict[str, t.Any]:
        """What must be equal for both executors, with the paths of *roots* replaced by their names."""
        terminal = {
            key: value for key, value in self.terminal.items() if key not in ("performance", "message", "statistics")
        }
        seen = {
            "code": self.code,
            "changes": sorted(json.dumps(event, sort_keys=True) for event in self.changes),
            "warnings": sorted(f"{event['code']} {event.get('path', '')!r}" for event in self.warnings),
            "terminal": terminal,
            "statistics": self.statistics,
        }
        text = json.dumps(seen, sort_keys=True)
        for root, name in roots.items():
            text = text.replace(str(root), name)
        return dict(json.loads(text))


def command(executor: Executor, engine: Path = ENGINE) -> list[str]:
    return [str(engine), "run"] if executor == "go" else [sys.executable, "-m", FALLBACK]


def environment(**extra: str) -> dict[str, str]:
    return dict(os.environ, PYTHONPATH=str(REPOSITORY / "build" / "collections"), **extra)


def job(operation: str, parameters: t.Mapping[str, t.Any], **options: t.Any) -> bytes:
    wire = {"protocol": 1, "id": "conformance", "operation": operation, "parameters": dict(parameters), **options}
    return json.dumps(wire).encode("ascii") + b"\n"


def run(
    executor: Executor,
    operation: str,
    parameters: t.Mapping[str, t.Any],
    *,
    engine: Path = ENGINE,
    env: t.Mapping[str, str] | None = None,
    user: int | None = None,
    **options: t.Any,
) -> Run:
    """Run one job to its end. *user*: the numeric user to run as, when the test is root."""
    # Python 3.8 has no subprocess.run(user=).
    as_user = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    done = subprocess.run(
        [*as_user, *command(executor, engine)],
        input=job(operation, parameters, **options),
        capture_output=True,
        env=environment(**(env or {})),
        timeout=300,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return Run(done.returncode, events, done.stderr.decode("utf-8", "replace"))
