# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of every data-plane module: bring the engine, start the job, watch it."""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
import time
import typing as t
import uuid

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.migration.assistant.plugins.module_utils._executor import host_platform
from ansible_collections.migration.assistant.plugins.plugin_utils import engine_delivery, job_watch
from ansible_collections.migration.assistant.plugins.plugin_utils.engine_builds import Builds, find_builds
from ansible_collections.migration.assistant.plugins.plugin_utils.progress_line import ProgressLine

SWITCH = "MIGRATION_USE_GO_ENGINE"
# A job that is done in this time needs no second look.
_FIRST_WAIT = 3.0
# A module answers when its job is done, or has run for so long; what takes this long is a dead connection.
_LONGEST_ANSWER = 120.0
_LONGEST_COMMAND = 20.0
# Between the attempts to start a job whose connection breaks.
_PAUSES = (1.0, 2.0, 4.0)
_LEASE = 300.0

display = Display()
Result = t.Dict[str, t.Any]


class EngineActionBase(ActionBase):
    """Runs the module of the same name, tells it what the controller knows of the engine, and brings it the engine if
    it asks for it. In check mode it never does."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        # What the module is told besides, and what is added to its arguments.
        self._besides: dict[str, t.Any] = {}
        self._added: dict[str, t.Any] = {}
        if "_controller" in self._task.args:
            raise AnsibleActionFail("_controller is not an option of this module")
        self._task_vars = task_vars or {}
        self._builds: Builds = find_builds(
            self._task.args.get("go_binary_path"), self._task_vars.get("migration_engine_directory")
        )
        result.update(self._work())
        return result

    def _work(self) -> Result:
        if self._task.async_val:
            return self._tell({"deliver": False}, wrap_async=True)
        return self._ask({})

    def _ask(self, order: t.Mapping[str, t.Any]) -> Result:
        """Run the module, a second time if it lacked the engine. order: what the module is told besides."""
        reply = self._tell(order)
        while "engine_wanted" in reply:
            with engine_delivery.turn(self) as turn:
                if not turn.waited:
                    return self._bring(order, reply["engine_wanted"], turn)
            # Another task was bringing the engine to the same place.
            reply = self._tell(order)
        return reply

    def _bring(self, order: t.Mapping[str, t.Any], platform: str, turn: engine_delivery.Turn) -> Result:
        """Bring the engine, and run the module again, which puts it in its place."""
        return self._tell({**order, **self._deliver(platform)})

    def _tell(self, order: t.Mapping[str, t.Any], module: str | None = None, wrap_async: bool = False) -> Result:
        arguments = {} if module else {**self._task.args, **self._added}
        local = self._connection.transport == "local"
        builds = {
            platform: build.as_option(local)
            for platform, build in self._builds.by_platform.items()
            if not local or platform == host_platform()
        }
        arguments["_controller"] = {
            "use_go_engine": switch(),
            "builds": builds,
            "named": self._builds.named.as_option(local) if self._builds.named else None,
            "notes": self._builds.notes,
            "local": local,
            "deliver": not self._task.check_mode,
            **self._besides,
            **order,
        }
        return dict(
            self._execute_module(
                module_name=module, module_args=arguments, task_vars=self._task_vars, wrap_async=wrap_async
            )
        )

    def _deliver(self, platform: str) -> dict[str, t.Any]:
        """Bring the engine to the host; gives what the module is told of it."""
        build = self._builds.find(platform)
        if build is None:
            return {"deliver": False}
        self._line().say(f"bringing the engine for {platform} to the host, {engine_delivery.size(build)}")
        try:
            return {"deliver": False, "delivered": engine_delivery.deliver(self, build)}
        except engine_delivery.NotDelivered as exc:
            return {"deliver": False, "notes": [*self._builds.notes, str(exc)]}

    def _line(self) -> ProgressLine:
        host = str(self._task_vars.get("inventory_hostname", ""))
        name = f"{host} -> {self._task.delegate_to}" if self._task.delegate_to else host
        interval = self._task.args.get("progress_interval")
        try:
            seconds = None if interval is None else float(interval)
        except (TypeError, ValueError):
            seconds = None
        hosts = [] if self._task.run_once else list(self._task_vars.get("ansible_play_batch") or ())
        return ProgressLine(name, hosts, seconds, names=not self._task.no_log)


class JobActionBase(EngineActionBase):
    """Besides, watches the module's job: shows how far it is, outlasts broken connections, fetches the result."""

    def _work(self) -> Result:
        if self._task.async_val:
            return self._work_async()
        self._running: dict[str, t.Any] | None = None
        self._turn: engine_delivery.Turn | None = None
        order = self._order(_FIRST_WAIT)
        with job_watch.interruptible():
            return self._watched(order)

    def _work_async(self) -> Result:
        """Ansible's own way of polling has no time to bring anything, so the engine is brought before."""
        if not self._task.check_mode and self._task.args.get("executor") != "python" and switch() is not False:
            self._bring_beforehand()
        order = self._order(None)
        order["job"]["limit"] = float(self._task.async_val)
        return self._tell({**order, "deliver": False}, wrap_async=True)

    def _bring_beforehand(self) -> Result:
        """Put the engine on the host, but in check mode only look for it. Gives what the module engine says."""
        seconds, self._task.async_val = self._task.async_val, 0
        try:
            reply = self._tell({}, module="migration.assistant.engine")
            if "engine_wanted" in reply:
                reply = self._tell(self._deliver(reply["engine_wanted"]), module="migration.assistant.engine")
            return reply
        finally:
            self._task.async_val = seconds

    def _bring(self, order: t.Mapping[str, t.Any], platform: str, turn: engine_delivery.Turn) -> Result:
        # Not for as long as the job takes.
        self._turn = turn
        return super()._bring(order, platform, turn)

    def _order(self, wait: float | None) -> dict[str, t.Any]:
        return {"job": {"id": uuid.uuid4().hex, "wait": wait, "started_by": _controller(self._task_vars)}}

    def _watched(self, order: t.Mapping[str, t.Any]) -> Result:
        try:
            reply = self._start(order)
        except job_watch.Interrupted as interruption:
            self._interrupt(interruption.number, self._running or order["job"])
        except job_watch.Lost:
            raise
        except BaseException:
            # Such as that the time which the task was given is over.
            self._cancel(self._running or order["job"], "its task was given up")
            raise
        job = reply.pop("_job", None)
        if job:
            job_watch.remove_directory(self._command_in_time, job["directory"])
        return reply

    def _start(self, order: t.Mapping[str, t.Any]) -> Result:
        """Run the module. If the connection breaks before its first answer, the same job is asked for again: the host
        knows whether it has begun."""
        for pause in _PAUSES:
            try:
                return self._ask(order)
            except job_watch.Lost:
                raise
            except AnsibleConnectionFailure as exc:
                display.vv(f"the connection broke before the job's first answer, trying again: {exc}")
                time.sleep(pause)
        return self._ask(order)

    def _low_level_execute_command(self, cmd: str, *arguments: t.Any, **options: t.Any) -> dict[str, t.Any]:
        """Where a module answers that its job goes on, the answer is what the job says in the end. To Ansible the
        module took as long as that."""
        with job_watch.deadline(_LONGEST_ANSWER, self._reset):
            answer: dict[str, t.Any] = super()._low_level_execute_command(cmd, *arguments, **options)
        self._running = job_watch.running_job(answer["stdout"])
        if self._running is None:
            return answer
        if self._turn is not None:
            self._turn.end()
        watch = job_watch.Watch(self._command, self._reset, self._running, self._lease(), self._line())
        try:
            text = watch.result()
        except job_watch.Died as exc:
            failure = {"failed": True, "changed": False, "msg": str(exc), "error_code": "job_died", "resumable": True}
            text = json.dumps({**failure, "_job": self._running})
        return {**answer, "stdout": text, "stdout_lines": text.splitlines()}

    def _interrupt(self, number: int, job: t.Mapping[str, t.Any]) -> t.NoReturn:
        """Stop the job, unless it is to finish, and let Ansible end this worker."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._cancel(job, "its play was interrupted")
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        raise SystemExit(1)

    def _cancel(self, job: t.Mapping[str, t.Any], reason: str) -> None:
        if self._task.args.get("on_disconnect") != "finish":
            job_watch.cancel(self._command_in_time, job, reason)

    def _command(self, command: str) -> t.Mapping[str, t.Any]:
        """Run a shell command on the host, as the user that the job runs as."""
        return t.cast("t.Mapping[str, t.Any]", super()._low_level_execute_command(command, sudoable=True))

    def _command_in_time(self, command: str) -> t.Mapping[str, t.Any]:
        with job_watch.deadline(_LONGEST_COMMAND, self._reset):
            return self._command(command)

    def _reset(self) -> None:
        try:
            self._connection.reset()
        except Exception as exc:
            display.vv(f"the connection cannot be reset: {exc}")

    def _lease(self) -> float:
        try:
            return float(self._task.args.get("lease") or _LEASE)
        except (TypeError, ValueError):
            return _LEASE


def _controller(task_vars: t.Mapping[str, t.Any]) -> str:
    """Who started a job, for those who find it on the host."""
    prefix = next((name for name in ("awx", "tower") if f"{name}_job_id" in task_vars), None)
    if prefix:
        user = task_vars.get(f"{prefix}_user_name", "somebody")
        return f"{user} in job {task_vars[f'{prefix}_job_id']} of the controller"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def switch() -> bool | None:
    value = os.environ.get(SWITCH, "").strip()
    if not value:
        return None
    try:
        return bool(boolean(value))
    except TypeError as exc:
        raise AnsibleActionFail(f"{SWITCH}: '{value}' is not a boolean; give true or false") from exc
