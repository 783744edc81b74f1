# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what happens in a play as lines of JSON, beside what the normal output says."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: events
type: notification
short_description: writes the events of a play as lines of JSON
description: The environment variable EVENTS names the file.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._write("started", host=host.get_name(), task=task.get_name())

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._write_result("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._write_result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._write_result("skipped", result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._write_result("unreachable", result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._write("stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})

    def _write_result(self, status: str, result: t.Any) -> None:
        # The names that ansible-core 2.18 has as well as the later ones.
        names = {"host": result._host.get_name(), "task": result._task.get_name()}
        self._write("result", status=status, result=result._result, **names)

    def _write(self, event: str, **content: t.Any) -> None:
        line = json.dumps({"event": event, "time": time.time(), **content}, default=str)
        with open(os.environ["EVENTS"], "a", encoding="utf-8") as stream:
            stream.write(line + "\n")
