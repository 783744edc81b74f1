# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a job by an executor, as its own process, over the protocol."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE = REPOSITORY / "build" / "engine" / "migration-engine-linux-amd64"
FALLBACK = "ansible_collections.migration.assistant.plugins.module_utils._fallback"

Event = t.Dict[str, t.Any]
WINDOWS_ENGINE = REPOSITORY / "build" / "engine" / "migration-engine-windows-amd64.exe"
# As tools/wine.py makes it.
WINE = "/usr/lib/wine/wine64"
WINE_ENVIRONMENT = {"WINEPREFIX": str(REPOSITORY / "build" / "wine" / "prefix"), "WINEDEBUG": "-all"}

Executor = t.Literal["go", "python", "windows", "pull", "push", "python pull", "python push"]
# The two that every case is for; "windows" is the engine's Windows build under Wine (see test_windows.py).
EXECUTORS: tuple[Executor, ...] = ("go", "python")
# An executor with a second one, as on another host: the far one has the source or the destination.
FAR_ENGINES: dict[Executor, str] = {"pull": "source", "push": "destination"}
FAR_FALLBACKS: dict[Executor, str] = {"python pull": "source", "python push": "destination"}
FAR_SIDES: dict[Executor, str] = {**FAR_ENGINES, **FAR_FALLBACKS}

# After this time a process of Wine's that has killed itself hangs: one of its threads waits for what another had.
WINE_HANGS = 5


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


def command(executor: Executor, engine: Path | None = None) -> list[str]:
    if executor.startswith("python"):
        return [sys.executable, "-m", FALLBACK]
    if executor == "windows":
        return [WINE, str(engine or WINDOWS_ENGINE), "run"]
    return [str(engine or ENGINE), "run"]


def serving(executor: Executor, engine: Path | None = None) -> list[str]:
    """The command of the other end."""
    if executor in FAR_FALLBACKS:
        return [*command("python"), "serve"]
    return [str(engine or ENGINE), "serve"]


def between_hosts(
    executor: Executor, parameters: t.Mapping[str, t.Any], engine: Path | None = None
) -> t.Mapping[str, t.Any]:
    """The parameters with the side that is elsewhere, if one is."""
    if executor not in FAR_SIDES:
        return parameters
    serve = serving(executor, engine)
    far = {"side": FAR_SIDES[executor], "command": serve, "connections": 2, **(parameters.get("far") or {})}
    return {**parameters, "far": far}


def windows_path(path: str) -> str:
    """A path of this machine as Wine has it."""
    return "Z:" + path.replace("/", "\\")


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "build" / "collections"), **extra}


def job(operation: str, parameters: t.Mapping[str, t.Any], **options: t.Any) -> bytes:
    wire = {"protocol": 1, "id": "conformance", "operation": operation, "parameters": dict(parameters), **options}
    return json.dumps(wire).encode("ascii") + b"\n"


def restricted(user: int | None, obeys_modes: bool) -> list[str]:
    """Words before a command that is to run as another user, or without root's right to pass over modes."""
    # Python 3.8 has no subprocess.run(user=).
    # That user may read everything, since the Python that runs the tests may lie in root's home.
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    as_user = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *reads]
    if obeys_modes and os.geteuid() == 0:
        as_user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *as_user[1:]]
    return as_user


@contextlib.contextmanager
def started(
    executor: Executor,
    operation: str,
    parameters: t.Mapping[str, t.Any],
    *,
    prefix: t.Sequence[str] = (),
    obeys_modes: bool = False,
    **options: t.Any,
) -> t.Iterator[t.Iterator[Event]]:
    """Run one job, and give its events as they come. *prefix*, *obeys_modes*: as in run."""
    with subprocess.Popen(
        [*prefix, *restricted(None, obeys_modes), *command(executor)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(job(operation, between_hosts(executor, parameters), **options))
            process.stdin.close()
            yield (json.loads(line) for line in process.stdout)
        finally:
            process.kill()


def run(
    executor: Executor,
    operation: str,
    parameters: t.Mapping[str, t.Any],
    *,
    engine: Path | None = None,
    env: t.Mapping[str, str] | None = None,
    user: int | None = None,
    prefix: t.Sequence[str] = (),
    obeys_modes: bool = False,
    patience: float = 300,
    **options: t.Any,
) -> Run:
    """Run one job to its end. *user*: the numeric user to run as, when the test is root. *prefix*: command to run it
    by. *obeys_modes*: without root's right to read and write what its mode forbids. *patience*: seconds."""
    if executor == "windows":
        translated = {key: windows_path(str(parameters[key])) for key in ("source", "destination") if key in parameters}
        parameters = {**parameters, **translated}
    parameters = between_hosts(executor, parameters, engine)
    suicidal = executor == "windows" and "MIGRATION_FAILPOINT" in (env or {})
    try:
        done = subprocess.run(
            [*prefix, *restricted(user, obeys_modes), *command(executor, engine)],
            input=job(operation, parameters, **options),
            capture_output=True,
            env=environment(**(WINE_ENVIRONMENT if executor == "windows" else {}), **(env or {})),
            timeout=WINE_HANGS if suicidal else patience,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        if not suicidal:
            raise
        done = subprocess.CompletedProcess(exc.cmd, -signal.SIGKILL, exc.stdout or b"", exc.stderr or b"")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return Run(done.returncode, events, done.stderr.decode("utf-8", "replace"))
