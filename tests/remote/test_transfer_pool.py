# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ssh connections that are kept for a following transfer."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from .bed import Bed
from .hosts import Host
from .scenes import DESTINATION, SOURCE, job_processes, make_tree, sync, until
from .test_transfer import befriend
from .test_transfer_login import BY_PASSWORD, CANARY, set_password

WAYS: dict[str, dict[str, t.Any]] = {
    "go": {},
    "python": {"executor": "python"},
    "rsync": {"method": "ssh_rsync"},
}
PING = "- {hosts: all, gather_facts: false, tasks: [{ping: }]}"


class Runtime:
    """A directory for what lives as long as a user's session, and the connections that are kept in it."""

    def __init__(self, directory: str) -> None:
        self.environment = {"XDG_RUNTIME_DIR": directory}
        self._pool = Path(directory, "migration-assistant", "ssh")

    def sockets(self) -> list[Path]:
        return sorted(self._pool.glob("*-[0-9]")) if self._pool.exists() else []

    def masters(self) -> list[int]:
        """The processes of ssh that keep a connection."""
        found = []
        for path in self.sockets():
            done = subprocess.run(
                ["ssh", "-O", "check", "-o", f"ControlPath={path}", "kept"], capture_output=True, text=True, check=False
            )
            found += [int(pid) for pid in re.findall(r"Master running \(pid=(\d+)\)", done.stderr)]
        return found

    def end(self) -> None:
        for pid in self.masters():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


@pytest.fixture
def runtime() -> t.Iterator[Runtime]:
    # Short, since a socket's name must be.
    with tempfile.TemporaryDirectory(prefix="run-", dir="/tmp") as directory:
        made = Runtime(directory)
        try:
            yield made
        finally:
            made.end()


def logins(host: Host) -> int:
    return host.log().count("Accepted ")


def pull(tmp_path: Path, way: str, number: int, **options: t.Any) -> str:
    """A play that takes long enough for all connections to be made."""
    where = str(tmp_path / f"tree{number}")
    given = {"bandwidth_limit": "200KB/s", "connection_pooling": True, **WAYS[way], **options}
    return sync(destination=where, direction="pull", **given)


@pytest.mark.parametrize("way", WAYS)
def test_a_following_task_opens_no_connection(bed: Bed, tmp_path: Path, runtime: Runtime, way: str) -> None:
    host = bed.host(f"pool-{way}")
    make_tree(host, 60)
    inventory = bed.inventory([host], user="root")
    assert bed.play(PING, inventory).code == 0
    before = logins(host)
    connections = 3 if way == "go" else 1
    for number in range(3):
        playbook = pull(tmp_path, way, number, max_connections=connections)
        played = bed.play(playbook, inventory, env=runtime.environment, check=number == 1)
        assert played.code == 0, played.output
        assert played.result("Copy").changed
        assert logins(host) == before + connections
    assert len(runtime.masters()) == connections
    for path in runtime.sockets():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    # With other words of ssh it is another connection; without the option it is a new one each time.
    for options in ({"ssh_options": {"Compression": True}}, {"connection_pooling": False}):
        already = logins(host)
        playbook = pull(tmp_path, way, 0, max_connections=1, **options)
        assert bed.play(playbook, inventory, env=runtime.environment).code == 0
        assert logins(host) > already


@pytest.mark.parametrize(
    ("way", "fate"),
    [*((way, "stopped") for way in WAYS), ("go", "killed"), ("go", "cut off"), ("python", "cut off")],
)
def test_a_connection_that_is_no_good_is_made_anew(
    bed: Bed, tmp_path: Path, runtime: Runtime, way: str, fate: str
) -> None:
    host = bed.host(f"pool-bad-{way}")
    make_tree(host, 20)
    inventory = bed.inventory([host], user="root")
    first = bed.play(pull(tmp_path, way, 0, max_connections=1), inventory, env=runtime.environment)
    assert first.code == 0, first.output
    [master] = runtime.masters()
    if fate == "cut off":
        host.cut_connections()
    else:
        os.kill(master, signal.SIGSTOP if fate == "stopped" else signal.SIGKILL)
    try:
        before = logins(host)
        again = bed.play(pull(tmp_path, way, 1, max_connections=1), inventory, env=runtime.environment)
    finally:
        if fate == "stopped":
            with contextlib.suppress(ProcessLookupError):
                os.kill(master, signal.SIGKILL)
    assert again.code == 0, again.output
    assert again.result("Copy").changed
    assert logins(host) > before
    assert master not in runtime.masters()
    assert len(runtime.masters()) == 1


