# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The plan of a migration, whatever the engines."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field


def forget(_statistics: t.Mapping[str, t.Any]) -> None:
    """Nothing is kept."""


@dataclass
class Plan:
    """What the executor is to do, operation and parameters of a job; and what the user should know.

    sides: source and destination as they are shown. method: {chosen, reason}. snapshot: {kind, writers: continue or
    wait, ...}. omitted: {kind, name, reason} of what is not migrated. extra_tables: what the destination alone has, and
    keeps. writes: paths that no other job may write to meanwhile. level: how far the comparison goes if that is not
    what the option verify says: fingerprint where nothing was written on either side since they were found equal.
    remember: to be called with the statistics of a job that has found nothing to do.

    A context manager: what the planner holds open for the executor, such as a snapshot, is there until it is left.
    """

    operation: str
    parameters: t.Dict[str, t.Any]
    sides: t.Tuple[str, str]
    method: t.Dict[str, str]
    snapshot: t.Dict[str, str]
    omitted: t.List[t.Dict[str, str]] = field(default_factory=list)
    extra_tables: t.List[str] = field(default_factory=list)
    writes: t.List[str] = field(default_factory=list)
    level: str = ""
    remember: t.Callable[[t.Mapping[str, t.Any]], None] = forget
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.held.close()
