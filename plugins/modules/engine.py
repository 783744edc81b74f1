#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine
short_description: Put the Go engine on a host, or take everything of this collection away from it
version_added: 0.1.0
description:
  - Every module that needs the engine brings it to the host by itself. With this one it is there beforehand, and for
    all users of the host if it is run as root.
  - The engine comes from the builds that the controller has for the host's platform. Nothing is downloaded.
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.all
attributes:
  async:
    support: none
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  state:
    description:
      - V(present) puts the engine into a directory of the user that the module runs as.
      - >-
        V(absent) removes that user's engines of all versions, and what jobs have left: their directories, lists of
        changes, and the checksums that they have remembered. It fails while jobs run.
    type: str
    choices: [present, absent]
    default: present
  required:
    description: Whether O(state=present) fails where the engine cannot be had, and not only warns.
    type: bool
    default: true
  go_binary_path:
    description: Path of the engine on the controller, instead of those that are built there.
    type: path
  _controller:
    description: What the action plugin found out on the controller. Not to be given in a task.
    type: dict
"""

EXAMPLES = r"""
- name: Put the engine on the hosts beforehand
  migration.assistant.engine:
  become: true

- name: Leave no trace
  migration.assistant.engine:
    state: absent
  become: true
"""

RETURN = r"""
executor:
  description: The executor that would run now.
  returned: O(state=present)
  type: dict
  sample: {used: go, version: 0.1.0, path: /opt/migration-engine, reason: the controller's build}
platform:
  description: Operating system and architecture of the host, as the engine's builds are named.
  returned: always
  type: str
  sample: linux-amd64
removed:
  description: Directories that were removed.
  returned: O(state=absent)
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _executor, _job_module, _job_options, _jobs


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "required": {"type": "bool", "default": True},
            "go_binary_path": {"type": "path"},
            "_controller": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "absent":
        remove(module)
    controller = _job_options.Controller(module.params["_controller"])
    _wish, choice = _job_module.settle_executor(module)
    here = choice.used == "go"
    will_come = not here and module.check_mode and controller.build() is not None
    if not here and not will_come:
        if module.params["required"]:
            module.fail_json(msg="the engine cannot be put on this host: %s" % choice.reason)
        module.warn("the engine cannot be put on this host: %s" % choice.reason)
    module.exit_json(
        changed=will_come or (here and controller.delivered is not None),
        executor=choice.as_result(),
        platform=_executor.host_platform(),
    )


def remove(module: AnsibleModule) -> None:
    running = [job.id for job in _jobs.find_jobs() if job.is_alive()]
    if running:
        module.fail_json(
            msg="state: absent: jobs are running on this host: %s; wait for them, or stop them with job_cancel"
            % ", ".join(running)
        )
    directories = _executor.places.kept()
    for directory in directories if not module.check_mode else ():
        try:
            _executor.places.remove(directory)
        except OSError as exc:
            module.fail_json(msg="state: absent: unable to remove %s: %s" % (directory, exc.strerror or exc))
    module.exit_json(changed=bool(directories), removed=directories, platform=_executor.host_platform())


if __name__ == "__main__":
    main()
