# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How transfers between controller and host log in by a password, and how they fail if they cannot."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .bed import JUMP_USER, Bed
from .hosts import Host
from .scenes import STATE, job_processes, make_tree, sync, until
from .test_transfer import assert_same, four_ways, make_mixed

# The login is by password alone, since no key is offered.
BY_PASSWORD: dict[str, t.Any] = {"ansible_ssh_extra_args": "-o PubkeyAuthentication=no"}
CANARY = "c4n4ry 'login' 7b1d"
WAYS: dict[str, dict[str, t.Any]] = {
    "go": {},
    "python": {"executor": "python"},
    "rsync": {"method": "ssh_rsync"},
}


def set_password(host: Host, user: str, password: str) -> None:
    host.run("chpasswd", stdin=f"{user}:{password}\n".encode())


def set_ssh_server(host: Host, *lines: str) -> None:
    """Give the host's ssh server further settings."""
    host.write("/etc/ssh/sshd_config.d/00-test.conf", "".join(f"{line}\n" for line in lines).encode())
    host.run("pkill -HUP -f '^sshd: /usr/sbin/sshd -D|^/usr/sbin/sshd -D'")
    host.run("bash -c 'until exec 3<>/dev/tcp/127.0.0.1/22 && read -r -t 5 -u 3; do sleep 0.1; done' 2>/dev/null")


def ends(tmp_path: Path, direction: str, there: str = "/srv/tree") -> dict[str, str]:
    here = str(tmp_path / "tree")
    return {"source": here, "destination": there} if direction == "push" else {"source": there, "destination": here}


@pytest.mark.parametrize(("direction", "way"), [("push", "go"), ("pull", "go"), ("push", "python"), ("pull", "rsync")])
def test_a_tree_goes_by_a_login_with_password(bed: Bed, tmp_path: Path, direction: str, way: str) -> None:
    host = bed.host(f"login-{direction}")
    host.run("rm -rf /srv/tree")
    here = tmp_path / "tree"
    make_mixed(here if direction == "push" else "/srv/tree", None if direction == "push" else host)
    # The user admin has a password for sudo too, which rsync cannot be given.
    user, password = ("deploy", CANARY) if way == "rsync" else ("admin", bed.admin_password)
    set_password(host, user, password)
    inventory = bed.inventory([host], user=user, become=True, ansible_password=password, **BY_PASSWORD)
    playbook = sync(**ends(tmp_path, direction), direction=direction, delete=True, **WAYS[way])
    four_ways(bed, playbook, inventory, "go" if way == "go" else "python")
    trees = [str(here), f"root@{host.address}:/srv/tree"]
    assert_same(bed, *(trees if direction == "push" else reversed(trees)))
    assert f"Accepted password for {user}" in host.log()
    assert "Failed" not in host.log()


@pytest.mark.parametrize("way", ["go", "python"])
def test_a_password_that_was_asked_for_and_a_server_that_asks_in_its_own_words(
    bed: Bed, tmp_path: Path, way: str
) -> None:
    host = bed.host("login-interactive")
    set_password(host, "deploy", CANARY)
    set_ssh_server(host, "PasswordAuthentication no", "KbdInteractiveAuthentication yes")
    make_mixed(tmp_path / "tree")
    (tmp_path / "password").write_text(CANARY, encoding="utf-8")
    inventory = bed.inventory([host], user="deploy", become=True, **BY_PASSWORD)
    playbook = sync(**ends(tmp_path, "push", f"/srv/{way}"), direction="push", **WAYS[way])
    played = bed.play(playbook, inventory, arguments=["--connection-password-file", tmp_path / "password"])
    assert played.code == 0, played.output
    assert played.result("Copy").changed
    assert "Accepted keyboard-interactive/pam for deploy" in host.log()


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_password_is_given_once_and_told_in_one_line(bed: Bed, tmp_path: Path, way: str) -> None:
    host = bed.host(f"login-wrong-{way}")
    set_password(host, "deploy", CANARY)
    # One password is the answer to both ways of asking: a second try would be easy to make.
    set_ssh_server(host, "PasswordAuthentication yes", "KbdInteractiveAuthentication yes")
    make_mixed(tmp_path / "tree")
    inventory = bed.inventory([host], user="deploy", become=True, ansible_password=CANARY, **BY_PASSWORD)
    playbook = sync(**ends(tmp_path, "push"), direction="push", **WAYS[way])
    # Ansible's own connection stays, and what the executors open comes after the password has changed.
    assert bed.play("- {hosts: all, gather_facts: false, tasks: [{ping: }]}", inventory).code == 0
    set_password(host, "deploy", "another")
    played = bed.play(playbook, inventory)
    failed = played.result("Copy").result
    where = f"deploy@{host.address}"
    assert failed["msg"] == f"unable to reach {host.address}: the login password of {where} was refused"
    assert (failed["changed"], failed["error_code"]) == (False, "unreachable")
    assert host.log().count("Authentication failure for deploy") == 1
    assert "Failed password" not in host.log()
    assert host.run("ls /srv").stdout == "app\n"


