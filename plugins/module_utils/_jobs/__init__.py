# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Jobs that outlive the connection that started them: their directories, leases and locks. Knows no domain.

A job is a process of its own with a directory on its host. Whoever started it renews its lease by looking at it;
when nobody does for too long, it stops at a safe point. Knows nothing of Ansible.
"""

from __future__ import annotations

from .detached import Died, can_detach, detach, wait
from .directory import JobDirectory
from .registry import Busy, claim, earlier_run, find_jobs, is_orphaned, is_watched, prune, summary
from .supervision import Supervision

__all__ = [
    "Busy",
    "Died",
    "JobDirectory",
    "Supervision",
    "can_detach",
    "claim",
    "detach",
    "earlier_run",
    "find_jobs",
    "is_orphaned",
    "is_watched",
    "prune",
    "summary",
    "wait",
]
