# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The shape of the result that all data-plane modules share."""

from __future__ import annotations

import typing as t

from . import _performance
from ._executor import Outcome
from ._executor.events import Event

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_WARNINGS_SHOWN = 5
_TEXT_ATTRIBUTES = ("size", "mode", "owner", "group", "mtime", "target", "rows", "files", "xattrs", "value")


def as_result(module: AnsibleModule, outcome: Outcome) -> t.Dict[str, t.Any]:
    """The part of a result that is alike in every data-plane module; shows notices on the way."""
    # An executor that died gave no statistics; then what it announced as changed is all that is known.
    result: t.Dict[str, t.Any] = {
        "changed": outcome.changed or (outcome.changes_count > 0 and not outcome.statistics),
        "executor": outcome.choice.as_result(),
        "statistics": outcome.statistics,
        "performance": outcome.performance,
        "samples": [_without_kind(sample) for sample in outcome.samples],
        "alerts": _performance.alerts(outcome.performance, outcome.samples, module.params["alerts"]),
        "notices": notices(module, outcome),
        "notices_count": outcome.warnings_count,
        "changes": [_without_kind(change) for change in outcome.changes],
        "changes_count": outcome.changes_count,
        "changes_file": outcome.changes_file,
    }
    if outcome.differences:
        result["differences"] = [_without_kind(difference) for difference in outcome.differences]
        result["differences_count"] = outcome.differences_count
        result["differences_file"] = outcome.differences_file
    if outcome.settings:
        result["connection_settings"] = [_without_kind(setting) for setting in outcome.settings]
    # Ansible's own option decides whether a diff is shown; it is only built when it is.
    if module._diff:
        result["diff"] = diff(outcome)
    return result


def notices(module: AnsibleModule, outcome: Outcome) -> t.List[t.Dict[str, t.Any]]:
    """The executor's warnings for the result; the first few are shown as warnings of the task."""
    for warning in outcome.warnings[:_WARNINGS_SHOWN]:
        module.warn(_with_path(warning))
    if outcome.warnings_count > _WARNINGS_SHOWN:
        module.warn("%d more notices are in the result" % (outcome.warnings_count - _WARNINGS_SHOWN))
    return [_without_kind(warning) for warning in outcome.warnings]


def diff(outcome: Outcome) -> t.Dict[str, str]:
    """Before and after as text, one line per changed item of the sample."""
    changes = sorted(outcome.changes, key=lambda change: str(change["path"]))
    return {
        "before": "".join(_line(change, "before") for change in changes if change["action"] != "create"),
        "after": "".join(_line(change, "after") for change in changes if change["action"] != "delete")
        + _rest_of(outcome),
    }


def printable(value: t.Any) -> t.Any:
    """*value* with bytes that are not UTF-8 written as \\xNN, so that any terminal and JSON reader takes it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {key: printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printable(item) for item in value]
    return value


def on_one_line(text: str) -> str:
    """*text* for a person, whatever a file is called: bytes that are not UTF-8, line ends and escapes are spelt out."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in printable(text))


def _without_kind(event: Event) -> t.Dict[str, t.Any]:
    return {key: printable(value) for key, value in event.items() if key != "event"}


def _with_path(warning: Event) -> str:
    path, message = warning.get("path"), str(warning["message"])
    return on_one_line("%s: %s" % (path, message) if path else message)


def _line(change: Event, side: str) -> str:
    attributes = change.get(side) or {}
    shown = ["%s=%s" % (name, attributes[name]) for name in _TEXT_ATTRIBUTES if name in attributes]
    return on_one_line(" ".join([change["path"], change["kind"], *shown])) + "\n"


def _rest_of(outcome: Outcome) -> str:
    rest = outcome.changes_count - len(outcome.changes)
    return "and %d more, listed in %s\n" % (rest, outcome.changes_file) if rest else ""
