# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepare what is missing, then run playbooks/migrate.yml.

Environment: CONFIG, path of the user's configuration (none: the sample site); ARGS, further arguments of
ansible-playbook as a shell would write them.
"""

from __future__ import annotations

import json
import os
import shlex

from environment import ROOT, VENV, SetupError, fail
from setup import prepare_run


def main() -> None:
    config = os.environ.get("CONFIG", "")
    command = [str(VENV / "bin" / "ansible-playbook"), "playbooks/migrate.yml"]
    if config:
        path = os.path.abspath(os.path.expanduser(config))
        if not os.path.isfile(path):
            fail(f"CONFIG={config}: there is no such file")
        command += ["-e", json.dumps({"migration_config": path})]
    try:
        command += shlex.split(os.environ.get("ARGS", ""))
    except ValueError as exc:
        fail(f"ARGS={os.environ['ARGS']}: {exc}")
    try:
        prepare_run()
    except SetupError as exc:
        fail(exc)
    os.chdir(ROOT)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
