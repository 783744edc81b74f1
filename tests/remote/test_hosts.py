# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test bed itself: hosts are what they say, and fail as they are told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from daemon import Daemon

from .bed import Bed
from .hosts import Host

PING = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Ping
      ansible.builtin.ping:
"""
SLEEP = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Sleep
      ansible.builtin.command: sleep 30
"""


class Way(t.NamedTuple):
    user: str
    become_user: str | None = None
    pipelining: bool = False
    password: str | None = None


def who(ways: t.Iterable[Way]) -> str:
    """A playbook that asks in each way who it is; the way is the name of the task."""
    plays = []
    for way in ways:
        variables: dict[str, t.Any] = {
            "ansible_user": way.user,
            "ansible_become": way.become_user is not None,
            "ansible_become_user": way.become_user or "root",
            "ansible_pipelining": way.pipelining,
        }
        if way.password:
            variables["ansible_become_password"] = way.password
        task = {
            "name": str(way),
            "ansible.builtin.command": "id -un",
            "ignore_errors": True,
            "ignore_unreachable": True,
        }
        plays.append({"hosts": "all", "gather_facts": False, "vars": variables, "tasks": [task]})
    return yaml.safe_dump(plays, sort_keys=False)


@pytest.fixture(scope="module")
def host(bed: Bed) -> Host:
    return bed.host("plain")


@pytest.mark.parametrize("connection", ["ssh", "docker"])
def test_each_way_to_become_a_user(bed: Bed, host: Host, connection: t.Literal["ssh", "docker"]) -> None:
    ways = [
        Way("root"),
        Way("deploy", "root", True),
        Way("deploy", "app"),
        Way("admin", "app", True, bed.admin_password),
    ]
    if connection == "ssh":
        ways += [Way("root", "app"), Way("guest", pipelining=True), Way("deploy", "root"), Way("deploy", "app", True)]
        ways += [Way("admin", "root", False, bed.admin_password), Way("admin", "root", True, bed.admin_password)]
    played = bed.play(who(ways), bed.inventory([host], connection=connection))
    told = {way: played.result(str(way)).result.get("stdout") for way in ways}
    assert told == {way: way.become_user or way.user for way in ways}, played.output


def test_an_inventory_says_how(bed: Bed, host: Host) -> None:
    for user, become_user in (("admin", "root"), ("deploy", "app")):
        inventory = bed.inventory([host], user=user, become=True, become_user=become_user, groups={"web": [host]})
        played = bed.play(PING.replace("all", "web"), inventory)
        assert played.code == 0, played.output
        assert played.result("Ping").result["ping"] == "pong"
        assert played.stats["plain"]["ok"] == 1


def test_sudo_is_for_those_who_may(bed: Bed, host: Host) -> None:
    ways = {
        Way("guest", "root"): "ignored",
        Way("app", "root"): "unreachable",
        Way("admin", "root"): "ignored",
        Way("admin", "root", password="wrong"): "ignored",
    }
    played = bed.play(who(ways), bed.inventory([host]))
    assert {way: played.result(str(way)).status for way in ways} == ways, played.output


def test_a_host_with_another_key_is_refused(bed: Bed) -> None:
    impostor = bed.host("impostor")
    impostor.run("rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key")
    played = bed.play(PING, bed.inventory([impostor]))
    assert played.result("Ping").status == "unreachable"
    assert "Host key verification failed" in played.output


@pytest.mark.parametrize("python", ["3.11", "3.9"])
def test_what_hosts_have(bed: Bed, python: str) -> None:
    host = bed.host(f"python-{python}", python=python)
    assert host.run("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'").stdout.strip() == python
    assert len(host.run("ls /usr/bin /usr/local/bin | grep -E '^python3\\.[0-9]+$'").stdout.split()) == 1
    host.run("python3 -c 'import sqlalchemy as s, sqlite3, ctypes; assert s.__version__ > \"2\", s.__version__'")
    host.run("for name in getfattr ionice ip rsync setfacl sftp sqlite3 sudo; do command -v $name || exit 1; done")
    if python == "3.9":
        assert bed.play(PING, bed.inventory([host])).code == 0


def test_a_host_without_access_lists(bed: Bed) -> None:
    host = bed.host("without-acl", acl=False)
    assert host.run("command -v setfacl", check=False).returncode != 0
    played = bed.play(PING, bed.inventory([host], become=True, become_user="app", pipelining=False))
    assert "Failed to set permissions on the temporary files" in played.output


def test_a_host_with_systemd(bed: Bed) -> None:
    host = bed.host("whole", init="systemd")
    assert host.run("systemctl is-system-running").stdout.strip() == "running"
    service = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Restart
      ansible.builtin.systemd_service: {name: ssh, state: restarted}
    - name: Ping
      ansible.builtin.ping:
