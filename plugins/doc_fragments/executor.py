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
  lease:
    description:
      - Seconds for which the job goes on when nothing is heard of the controller, since the connection is broken or
        the play was ended. Meanwhile the task tries to connect again.
      - Then the job stops at a safe point, and a rerun goes on from there.
    type: float
    default: 300
  on_disconnect:
    description:
      - What a job does whose O(lease) has run out, or whose play was interrupted by Ctrl-C.
      - V(stop) stops at a safe point.
      - V(finish) goes on to the end. The next run with the same options waits for it if it has to, counts what it
        changed, and makes sure that the destination is up to date.
    type: str
    choices: [stop, finish]
    default: stop
  priority:
    description: How much of a busy host the job takes. By default as much as any other process of its user.
    type: dict
    default: {}
    suboptions:
      nice:
        description: Priority for the processor, from V(-20) (first, for root only) to V(19) (last).
        type: int
      io_class:
        description: With V(idle) the job reads and writes only when nobody else does. Needs C(ionice) on the host.
        type: str
        choices: [best-effort, idle]
      io_level:
        description: Priority for disks within V(best-effort), from V(0) (first) to V(7) (last).
        type: int
  progress_interval:
    description:
      - Seconds between two lines that tell how far the job is; V(0) for no lines. The lines go to standard error.
      - By default every 2 seconds on a terminal and every 5 seconds elsewhere, less often the longer the job takes
        and the more hosts there are.
    type: float
  sample_interval:
    description: Seconds between the samples of C(samples); V(0) for none.
    type: float
    default: 5
  memory_limit:
    description:
      - >-
        Most memory of the executor on each host that takes part, such as V(512MB). A job that takes more ends, and a
        rerun goes on from what is done. Units are powers of 1024.
      - By default there is no limit. V(0) is none either.
    type: str
  gc_threshold:
    description: Part of O(memory_limit) from which on unused memory is collected more often, such as V(80%).
    type: str
    default: 80%
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

    WRITING_JOB = r"""
options:
  lock_timeout:
    description:
      - Seconds to wait while another job of the same user writes to the destination, to a directory above it, or
        below it.
      - Then the task fails, and names that job.
    type: float
    default: 0
"""
