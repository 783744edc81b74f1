# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""A job that the other end carries out, since the destination is there: this end answers what it asks of the source,
and tells its events as its own."""

from __future__ import annotations

import json
import queue
import threading
from typing import Any, Dict, Optional

from .. import digests
from .._context import Context, Event
from .._errors import JobError
from ..filters import Filters
from ..sumcache_file import cache_options
from .answers import Offer, Server
from .frames import EVENT, JOB, QUESTION, ConnectionLost
from .link import Link
from .messages import encode

# How long a job may go on, and keep its destination locked, whose near end was killed.
STRAY_JOB = 5.0
_PATIENCE = 0.2


def push(context: Context) -> None:
    """Let the other end do the job. Raises what it failed by."""
    algorithm = digests.of_sync(context.parameters)
    if algorithm is not None:
        algorithm.require()
    context.elsewhere = True
    with Link(context, "job") as link:
        context.connected = True
        try:
            with link.adapting(context, sends=True):
                terminal = _relayed(context, link)
        except ConnectionLost as error:
            context.check()
            raise link.explain(error) from error
    context.statistics = terminal.get("statistics") or {}
    context.figures = terminal.get("performance")
    if context.figures is not None:
        context.figures["retry_count"] = context.figures.get("retry_count", 0) + context.meter.total("retries")
    if terminal["event"] == "error":
        raise JobError(str(terminal["code"]), str(terminal["message"]), terminal.get("path"))


def _relayed(context: Context, link: Link) -> Event:
    """The last event of the job; the others are told as they come."""
    parameters = context.parameters
    offer = Offer(
        parameters["source"], Filters(parameters["filters"]), parameters["follow_symlinks"], cache_options(context)
    )
    server = Server(link.opened, offer)
    events: queue.SimpleQueue[Optional[bytes]] = queue.SimpleQueue()

    def ended() -> None:
        server.end()
        events.put(None)

    link.opened.start({QUESTION: server.ask, EVENT: events.put}, ended)
    link.opened.send(JOB, encode(_far_job(context)), flush=True)
    serving = threading.Thread(target=server.serve, name="answers", daemon=True)
    serving.start()
    try:
        while True:
            try:
                line = events.get(timeout=_PATIENCE)
            except queue.Empty:
                context.check()
                if link.opened.lost.is_set() and events.empty():
                    raise ConnectionLost from None
                continue
            if line is None:
                raise ConnectionLost
            event = _read_event(line)
            if event["event"] in ("result", "error"):
                return event
            if event["event"] != "hello":
                context.relay(event)
                context.check()
    finally:
        link.close()
        serving.join()


def _read_event(line: bytes) -> Event:
    try:
        event = json.loads(line)
        return dict(event, event=str(event["event"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConnectionLost("the other host sent what is no event") from error


def _far_job(context: Context) -> Dict[str, Any]:
    """The other end's job, made from this one's: its source is where it comes from."""
    far = context.parameters["far"]
    job = dict(context.job)
    side = {
        "side": "source",
        "name": "the source's host",
        "numeric_ids": far["numeric_ids"],
        "stream_buffer_size": far["stream_buffer_size"],
        "compression": far["compression"],
        "compression_level": far["compression_level"],
        # An earlier job whose near end was killed needs a moment to find that out.
        "lock_timeout": max(far["lock_timeout"], STRAY_JOB),
    }
    job["parameters"] = {**job["parameters"], "far": side}
    return job
