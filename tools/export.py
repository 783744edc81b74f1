# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of what git knows of this clone, in the place that Ansible's own tools expect."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from environment import ROOT


def export_collection(parent: Path) -> Path:
    """Copy the clone (files that git ignores stay out) to parent/ansible_collections/migration/assistant, anew."""
    shutil.rmtree(parent, ignore_errors=True)
    target = parent / "ansible_collections" / "migration" / "assistant"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if not name or not (source.is_file() or source.is_symlink()):
            continue  # deleted in the work tree
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name, follow_symlinks=False)
    return target
