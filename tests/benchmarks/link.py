# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts joined by a slow link: network namespaces that share this machine's files, with an ssh server in one.

Needs root, iproute2, openssh-server and /dev/net/tun. Everything ends with the link.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import typing as t
from contextlib import ExitStack
from pathlib import Path

from engine import find_go

_SOURCE = Path(__file__).with_name("delay_link.go")
_FAR = "10.79.0.2"
# As in a data centre: this machine's processors carry each packet, and have the tools under test to run besides.
_MTU = 9000


class Link:
    """The link: round trip in ms, rate in Mbit/s, loss as a share of the packets."""

    def __init__(self, rtt_ms: float, rate_mbit: float, loss: float = 0.0) -> None:
        self.name = f"{rtt_ms:g} ms, {rate_mbit:g} Mbit/s" + (f", {100 * loss:g} % lost" if loss else "")
        self._shape = [f"{rtt_ms}", f"{rate_mbit}", f"{loss}", f"{_MTU}"]
        self._near, self._far = f"near-{os.getpid()}", f"far-{os.getpid()}"
        self._stack = ExitStack()
        self._folder = Path()

    def __enter__(self) -> Link:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def inside(self, command: t.Sequence[str]) -> list[str]:
        """The command on the near host."""
        return ["ip", "netns", "exec", self._near, *command]

    @property
    def ssh(self) -> list[str]:
        """The words that run a command on the far host, from the near one."""
        return [
            *("ssh", "-i", str(self._folder / "key"), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", f"root@{_FAR}"),
        ]

    def _start(self) -> None:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="link-")))
        program = self._folder / "delay_link"
        subprocess.run([find_go(), "build", "-o", str(program), str(_SOURCE)], check=True)
        for namespace in (self._near, self._far):
            subprocess.run(["ip", "netns", "add", namespace], check=True)
            self._stack.callback(subprocess.run, ["ip", "netns", "del", namespace], check=False)
        relay = subprocess.Popen(
            [program, self._near, self._far, *self._shape], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._stack.callback(_end, relay)
        assert relay.stdout is not None
        if relay.stdout.readline() != "ready\n":
            raise SystemExit("the link does not come up; is there /dev/net/tun, and is this root?")
        for name in ("key", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._folder / name], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        options = {
            "ListenAddress": _FAR,
            "AuthorizedKeysFile": f"{self._folder / 'key'}.pub",
            "StrictModes": "no",
            "PidFile": "none",
            "PermitRootLogin": "yes",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        command = ["/usr/sbin/sshd", "-D", "-f", "/dev/null", "-h", str(self._folder / "host"), *words]
        server = subprocess.Popen(["ip", "netns", "exec", self._far, *command], stderr=subprocess.DEVNULL)
        self._stack.callback(_end, server)
        deadline = time.monotonic() + 10
        while subprocess.run(self.inside([*self.ssh, "true"]), capture_output=True, check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise SystemExit("the ssh server of the far host does not answer; is openssh-server installed?")
            time.sleep(0.2)


def _end(process: subprocess.Popen[t.Any]) -> None:
    with process:
        process.terminate()
