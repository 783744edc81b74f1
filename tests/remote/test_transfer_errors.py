# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task says that cannot log in to the other host: one line, which names what is wrong and where."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from hosts import LOGIN_KEY

from .bed import JUMP_USER, Bed
from .scenes import make_tree
from .test_transfer import befriend
from .test_transfer_login import WAYS

# The options of ssh that lead there, and what ssh then says.
CASES: dict[str, tuple[dict[str, t.Any], str]] = {
    "key is unknown": (
        {"UserKnownHostsFile": "/dev/null", "StrictHostKeyChecking": True},
        "No ED25519 host key is known for {host} and you have requested strict checking.",
    ),
    "key is another": (
        {"UserKnownHostsFile": "{wrong}", "StrictHostKeyChecking": True},
        "Host key for {host} has changed and you have requested strict checking.",
    ),
    "login is refused": ({"User": "nobody"}, "nobody@{host}: Permission denied (publickey,password)."),
    "name is unknown": ({"HostName": "nowhere.invalid"}, "ssh: Could not resolve hostname nowhere.invalid: "),
    "port is closed": ({"Port": 1}, "ssh: connect to host {host} port 1: Connection refused"),
    "jump host refuses the login": (
        {"ProxyJump": "nobody@{jump}"},
        "nobody@{jump}: Permission denied (publickey,password).",
    ),
    "jump host's port is closed": (
        {"ProxyJump": JUMP_USER + "@{jump}:1"},
        "ssh: connect to host {jump} port 1: Connection refused",
    ),
    "port is closed behind the jump host": (
        {"ProxyJump": JUMP_USER + "@{jump}", "Port": 1},
        "channel 0: open failed: connect failed: Connection refused",
    ),
}


@pytest.mark.parametrize("way", WAYS)
# Both directions log in by the same means.
@pytest.mark.parametrize("direction", ["push", "host"])
def test_a_login_that_fails_is_one_clear_line(bed: Bed, tmp_path: Path, direction: str, way: str) -> None:
    near, host, jump = bed.hosts(["errors-near", "errors-far", "errors-jump"])
    befriend(bed, near, host)
    key = LOGIN_KEY.with_suffix(".pub").read_text(encoding="utf-8")
    wrong = f"{host.address} {key}"
    (tmp_path / "wrong").write_text(wrong, encoding="utf-8")
    near.write("/root/wrong", wrong.encode())
    make_tree(near)
    make_tree(host)
    (tmp_path / "tree").mkdir()
    ends = {
        "push": {"source": str(tmp_path / "tree"), "destination": "/srv/never"},
        "host": {"source": "/srv/source", "destination": f"ssh://root@{host.address}/srv/never"},
    }[direction]
    places = {
        "host": host.address,
        "jump": jump.address,
        "wrong": "/root/wrong" if direction == "host" else str(tmp_path / "wrong"),
    }
    tasks = []
    for name, (given, _message) in CASES.items():
        options = {key: value.format(**places) if isinstance(value, str) else value for key, value in given.items()}
        # A URL's user stands after the options.
        arguments = {**ends, "direction": direction, "ssh_options": options, **WAYS[way]}
        tasks.append({"name": name, "migration.assistant.file_sync": arguments, "ignore_errors": True})
    play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
    inventory = bed.inventory([near if direction == "host" else host], user="root")
    played = bed.play(json.dumps(play), inventory)
    for name, (_given, message) in CASES.items():
        failed = played.result(name).result
        expected = f"unable to reach {host.address}: {message.format(**places)}"
        assert failed["msg"].startswith(expected), name
        assert "\n" not in failed["msg"]
        assert (failed["changed"], failed["error_code"]) == (False, "unreachable")
    assert host.run("ls /srv").stdout == "app\nsource\n"