"""
    played = bed.play(service, bed.inventory([host], become=True))
    assert played.result("Restart").changed
    assert played.result("Ping").status == "ok"


@pytest.mark.parametrize("init", ["sshd", "systemd"])
def test_folders_from_which_nothing_is_executed(bed: Bed, init: str) -> None:
    folders = ("/tmp", "/var/tmp", "/home")
    host = bed.host(f"noexec-{init}", init=init, noexec=folders)
    for switched_off in (False, True):
        if switched_off:
            host.stop()
            host.start()
        for folder in folders:
            done = host.run(f"cp /bin/true {folder}/program && {folder}/program", check=False)
            assert (done.returncode, "Permission denied" in done.stderr) == (126, True)
        host.run("cp /bin/true /srv/program && /srv/program")
    assert bed.play(PING, bed.inventory([host], become=True, pipelining=False)).code == 0


def test_a_host_behind_another(bed: Bed) -> None:
    inner = bed.host("inner", behind="bastion")
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection((inner.address, inner.port), timeout=5)
    played = bed.play(PING, bed.inventory([inner, bed.host("bastion")], user="root"))
    assert played.code == 0, played.output
    assert set(played.of("Ping")) == {"inner", "bastion"}
    assert "Accepted publickey for guest" in bed.host("bastion").log()


def test_cut_connections(bed: Bed, host: Host) -> None:
    play = bed.start_play(SLEEP, bed.inventory([host]))
    play.wait_for("Sleep")
    deadline = time.monotonic() + 30
    while not any(one.command == "sleep 30" for one in host.processes()):
        assert time.monotonic() < deadline
    begin = time.monotonic()
    host.cut_connections()
    played = play.wait()
    assert played.result("Sleep").status == "unreachable"
    assert time.monotonic() - begin < 10
    assert bed.play(PING, bed.inventory([host])).code == 0


def test_a_blocked_host_is_silent(bed: Bed, host: Host) -> None:
    host.block()
    try:
        with pytest.raises(socket.timeout):
            socket.create_connection((host.address, host.port), timeout=2)
        played = bed.play(PING, bed.inventory([host], ansible_ssh_timeout=3))
        assert played.result("Ping").status == "unreachable"
        assert "timed out" in played.output
    finally:
        host.unblock()
    assert bed.play(PING, bed.inventory([host])).code == 0


def test_a_host_that_is_switched_off_keeps_its_files(bed: Bed) -> None:
    host = bed.host("switched")
    host.write("/srv/kept", b"content")
    host.stop()
    host.start()
    assert bed.play(PING, bed.inventory([host])).code == 0
    assert host.read("/srv/kept") == b"content"
    assert host.changes()["/srv/kept"] == "A"


def test_limits(bed: Bed) -> None:
    host = bed.host("small", options=("--memory=64m", "--ulimit=nofile=32:32"))
    assert host.run("python3 -c 'bytearray(200_000_000)'", check=False).returncode == 137
    assert host.run("ulimit -n").stdout.strip() == "32"


def test_hosts_find_each_other_and_the_tests(bed: Bed, host: Host) -> None:
    bed.host("impostor").run("python3 -c 'import socket; socket.create_connection((\"plain\", 22), 5)'")
    with socket.create_server((bed.address, 0)) as server:
        connect = f"import socket; socket.create_connection(({bed.address!r}, {server.getsockname()[1]}), 5)"
        host.run(f'python3 -c "{connect}"')
        server.accept()[0].close()


def test_names_that_nobody_knows_are_refused_soon(host: Host) -> None:
    begin = time.monotonic()
    assert host.run("getent hosts unknown.invalid", check=False).returncode != 0
    assert time.monotonic() - begin < 5


def test_twenty_hosts(bed: Bed, host: Host) -> None:
    """Besides one that was there before."""
    begin = time.monotonic()
    hosts = bed.hosts(f"web{number}" for number in range(1, 21))
    print(f"20 hosts started in {time.monotonic() - begin:.1f} s")
    begin = time.monotonic()
    played = bed.play(PING, bed.inventory(hosts), forks=20)
    print(f"20 hosts answered in {time.monotonic() - begin:.1f} s")
    assert played.code == 0, played.output
    assert len(played.of("Ping")) == 20
    keys = [line.split()[2] for line in bed.known_hosts.read_text(encoding="utf-8").splitlines()]
    assert len(set(keys)) == len(keys) > 20


def test_the_machine_sees_nothing_of_it(bed: Bed) -> None:
    bridge = f"{bed.network.name}:"
    assert bridge in Path("/proc/self/net/dev").read_text(encoding="utf-8")
    assert bridge not in Path(f"/proc/{os.getppid()}/net/dev").read_text(encoding="utf-8")
    assert str(bed.daemon.folder) not in Path("/proc/self/mounts").read_text(encoding="utf-8")


def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path[:] = {sys.path}
from pathlib import Path
from daemon import Daemon
daemon = Daemon(Path({str(tmp_path)!r}))
daemon.start()
print(daemon.run_folder, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        run_folder = run.stdout.readline().strip()
        assert run_folder in commands()
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while run_folder in commands():
        assert time.monotonic() < deadline, commands()
    with Daemon(tmp_path):
        assert not Path(run_folder).exists()


def commands() -> str:
    """The command lines of all processes of this machine."""
    return subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True).stdout
