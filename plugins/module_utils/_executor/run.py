# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Run one job by whichever executor can."""

from __future__ import annotations

import signal
import threading
import time
import typing as t
import uuid
from dataclasses import dataclass, field, replace

from .._version import PROTOCOL, VERSION
from .events import Event
from .outcome import Collector, JobFailed, Outcome
from .process import GRACE_SECONDS, Engine, EngineDied, HandshakeError
from .selection import Choice, Wish, after_refusal, can_run, choose, host_platform


@dataclass(frozen=True)
class Job:
    """One job. operation and parameters: as in the protocol's job schema; timeout and intervals in seconds, the
    memory_limit in bytes."""

    operation: str
    parameters: t.Mapping[str, t.Any]
    dry_run: bool = False
    timeout: float = 0.0
    progress_interval: float = 1.0
    sample_interval: float = 5.0
    memory_limit: int = 0
    gc_threshold: float = 80.0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def as_wire(self, lifeline: bool) -> t.Dict[str, t.Any]:
        return {
            "protocol": PROTOCOL,
            "id": self.id,
            "operation": self.operation,
            "dry_run": self.dry_run,
            "lifeline": lifeline,
            "timeout": self.timeout,
            "progress_interval": self.progress_interval,
            "sample_interval": self.sample_interval,
            "memory_limit": self.memory_limit,
            "gc_threshold": self.gc_threshold,
            "parameters": dict(self.parameters),
        }


class Stop:
    """The wish that a job ends: from a signal, or from whoever watches it. The first reason counts."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason: t.Optional[str] = None

    def request(self, reason: str) -> None:
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    def requested(self) -> bool:
        return self._event.is_set()


def run_job(
    wish: Wish,
    job: Job,
    *,
    choice: t.Optional[Choice] = None,
    on_event: t.Optional[t.Callable[[Event], None]] = None,
    stop: t.Optional[Stop] = None,
    inherit: t.Tuple[int, ...] = (),
) -> Outcome:
    """Run *job* and give its outcome.

    An engine that cannot take the job (missing, corrupt, other version or protocol) gives way to the
    fallback where *wish* allows it; an engine that fails later does not, since its work is half done.
    choice: what choose(wish) gave, if that was asked before. on_event: gets every event but changes. stop: ends
    the job early. inherit: descriptors that the engine keeps open. Raises ExecutorUnavailable and JobFailed.
    """
    choice = choice or choose(wish)
    stop = stop or Stop()
    with _Signals(stop):
        try:
            if choice.used == "go":
                try:
                    return _run_engine(choice, job, on_event, stop, inherit)
                except HandshakeError as exc:
                    choice = after_refusal(wish, str(exc))
            return _run_fallback(choice, job, on_event, stop)
        except JobFailed as exc:
            if exc.code == "cancelled" and stop.reason:
                exc.args = ("the job was stopped: %s" % stop.reason,)
            raise


def describe(wish: Wish, will_come: bool = False) -> t.Tuple[Choice, t.Dict[str, t.Any], t.Dict[str, t.Any]]:
    """The executor that would run, and what the engine ({} where it cannot run) and the fallback say of themselves.

    will_come: whether the engine would be brought to this host if a job needed it. Raises ExecutorUnavailable.
    """
    from .._fallback import _runner

    engine: t.Dict[str, t.Any] = {}
    if will_come and wish.executor != "python" and not can_run(wish):
        choice = Choice("go", VERSION, None, "the controller's build for %s, brought when needed" % host_platform())
        return choice, engine, _description(_runner.hello())
    choice = choose(wish)
    if choice.used == "go":
        try:
            with Engine(choice.path or "") as process:
                engine = _description(process.handshake())
        except HandshakeError as exc:
            choice = after_refusal(wish, str(exc))
    return choice, engine, _description(_runner.hello())


def _description(hello: Event) -> t.Dict[str, t.Any]:
    return {key: value for key, value in hello.items() if key != "event"}


def _run_engine(
    choice: Choice,
    job: Job,
    on_event: t.Optional[t.Callable[[Event], None]],
    stop: Stop,
    inherit: t.Tuple[int, ...],
) -> Outcome:
    with Engine(choice.path or "", inherit) as engine:
        hello = engine.handshake()
        if job.operation not in hello.get("operations", []):
            raise HandshakeError("%s does not know %s" % (choice.path, job.operation))
        collector = Collector(replace(choice, version=hello["version"]), job.id, on_event)
        deadline = time.monotonic() + job.timeout + GRACE_SECONDS if job.timeout else None
        try:
            engine.send(job.as_wire(lifeline=True))
            for event in engine.events(deadline, stop.requested):
                collector.take(event)
        except EngineDied as exc:
            raise JobFailed("engine_died", str(exc), collector.outcome, resumable=True) from exc
        finally:
            collector.close()
        return collector.finish()


def _run_fallback(choice: Choice, job: Job, on_event: t.Optional[t.Callable[[Event], None]], stop: Stop) -> Outcome:
    from .._fallback import _runner

    collector = Collector(choice, job.id, on_event)
    try:
        _runner.run(job.as_wire(lifeline=False), collector.take, stop.requested)
    finally:
        collector.close()
    return collector.finish()


class _Signals:
    """While entered, the signals that ask a process to end ask the job to end instead."""

    _NAMES = tuple(name for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._previous: t.Dict[int, t.Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for name in self._NAMES:
                number = getattr(signal, name)
                self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, _frame: t.Any) -> None:
        self._stop.request("it got the signal %s" % signal.Signals(number).name)
