# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A password in a task is shown nowhere, however verbose Ansible is, and even when the task fails."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CANARY = "c4n4ry-51d0e3"

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: migration.assistant.database_migration
      vars:
        database_migration_items: "{{ items }}"
"""


@pytest.mark.parametrize(
    "source",
    [
        {"database": "source.db", "password": CANARY},
        {"url": f"sqlite://user:{CANARY}@host/source.db"},
        {"url": f"mysql://user:{CANARY}@host/shop"},
    ],
    ids=["password", "url", "other engine"],
)
@pytest.mark.parametrize("through", ["role", "playbook"])
def test_a_password_is_shown_nowhere(source: dict[str, str], through: str, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "source.db").close()
    items = [{"source": source, "destination": {"database": str(tmp_path / "destination.db")}}]
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    (tmp_path / "items.json").write_text(json.dumps({"items": items}), encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"migration": {"databases": items}}), encoding="utf-8")
    arguments = ["play.yml", "-e", "@items.json"]
    if through == "playbook":
        arguments = ["migration.assistant.migrate", "-e", "migration_config=config.json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MIGRATION_"))}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "-vvvv", *arguments],
        cwd=tmp_path,
        env={
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 2, output
    assert "a SQLite file has no password" in output or "source.url" in output
    assert CANARY not in output
    assert CANARY not in (tmp_path / "ansible.log").read_text(encoding="utf-8")
    kept = {"items.json", "config.json"}
    assert [path for path in tmp_path.rglob("*") if _holds(path) and path.name not in kept] == []


def _holds(path: Path) -> bool:
    return path.is_file() and CANARY.encode() in path.read_bytes()
