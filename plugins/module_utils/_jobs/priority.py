# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""How much of a busy host a job may take."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t

_CLASSES = {"best-effort": "2", "idle": "3"}


class PriorityError(Exception):
    """The priority cannot be had; the message names the option, the value and the reason."""


def check(nice: t.Optional[int], io_class: t.Optional[str], io_level: t.Optional[int]) -> None:
    """Raises PriorityError for values that no host could have."""
    if nice is not None and not -20 <= nice <= 19:
        raise PriorityError("priority.nice: %d: give -20 (first) to 19 (last)" % nice)
    if io_level is not None and not 0 <= io_level <= 7:
        raise PriorityError("priority.io_level: %d: give 0 (first) to 7 (last)" % io_level)
    if io_level is not None and io_class == "idle":
        raise PriorityError("priority.io_level: %d: there are no levels in the io_class idle" % io_level)


def apply(nice: t.Optional[int], io_class: t.Optional[str], io_level: t.Optional[int]) -> None:
    """Give this process, and what it will start, that priority. Raises PriorityError."""
    check(nice, io_class, io_level)
    if nice is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except OSError as exc:
            raise PriorityError("priority.nice: %d: this user may not have it (%s)" % (nice, exc.strerror)) from exc
    if io_class is not None or io_level is not None:
        _apply_io(io_class or "best-effort", io_level)


def _apply_io(io_class: str, io_level: t.Optional[int]) -> None:
    ionice = shutil.which("ionice", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/bin", "/bin"]))
    if ionice is None:
        raise PriorityError("priority.io_class: %s: this host has no ionice to set it with" % io_class)
    command = [ionice, "-c", _CLASSES[io_class], "-p", str(os.getpid())]
    if io_level is not None:
        command[3:3] = ["-n", str(io_level)]
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip()
        raise PriorityError("priority.io_class: %s: this host refuses it (%s)" % (io_class, reason))
