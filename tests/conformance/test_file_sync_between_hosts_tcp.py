# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a job asks of its TCP connections: what it tells of it, and what it refuses. tests/remote has real ones."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import jsonschema
import pytest

from .executors import FAR_SIDES, REPOSITORY, Executor, run
from .test_file_sync_killed import build, parameters
from .trees import rsync_differences

SCHEMA = json.loads((REPOSITORY / "go-engine" / "protocol" / "event.schema.json").read_text(encoding="utf-8"))
sides = pytest.mark.parametrize("executor", list(FAR_SIDES))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    destination.mkdir()
    build(source, destination)
    return source, destination


def asking(**socket: t.Any) -> dict[str, t.Any]:
    return {"far": {"socket": socket}}


@sides
def test_settings_of_a_connection_that_is_not_ours_to_make(executor: Executor, pair: tuple[Path, Path]) -> None:
    wanted = asking(
        unavailable="it goes another way", receive_buffer=65536, send_buffer=32768, no_delay=True, adapt_interval=300
    )
    for dry_run, changes in ((True, True), (False, True), (True, False), (False, False)):
        done = run(executor, "file_sync", {**parameters(*pair), **wanted}, dry_run=dry_run)
        assert done.terminal["event"] == "result", done.terminal
        assert (done.terminal["changed"], bool(done.changes)) == (changes, changes)
        settings = [event for event in done.events if event["event"] == "setting"]
        assert [(event["id"], event["wanted"]) for event in settings] == [
            ("tcp_receive_buffer", 65536),
            ("tcp_send_buffer", 32768),
            ("tcp_no_delay", True),
        ]
        for event in settings:
            jsonschema.validate(event, SCHEMA)
            assert (event["status"], event["reason"]) == ("unsupported", "it goes another way")
        told = [event["message"] for event in done.warnings if event["code"] == "connection_setting"]
        assert told == [f"{event['id']} is unsupported: it goes another way" for event in settings]
        told = [event["message"] for event in done.warnings if event["code"] == "bandwidth_not_adapted"]
        assert told == ["the bandwidth is not adapted to the network: it goes another way"]
    assert rsync_differences(*pair) == ""


@sides
def test_a_job_that_asks_for_nothing_tells_nothing(executor: Executor, pair: tuple[Path, Path]) -> None:
    for wanted in ({}, asking(unavailable="it goes another way", force_buffers=True)):
        done = run(executor, "file_sync", {**parameters(*pair), **wanted})
        assert done.terminal["event"] == "result", done.terminal
        assert [event for event in done.events if event["event"] == "setting"] == []
        assert [event["code"] for event in done.warnings if "connection" in event["code"]] == []


@sides
@pytest.mark.parametrize(
    ("socket", "message"),
    [
        ({"receive_buffer": -1}, "socket.receive_buffer is -1; it must be an integer from 0 to 1073741823"),
        ({"send_buffer": 1 << 30}, "socket.send_buffer is 1073741824; it must be an integer from 0 to 1073741823"),
        ({"no_delay": "yes"}, "socket.no_delay must be true or false"),
        ({"adapt_interval": -5}, "socket.adapt_interval"),
        ({"port": 0}, "socket.port is 0; it must be an integer from 1 to 65535"),
        ({"window": 5}, "window"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    executor: Executor, socket: dict[str, t.Any], message: str, pair: tuple[Path, Path]
) -> None:
    refused = run(executor, "file_sync", {**parameters(*pair), **asking(**socket)})
    assert refused.terminal["code"] == "bad_job"
    assert message in refused.terminal["message"]
    assert refused.changes == []
