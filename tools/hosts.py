# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of hosts to test with: Debian as its packages make it, with an ssh server, Python and a few accounts."""

from __future__ import annotations

import os
import platform
import secrets
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from daemon import Daemon
from environment import (
    BUILD,
    REQUIREMENTS,
    ROOT,
    VENV,
    SetupError,
    all_pythons,
    digest,
    ensure_system_packages,
    fail,
    has_stamp,
    last_words,
    log_path,
    only_one,
    run_logged,
    say,
)
from packaging.requirements import Requirement

HOSTS = BUILD / "hosts"
LOGIN_KEY = HOSTS / "login_key"
ADMIN_PASSWORD = HOSTS / "admin_password"
COLLECTIONS = HOSTS / "collections"

_COMMANDS = {
    "dockerd": "docker.io",
    "ebtables": "iptables",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap debian-archive-keyring",
    "ssh": "openssh-client",
    "tini": "tini",
}
_PACKAGES = (
    *("acl", "attr", "iproute2", "mount", "openssh-server", "procps", "python3", "rsync", "sqlite3", "sudo"),
    *("systemd", "systemd-sysv"),
)
_IMAGE_FILES = ROOT / "tests" / "remote" / "image"
_MERGED_USR = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"
_FROM_ANSIBLE = (
    "ansible_collections/community/docker/",
    "ansible_collections/community/library_inventory_filtering_v1/",
)


@dataclass(frozen=True)
class Image:
    """Debian's release *suite*, whose Python is *python*."""

    python: str
    suite: str

    @property
    def name(self) -> str:
        return f"host:{self.python}"


IMAGES = {image.python: image for image in (Image("3.11", "bookworm"), Image("3.9", "bullseye"))}


