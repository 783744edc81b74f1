# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: run_summary
short_description: Tell in a few lines what a run of the migration playbook did
version_added: 0.1.0
author: migration.assistant contributors (!UNKNOWN)
description:
  - Turns the facts of P(migration.assistant.run_facts#filter) into lines for people.
options:
  _input:
    description: The facts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what was done
  ansible.builtin.debug:
    msg: "{{ facts | migration.assistant.run_summary }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.migration.assistant.plugins.plugin_utils.report import summary


class FilterModule:
    """Summary of a run."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"run_summary": summary}
