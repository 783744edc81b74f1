# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of every data-plane module."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.migration.assistant.plugins.module_utils._executor.selection import cache_directory
from ansible_collections.migration.assistant.plugins.module_utils._version import PROTOCOL, VERSION

SWITCH = "MIGRATION_USE_GO_ENGINE"
_COLLECTION_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

display = Display()


class ExecutorActionBase(ActionBase):
    """Runs the module of the same name and tells it what the controller knows of the engine."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if "_controller" in arguments:
            raise AnsibleActionFail("_controller is not an option of this module")
        arguments["_controller"] = controller_knowledge(arguments.get("go_binary_path"))
        result.update(
            self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=bool(self._task.async_val))
        )
        return result


def controller_knowledge(named_path: str | None) -> dict[str, t.Any]:
    """What a module needs to choose its executor.

    Gives use_go_engine (None where the environment says nothing), candidates (path, origin, sha256), the
    sha256 of each platform's engine, and notes on what was looked for in vain.
    """
    knowledge: dict[str, t.Any] = {"use_go_engine": _switch(), "candidates": [], "sha256": {}, "notes": []}
    if named_path:
        path = os.path.abspath(os.path.expanduser(named_path))
        if os.path.exists(path):
            knowledge["candidates"].append({"path": path, "origin": "go_binary_path", "sha256": None})
        else:
            note = f"go_binary_path: {named_path} does not exist on the controller"
            knowledge["notes"].append(note)
            display.warning(f"{note}; looking for the engine in its usual places")
    for directory in (os.path.join(_COLLECTION_ROOT, "build", "engine"), cache_directory()):
        for platform, built in _manifest(directory).items():
            path = os.path.join(directory, built["file"])
            knowledge["sha256"].setdefault(platform, built["sha256"])
            knowledge["candidates"].append(
                {"path": path, "origin": "the controller's build", "sha256": built["sha256"], "platform": platform}
            )
    return knowledge


def _switch() -> bool | None:
    value = os.environ.get(SWITCH, "").strip()
    if not value:
        return None
    try:
        return bool(boolean(value))
    except TypeError as exc:
        raise AnsibleActionFail(f"{SWITCH}: '{value}' is not a boolean; give true or false") from exc


def _manifest(directory: str) -> dict[str, dict[str, str]]:
    """Platforms of the engines built in *directory*, if they belong to this version."""
    try:
        with open(os.path.join(directory, "manifest.json"), encoding="utf-8") as stream:
            manifest = json.load(stream)
    except (OSError, ValueError):
        return {}
    if manifest.get("version") != VERSION or manifest.get("protocol") != PROTOCOL:
        display.vv(f"the engine in {directory} belongs to another version of the collection")
        return {}
    platforms: dict[str, dict[str, str]] = manifest.get("platforms", {})
    return platforms
