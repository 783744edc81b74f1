# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-test sanity: sanity.py VENV, where VENV has the ansible-core to test with.

ansible-test fetches its own get-pip script from a server of the Ansible project. Where only a package index can
be reached that fails, so a script of ours, which installs the same version of pip from that index, takes its place.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from environment import BUILD, all_pythons, fail
from export import export_collection

_GET_PIP = """\
import sys

sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main

packages = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", *packages]))
"""


def main() -> None:
    if len(sys.argv) != 2:
        fail("usage: sanity.py VENV")
    venv = Path(sys.argv[1]).resolve()
    work = BUILD / "sanity" / venv.name.strip(".")
    tree = export_collection(work / "collections")
    # Else it asks the repository around the copy, which ignores all of build/, and finds nothing to test.
    subprocess.run(["git", "init", "--quiet", tree], check=True)
    home = prepare_home(work / "home", venv)
    env = {
        **os.environ,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(venv / "bin"), str(python_folder(work / "bin")), os.environ["PATH"]]),
        "ANSIBLE_TEST_PREFER_PODMAN": "0",
    }
    for name in ("PYTHONPATH", "ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH"):
        env.pop(name, None)
    done = subprocess.run(
        [venv / "bin" / "ansible-test", "sanity", "--color", "no"],
        cwd=tree,
        env=env,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    sys.exit(done.returncode)


def prepare_home(home: Path, venv: Path) -> Path:
    """A home of its own, so that nothing of this touches the user's ansible-test; pip's settings stay in force."""
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in (".config/pip", ".pip", ".cache/pip", ".netrc"):
        theirs, ours = Path.home() / name, home / name
        if theirs.exists() and not ours.is_symlink():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.symlink_to(theirs)
    for number in pip_versions(venv):
        script = cache / f"get_pip_{number.replace('.', '_')}.py"
        if not script.exists():
            wheels = home / "wheels"
            pip: list[str | Path] = [
                venv / "bin" / "python",
                "-m",
                "pip",
                "--disable-pip-version-check",
                "download",
                "--quiet",
                "--no-deps",
            ]
            subprocess.run([*pip, "--dest", wheels, f"pip=={number}"], check=True)
            wheel = next(wheels.glob(f"pip-{number}-*.whl"))
            script.write_text(_GET_PIP.format(wheel=str(wheel)), encoding="utf-8")
    return home


def pip_versions(venv: Path) -> list[str]:
    """The versions of pip that this ansible-test installs into its virtual environments."""
    source = next(venv.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py"))
    return sorted(set(re.findall(r"pip='([\d.]+)'", source.read_text(encoding="utf-8"))))


def python_folder(folder: Path) -> Path:
    """A folder with every Python of this machine under its name, since those of pyenv are not in PATH."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for (major, minor), path in all_pythons().items():
        (folder / f"python{major}.{minor}").symlink_to(shutil.which(path) or path)
    return folder


if __name__ == "__main__":
    main()
