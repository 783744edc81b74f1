# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""file_sync against what takes long: kills at random, a hostile user, a million files, a real system's files."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from link import Link

from ansible_collections.migration.assistant.plugins.module_utils._files.sync import ARGUMENT_SPEC, plan
from tests.conformance.executors import (
    EXECUTORS,
    FAR_ENGINES,
    FAR_SIDES,
    Executor,
    Run,
    between_hosts,
    command,
    environment,
    job,
    run,
    serving,
)
from tests.conformance.trees import rsync_differences, temporaries, write

KILLS = 50
HOSTILE_SECONDS = 60  # for each executor
MILLION_PEAK = 250 << 20
MEMORY = Path("/dev/shm")
METHODS: dict[str, dict[str, int]] = {
    "direct_copy": {"parallel_chunks": 1},
    "chunked_transfer": {"parallel_chunks": 4, "chunk_size": 1 << 20},
}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners can only be given by root")


def sync(executor: Executor, source: Path, destination: Path, **more: t.Any) -> Run:
    done = run(executor, "file_sync", {"source": str(source), "destination": str(destination), **more})
    assert done.terminal["event"] in ("result", "error"), (done.terminal, done.stderr)
    return done


def contents(root: Path) -> dict[str, str]:
    """The hash of each file with a final name, by its path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".migration-assistant-")
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("executor", (*EXECUTORS, *FAR_SIDES))
def test_killed_fifty_times_at_random(executor: Executor, method: str, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    rng = random.Random(7)
    for number in range(600):
        write(source / f"d{number % 20}" / f"file{number}", rng.randbytes(rng.randrange(40_000)), age=number)

    def age() -> None:
        shutil.rmtree(destination, ignore_errors=True)
        for number in range(600):
            write(destination / f"d{number % 20}" / f"file{number}", b"old %d" % number, age=number + 1)

    age()
    for number in range(4):
        write(source / f"large{number}", rng.randbytes(8_000_000))
        os.link(source / f"large{number}", source / f"link{number}")
    old, new = contents(destination), contents(source)
    parameters = {**METHODS[method], "delete": True, "verify": True, "bandwidth_limit": 60 << 20}
    wanted = {"source": str(source), "destination": str(destination), **parameters}
    wire = job("file_sync", between_hosts(executor, wanted))
    killed = runs = 0
    while killed < KILLS:
        runs += 1
        with subprocess.Popen(
            command(executor), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            process.stdin.write(wire)
            process.stdin.close()
            time.sleep(rng.uniform(0.02, 0.6 if "python" in executor else 0.3))
            # Either end, where there are two.
            others = children(process.pid) if rng.random() < 0.5 else []
            for victim in others or [process.pid]:
                os.kill(victim, signal.SIGKILL)
            killed += process.poll() is None or process.returncode == -signal.SIGKILL
        left_alone(destination)
        for path, digest in contents(destination).items():
            assert digest in (old.get(path), new.get(path)), f"{path} is neither the old file nor the new one"
        if process.returncode == 0:
            age()
    there = contents(destination)
    missing = sum((source / path).stat().st_size for path, digest in new.items() if there.get(path) != digest)
    done = sync(executor, source, destination, **parameters)
    assert done.terminal["event"] == "result", done.terminal
    assert rsync_differences(source, destination) == ""
    assert temporaries(destination) == []
    moved, whole = done.terminal["performance"]["bytes_transferred"], size(source)
    figures = f"the last one moved {moved} of {whole} bytes, of which {missing} were not there"
    print(f"{executor}, {method}: {killed} of {runs} runs were killed; {figures}")
    assert moved <= missing
    again = sync(executor, source, destination, **parameters)
    assert (again.terminal["changed"], again.terminal["performance"]["bytes_transferred"]) == (False, 0)


def children(parent: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def left_alone(destination: Path) -> None:
    """Wait until the other end of a killed job has let go of the destination."""
    descriptor = os.open(destination, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def size(root: Path) -> int:
    """Of the files of a tree, each counted once however many names it has."""
    found = [path.stat() for path in root.rglob("*") if path.is_file()]
    return sum({info.st_ino: info.st_size for info in found}.values())


# Exchanges pairs of names as fast as it can until its standard input ends, and prints how often it did.
HOSTILE = """
import ctypes, os, sys, threading
pairs = [os.fsencode(name) for name in sys.argv[1:]]
pairs = list(zip(pairs[::2], pairs[1::2]))
rename = ctypes.CDLL(None, use_errno=True).renameat2
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
swaps = 0
while not ended.is_set():
    for _ in range(100):
        for one, other in pairs:
            swaps += rename(-100, one, -100, other, 2) == 0