def prepare_hosts() -> None:
    """Everything that the tests on remote hosts need. Raises SetupError."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise SetupError("the tests on remote hosts need Linux and root: make remote, as root or with sudo")
    # Where users seldom have what only root runs.
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    with only_one():
        ensure_system_packages(_COMMANDS)
    ensure_docker_connection()
    ensure_images()


def ensure_docker_connection() -> bool:
    """Unpack the connection plugin for docker, with what it imports. Returns whether there was work to do."""
    requirement = REQUIREMENTS / "docker-connection.txt"
    stamp_path = HOSTS / ".docker-connection"
    stamp = digest(requirement, *_FROM_ANSIBLE)
    if has_stamp(stamp_path, stamp):
        return False
    say("setup: getting the connection plugin for docker")
    shutil.rmtree(COLLECTIONS, ignore_errors=True)
    wheels = HOSTS / "wheels"
    _pip("docker-connection", "download", "--no-deps", "--dest", wheels, "--requirement", requirement)
    (wheel,) = wheels.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(COLLECTIONS, [name for name in content.namelist() if name.startswith(_FROM_ANSIBLE)])
    shutil.rmtree(wheels)
    stamp_path.write_text(stamp, encoding="utf-8")
    return True


def ensure_images() -> bool:
    """Make the images if what they are made from changed. Returns whether there was work to do."""
    stamp_path = HOSTS / ".images"
    stamp = digest(
        *(ROOT / "tools" / "hosts.py", REQUIREMENTS / "unit.txt"),
        *sorted(_IMAGE_FILES.iterdir()),
    )
    if has_stamp(stamp_path, stamp):
        return False
    with Daemon(HOSTS) as daemon:
        if has_stamp(stamp_path, stamp):
            return False
        say("setup: making the images of the test hosts (this takes a minute)")
        if old := daemon.docker("images", "--quiet").stdout.decode().split():
            daemon.docker("rmi", "--force", *old)
        _make_secrets()
        with ThreadPoolExecutor() as pool:
            for job in [pool.submit(_make_image, image, daemon) for image in IMAGES.values()]:
                job.result()
    stamp_path.write_text(stamp, encoding="utf-8")
    return True


def _make_secrets() -> None:
    """The key that opens every account, and the password with which the account admin may use sudo."""
    for path in (LOGIN_KEY, LOGIN_KEY.with_suffix(".pub")):
        path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", LOGIN_KEY], check=True)
    ADMIN_PASSWORD.touch(mode=0o600)
    ADMIN_PASSWORD.write_text(secrets.token_urlsafe(12), encoding="utf-8")


def _make_image(image: Image, daemon: Daemon) -> None:
    work = HOSTS / f"image-{image.python}"
    shutil.rmtree(work, ignore_errors=True)
    (work / "memory").mkdir(parents=True)
    environment = {
        **os.environ,
        "ADMIN_PASSWORD": str(ADMIN_PASSWORD),
        "LOGIN_KEY": str(LOGIN_KEY.with_suffix(".pub")),
        "PACKAGES": str(_python_packages(image.python, work / "packages")),
        "TMPDIR": str(work / "memory"),
    }
    archive = work / "root.tar"
    log = f"hosts-{image.python}"
    made = _mmdebstrap(image.suite, _PACKAGES, archive, log, environment)
    if not made and (prefix := _python_of_this_machine(image.python)):
        # Mirrors drop releases that have come to their end.
        say(f"setup: there is no Debian {image.suite} to be had; taking Python {image.python} from {prefix}")
        packages = [name for name in _PACKAGES if name != "python3"]
        made = _mmdebstrap(IMAGES["3.11"].suite, packages, archive, log, {**environment, "PYTHON_PREFIX": prefix})
    if not made:
        raise SetupError(f"unable to make a Debian {image.suite}: {last_words(log)} ({log_path(log)})")
    daemon.docker("import", archive, image.name)
    shutil.rmtree(work)


def _mmdebstrap(suite: str, packages: Sequence[str], archive: Path, log: str, environment: dict[str, str]) -> bool:
    # In memory, since a package manager waits for the disk more than it works.
    command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=2g tmpfs "$TMPDIR" && exec "$@"', "sh"]
    command += ["mmdebstrap", "--variant=apt", f"--include={','.join(packages)}", f"--hook-dir={_MERGED_USR}"]
    command += [f'--customize-hook={shlex.quote(str(_IMAGE_FILES / "prepare.sh"))} "$1"']
    command += [f"--aptopt={option}" for option in _apt_options()]
    return run_logged([*command, suite, archive, *_mirror()], log, env=environment)


def _python_of_this_machine(version: str) -> str | None:
    """Where a Python lies that was built here, as pyenv does it."""
    major, minor = version.split(".")
    python = all_pythons().get((int(major), int(minor)))
    if python is None:
        return None
    prefix = _lines(python, "-c", "import sys; print(sys.base_prefix)")[0]
    return None if prefix == "/usr" else prefix


def _mirror() -> list[str]:
    """From where this machine gets its Debian; nothing if it is none, and mmdebstrap takes its default."""
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        return []
    wanted = [release.get("VERSION_CODENAME", ""), "main"]
    targets = _lines("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)")
    return [fields[2] for fields in map(str.split, targets) if fields[:2] == wanted][:1]


def _apt_options() -> list[str]:
    """How this machine reaches its mirror."""
    names = ("Acquire::http", "Acquire::https", "Acquire::Check-Date", "Acquire::Check-Valid-Until")
    return [line for line in _lines("apt-config", "dump", *names) if not line.endswith(' "";')]


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _python_packages(python: str, folder: Path) -> Path:
    """SQLAlchemy as the tests use it elsewhere; Debian's own is too old."""
    only_pure = ["--python-version", python, "--platform", "any", "--only-binary", ":all:"]
    options: list[str | Path] = ["--no-deps", "--no-compile", "--target", folder, *only_pure]
    _pip(f"hosts-{python}-packages", "install", *options, *_pinned(python, "sqlalchemy", "typing-extensions"))
    return folder


def _pinned(python: str, *names: str) -> list[str]:
    """name==version of what requirements/unit.txt has for a Python."""
    environment = {"python_full_version": f"{python}.0", "python_version": python}
    lines = (REQUIREMENTS / "unit.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.startswith(names)]
    return [f"{one.name}{one.specifier}" for one in found if one.marker is None or one.marker.evaluate(environment)]


def _pip(log: str, *arguments: str | Path) -> None:
    if not run_logged([VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", *arguments], log):
        raise SetupError(f"unable to get {arguments[-1]}: {last_words(log)} ({log_path(log)})")


if __name__ == "__main__":
    try:
        prepare_hosts()
    except SetupError as error:
        fail(error)
