# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs jobs in this process; every event is checked against the protocol's schema."""

from __future__ import annotations

import json
import os
import re
import traceback
import typing as t
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback import _runner

Event = t.Dict[str, t.Any]
PROTOCOL = Path(__file__).resolve().parents[3] / "go-engine" / "protocol"


@dataclass
class Outcome:
    """The events of one job."""

    events: t.List[Event]

    @property
    def terminal(self) -> Event:
        return self.events[-1]

    @property
    def statistics(self) -> t.Dict[str, t.Any]:
        return dict(self.terminal["statistics"])

    @property
    def changed(self) -> bool:
        return bool(self.terminal["changed"])

    @property
    def changes(self) -> t.List[Event]:
        changes = [event for event in self.events if event["event"] == "change"]
        return sorted(changes, key=lambda change: (change["path"], change["action"]))

    @property
    def brief(self) -> t.List[t.Tuple[str, str, str]]:
        return [(change["action"], change["kind"], change["path"]) for change in self.changes]

    @property
    def warnings(self) -> t.List[t.Tuple[str, t.Optional[str]]]:
        return sorted((event["code"], event.get("path", "")) for event in self.events if event["event"] == "warning")


Runner = t.Callable[..., Outcome]


@pytest.fixture(scope="session")
def check_event() -> t.Callable[[Event], t.Any]:
    """Raise for an event that the schema does not allow."""
    schema = json.loads((PROTOCOL / "event.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    return t.cast(t.Callable[[Event], t.Any], validator.validate)


@pytest.fixture
def run(check_event: t.Callable[[Event], None]) -> Runner:
    """Run one operation. ``options`` are keys of the job; ``on_event`` sees each event at once."""

    def runner(
        operation: str,
        options: t.Optional[t.Dict[str, t.Any]] = None,
        on_event: t.Optional[t.Callable[[Event], None]] = None,
        cancelled: t.Callable[[], bool] = lambda: False,
        **parameters: t.Any,
    ) -> Outcome:
        events: t.List[Event] = []

        def emit(event: Event) -> None:
            events.append(event)
            if on_event is not None:
                on_event(event)

        job = {"protocol": 1, "id": "test", "operation": operation, "parameters": parameters, **(options or {})}
        _runner.run(job, emit, cancelled)
        for event in events:
            check_event(json.loads(json.dumps(event)))
        assert [event["event"] for event in events][0] == "hello"
        assert [event["event"] in ("result", "error") for event in events] == [False] * (len(events) - 1) + [True]
        return Outcome(events)

    return runner


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "destination"


@pytest.fixture
def sync(run: Runner, source: Path, destination: Path) -> Runner:
    """Synchronize ``source`` to ``destination``: what the dry run foretells is what the run does."""

    def synchronize(predictable: bool = True, **parameters: t.Any) -> Outcome:
        parameters.setdefault("source", str(source))
        parameters.setdefault("destination", str(destination))
        if not predictable:
            return run("file_sync", **parameters)
        foretold = run("file_sync", options={"dry_run": True}, **parameters)
        done = run("file_sync", **parameters)
        assert foretold.changes == done.changes
        expected = {key: value for key, value in done.terminal.items() if key != "performance"}
        if "statistics" in expected:
            expected["statistics"] = dict(expected["statistics"], files_verified=0)
        assert {key: value for key, value in foretold.terminal.items() if key != "performance"} == expected
        assert not list_temporaries(destination)
        return done

    return synchronize


@pytest.fixture
def sync_as_user(source: Path, destination: Path, check_event: t.Callable[[Event], None]) -> t.Callable[..., Outcome]:
    """Synchronize ``source`` to ``destination`` as user and group 12345; both belong to that user by then."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")

    def synchronize(
        dry_run: bool = False, keep: t.Collection[Path] = (), timeout: float = 0, **parameters: t.Any
    ) -> Outcome:
        for root in (source, destination):
            for directory, directories, names in os.walk(root):
                for name in [*directories, *names, "."]:
                    path = Path(directory, name)
                    if path not in keep:
                        os.chown(path, 12345, 12345, follow_symlinks=False)
        parameters.update(source=str(source), destination=str(destination))
        job = {"protocol": 1, "id": "x", "operation": "file_sync", "parameters": parameters}
        job.update(dry_run=dry_run, timeout=timeout)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(12345, 12345, 12345)
                os.setresuid(12345, 12345, 12345)
                with os.fdopen(writer, "w") as stream:
                    _runner.run(job, lambda event: print(json.dumps(event), file=stream), lambda: False)
                os._exit(0)
            except BaseException:
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as stream:
            events = [json.loads(line) for line in stream]
        assert os.waitpid(child, 0)[1] == 0
        for event in events:
            check_event(event)
        return Outcome(events)

    return synchronize


def list_temporaries(root: Path) -> t.List[str]:
    return [
        os.path.join(directory, name)
        for directory, _directories, names in os.walk(root)
        for name in names
        if re.fullmatch(r"\.migration-assistant-[0-9a-f]{16}\.(tmp|part|done)", name)
    ]
