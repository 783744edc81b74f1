# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: run_facts
short_description: Gather what a run of the migration playbook did
version_added: 0.1.0
author: migration.assistant contributors (!UNKNOWN)
description:
  - Turns the registered results of M(migration.assistant.file_sync) and M(migration.assistant.database_migrate)
    into one dictionary of facts.
positional: _input, databases, check_mode
options:
  _input:
    description: Per host, the results of the loop over M(migration.assistant.file_sync).
    type: dict
    required: true
  databases:
    description: Per host, the results of the loop over M(migration.assistant.database_migrate).
    type: dict
    required: true
  check_mode:
    description: Whether the run only looked.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Gather the facts of a run
  ansible.builtin.set_fact:
    facts: "{{ {'web1': file_results} | migration.assistant.run_facts({'web1': database_results}) }}"
"""

RETURN = r"""
_value:
  description: C(version) of the collection, C(check_mode), and C(hosts) with C(files) and C(databases) of each.
  type: dict
"""

import typing as t

from ansible_collections.migration.assistant.plugins.plugin_utils.report import run_facts


class FilterModule:
    """Facts of a run."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"run_facts": run_facts}
