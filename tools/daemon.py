# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private Docker daemon, of which this machine sees nothing but its processes.

It has namespaces of its own: its bridges, rules and mounts are gone with its last process, and all of its processes
are gone with the first one, which the kernel kills when the process that started it ends in whatever way.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from environment import SetupError, digest, last_words, log_path, say

# Nothing is writable but its two folders, and a Docker of the machine is out of its sight.
_START = """\
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/docker
mount --bind "$1" "$1"
mount --bind "$2" "$2"
mount -o remount,bind,ro /
ip link set lo up
export TMPDIR="$2"
shift 2
exec tini -- dockerd "$@"
"""
_NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
_CGROUPS = Path("/sys/fs/cgroup")
_CLONE_NEWNET = 0x40000000


class Daemon:
    """Docker with its data in *folder*. One process at a time can have it; others wait, or join that one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_folder = Path()
        self._pid = 0
        self._cgroup = f"hosts-{digest(str(folder))[:12]}"
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @classmethod
    def join(cls, folder: str, run_folder: str, pid: str) -> Daemon:
        """A daemon that another process has started and will stop. The arguments: its *address*."""
        daemon = cls(Path(folder))
        daemon.run_folder, daemon._pid = Path(run_folder), int(pid)
        return daemon

    @property
    def address(self) -> tuple[str, str, str]:
        """What other processes need to join it."""
        return str(self.folder), str(self.run_folder), str(self._pid)

    @property
    def environment(self) -> dict[str, str]:
        """What the docker command needs to find this daemon, and no other."""
        config = str(self.run_folder / "config")
        return {**os.environ, "DOCKER_HOST": f"unix://{self.run_folder}/docker.sock", "DOCKER_CONFIG": config}

    def start(self) -> None:
        data = self.folder / "docker"
        data.mkdir(parents=True, exist_ok=True)
        self._acquire()
        self._remove_leftovers()
        # The addresses of sockets are short, the path of a clone may be long.
        self.run_folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
        self._link.symlink_to(self.run_folder)
        log = log_path("dockerd")
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "wb") as stream:
            self._process = subprocess.Popen(
                [*_NAMESPACES, "--mount-proc", "sh", "-c", _START, "sh", data, self.run_folder, *self._options(data)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt from the keyboard is not for it
            )
        self._pid = self._process.pid
        self._await()
        self.remove_containers()

    def stop(self) -> None:
        """Stop it with all that it runs; nothing happens if it was not started."""
        if self._lock < 0:
            return
        if self._process:
            if self._process.poll() is None:
                self.remove_containers()
            self._process.kill()
            self._process.wait()
            self._process = None
        self._remove_leftovers()
        os.close(self._lock)
        self._lock = -1

    def docker(
        self, *arguments: str | Path, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command of docker. With *check*, its own words are in the exception if it fails."""
        done = subprocess.run(
            ["docker", *arguments],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            env=self.environment,
            check=False,
        )
        if check and done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"docker {' '.join(map(str, arguments))}: exit code {done.returncode}: {said}")
        return done

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread, and what it starts, be in the daemon's network instead of the machine's."""
        assert self._pid
        with open("/proc/self/ns/net", "rb") as machine, open(f"/proc/{self._pid}/ns/net", "rb") as own:
            _enter(own.fileno())
            try:
                yield
            finally:
                _enter(machine.fileno())

    @property
    def _link(self) -> Path:
        return self.folder / "run"

    def _options(self, data: Path) -> list[str]:
        return [
            f"--data-root={data}",
            f"--exec-root={self.run_folder}/exec",
            f"--pidfile={self.run_folder}/dockerd.pid",
            f"--host=unix://{self.run_folder}/docker.sock",
            f"--cgroup-parent=/{self._cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--userland-proxy=false",
            "--log-level=warn",
        ]

    def _acquire(self) -> None:
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that uses {self.folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        self._lock = lock

    def _await(self) -> None:
        assert self._process
        deadline = time.monotonic() + 60
        while self.docker("version", check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SetupError(f"unable to start dockerd: {last_words('dockerd')}")
            time.sleep(0.05)

    def remove_containers(self) -> None:
        """Remove every container, in whatever state, and the networks that they were in."""
        if containers := self.docker("ps", "--all", "--quiet").stdout.decode().split():
            self.docker("rm", "--force", "--volumes", *containers)
        self.docker("network", "prune", "--force")

    def _remove_leftovers(self) -> None:
        """Remove what is left of a daemon that is dead: this one's, or that of a process that was killed."""
        if self._link.is_symlink():
            run_folder = self._link.resolve()
            kill_all_with("DOCKER_HOST", f"unix://{run_folder}/")
            shutil.rmtree(run_folder, ignore_errors=True)
            self._link.unlink()
        deadline = time.monotonic() + 10
        for parent in [_CGROUPS / self._cgroup, *_CGROUPS.glob(f"*/{self._cgroup}")]:
            while parent.is_dir() and not _remove_cgroups(parent) and time.monotonic() < deadline:
                time.sleep(0.05)


def kill_all_with(variable: str, beginning: str) -> None:
    """Kill every process that was started with a variable whose value begins so; nothing else tells whose they are."""
    mark = f"{variable}={beginning}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if any(one.startswith(mark) for one in path.read_bytes().split(b"\0")):
                os.kill(int(path.parent.name), signal.SIGKILL)


def _remove_cgroups(parent: Path) -> bool:
    """Remove a tree of control groups. Returns whether it is gone: one whose processes are just dying is not."""
    for folder, _folders, _files in os.walk(parent, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not parent.exists()


def _enter(network: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unable to change the network namespace: {os.strerror(number)}")
