# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test bed: makes hosts, writes inventories for them and runs playbooks."""

from __future__ import annotations

import ipaddress
import itertools
import shlex
import subprocess
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from daemon import Daemon
from hosts import ADMIN_PASSWORD, LOGIN_KEY

from . import playbooks
from .hosts import Host, Kind

JUMP_USER = "guest"
_SSH_CONFIG = """\
Host *
    IdentitiesOnly yes
    IdentityFile {key}
    GlobalKnownHostsFile /dev/null
    UserKnownHostsFile {known_hosts}
    StrictHostKeyChecking yes
"""


class Network(t.NamedTuple):
    """A network of hosts. *name*: that of its bridge too."""

    name: str
    addresses: ipaddress.IPv4Network


class Bed:
    """Hosts by their names. They live until the bed is closed, and tests share those that they name alike.

    *number*: tells the beds of one daemon apart.
    """

    def __init__(self, daemon: Daemon, number: int = 0) -> None:
        self.daemon = daemon
        self.number = number
        self.network = Network(f"hosts{number}", ipaddress.IPv4Network(f"10.77.{number * 16}.0/20"))
        self.inner_network = Network(f"inner{number}", ipaddress.IPv4Network(f"10.78.{number * 16}.0/20"))
        self.admin_password = ADMIN_PASSWORD.read_text(encoding="utf-8")
        self.folder = daemon.run_folder / f"bed{number}"
        self.folder.mkdir()
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.touch()
        self.ssh_config = self.folder / "ssh_config"
        self.ssh_config.write_text(_SSH_CONFIG.format(key=LOGIN_KEY, known_hosts=self.known_hosts), encoding="utf-8")
        self._hosts: dict[str, Host] = {}
        self._plays: list[playbooks.Play] = []
        self._numbers = itertools.count(1)
        networks = (self.network, self.inner_network)
        self._addresses = {one: itertools.islice(one.addresses.hosts(), 9, None) for one in networks}
        self._lock = threading.Lock()
        self._make_networks()

    @property
    def address(self) -> str:
        """Where hosts find what the tests serve: this process is in their network, not in the machine's."""
        return str(self.network.addresses[1])

    def host(self, name: str, **kind: t.Any) -> Host:
        """The host of this name, made if there is none yet. *kind*: see Kind."""
        return self.hosts([name], **kind)[0]

    def hosts(self, names: t.Iterable[str], **kind: t.Any) -> list[Host]:
        """Several hosts of one kind, made at the same time."""
        wanted = Kind(**kind)
        jump = self._jump(wanted.behind) if wanted.behind else None
        with ThreadPoolExecutor(max_workers=4) as pool:
            return list(pool.map(lambda name: self._host(name, wanted, jump), names))

    def remove(self, host: Host) -> None:
        """Remove a host; the next one of this name is another."""
        self.daemon.docker("rm", "--force", "--volumes", host.container)
        del self._hosts[host.name]

    def inventory(
        self,
        hosts: t.Iterable[Host],
        *,
        user: str = "deploy",
        become: bool = False,
        become_user: str | None = None,
        connection: t.Literal["ssh", "docker"] = "ssh",
        pipelining: bool = True,
        groups: t.Mapping[str, t.Iterable[Host]] | None = None,
        **variables: t.Any,
    ) -> Path:
        """Write an inventory of these hosts, all in one way. *groups*: name -> its hosts; *variables*: for all."""
        number = next(self._numbers)
        common: dict[str, t.Any] = {
            "ansible_user": user,
            "ansible_become": become,
            "ansible_pipelining": pipelining,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        if become_user:
            common["ansible_become_user"] = become_user
        if become and user == "admin":
            common["ansible_become_password"] = self.admin_password
        # An inventory has ssh connections of its own, so that a broken one does no harm to the next test.
        common["ansible_control_path_dir"] = str(self.daemon.run_folder / f"c{self.number}-{number}")
        content = {
            "all": {
                "hosts": {host.name: self._host_variables(host, connection) for host in hosts},
                "vars": {**common, **variables},
                "children": {name: {"hosts": {one.name: {} for one in some}} for name, some in (groups or {}).items()},
            }
        }
        path = self.folder / f"inventory-{number}.yml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path

    def start_play(
        self, playbook: str | Path, inventory: Path, *, env: t.Mapping[str, str] | None = None, **options: t.Any
    ) -> playbooks.Play:
        """Start a playbook, given as a path or as text. *options*: see playbooks.start."""
        folder = self.folder / f"play-{next(self._numbers)}"
        folder.mkdir()
        docker = {name: self.daemon.environment[name] for name in ("DOCKER_CONFIG", "DOCKER_HOST")}
        play = playbooks.start(folder, playbook, inventory, {**docker, **(env or {})}, **options)
        self._plays.append(play)
        return play

    def play(
        self, playbook: str | Path, inventory: Path, *, timeout: float = 300, **options: t.Any
    ) -> playbooks.Played:
        """Run a playbook to its end, whether it succeeds or not."""
        return self.start_play(playbook, inventory, **options).wait(timeout)

    def close(self) -> None:
        """End the plays that the tests have left running."""
        for play in self._plays:
            if play.process.poll() is None:
                play.kill()

    def _host(self, name: str, kind: Kind, jump: Host | None) -> Host:
        with self._lock:
            if name in self._hosts:
                assert self._hosts[name].kind == kind, f"{name} is there already, and of another kind"
                return self._hosts[name]
            network = self.inner_network if kind.behind else self.network
            address, container = self._address(network), f"{name}-{self.number}"
            host = self._hosts[name] = Host(self.daemon, name, container, network.name, address, kind, jump)
        try:
            host.create(self._host_key(host))
        except BaseException:
            self.remove(host)
            raise
        return host

    def _host_key(self, host: Host) -> Path:
        """A key for the ssh server of a host, which ssh on this side knows."""
        key = self.folder / "keys" / host.name / "ssh_host_ed25519_key"
        key.parent.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", key], check=True)
        with self._lock, open(self.known_hosts, "a", encoding="utf-8") as known:
            known.write(f"{host.address} {key.with_suffix('.pub').read_text(encoding='utf-8')}")
        return key

    def _jump(self, name: str) -> Host:
        """The host that others are reached through; it has a leg in their network too."""
        host = self._hosts.get(name) or self.host(name)
        if not host.inner_address:
            host.inner_address = self._address(self.inner_network)
            connect = ("network", "connect", "--ip", host.inner_address, "--alias", host.name)
            self.daemon.docker(*connect, self.inner_network.name, host.container)
        return host

    def _address(self, network: Network) -> str:
        return str(next(self._addresses[network]))

    def _host_variables(self, host: Host, connection: str) -> dict[str, t.Any]:
        if connection == "docker":
            return {"ansible_connection": "community.docker.docker", "ansible_host": host.container}
        arguments = f"-F {shlex.quote(str(self.ssh_config))}"
        if host.jump:
            arguments += f" -o ProxyJump={JUMP_USER}@{host.jump.address}"
        return {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_ssh_private_key_file": str(LOGIN_KEY),
            "ansible_ssh_common_args": arguments,
        }

    def _make_networks(self) -> None:
        bridge = "com.docker.network.bridge"
        # Without an address of this machine in it, it is reached from the hosts in it alone.
        alone = ("--internal", "--opt", f"{bridge}.inhibit_ipv4=true")
        for (name, addresses), options in ((self.network, ()), (self.inner_network, alone)):
            options = (*options, "--opt", f"{bridge}.name={name}")
            self.daemon.docker("network", "create", "--subnet", str(addresses), *options, name)
