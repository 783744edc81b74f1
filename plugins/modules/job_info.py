#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: job_info
short_description: List the jobs of this collection on a host
version_added: 0.1.0
description:
  - Tells which jobs of the user that the module runs as are at work on the host, how far they are, and who started
    them.
  - Jobs whose play is gone are listed as well, until their result is fetched or thrown away.
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
options: {}
seealso:
  - module: migration.assistant.job_cancel
"""

EXAMPLES = r"""
- name: See which jobs are at work
  migration.assistant.job_info:
  become: true
  register: found

- name: Show them
  ansible.builtin.debug:
    var: found.jobs
"""

RETURN = r"""
jobs:
  description: The jobs, the oldest first.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Name of the job.
      type: str
      sample: 3f2a9c1d7e5b4f6a8c0d1e2f3a4b5c6d
    state:
      description: >-
        V(running), V(finished) for one whose result was not fetched yet, or V(interrupted) for one that ended
        without a result.
      type: str
    module:
      description: The module that started it.
      type: str
      sample: migration.assistant.file_sync
    source:
      description: Where it reads.
      type: str
    destination:
      description: Where it writes.
      type: str
    check_mode:
      description: Whether it only looks.
      type: bool
    executor:
      description: V(go) or V(python).
      type: str
    pid:
      description: Number of its process.
      type: int
    started_at:
      description: Time of its start, in seconds since 1970.
      type: float
    started_by:
      description: User and host of the controller.
      type: str
    heard_seconds_ago:
      description: How long ago the controller was last heard.
      type: float
    lease:
      description: After how many seconds without the controller the job stops.
      type: float
    on_disconnect:
      description: What the job does then.
      type: str
    progress:
      description: >-
        How far it is: C(phase), C(elapsed) in seconds, C(items_done) of C(items_total), C(bytes_done) of
        C(bytes_total), C(current). Empty before it is known.
      type: dict
    cancelled:
      description: Why it was asked to stop; empty if it was not.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _jobs


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, jobs=[_jobs.summary(job) for job in _jobs.find_jobs()])


if __name__ == "__main__":
    main()
