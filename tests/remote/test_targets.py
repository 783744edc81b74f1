# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The integration targets of files and databases, on real hosts over ssh and not on this machine."""

from __future__ import annotations

import pytest
from integration import TARGETS

from .bed import Bed

HOSTS: dict[str, tuple[dict[str, str], str, str | None]] = {
    # name -> kind of host, user, become_user
    "suite-root": ({}, "root", None),
    "suite-sudo": ({}, "deploy", "root"),
    "suite-password": ({"init": "systemd"}, "admin", "root"),
    "suite-guest": ({}, "guest", None),
    "suite-old": ({"python": "3.9"}, "deploy", "root"),
}

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  vars:
    output_dir: /tmp/output
  tasks:
    - name: Begin anew
      ansible.builtin.file: {path: /tmp/output, state: absent}
    - name: Make the directory of the outputs
      ansible.builtin.file: {path: /tmp/output, state: directory, mode: "0755"}
    - ansible.builtin.import_role: {name: %s}
"""


@pytest.mark.parametrize("target", ["file_sync", "database_migrate"])
def test_target(bed: Bed, target: str) -> None:
    """Each host has its own way to log in and to become root; all run at once."""
    plays = {}
    for name, (kind, user, become_user) in HOSTS.items():
        host = bed.host(name, **kind)
        inventory = bed.inventory([host], user=user, become=become_user is not None, become_user=become_user)
        plays[name] = bed.start_play(PLAYBOOK % target, inventory, env={"ANSIBLE_ROLES_PATH": str(TARGETS)})
    for name, play in plays.items():
        played = play.wait(900)
        assert played.code == 0, played.failures or played.output
        assert played.stats[name]["ok"] > 3
