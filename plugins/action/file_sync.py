# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import os
import sys
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.loader import connection_loader

from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere, payload
from ansible_collections.migration.assistant.plugins.plugin_utils import executor_action, far_host
from ansible_collections.migration.assistant.plugins.plugin_utils.executor_action import JobActionBase, Result


class ActionModule(JobActionBase):
    """Brings the engine, and watches the job. With direction push or pull the module runs on the controller, and its
    executor reaches the one on the managed host by ssh."""

    def _work(self) -> Result:
        if self._task.args.get("method") == "ssh_rsync" and self._task.args.get("executor", "auto") == "auto":
            self._added["executor"] = "python"  # which drives rsync: no engine need be brought
        if self._task.args.get("direction") in ("push", "pull") and self._connection.transport != "local":
            far_host.check(self._connection)
            self._reach()
            self._go_home()
        return super()._work()

    def _reach(self) -> None:
        """Find out how the executors on the host are started; bring the engine, except in check mode."""
        engine, prelude, reason = self._find_engine()
        interpreter = self._interpreter()
        host = far_host.Host(self._connection)
        self._besides["far"] = {
            "name": host.name,
            "engine": host.command(engine) if engine else None,
            "prelude": prelude,
            "reason": reason,
            "fallback": host.command(payload.command(interpreter)),
            "ssh": host.ssh,
            "shell": host.shell(),
            "asked_by": host.asked_by,
        }
        self._added["_far_password"] = host.password
        self._added["_far_login_password"] = host.login_password

    def _find_engine(self) -> tuple[str | None, str | None, str]:
        """The command that starts the engine on the host, if it can have one, the file that is sent to it first, and
        why it has none."""
        if (
            self._task.args.get("method") == "ssh_rsync"
            or self._task.args.get("executor") == "python"
            or executor_action.switch() is False
        ):
            return None, None, "it was not asked for"
        reply = self._bring_beforehand()
        if reply.get("failed") and "executor" not in reply:
            raise AnsibleActionFail(str(reply.get("msg", reply)), result=reply)
        executor = reply.get("executor") or {}
        if executor.get("used") == "go":
            return elsewhere.installed(executor["path"]), None, ""
        build = self._builds.find(reply["platform"]) if self._task.check_mode and reply.get("changed") else None
        if build is not None:
            python = self._interpreter() or "python3"
            return elsewhere.from_memory(python, os.path.getsize(build.compressed)), build.compressed, ""
        return None, None, str(executor.get("reason"))

    def _interpreter(self) -> str | None:
        """The host's Python, if its inventory names one or Ansible has found one."""
        named = self._templar.template(self._task_vars.get("ansible_python_interpreter"))
        if isinstance(named, str) and not named.startswith("auto"):
            return named
        return self._discovered_interpreter or None

    def _go_home(self) -> None:
        """Let the module run on the controller, as the user that the play was started by."""
        connection = connection_loader.get("local", self._play_context, None, task_uuid=self._task._uuid)
        own = {"ansible_python_interpreter": sys.executable}
        connection.set_options(var_options=own)
        connection._shell.set_options(var_options=own)
        self._connection = connection
        task_vars: dict[str, t.Any] = copy.copy(self._task_vars)
        task_vars.update(own)
        delegated = task_vars.get("ansible_delegated_vars")
        if self._task.delegate_to and delegated:
            host = {**delegated[self._task.delegate_to], **own}
            task_vars["ansible_delegated_vars"] = {**delegated, self._task.delegate_to: host}
        self._task_vars = task_vars
