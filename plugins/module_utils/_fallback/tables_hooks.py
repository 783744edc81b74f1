# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What stands in the way of repairs, such as foreign keys: taken away before the first repair of a table, and brought
back when all tables are repaired. What two tables have in common is one."""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Sequence, Set, Tuple

from .tables_board import Board
from .tables_job import Job, Table, described
from .tables_sessions import Sessions
from .tables_steps import Stages, run_step

Step = Dict[str, Any]


class Hooks:
    """Those of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._away: Set[Tuple[str, str]] = set()
        self._tables: List[Table] = []

    def unhook(self, table: Table, sessions: Sessions) -> None:
        """Take away what is in the way of repairs of a table, once."""
        with self._lock:
            if table.is_unhooked:
                return
            # Before it is done: what was begun may be done, whatever is answered.
            self._tables.append(table)
            for step in table["unhook"]:
                if _name(step) not in self._away:
                    run_step(self._job, step, sessions)
                    self._away.add(_name(step))
            table.is_unhooked = True

    def rehook(self, workers: Sequence[Sessions], failed: bool) -> None:
        """Bring back what was taken away. failed: whether the job has, which does not keep it from that."""
        for stage in self._stages():
            failures: List[BaseException] = []
            # What had failed is told already; what is left of the work is on another board.
            self._job.failure = None
            board = Board(self._job, workers)
            try:
                Stages(self._job, board, [stage], failures.append, lambda: None).begin()
                board.run()
            except Exception as error:
                failures.insert(0, error)
            if failures and not failed:
                raise failures[0]
            if failures:
                why = described(failures[0])[1]
                for step in stage:
                    message = "%s %s may be missing until the next run: %s" % (*_name(step), why)
                    self._job.context.warning("rehook_failed", message)

    def _stages(self) -> List[List[Step]]:
        """Those of all tables that were unhooked, merged."""
        merged: List[Dict[Tuple[str, str], Step]] = []
        known: Set[Tuple[str, str]] = set()
        for table in self._tables:
            for number, stage in enumerate(table["rehook"]):
                if len(merged) <= number:
                    merged.append({})
                merged[number].update({_name(step): step for step in stage if _name(step) not in known})
                known.update(_name(step) for step in stage)
        return [list(stage.values()) for stage in merged]


def _name(step: Step) -> Tuple[str, str]:
    return step["kind"], step["name"]
