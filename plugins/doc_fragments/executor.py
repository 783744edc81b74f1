# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of every module that gives a job to an executor."""

    DOCUMENTATION = r"""
options:
  executor:
    description:
      - Which executor does the work.
      - V(auto) takes the Go engine where it can run and the Python fallback elsewhere.
      - V(go) fails where the engine cannot run. V(python) always takes the fallback.
      - Without it, the environment variable E(MIGRATION_USE_GO_ENGINE) on the controller decides between
        V(auto) and V(python); without that, V(auto).
    type: str
    choices: [auto, go, python]
  go_binary_path:
    description:
      - Path of the engine on the controller.
      - A path that does not exist gives a warning, and the engine is looked for in its usual places.
    type: path
  fallback_to_python:
    description: Whether V(auto) may end in the Python fallback. Without it the task fails where the engine cannot run.
    type: bool
    default: true
  _controller:
    description: What the action plugin found out on the controller. Not to be given in a task.
    type: dict
"""

    JOB = r"""
options:
  timeout:
    description: Seconds after which the job stops at a safe point and the task fails; V(0) for no limit.
    type: float
    default: 0
  sample_interval:
    description: Seconds between the samples of C(samples); V(0) for none.
    type: float
    default: 5
  alerts:
    description: Thresholds; those that were crossed are listed in C(alerts).
    type: dict
    default: {}
    suboptions:
      low_transfer_rate:
        description: Lowest rate, such as V(1MB/s). Judged when the job took a second or longer.
        type: str
      high_memory_usage:
        description: Most memory of the executor, in per cent of the host's, such as V(80%).
        type: str
      high_cpu_usage:
        description: Greatest use of all processors of the host by the executor, such as V(90%).
        type: str
      connection_failures:
        description: This many operations that had to be tried again raise an alert.
        type: int
"""
