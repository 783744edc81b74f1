# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Carries one job out, from the untrusted object to the terminal event."""

from __future__ import annotations

import os
import traceback
from typing import Any, Callable, Dict, Optional

from .._version import PROTOCOL, VERSION
from . import _platform
from ._context import Context, Event
from ._errors import JobError, reason
from ._memory import MemoryWatch
from ._meter import Meter, Ticker
from ._registry import OPERATIONS
from ._validate import Field, any_object, bad_job, boolean, integer, number, read_object, text

JOB_FIELDS: Dict[str, Field] = {
    "protocol": Field(integer(), required=True),
    "id": Field(text(pattern="[A-Za-z0-9-]{1,64}"), required=True),
    "operation": Field(text(minimum=1), required=True),
    "dry_run": Field(boolean, False),
    "lifeline": Field(boolean, False),
    "timeout": Field(number(), 0),
    "progress_interval": Field(number(exclusive=True), 1),
    "sample_interval": Field(number(), 5),
    "memory_limit": Field(integer(), 0),
    "gc_threshold": Field(number(exclusive=True, most=100), 80),
    "parameters": Field(any_object, required=True),
}


def hello() -> Event:
    """The first event: who this is and what it can do."""
    return {
        "event": "hello",
        "protocol": PROTOCOL,
        "executor": "python",
        "version": VERSION,
        "platform": _platform.name(),
        "operations": sorted(name for name, operation in OPERATIONS.items() if operation.available()),
        "capabilities": _platform.capabilities(),
    }


def run(job: Dict[str, Any], emit: Callable[[Event], None], cancelled: Callable[[], bool]) -> None:
    """Carry out ``job``, an object as in the protocol's job schema.

    ``emit`` gets every event: ``hello`` first, exactly one ``result`` or ``error`` last; it is called from several
    threads, but never by two at once. ``cancelled`` is asked often and from several threads: it must be quick.
    Raises nothing that concerns the job; what ``emit`` raises ends the job and is passed on.
    """
    emit(hello())
    execute(job, emit, cancelled)


def execute(job: Any, emit: Callable[[Event], None], cancelled: Callable[[], bool], near: Any = None) -> bool:
    """Like ``run`` without ``hello``; returns whether the job ended with ``result``. near: where the job came from, if
    that is another host."""
    meter = Meter()
    context: Optional[Context] = None
    try:
        given, job = job, read_object(job, "job", JOB_FIELDS)
        if job["protocol"] != PROTOCOL:
            raise bad_job("job.protocol is %d; this executor speaks %d" % (job["protocol"], PROTOCOL))
        operation = OPERATIONS.get(job["operation"])
        if operation is None or not operation.available():
            raise JobError(
                "unsupported_operation",
                "the Python fallback cannot do %s on %s" % (job["operation"], _platform.name()),
            )
        parameters = operation.validate(job["parameters"])
        context = Context(parameters, job["dry_run"], emit, cancelled, job["timeout"], meter)
        context.job, context.near = given, near
        ticker = Ticker(meter, context.tick, job["progress_interval"], job["sample_interval"])
        with MemoryWatch(context, job["memory_limit"], job["gc_threshold"]), ticker:
            operation.run(context)
        failure = context.partial_failure()
        if failure is not None:
            raise failure
    except Exception as error:
        refusal = context.take_emit_error() if context is not None else None
        if refusal is not None:
            raise refusal from error
        emit(_error_event(error, context, meter))
        return False
    emit(
        {
            "event": "result",
            "operation": job["operation"],
            "changed": context.changes > 0,
            "statistics": context.statistics,
            "performance": context.figures or meter.performance(),
        }
    )
    return True


def _error_event(error: Exception, context: Optional[Context], meter: Meter) -> Event:
    failure = _as_job_error(error)
    event: Event = {
        "event": "error",
        "code": failure.code,
        "message": failure.message,
        "resumable": failure.resumable,
        "changed": context is not None and context.changes > 0,
    }
    if failure.path is not None:
        event["path"] = failure.path
    if context is not None:
        event["statistics"] = context.statistics
    figures = context.figures if context is not None else None
    event["performance"] = figures or meter.performance()
    return event


def _as_job_error(error: Exception) -> JobError:
    if isinstance(error, JobError):
        return error
    if isinstance(error, OSError):
        return JobError("io_error", reason(error))
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = "%s:%s" % (os.path.basename(place.filename), place.lineno)
    return JobError("internal", "%s: %s (%s)" % (type(error).__name__, error, where))
