# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.migration.assistant.plugins.plugin_utils.executor_action import EngineActionBase


class ActionModule(EngineActionBase):
    """Tells the module what the controller knows of the engine, and brings it if it is asked for."""

    _supports_async = False
