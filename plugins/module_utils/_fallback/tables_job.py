# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""A table_copy job and its tables: the plan's templates, figures, and what has failed."""

from __future__ import annotations

import re
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ._context import Context
from ._errors import ItemError, JobError, reason
from .tables_server import ServerError

_CREATED = {
    "table": "tables_created",
    "index": "indexes_created",
    "constraint": "constraints_created",
    "foreign_key": "constraints_created",
    "trigger": "triggers_created",
    "view": "views_created",
}
COUNTERS = (
    "tables", "rows_total", "rows_copied", "rows_inserted", "rows_updated", "rows_deleted", "tables_created",
    "indexes_created", "constraints_created", "triggers_created", "views_created", "chunks", "chunks_compared",
    "chunks_repaired", "resumed_rows", "rows_verified", "bytes_copied", "changes",
)  # fmt: skip

_PLACES = re.compile(r"\{(range|rows|number|low|high|keys|key)\}")


def fill(template: str, **values: Any) -> str:
    """The SQL of a template. In one pass: a value may hold what looks like a place for another."""
    return _PLACES.sub(lambda place: str(values.get(place.group(1), place.group(0))), template)


class Chunk(NamedTuple):
    """Rows above ``low`` up to ``high``, keys as SQL text; None where it is open. Numbered from 1. ``done``: a run
    before this one has written it, ``rows`` then are its rows."""

    number: int
    low: Optional[str]
    high: Optional[str]
    done: bool = False
    rows: int = 0


class Table:
    """One table of the job, and what has become of it."""

    def __init__(self, plan: Dict[str, Any]) -> None:
        self.plan = plan
        self.name: str = plan["name"]
        self.action: str = plan["action"]
        self.inserted = 0
        self.updated = 0
        self.deleted = 0
        self.rows = 0  # of the source, as far as they were seen
        self.failure: Optional[BaseException] = None
        self.is_told = False
        self.is_unhooked = False
        self.verified = 0  # rows that were found equal
        # Found equal before anything was written.
        self.is_equal = False
        # Upper bounds of its chunks, for comparing it again.
        self.highs: List[Optional[str]] = []
        # Chunks whose rows cannot be written beside those that others still have.
        self.postponed: List[Chunk] = []

    def __getitem__(self, name: str) -> Any:
        return self.plan[name]

    @property
    def is_keyed(self) -> bool:
        """Whether rows can be told apart on both sides."""
        return bool(self.plan["digests_source"] and self.plan["digests_destination"])

    @property
    def has_ranges(self) -> bool:
        """Whether both sides can be asked for the rows of a chunk."""
        return self.plan["range_source"] is not None and self.plan["range_destination"] is not None

    def range(self, side: str, low: Optional[str], high: Optional[str]) -> str:
        """The condition for the rows of a chunk. side: source or destination."""
        conditions = self.plan["range_%s" % side]
        if conditions is None:
            return "TRUE"
        bounds = (("above", low), ("upto", high))
        return " AND ".join(fill(conditions[name], key=key) for name, key in bounds if key is not None) or "TRUE"

    def sql(self, name: str, side: str, chunk: Chunk, **values: Any) -> str:
        """The template *name* for a chunk."""
        return fill(self.plan[name], range=self.range(side, chunk.low, chunk.high), **values)