@pytest.mark.parametrize("way", WAYS)
def test_a_host_on_the_way_is_not_told_the_password(bed: Bed, tmp_path: Path, way: str) -> None:
    name = f"jump-{way}"
    jump, host = bed.host(name), bed.host(f"login-behind-{way}", behind=name)
    set_password(host, "deploy", CANARY)
    make_mixed(tmp_path / "tree")
    inventory = bed.inventory([host], user="deploy", become=True, ansible_password=CANARY, **BY_PASSWORD)
    playbook = sync(**ends(tmp_path, "push"), direction="push", **WAYS[way])
    played = bed.play(playbook, inventory)
    assert (played.code, played.result("Copy").changed) == (0, True), played.output
    # Now the jump host would take a password. Ansible's own connection is there still.
    jump.run(f"rm /home/{JUMP_USER}/.ssh/authorized_keys")
    set_password(jump, JUMP_USER, CANARY)
    failed = bed.play(playbook, inventory).result("Copy").result
    asked = f"{JUMP_USER}@{jump.address}'s password:"
    message = f"ssh asks for more than the login password of deploy@{host.address}: {asked}"
    assert failed["msg"] == f"unable to reach {host.address}: {message}"
    assert f"password for {JUMP_USER}" not in jump.log()


@pytest.mark.parametrize("way", ["go", "python"])
def test_a_login_with_password_does_not_trust_a_host_that_is_unknown(bed: Bed, tmp_path: Path, way: str) -> None:
    host = bed.host("login-unknown")
    set_password(host, "deploy", CANARY)
    make_mixed(tmp_path / "tree")
    inventory = bed.inventory([host], user="deploy", become=True, ansible_password=CANARY, **BY_PASSWORD)
    unknown = {"UserKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "ask"}
    playbook = sync(**ends(tmp_path, "push"), direction="push", ssh_options=unknown, **WAYS[way])
    failed = bed.play(playbook, inventory).result("Copy").result
    assert failed["msg"] == f"unable to reach {host.address}: Host key verification failed."


@pytest.mark.parametrize("way", WAYS)
def test_a_login_password_is_seen_nowhere(bed: Bed, tmp_path: Path, way: str) -> None:
    host = bed.host("login-canary")
    set_password(host, "deploy", CANARY)
    there = f"/srv/{way}"
    make_tree(host, 60, path=there)
    inventory = bed.inventory([host], user="deploy", become=True, ansible_password=CANARY, **BY_PASSWORD)
    playbook = sync(**ends(tmp_path, "pull", there), direction="pull", bandwidth_limit="100KB/s", **WAYS[way])
    play = bed.start_play(playbook, inventory, verbosity=4)
    play.until(lambda: job_processes(host) or any((tmp_path / "tree").glob("*")), "the first files")
    looks = 0
    secret = CANARY.encode()
    while play.process.poll() is None and looks < 20:
        for kind in ("cmdline", "environ"):
            assert _shown(secret, Path("/proc").glob(f"[0-9]*/{kind}")) == []
            assert host.run(f"grep -slaFf - /proc/[0-9]*/{kind}", stdin=secret, check=False).stdout == ""
        assert _shown(secret, Path(STATE).rglob("*")) == []
        looks += 1
    assert looks > 2, "the job was over too soon to be watched"
    played = play.wait()
    assert played.code == 0, played.output
    assert CANARY not in played.output
    assert CANARY not in host.log()
    assert not any(CANARY in str(one.result) for one in played.tasks)


def _shown(secret: bytes, paths: t.Iterable[Path]) -> list[str]:
    found = []
    for path in paths:
        try:
            if path.is_file() and secret in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue
    return found


def test_each_connection_of_a_job_logs_in(bed: Bed, tmp_path: Path) -> None:
    host = bed.host("login-several")
    set_password(host, "deploy", CANARY)
    make_tree(host, 60)
    inventory = bed.inventory([host], user="deploy", become=True, ansible_password=CANARY, **BY_PASSWORD)
    playbook = sync(destination=str(tmp_path / "tree"), direction="pull", bandwidth_limit="100KB/s", max_connections=3)
    assert bed.play("- {hosts: all, gather_facts: false, tasks: [{ping: }]}", inventory).code == 0
    before = host.log().count("Accepted password")
    play = bed.start_play(playbook, inventory)
    until(lambda: host.log().count("Accepted password") == before + 3, what="three logins")
    assert play.wait().code == 0