def test_a_killed_job_ends_at_the_other_end_and_kept_connections_end_by_themselves(
    bed: Bed, tmp_path: Path, runtime: Runtime
) -> None:
    host = bed.host("pool-killed")
    make_tree(host, 100)
    subprocess.run(
        ["rsync", "-a", "-e", f"ssh -F {bed.ssh_config}", f"root@{host.address}:{SOURCE}/", f"{tmp_path}/tree"],
        check=True,
    )
    options: dict[str, t.Any] = {"source": str(tmp_path / "tree"), "direction": "push", "connection_pooling": True}
    inventory = bed.inventory([host], user="root")
    warm = bed.play(sync(**options, destination="/srv/other"), inventory, env=runtime.environment)
    assert warm.code == 0, warm.output
    kept = runtime.masters()
    slow = sync(**options, bandwidth_limit="20KB/s")
    play = bed.start_play(slow, inventory, env=runtime.environment)
    play.until(lambda: _serving(host), "the job on the host")
    for pid in _engines(runtime):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not _serving(host), what="the end of the job on the host")
    assert play.wait().code != 0
    assert set(kept) <= set(runtime.masters())
    again = bed.play(sync(**options), inventory, env=runtime.environment)
    assert again.code == 0, again.output
    assert host.run(f"ls {DESTINATION} | wc -l").stdout.strip() == "100"
    until(lambda: not runtime.sockets(), 120, "the end of kept connections")
    assert job_processes(host) == []


def _serving(host: Host) -> list[int]:
    return [one.pid for one in host.processes() if "migration-engine" in one.command and "serve" in one.command]


def _engines(runtime: Runtime) -> list[int]:
    """The engines on this side whose jobs keep their connections here."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = path.joinpath("cmdline").read_bytes().split(b"\0")
            environment = path.joinpath("environ").read_bytes()
            if words[1:2] == [b"run"] and runtime.environment["XDG_RUNTIME_DIR"].encode() in environment:
                found.append(int(path.name))
    assert found
    return found


def test_a_connection_that_was_opened_by_a_password_is_used_again(bed: Bed, tmp_path: Path, runtime: Runtime) -> None:
    host = bed.host("pool-password")
    make_tree(host)
    set_password(host, "deploy", CANARY)
    inventory = bed.inventory([host], user="deploy", become=True, ansible_password=CANARY, **BY_PASSWORD)
    assert bed.play(PING, inventory).code == 0
    before = logins(host)
    for number, way in enumerate(["go", "python", "rsync"]):
        played = bed.play(pull(tmp_path, way, number, max_connections=1), inventory, env=runtime.environment)
        assert played.code == 0, played.output
        assert logins(host) == before + 1


@pytest.mark.parametrize("way", ["go", "python"])
def test_a_url_has_its_connections_kept_on_the_managed_host(bed: Bed, way: str) -> None:
    near, far = bed.hosts(["pool-near", "pool-far"])
    befriend(bed, near, far)
    make_tree(near)
    inventory = bed.inventory([near], user="root")
    url = f"ssh://root@{far.address}/srv/{way}"
    playbook = sync(destination=url, connection_pooling=True, max_connections=1, **WAYS[way])
    first = bed.play(playbook, inventory)
    assert first.code == 0, first.output
    before = logins(far)
    again = bed.play(playbook, inventory)
    assert (again.code, again.result("Copy").changed) == (0, False), again.output
    assert logins(far) == before
    assert near.run("ls /tmp/migration-assistant-0/ssh/*-0").stdout
