# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts to test with: containers that are reached by ssh, each with its own file system, key and accounts."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import tarfile
import time
import typing as t
from pathlib import Path

from daemon import Daemon
from hosts import IMAGES

_BRIDGE_CHAINS = (
    *(("INPUT", "--ip-source"), ("OUTPUT", "--ip-destination")),
    *(("FORWARD", "--ip-source"), ("FORWARD", "--ip-destination")),
)


class Process(t.NamedTuple):
    pid: int
    user: str
    command: str


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a host is like.

    *init*: sshd (a plain process that starts the ssh server), or systemd. *python*: the only Python it has.
    *noexec*: folders from which nothing can be executed. *acl*: whether it has setfacl. *behind*: the host that it
    is reached through. *options*: further ones of docker create, such as --memory=256m.
    """

    init: t.Literal["sshd", "systemd"] = "sshd"
    python: t.Literal["3.11", "3.9"] = "3.11"
    noexec: tuple[str, ...] = ()
    acl: bool = True
    behind: str | None = None
    options: tuple[str, ...] = ()

    @property
    def docker_options(self) -> list[str]:
        options = ["--init"] if self.init == "sshd" else ["--cap-add=NET_ADMIN", "--stop-signal=SIGRTMIN+3"]
        if self.init == "systemd" or self.noexec:  # they mount
            options += ["--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined"]
        # There is no name server; a name that nobody has shall not take the usual 20 s to be refused.
        quickly = ["--dns-option=timeout:1", "--dns-option=attempts:1"]
        return [*options, *quickly, "--cgroupns=private", *self.options]

    @property
    def command(self) -> list[str]:
        """That of the first process; see image/start-host.sh."""
        noexec = [word for folder in self.noexec for word in ("--noexec", folder)]
        return ["start-host", *noexec, *([] if self.acl else ["--no-acl"]), self.init]


class Host:
    """One host. *container*: its name in Docker, since two beds may have hosts of one name. *jump*: the host that it is
    reached through. *inner_address*: where others that it leads to see it."""

    port = 22

    def __init__(
        self, daemon: Daemon, name: str, container: str, network: str, address: str, kind: Kind, jump: Host | None
    ) -> None:
        self.name = name
        self.container = container
        self.network = network
        self.address = address
        self.kind = kind
        self.jump = jump
        self.inner_address = ""
        self._daemon = daemon

    def create(self, key: Path) -> None:
        """Make it with a host key, from the file *key* and its .pub, which are named as in /etc/ssh, and start it."""
        where = [f"--network={self.network}", f"--ip={self.address}"]
        names = [f"--name={self.container}", f"--hostname={self.name}", f"--network-alias={self.name}"]
        image = IMAGES[self.kind.python].name
        self._daemon.docker("create", *names, *where, *self.kind.docker_options, image, *self.kind.command)
        self._daemon.docker("cp", "-", f"{self.container}:/etc/ssh", stdin=_host_key_archive(key))
        self.start()

    def start(self) -> None:
        """Switch it on, and wait until it can be logged in to."""
        self._daemon.docker("start", self.container)
        self._wait_for("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{self.port} && read -r -t 5 -u 3")
        if self.kind.init == "systemd":
            self._wait_for("systemctl", "is-system-running", "--wait")

    def stop(self) -> None:
        """Switch it off, as a power failure would."""
        self._daemon.docker("kill", self.container)
        self._daemon.docker("wait", self.container)

    def run(
        self, command: str, *, user: str = "root", stdin: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell, by way of Docker instead of ssh."""
        shell = ["exec", "--interactive", "--user", user, self.container, "sh", "-c", command]
        done = self._daemon.docker(*shell, stdin=stdin, check=check)
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    def read(self, path: str) -> bytes:
        return self._daemon.docker("exec", self.container, "cat", path).stdout

    def write(self, path: str, content: bytes) -> None:
        """Write a file, which is root's unless it was there before."""
        self._daemon.docker("exec", "--interactive", self.container, "tee", path, stdin=content)

    def processes(self) -> list[Process]:
        lines = self.run("exec ps -eo pid=,user:32=,args= -ww").stdout.splitlines()
        found = [Process(int(pid), user, command) for pid, user, command in (line.split(None, 2) for line in lines)]
        return [one for one in found if not one.command.startswith("ps -eo pid=")]

    def log(self) -> str:
        """What the ssh server has said, on a host without systemd."""
        said = self._daemon.docker("logs", self.container)
        return (said.stdout + said.stderr).decode(errors="replace")

    def changes(self) -> dict[str, str]:
        """Every path that was added (A), changed (C) or deleted (D) since the host was made."""
        lines = self._daemon.docker("diff", self.container).stdout.decode().splitlines()
        return {path: kind for kind, path in (line.split(" ", 1) for line in lines)}

    def cut_connections(self) -> None:
        """End every ssh session from this side, without a word to the other one. New ones are possible at once."""
        self.run("pkill -KILL -f '^sshd: [^/]'", check=False)

    def block(self) -> None:
        """Let every packet from and to this host vanish, as a firewall or an unplugged cable does."""
        self._bridge_rules("--append")

    def unblock(self) -> None:
        self._bridge_rules("--delete")

    def _bridge_rules(self, action: str) -> None:
        # IPv4 alone: an address that stops to resolve would be an error at once instead of silence.
        for chain, direction in _BRIDGE_CHAINS:
            rule = [action, chain, "-p", "IPv4", direction, self.address, "-j", "DROP"]
            subprocess.run(["ebtables", *rule], check=True, capture_output=True)

    def _wait_for(self, *command: str) -> None:
        deadline = time.monotonic() + 60
        while (done := self._daemon.docker("exec", self.container, *command, check=False)).returncode != 0:
            if time.monotonic() > deadline:
                said = (done.stdout + done.stderr).decode(errors="replace")
                raise RuntimeError(f"{self.name} does not come up: {command[0]} fails: {said}; {self.log()}")
            time.sleep(0.05)


def _host_key_archive(key: Path) -> bytes:
    """For docker cp: the ssh server's key, with its owner and its mode."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, mode in ((key, 0o600), (key.with_suffix(".pub"), 0o644)):
            content = path.read_bytes()
            member = tarfile.TarInfo(path.name)
            member.size, member.mode, member.mtime = len(content), mode, int(time.time())
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()
