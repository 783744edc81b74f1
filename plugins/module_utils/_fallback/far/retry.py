# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Do a job between two hosts once more when its connection was lost after it had been made."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict

from .._context import Context
from .._errors import JobError
from .login import LoginRefused
from .push import STRAY_JOB

_LONGEST_PAUSE = 30


def with_retries(context: Context, work: Callable[[], None]) -> None:
    """What is done already is found equal, and large files go on where they were."""
    far: Dict[str, Any] = context.parameters["far"]
    for attempt in range(far["retries"] + 1):
        try:
            work()
            return
        except JobError as error:
            again = error.code == "unreachable" and context.connected and not isinstance(error, LoginRefused)
            if not again or attempt == far["retries"]:
                raise
            pause = min(2 ** min(attempt, 10), _LONGEST_PAUSE)
            context.warning("connection_lost", "%s; trying again in %ds" % (error.message, pause))
        # What the other host still does for the lost connection keeps its lock until it finds out.
        silence = far["read_timeout"] + far["keep_alive_interval"]
        far["lock_timeout"] = max(far["lock_timeout"], silence + STRAY_JOB)
        context.again()
        until = time.monotonic() + pause
        while time.monotonic() < until:
            context.check()
            time.sleep(0.05)
