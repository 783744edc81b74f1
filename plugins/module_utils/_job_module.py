# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The run of every data-plane module: its executor, its process, its job, its result."""

from __future__ import annotations

import hashlib
import json
import sys
import time
import typing as t

from . import _jobs
from ._executor import (
    Choice,
    ExecutorUnavailable,
    Job,
    JobFailed,
    Outcome,
    Wish,
    after_refusal,
    cache,
    can_run,
    choose,
    host_platform,
    places,
    python_choice,
)
from ._executor import run_job as _run_job
from ._job_options import Controller, check, memory, wish, writing_job_argument_spec
from ._job_result import as_result, printable
from ._jobs import JobDirectory, Supervision, priority

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Work = t.Callable[["Run"], None]
_WAITING = {
    "event": "progress",
    "phase": "wait",
    "elapsed": 0,
    **dict.fromkeys(("items_done", "items_total", "bytes_done", "bytes_total"), 0),
}


def settle_executor(module: AnsibleModule) -> t.Tuple[Wish, Choice]:
    """Install an engine that was delivered, ask for one that is missing, and choose.

    Ends the module where the controller is to deliver the engine first, and where what the task insists on cannot be
    had.
    """
    controller = Controller(module.params["_controller"])
    build = controller.build()
    notes = []
    if controller.delivered and build is not None:
        try:
            cache.install(controller.delivered, build["sha256"])
        except (cache.NotInstalled, OSError) as exc:
            notes.append(str(exc))
    wanted = wish(module.params, controller, notes)
    if module.check_mode and build is not None and wanted.executor != "python" and not can_run(wanted):
        # A run would bring the engine; until then the fallback looks, and finds the same.
        return wanted, python_choice("the engine is not on this host yet, and check mode brings nothing")
    try:
        choice = choose(wanted)
    except ExecutorUnavailable as exc:
        if controller.deliver and build is not None:
            module.exit_json(changed=False, engine_wanted=host_platform())
        module.fail_json(msg=str(exc), changed=False)
    if choice.used == "python" and wanted.executor != "python" and controller.deliver and build is not None:
        module.exit_json(changed=False, engine_wanted=host_platform())
    return wanted, choice


def run(module: AnsibleModule, work: Work) -> None:
    """Do the work of a module, in a process that outlives this connection where the action plugin watches it."""
    wanted, choice = settle_executor(module)
    if choice.used == "python" and wanted.executor != "python" and not module.check_mode:
        module.warn("the Python fallback does the work: %s" % choice.reason)
    started = Run(module, wanted, choice)
    order = Controller(module.params["_controller"]).job
    if order is None or not _jobs.can_detach():
        started.begin(None)
        work(started)
        return
    _detach(started, work, order)


def _detach(started: Run, work: Work, order: t.Mapping[str, t.Any]) -> None:
    module = started.module
    ended = None
    try:
        directory = JobDirectory.create(order["id"], started.as_record(order["started_by"]))
    except FileExistsError as exc:
        # The connection broke while the job was being started: there is nothing to start again.
        directory = JobDirectory(exc.filename)
    except (OSError, places.NoPlace) as exc:
        module.fail_json(msg="the job can have no directory on this host: %s" % exc)
        return
    else:
        _jobs.prune()
        limit = order.get("limit")
        ended = _jobs.detach(directory, lambda alive: _supervised(started, work, directory, limit, alive))
    try:
        result = _jobs.wait(directory, order["wait"], ended)
    except _jobs.Died as exc:
        module.fail_json(msg=str(exc), error_code="job_died", resumable=True, _job=_handle(directory))
    if result is None:
        module.exit_json(changed=False, _job=dict(_handle(directory), running=True))
        return
    _relay(directory, result, watched=order["wait"] is not None and not module.check_mode)


def _supervised(started: Run, work: Work, directory: JobDirectory, limit: t.Optional[float], alive: int) -> None:
    """What the detached process does."""
    params = started.params
    lease = params["lease"] if params["on_disconnect"] == "stop" else None
    with Supervision(directory, lease, limit) as supervision:
        started.begin(Detached(directory, supervision, alive))
        work(started)


