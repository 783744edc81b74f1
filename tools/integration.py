# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the integration targets: integration.py VENV [--target-python PYTHON] [--only TARGET]…

Each target is a role below tests/integration/targets. It runs on localhost with the ansible-core of VENV, in a
directory of its own (output_dir, as ansible-test names it). The modules run with PYTHON, that of another
virtual environment; without it, with that of VENV.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from counts import Counts
from environment import BUILD, COLLECTIONS, ROOT, say

_TAIL = 50
TARGETS = ROOT / "tests" / "integration" / "targets"
_PLAYBOOK = """\
- name: {target}
  hosts: localhost
  gather_facts: false
  tasks:
    - name: {target}
      ansible.builtin.import_role:
        name: {target}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("venv", type=Path)
    parser.add_argument("--target-python", default="")
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    names = sorted(path.parent.parent.name for path in TARGETS.glob("*/tasks/main.yml"))
    unknown = set(options.only) - set(names)
    if unknown:
        parser.error(f"there is no target named {', '.join(unknown)}; there are: {', '.join(names)}")
    label = options.venv.name.strip(".") + (
        f"-{Path(options.target_python).parts[-3]}" if options.target_python else ""
    )
    wanted = options.only or names
    work = BUILD / "integration" / label
    failed = [
        name for name in wanted if not run_target(name, options.venv.absolute(), work / name, options.target_python)
    ]
    for name in failed:  # once more, where the end of the output shows it
        say(f"==== {name}: what it said at last")
        say("\n".join((work / name / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]))
    say(str(Counts(passed=len(wanted) - len(failed), failed=len(failed))))
    sys.exit(1 if failed else 0)


def run_target(target: str, venv: Path, work: Path, target_python: str) -> bool:
    """Run one target in a fresh directory, which stays for a look if it fails; tell whether it passed."""
    shutil.rmtree(work, ignore_errors=True)
    output = work / "output"
    output.mkdir(parents=True)
    (work / "playbook.yml").write_text(_PLAYBOOK.format(target=target), encoding="utf-8")
    command: list[str | Path] = [venv / "bin" / "ansible-playbook", "-e", f"output_dir={output}", "playbook.yml"]
    if target_python:
        command += ["-e", f"ansible_python_interpreter={target_python}"]
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(work / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_ROLES_PATH": str(TARGETS),
        "PATH": os.pathsep.join([str(venv / "bin"), os.environ["PATH"]]),
    }
    started = time.monotonic()
    with open(work / "log", "w", encoding="utf-8") as log:
        done = subprocess.run(
            command, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    say((work / "log").read_text(encoding="utf-8", errors="replace"))
    say(f"==== {target}: {'ok' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - started:.1f} s")
    if done.returncode == 0:
        shutil.rmtree(work)
    return done.returncode == 0


if __name__ == "__main__":
    main()
