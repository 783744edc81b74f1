#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Tell which executor would run on a host, and why
version_added: 0.1.0
description:
  - Reports whether the Go engine or the Python fallback would do the work on this host, with versions and abilities.
  - Starts the engine to ask it, if it is on the host; brings nothing to the host and changes nothing.
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.all
  - migration.assistant.executor
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: Which executor would run here
  migration.assistant.engine_info:
  register: engine

- name: Show it
  ansible.builtin.debug:
    msg: "{{ engine.executor.used }}, since {{ engine.executor.reason }}"
"""

RETURN = r"""
executor:
  description:
    - The executor that would run.
    - C(path) is empty for the fallback, and for an engine that a task will bring to the host when it needs it.
  returned: always
  type: dict
  sample: {used: go, version: 0.1.0, path: /opt/migration-engine, reason: the controller's build}
platform:
  description: Operating system and architecture of the host, as the engine's builds are named.
  returned: always
  type: str
  sample: linux-amd64
engine:
  description: What the engine says of itself; empty where it cannot run, or is not on the host yet.
  returned: always
  type: dict
fallback:
  description: What the Python fallback says of itself.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _executor, _job_options


def main() -> None:
    module = AnsibleModule(argument_spec=_job_options.executor_argument_spec(), supports_check_mode=True)
    controller = _job_options.Controller(module.params["_controller"])
    wish = _job_options.wish(module.params, controller)
    try:
        choice, engine, fallback = _executor.describe(wish, will_come=controller.build() is not None)
    except _executor.ExecutorUnavailable as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=False,
        executor=choice.as_result(),
        platform=_executor.host_platform(),
        engine=engine,
        fallback=fallback,
    )


if __name__ == "__main__":
    main()
