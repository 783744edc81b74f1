# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The data plane's front door: choose the Go engine or the Python fallback, run one job, collect its events.

Knows no domain and nothing of Ansible.
"""

from __future__ import annotations

from . import cache, places
from .outcome import JobFailed, Outcome
from .run import Job, Stop, describe, run_job
from .selection import (
    Candidate,
    Choice,
    ExecutorUnavailable,
    Wish,
    after_refusal,
    can_run,
    choose,
    host_platform,
    python_choice,
)

__all__ = [
    "Candidate",
    "Choice",
    "ExecutorUnavailable",
    "Job",
    "JobFailed",
    "Outcome",
    "Stop",
    "Wish",
    "after_refusal",
    "cache",
    "can_run",
    "choose",
    "describe",
    "host_platform",
    "places",
    "python_choice",
    "run_job",
]