for one, other in pairs:
    if os.path.islink(one):
        rename(-100, one, -100, other, 2)
print(swaps)
"""


class Trap:
    """A tree that a hostile user owns: its directories become symbolic links that lead out of it, and back."""

    def __init__(self, root: Path) -> None:
        self.source, self.destination = root / "source", root / "destination"
        self.secrets, self.precious = root / "secrets", root / "precious"
        for number in range(30):
            write(self.secrets / f"file{number}", b"SECRET")
            write(self.precious / f"file{number}", b"PRECIOUS")
            write(self.precious / f"extra{number}", b"PRECIOUS")
        self._ways_out = {root / "to-secrets": self.secrets, root / "to-precious": self.precious}
        self.prepare()
        self._pairs = [self.source / "dir", root / "to-secrets", self.destination / "dir", root / "to-precious"]

    def prepare(self) -> None:
        """Put everything back: a copied link may have become part of the trap, and this must not go through it."""
        for path in (self.source / "dir", self.destination / "dir", *self._ways_out):
            if path.is_symlink():
                path.unlink()
            elif path in self._ways_out:
                shutil.rmtree(path, ignore_errors=True)
        for path, target in self._ways_out.items():
            os.symlink(target, path)
        for number in range(30):
            write(self.source / "dir" / f"file{number}", b"inside")
            write(self.destination / "dir" / f"extra{number}", b"to delete")
            (self.destination / "dir" / f"file{number}").unlink(missing_ok=True)

    def attacked(self, copy: t.Callable[[], object], seconds: float) -> tuple[int, int, bool]:
        """Copy under attack again and again: how often the names were swapped, how often it copied, if it escaped."""
        swaps = copies = 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.prepare()
            with subprocess.Popen(
                [sys.executable, "-c", HOSTILE, *map(str, self._pairs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as hostile:
                for _copy in range(5):
                    copy()
                    copies += 1
                swaps += int(hostile.communicate()[0])
            if self.escaped():
                return swaps, copies, True
        return swaps, copies, False

    def escaped(self) -> bool:
        disclosed = any(b"SECRET" in path.read_bytes() for path in self.destination.rglob("*") if path.is_file())
        precious = {path.name: path.read_bytes() for path in self.precious.iterdir()}
        return disclosed or len(precious) != 60 or set(precious.values()) != {b"PRECIOUS"}


@needs_root
@pytest.mark.parametrize("executor", (*EXECUTORS, *FAR_SIDES))
def test_a_hostile_user_gains_nothing(executor: Executor, tmp_path: Path) -> None:
    trap = Trap(tmp_path)
    swaps, copies, escaped = trap.attacked(
        lambda: sync(executor, trap.source, trap.destination, delete=True, compare="checksum"), HOSTILE_SECONDS
    )
    print(f"{executor}: {swaps} swaps during {copies} runs, nothing left the tree or came into it")
    assert not escaped
    assert swaps > 10_000


def test_a_copier_that_goes_by_paths_is_caught_in_the_same_trap(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""

    def naive() -> None:
        for path in (trap.source / "dir").iterdir():
            try:
                if path.is_file() and not (trap.source / "dir").is_symlink():
                    shutil.copy2(path, trap.destination / "dir" / path.name)
            except OSError:
                continue

    trap = Trap(tmp_path)
    swaps, copies, escaped = trap.attacked(naive, 2 * HOSTILE_SECONDS)
    print(f"by paths: it escaped after {swaps} swaps during {copies} runs")
    assert escaped


class Peaks:
    """Watches how much memory a process takes at most, and those that it starts, while entered. In bytes."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.near = self.far = 0

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.near = max(self.near, most_memory(self._process))
            self.far = max([self.far, *map(most_memory, children(self._process))])


