# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is sent to a host that has no engine, by a module that itself came in an archive."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.migration.assistant.plugins.module_utils import _executor

PACKAGE = "ansible_collections/migration/assistant/plugins/module_utils"

# As a job does that has been detached: it keeps a copy of the archive, and Ansible takes the archive away.
DETACHED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.migration.assistant.plugins.module_utils._executor import payload
from ansible_collections.migration.assistant.plugins.module_utils._jobs import detached

class Directory:
    def file(self, name):
        return os.path.join(sys.argv[2], name)

detached._keep_payload(Directory())
os.unlink(sys.argv[1])
sys.stdout.buffer.write(payload.payload())
"""


def test_it_comes_from_the_copy_when_the_archive_is_gone(tmp_path: Path) -> None:
    root = Path(_executor.__file__).parents[1]
    archive = tmp_path / "module.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for depth in range(1, PACKAGE.count("/") + 2):
            packed.writestr("/".join(PACKAGE.split("/")[:depth]) + "/__init__.py", "")
        for path in root.rglob("*.py"):
            if path.name != "__init__.py" or path.parent != root:
                packed.write(path, f"{PACKAGE}/{path.relative_to(root)}")
    command = [sys.executable, "-I", "-c", DETACHED, str(archive), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    line, _newline, content = done.stdout.partition(b"\n")
    assert line == b"migration-fallback-follows %d" % len(content)
    assert len(content) > 50_000
