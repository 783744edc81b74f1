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

from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere
from ansible_collections.migration.assistant.plugins.plugin_utils import far_host
from ansible_collections.migration.assistant.plugins.plugin_utils.executor_action import JobActionBase, Result


class ActionModule(JobActionBase):
    """Brings the engine, and watches the job. With direction push or pull the module runs on the controller, and its
    engine reaches the one on the managed host by ssh."""

    def _work(self) -> Result:
        if self._task.args.get("direction") in ("push", "pull") and self._connection.transport != "local":
            far_host.check(self._connection)
            self._reach()
            self._go_home()
        return super()._work()

    def _reach(self) -> None:
        """Find out how the engine on the host is started; bring it, except in check mode."""
        reply = self._bring_beforehand()
        if reply.get("failed") and "executor" not in reply:
            raise AnsibleActionFail(str(reply.get("msg", reply)), result=reply)
        executor = reply.get("executor") or {}
        prelude = None
        if executor.get("used") == "go":
            remote = elsewhere.installed(executor["path"])
        elif self._task.check_mode and reply.get("changed"):
            build = self._builds.find(reply["platform"])
            prelude = build.compressed if build else None
            remote = elsewhere.from_memory(self._discovered_interpreter or "python3", os.path.getsize(prelude or ""))
        else:
            raise AnsibleActionFail(f"direction: push and pull need the engine on the host: {executor.get('reason')}")
        found = far_host.facts(self._connection, remote, prelude)
        self._besides["far"] = found["far"]
        self._added["_far_password"] = found["password"]

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
