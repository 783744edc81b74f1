# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments and system packages, made once and known again by a stamp."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
VENV = ROOT / ".venv"
COLLECTIONS = BUILD / "collections"
COLLECTION = COLLECTIONS / "ansible_collections" / "migration" / "assistant"
REQUIREMENTS = ROOT / "requirements"
# Where Debian keeps the programs of a server, which are in nobody's PATH.
_SERVER_PROGRAMS = "/usr/lib/postgresql/*/bin"

OLDEST_CONTROLLER = (3, 11)
_VERSION_FILE = ROOT / "plugins" / "module_utils" / "_version.py"


class SetupError(Exception):
    """Something that the set-up needs cannot be had; the message says what and how to get it."""


def say(message: str) -> None:
    # In one piece, since several threads may have something to say.
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


def version() -> tuple[str, int]:
    """Version of the collection and number of its protocol."""
    text = _VERSION_FILE.read_text(encoding="utf-8")
    found = dict(re.findall(r'^(VERSION|PROTOCOL)\b[^=]*= *"?([^"\s]+)"?', text, re.MULTILINE))
    return found["VERSION"], int(found["PROTOCOL"])


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one set-up work at a time; a second one waits and then finds the work done."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / ".setup.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("setup: waiting for another set-up in this directory")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_logged(command: Sequence[str | Path], log: str, *, env: dict[str, str] | None = None, cwd: Path = ROOT) -> bool:
    """Run a command with its output in build/logs/<log>.log. Returns whether it succeeded."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(log_path(log), "w", encoding="utf-8") as stream:
        stream.write(f"$ {' '.join(map(str, command))}\n")
        stream.flush()
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode == 0


def log_path(log: str) -> Path:
    return LOGS / f"{log}.log"


def last_words(log: str) -> str:
    """The most telling line of a log: its last error, else its last line."""
    lines = [line.strip() for line in log_path(log).read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines[1:] if line]
    errors = [line for line in lines if re.match(r"(ERROR|E:|error|.*: error)", line)]
    return (errors or lines or ["no output"])[-1].removeprefix("ERROR: ")


def digest(*parts: object) -> str:
    """One hash over texts and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        total.update(b"\0")
    return total.hexdigest()