def _relay(directory: JobDirectory, result: t.Dict[str, t.Any], watched: bool) -> t.NoReturn:
    """Print the job's result as this module's own.

    Its directory stays if somebody watches, and the result tells of something that a second run would not find
    again: the connection can break while the result is on its way.
    """
    failed = bool(result.get("failed"))
    keep = watched and (failed or bool(result.get("changed")))
    if not keep:
        result.pop("_job", None)
    sys.stdout.write("\n%s\n" % json.dumps(result))
    sys.stdout.flush()
    if keep:
        directory.mark_collected()
    else:
        directory.remove()
    sys.exit(1 if failed else 0)  # pylint: disable=ansible-bad-function


def _handle(directory: JobDirectory) -> t.Dict[str, t.Any]:
    """What the action plugin needs to go on with a job."""
    return {"id": directory.id, "directory": directory.path, "pid": directory.record().get("pid")}


class Detached(t.NamedTuple):
    """What a job has that runs in a process of its own. alive: the descriptor that keeps it alive for others."""

    directory: JobDirectory
    supervision: Supervision
    alive: int


class Run:
    """One run of a data-plane module."""

    def __init__(self, module: AnsibleModule, wanted: Wish, choice: Choice) -> None:
        self.module = module
        self.params: t.Dict[str, t.Any] = module.params
        self.check_mode: bool = module.check_mode
        self._wish = wanted
        self._choice = choice
        self._detached: t.Optional[Detached] = None
        self._memory = (0, 80.0)
        self._earlier: t.Optional[t.Dict[str, t.Any]] = None

    @property
    def choice(self) -> Choice:
        """The executor that was chosen."""
        return self._choice

    def fall_back(self, why: str) -> None:
        """Let the Python fallback do the work, which the engine cannot do. Ends the module if the task forbids that."""
        try:
            self._choice = after_refusal(self._wish, why)
        except ExecutorUnavailable as exc:
            self.fail(str(exc))
        if not self.check_mode:
            self.module.warn("the Python fallback does the work: %s" % why)

    def use_python(self, why: str) -> None:
        """Let the Python fallback do what is no work for the engine. Ends the module if the task insists on that."""
        if self._wish.executor == "go":
            self.fail("executor: go was asked for, but %s" % why)
        self._choice = python_choice(why)

    @property
    def directory(self) -> str:
        """A directory that only this user can enter, which is there for as long as the job."""
        return self._detached.directory.path if self._detached is not None else self.module.tmpdir

    @property
    def controller(self) -> Controller:
        """What the action plugin told."""
        return Controller(self.params["_controller"])

    def begin(self, detached: t.Optional[Detached]) -> None:
        """Take up the job in the process in which it is to run. Ends the module for options that cannot be had."""
        self._detached = detached
        try:
            check(self.params)
            self._memory = memory(self.params)
            priority.apply(**self.params["priority"])
        except (ValueError, priority.PriorityError) as exc:
            self.fail(str(exc))
        self._finish_earlier()

    def job(
        self, operation: str, parameters: t.Mapping[str, t.Any], writes: t.Sequence[str] = (), **facts: t.Any
    ) -> Outcome:
        """Carry the job out; in check mode as a dry run.

        writes: paths that no other job may write to, or below, at the same time. On failure it ends the module with
        one clear line, the result so far, and *facts*.
        """
        job = Job(
            operation=operation,
            parameters=parameters,
            dry_run=self.check_mode,
            timeout=self.params["timeout"],
            sample_interval=self.params["sample_interval"],
            memory_limit=self._memory[0],
            gc_threshold=self._memory[1],
        )
        try:
            outcome = self._run(job, writes, facts)
        except ExecutorUnavailable as exc:
            self.fail(str(exc), **facts)
        except JobFailed as exc:
            state = "a rerun goes on from what is done" if exc.resumable else "a rerun begins anew"
            written = exc.outcome.changed or exc.outcome.changes_count > 0
            self.fail(
                "%s%s" % (exc, " (%s)" % state if written and not self.check_mode else ""),
                error_code=exc.code,
                resumable=exc.resumable,
                **facts,
                **as_result(self.module, exc.outcome),
            )
        if outcome.choice.used != self._choice.used and not self.check_mode:
            self.module.warn("the Python fallback does the work: %s" % outcome.choice.reason)
        return outcome

    def _run(self, job: Job, writes: t.Sequence[str], facts: t.Mapping[str, t.Any]) -> Outcome:
        detached = self._detached
        if detached is None:
            return _run_job(self._wish, job, choice=self._choice)
        names = {name: facts[name] for name in ("source", "destination") if name in facts}
        if "path" in facts:
            names["source"] = facts["path"]
        detached.directory.update(operation=job.operation, **printable(names))
        if writes and not self.check_mode:
            self._claim(detached.directory, writes)
        return _run_job(
            self._wish,
            job,
            choice=self._choice,
            on_event=detached.supervision.record,
            stop=detached.supervision.stop,
            inherit=(detached.alive,),
        )

    def exit(self, outcome: Outcome, **facts: t.Any) -> t.NoReturn:
        """End the module with the result that all modules share, and *facts*."""
        self.end(**dict(as_result(self.module, outcome), **facts))

    def end(self, **result: t.Any) -> t.NoReturn:
        """End the module with that result."""
        self.module.exit_json(**self._shown(result))
        raise AssertionError("exit_json returned")

    def fail(self, message: str, **facts: t.Any) -> t.NoReturn:
        """End the module with one clear line, and *facts*."""
        self.module.fail_json(msg=printable(message), **self._shown(facts))
        raise AssertionError("fail_json returned")

    def as_record(self, started_by: str) -> t.Dict[str, t.Any]:
        """What is told of the job to those who look at this host. It has no secret."""
        return {
            "module": self.module._name,
            "key": self._key(),
            "check_mode": self.check_mode,
            "lease": self.params["lease"],
            "on_disconnect": self.params["on_disconnect"],
            "executor": self._choice.used,
            "started_by": started_by,
        }

    def _key(self) -> t.Optional[str]:
        """Equal for runs that do the same work; None for one that only looks."""
        if self.check_mode or "lock_timeout" not in self.params:
            return None
        watching = set(writing_job_argument_spec())
        # Not with the passwords that open the way to another host.
        options = {n: value for n, value in self.params.items() if n not in watching and not n.startswith("_far_")}
        content = json.dumps([self.module._name, options], sort_keys=True, default=str)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def _claim(self, directory: JobDirectory, writes: t.Sequence[str]) -> None:
        try:
            _jobs.claim(directory, writes, self.params["lock_timeout"], self._wait)
        except _jobs.Busy as exc:
            self.fail(
                "%s. Wait for it with lock_timeout, or stop it with the module job_cancel" % exc,
                error_code="destination_busy",
            )

    def _wait(self) -> None:
        """Tell that the job waits for another one, unless it is no longer wanted."""
        self._check_stop()
        if self._detached is not None:
            self._detached.supervision.record(_WAITING)

    def _check_stop(self) -> None:
        """End the module if its job is no longer wanted."""
        stop = self._detached.supervision.stop if self._detached else None
        if stop is not None and stop.requested():
            self.fail("the job was stopped: %s" % stop.reason, error_code="cancelled", resumable=True)

    def _finish_earlier(self) -> None:
        """Take over what an earlier run with the same options has left on this host, running or finished.

        Its work is done, and so belongs into this result. The job is done again all the same: the source may have
        changed since.
        """
        key = self._key()
        if self._detached is None or key is None:
            return
        earlier = _jobs.earlier_run(self._detached.directory, key)
        if earlier is None:
            return
        orphaned = _jobs.is_orphaned(earlier)
        # While its own controller looks after it, the result is that one's to fetch.
        while earlier.is_alive() or (earlier.outcome() is not None and not orphaned and _jobs.is_watched(earlier)):
            self._check_stop()
            if orphaned:
                earlier.renew()
            self._detached.supervision.record(earlier.progress() or _WAITING)
            time.sleep(1.0)
        outcome = earlier.outcome()
        if outcome is None or earlier.is_collected():
            return
        if not outcome.get("failed"):
            kept = ("changed", "changes_count", "changes_file", "statistics", "performance")
            self._earlier = dict({name: outcome.get(name) for name in kept}, id=earlier.id)
        earlier.remove()

    def _shown(self, result: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """The result with what an earlier run did, and with what the action plugin needs."""
        if self._earlier is not None:
            result["earlier_run"] = self._earlier
            result["changed"] = bool(result.get("changed") or self._earlier["changed"])
        if self._detached is not None:
            result["_job"] = _handle(self._detached.directory)
        return result
