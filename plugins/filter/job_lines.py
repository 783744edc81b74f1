# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: job_lines
short_description: Tell in a line each which jobs are on a host
version_added: 0.1.0
author: migration.assistant contributors (!UNKNOWN)
description:
  - Turns the jobs that M(migration.assistant.job_info) lists into lines for people.
options:
  _input:
    description: The jobs.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is at work
  ansible.builtin.debug:
    msg: "{{ found.jobs | migration.assistant.job_lines }}"
"""

RETURN = r"""
_value:
  description: The lines; one that says so if there is no job.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.migration.assistant.plugins.plugin_utils.report import job_lines


class FilterModule:
    """Jobs on a host."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"job_lines": job_lines}