class Job:
    """The parameters of the job, and its figures."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.parameters = context.parameters
        self.dry_run = context.dry_run
        self.tables = [Table(plan) for plan in self.parameters["tables"]]
        self.count: Dict[str, int] = dict.fromkeys(COUNTERS, 0)
        proven = self.parameters["proven"]
        self.count["tables"] = len(self.tables) + proven["tables"]
        self.count["rows_total"] = proven["rows"]
        # Whether the source was read in its snapshot: if it cannot be entered after that, it is gone.
        self.snapshot_begun = False
        # Takes away what stands in the way of repairs of a table.
        self.unhook: Callable[[Table, Any], None] = lambda table, sessions: None
        # What ends all workers.
        self.failure: Optional[BaseException] = None
        self._warned: List[str] = []
        self._lock = threading.Lock()
        context.statistics = self.count
        context.meter.rows_copied = 0
        self._estimate()

    def _estimate(self) -> None:
        """Tell how much there is to do, as far as the plan knows."""
        moved = [table for table in self.tables if table.action != "keep"]
        rows = sum(table["rows"] for table in moved)
        if all(table["rows"] for table in moved):
            self.context.meter.set_totals(rows, sum(table["bytes"] for table in moved if table.action == "load"))
        else:
            self.context.meter.tally().items_total = rows

    @property
    def is_proven(self) -> bool:
        """Whether there is nothing to do, not even to look."""
        work = any(self.parameters[name] for name in ("prepare", "tables", "finish"))
        return self.parameters["proven"]["tables"] > 0 and not work

    def check(self) -> None:
        """Raise when the job is no longer wanted or something has failed that concerns all of it."""
        self.context.check()
        if self.failure is not None:
            raise JobError("cancelled", "the job has failed")

    def phase(self, name: str, current: Optional[str] = None) -> None:
        self.context.meter.phase = name
        self.context.meter.current = current
        self.check()

    def add(self, **figures: int) -> None:
        with self._lock:
            for name, value in figures.items():
                self.count[name] += value

    def wrote(self, table: Table, inserted: int, updated: int = 0, deleted: int = 0, size: int = 0) -> None:
        """Count rows that are written, or would be, and the bytes that were relayed for them."""
        with self._lock:
            self.count["bytes_copied"] += size
            table.inserted += inserted
            table.updated += updated
            table.deleted += deleted
            self.count["rows_inserted"] += inserted
            self.count["rows_updated"] += updated
            self.count["rows_deleted"] += deleted
            self.count["rows_copied"] += inserted + updated
            self.context.meter.rows_copied = self.count["rows_copied"]

    def saw(self, table: Table, rows: int) -> None:
        """Count rows of the source that are dealt with."""
        with self._lock:
            table.rows += rows
            self.count["rows_total"] += rows

    def verified(self, table: Table, rows: int) -> None:
        """Count rows that were found equal on both sides."""
        with self._lock:
            table.verified += rows

    def tell(self, step: Dict[str, Any]) -> None:
        """Report a step."""
        if step["action"] == "none":
            return
        counter = _CREATED.get(step["kind"]) if step["action"] == "create" else None
        if counter:
            self.add(**{counter: 1})
        self.context.change(step["action"], step["kind"], step["name"])

    def tell_rows(self, table: Table) -> None:
        """Report, once, what was written in a table, or would be."""
        figures = {"inserted": table.inserted, "updated": table.updated, "deleted": table.deleted}
        if any(figures.values()) and not table.is_told:
            table.is_told = True
            self.context.change("update", "rows", table.name, after=figures)

    def warn_once(self, side: str, message: str) -> None:
        with self._lock:
            if side in self._warned:
                return
            self._warned.append(side)
        self.context.warning("connection_lost", message)

    def fail(self, table: Table, error: BaseException) -> None:
        """Note that a table failed; the others go on."""
        with self._lock:
            if table.failure is not None:
                return
            table.failure = error
            self.context.meter.error_count += 1
        code, message = described(error)
        self.context.warning(code, message, table.name)

    def outcome(self) -> None:
        """Raise what tells of the tables that failed, if any did."""
        failed = [table for table in self.tables if table.failure is not None]
        if not failed:
            return
        told = [described(table.failure) for table in failed if table.failure is not None]
        first = "%s: %s" % (failed[0].name, told[0][1])
        code = "partial_failure"
        if {each for each, _message in told} == {"verification_failed"}:
            code = "verification_failed"
            if len(failed) == 1:
                raise JobError(code, first, failed[0].name)
        noun = "table" if len(failed) == 1 else "tables"
        raise JobError(code, "%d %s failed; the first: %s" % (len(failed), noun, first))


def concerns_all(error: BaseException) -> bool:
    """Whether no other table can succeed after it."""
    if isinstance(error, ServerError):
        return error.connecting or error.lost or error.code == "disk_full"
    return not isinstance(error, ItemError)


class Guarded:
    """Makes what is raised inside a failure of the table, unless it concerns all of them."""

    def __init__(self, job: Job, table: Table) -> None:
        self._job = job
        self._table = table

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _trace: object) -> bool:
        if not isinstance(error, Exception) or concerns_all(error):
            return False
        self._job.fail(self._table, error)
        return True


def described(error: BaseException) -> Tuple[str, str]:
    """Code and message."""
    if isinstance(error, (ServerError, ItemError, JobError)):
        return error.code, error.message
    return "internal", reason(error)


def as_job_error(error: BaseException, subject: Optional[str] = None) -> BaseException:
    """What ends the job. subject: what it happened to."""
    if not isinstance(error, (ServerError, ItemError)):
        return error
    message = "%s: %s" % (subject, error.message) if subject else error.message
    return JobError(error.code, message, subject)


def batches(keys: Sequence[str], size: int) -> List[Sequence[str]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]