def has_stamp(path: Path, stamp: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == stamp
    except OSError:
        return False


def link_collection() -> None:
    """Make the clone importable as ansible_collections.migration.assistant."""
    if COLLECTION.is_symlink() and COLLECTION.resolve() == ROOT:
        return
    COLLECTION.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        COLLECTION.unlink()
    COLLECTION.symlink_to("../../../..")


def main_python() -> str:
    """The Python for .venv: PYTHON if given, else python3, else the newest other one that fits."""
    wanted = os.environ.get("PYTHON")
    names = [wanted] if wanted else ["python3", *(f"python3.{minor}" for minor in range(20, 10, -1))]
    found = [(name, probed) for name in names if (probed := _probe(name))]
    new_enough = [(name, number, has_venv) for name, (number, has_venv) in found if number >= OLDEST_CONTROLLER]
    usable = [name for name, number, has_venv in new_enough if has_venv]
    if usable:
        return usable[0]
    if new_enough:
        name, (major, minor), has_venv = new_enough[0]
        raise SetupError(
            f"{name} cannot make virtual environments: install the package python{major}.{minor}-venv "
            "(Debian, Ubuntu), or name another Python: make PYTHON=…"
        )
    have = ", ".join(f"{name} is {number[0]}.{number[1]}" for name, (number, has_venv) in found) or "there is none"
    raise SetupError(f"Python 3.11 or newer is needed ({have}): install it, or name one: make PYTHON=…")


def all_pythons() -> dict[tuple[int, int], str]:
    """Every Python of this machine that can make virtual environments, by its version."""
    names = [f"python3.{minor}" for minor in range(8, 20)]
    names += [str(path) for path in sorted(Path.home().glob(".pyenv/versions/*/bin/python"), reverse=True)]
    found: dict[tuple[int, int], str] = {}
    for name in names:
        probed = _probe(name)
        if probed and probed[1]:
            found.setdefault(probed[0], name)
    return dict(sorted(found.items()))


def _probe(python: str) -> tuple[tuple[int, int], bool] | None:
    """Version of a Python, and whether it can make virtual environments; None if it does not run."""
    script = (
        "import sys, importlib.util as u;"
        "print(*sys.version_info[:2], int(all(u.find_spec(name) for name in ('venv', 'ensurepip'))))"
    )
    try:
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor, has_venv = done.stdout.split()
    return (int(major), int(minor)), has_venv == "1"


def ensure_venv(venv: Path, python: Callable[[], str], *files: str, constraint: str | None = None) -> bool:
    """Make a virtual environment with what the requirement files name. Returns whether there was work to do.

    *python* is asked only for a new environment; one that works keeps the Python that it was made with.
    """
    name = "venv" if venv == VENV else venv.name
    paths = [REQUIREMENTS / file for file in files]
    extra = [REQUIREMENTS / constraint] if constraint else []
    stamp = digest(*paths, *extra)
    stamp_path = venv / f".installed-{'-'.join(files)}"
    if has_stamp(stamp_path, stamp) and _runs(venv):
        return False
    if not _runs(venv):
        interpreter = python()
        shutil.rmtree(venv, ignore_errors=True)
        venv.parent.mkdir(parents=True, exist_ok=True)
        if not run_logged([interpreter, "-m", "venv", venv], name):
            shutil.rmtree(venv, ignore_errors=True)
            raise SetupError(f"unable to make the virtual environment {venv}: {last_words(name)}")
    say(f"setup: installing {' and '.join(f'requirements/{file}' for file in files)} into {venv.relative_to(ROOT)}")
    command: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
    for path in paths:
        command += ["--requirement", path]
    for path in extra:
        command += ["--constraint", path]
    if not run_logged(command, name):
        raise SetupError(
            f"unable to install {' and '.join(f'requirements/{file}' for file in files)}: {last_words(name)} "
            f"(no network, or no package index reachable? The whole output is in {log_path(name).relative_to(ROOT)})"
        )
    stamp_path.write_text(stamp, encoding="utf-8")
    return True


def _runs(venv: Path) -> bool:
    """A virtual environment whose Python was taken away, or that was moved, has to be made anew."""
    config = venv / "pyvenv.cfg"
    python = venv / "bin" / "python"
    if not config.is_file() or not python.exists():
        return False
    command = re.search(r"^command = .* (\S.*)$", config.read_text(encoding="utf-8"), re.MULTILINE)
    return command is None or command.group(1).endswith(str(venv))


def ensure_system_packages(packages: dict[str, str]) -> None:
    """Install Debian packages for the commands that are missing. *packages*: command -> its packages."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *glob.glob(_SERVER_PROGRAMS)])
    absent = [names for command, names in packages.items() if shutil.which(command, path=places) is None]
    missing = sorted({package for names in absent for package in names.split()})
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    by_hand = f"sudo apt-get install {' '.join(missing)}"
    prefix: list[str] = []
    if os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        if shutil.which("sudo") is None or not run_logged([*prefix, "true"], "apt"):
            raise SetupError(f"the tests need system packages, and this user may not install them: {by_hand}")
    if shutil.which("apt-get") is None:
        raise SetupError(f"the tests need {', '.join(missing)}: install them with this system's package manager")
    say(f"setup: installing the system packages {', '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run_logged([*prefix, "apt-get", "update"], "apt", env=env)
    if not run_logged([*prefix, *install], "apt", env=env):
        raise SetupError(f"unable to install system packages: {last_words('apt')} (by hand: {by_hand})")


def fail(message: object) -> None:
    """End the program with one line."""
    sys.exit(f"error: {message}")