def most_memory(process: int) -> int:
    """What a process has taken at most so far, in bytes; 0 for one that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


def watched(executor: Executor, source: Path, destination: Path) -> tuple[Run, Peaks]:
    """Run a job, and watch the memory of both ends."""
    wanted = between_hosts(executor, {"source": str(source), "destination": str(destination)})
    with subprocess.Popen(
        command(executor), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        with Peaks(process.pid) as peaks:
            process.stdin.write(job("file_sync", wanted))
            process.stdin.close()
            events = [json.loads(line) for line in process.stdout if not line.startswith(b'{"event":"change"')]
    return Run(process.returncode, events, ""), peaks


@pytest.mark.parametrize("executor", ["go", *FAR_ENGINES])
def test_a_million_files_take_little_memory(executor: Executor) -> None:
    root = MEMORY / f"migration-million-{os.getpid()}"
    source, destination = root / "source", root / "destination"
    try:
        for directory in range(1000):
            (source / f"{directory:03}").mkdir(parents=True)
            for number in range(1000):
                (source / f"{directory:03}" / f"{number:03}").touch()
        for changed, what in ((True, "copied"), (False, "unchanged")):
            begin = time.monotonic()
            done, peaks = watched(executor, source, destination)
            taken = time.monotonic() - begin
            near, far = peaks.near >> 20, peaks.far >> 20
            ends = f"{near} MB and {far} MB at the other end" if far else f"{near} MB"
            print(f"a million files by {executor}, {what}: {taken:.1f} s, peak {ends}")
            assert done.terminal["event"] == "result", done.terminal
            assert done.terminal["changed"] is changed
            assert done.statistics["files_total"] == 1_000_000
            assert 0 < peaks.near < MILLION_PEAK
            assert peaks.far < MILLION_PEAK
            assert (peaks.far > 0) == (executor in FAR_ENGINES)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@needs_root
@pytest.mark.parametrize(
    "executor, method", [("go", "direct_copy"), ("go", "chunked_transfer"), ("python", "direct_copy")]
)
def test_a_real_tree(executor: Executor, method: str, tmp_path: Path) -> None:
    """/usr of this machine arrives as rsync would have it."""
    parameters = {"source": "/usr", "destination": str(tmp_path / "usr"), **METHODS[method]}
    arrives(f"{executor}, {method}", executor, "file_sync", parameters)


@pytest.fixture(scope="module")
def link() -> t.Iterator[Link]:
    with Link(0.1, 10_000) as made:
        yield made


@needs_root
@pytest.mark.parametrize(
    "executor, direction, method",
    [
        *(("go", "push", method) for method in ("auto", "direct_copy", "chunked_transfer", "archive_transfer")),
        *(("go", "push", "hybrid_sync"), ("go", "pull", "auto")),
        *(("python", "push", "auto"), ("python", "pull", "auto")),
        *(("python", "push", "ssh_rsync"), ("python", "pull", "ssh_rsync")),
    ],
)
def test_a_real_tree_over_ssh(executor: Executor, direction: str, method: str, link: Link, tmp_path: Path) -> None:
    """The same between two hosts, by each method, as the module plans it."""
    options = {name: field.get("default") for name, field in ARGUMENT_SPEC.items()}
    options.update(source="/usr", destination=str(tmp_path / "usr"), direction=direction, method=method, preserve={})
    end = serving("python push" if executor == "python" else executor)
    serve = shlex.join(["env", f"PYTHONPATH={environment()['PYTHONPATH']}", *end])
    host = {"name": "there", "command": [*link.ssh, serve], "ssh": link.ssh, "shell": "sh -c"}
    parameters, chosen = plan(options, host, lambda _url: host)
    operation = "ssh_rsync" if chosen["chosen"] == "ssh_rsync" else "file_sync"
    arrives(f"{executor} by ssh, {direction}, {method}", executor, operation, parameters, link.inside([]))


def arrives(
    what: str,
    executor: Executor,
    operation: str,
    parameters: t.Mapping[str, t.Any],
    prefix: t.Sequence[str] = (),
) -> None:
    """Copy /usr and verify it; by a second run nothing moves."""
    source, destination = Path(parameters["source"]), Path(parameters["destination"])
    begin = time.monotonic()
    done = run(executor, operation, {**parameters, "verify": True}, prefix=prefix, patience=3000)
    taken = time.monotonic() - begin
    assert done.terminal["event"] == "result", json.dumps(done.terminal)
    figures = done.statistics
    # rsync compares each name of a file.
    assert figures["files_verified"] >= figures["files_total"] - figures["hard_links_created"] > 0
    assert rsync_differences(source, destination) == ""
    begin = time.monotonic()
    again = run(executor, operation, parameters, prefix=prefix, patience=3000)
    print(
        f"{what}: {figures['files_total']} files, {figures['bytes_copied']} bytes in {taken:.1f} s, "
        f"{figures['bytes_copied'] / taken / 1e6:.0f} MB/s, verified; "
        f"the second run moved {again.terminal['performance']['bytes_transferred']} bytes in "
        f"{time.monotonic() - begin:.1f} s"
    )
    assert (again.terminal["changed"], again.terminal["performance"]["bytes_transferred"]) == (False, 0)
    shutil.rmtree(destination)
