#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: job_cancel
short_description: Stop jobs of this collection on a host
version_added: 0.1.0
description:
  - Asks jobs of the user that the module runs as to stop at their next safe point, and waits until they have.
  - The tasks that wait for them fail, and say so. A rerun goes on from what is done.
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.all
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  id:
    description: Names of the jobs, as M(migration.assistant.job_info) tells them, or V(all).
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait for them to stop. Then the module fails.
    type: float
    default: 60
seealso:
  - module: migration.assistant.job_info
"""

EXAMPLES = r"""
- name: Stop one job
  migration.assistant.job_cancel:
    id: 3f2a9c1d7e5b4f6a8c0d1e2f3a4b5c6d
  become: true

- name: Stop all of them
  migration.assistant.job_cancel:
    id: all
  become: true
"""

RETURN = r"""
stopped:
  description: The jobs that were running, as M(migration.assistant.job_info) lists them.
  returned: always
  type: list
  elements: dict
not_running:
  description: Names that were given, and of which no job runs.
  returned: always
  type: list
  elements: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _jobs


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    wanted = set(module.params["id"])
    running = [job for job in _jobs.find_jobs() if (wanted == {"all"} or job.id in wanted) and job.is_alive()]
    stopped = [_jobs.summary(job) for job in running]
    if not module.check_mode:
        for job in running:
            job.cancel("an operator stopped it with job_cancel")
        wait(module, running)
    module.exit_json(
        changed=bool(running), stopped=stopped, not_running=sorted(wanted - {"all"} - {job.id for job in running})
    )


def wait(module: AnsibleModule, jobs: t.Sequence[_jobs.JobDirectory]) -> None:
    deadline = time.monotonic() + module.params["timeout"]
    while True:
        running = [job.id for job in jobs if job.is_alive()]
        if not running:
            return
        if time.monotonic() >= deadline:
            module.fail_json(
                msg="timeout: %g: these jobs have not stopped yet: %s" % (module.params["timeout"], ", ".join(running)),
                changed=True,
            )
        time.sleep(0.2)


if __name__ == "__main__":
    main()
