# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What every data-plane module shares: executor options, the run of its job, and the shape of its result."""

from __future__ import annotations

import typing as t

from . import _performance
from ._executor import Candidate, ExecutorUnavailable, Job, JobFailed, Outcome, Wish, cached_engine, host_platform
from ._executor import run_job as _run_job
from ._executor.events import Event

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_WARNINGS_SHOWN = 5
_TEXT_ATTRIBUTES = ("size", "mode", "owner", "group", "mtime", "target", "rows", "xattrs", "value")


def executor_argument_spec() -> t.Dict[str, t.Any]:
    """Options that choose the executor; documented in the doc fragment ``executor``."""
    return {
        "executor": {"type": "str", "choices": ["auto", "go", "python"]},
        "go_binary_path": {"type": "path"},
        "fallback_to_python": {"type": "bool", "default": True},
        # What the action plugin found on the controller; not an option of the user.
        "_controller": {"type": "dict"},
    }


def job_argument_spec() -> t.Dict[str, t.Any]:
    """Those, and the options that watch a job; documented in the doc fragment ``executor.job``."""
    return {
        **executor_argument_spec(),
        "timeout": {"type": "float", "default": 0},
        "sample_interval": {"type": "float", "default": 5},
        "alerts": {
            "type": "dict",
            "default": {},
            "options": {
                "low_transfer_rate": {"type": "str"},
                "high_memory_usage": {"type": "str"},
                "high_cpu_usage": {"type": "str"},
                "connection_failures": {"type": "int"},
            },
        },
    }


def wish(params: t.Mapping[str, t.Any]) -> Wish:
    """The executor that the task asks for, from its options and from what the controller knows."""
    controller = params.get("_controller") or {}
    candidates = [
        Candidate(str(found["path"]), str(found["origin"]), found.get("sha256"))
        for found in controller.get("candidates", ())
        if found.get("platform") in (None, host_platform())
    ]
    notes = list(controller.get("notes", ()))
    if not candidates:
        notes.append("the controller has no engine built for %s" % host_platform())
    sums = controller.get("sha256") or {}
    candidates.append(
        Candidate(cached_engine(), "the engine that was installed on this host", sums.get(host_platform()))
    )
    executor = params.get("executor")
    reason = "the task says executor: %s" % executor
    if executor is None:
        wanted = controller.get("use_go_engine")
        executor = "python" if wanted is False else "auto"
        reason = "MIGRATION_USE_GO_ENGINE is %s" % str(wanted).lower()
    return Wish(
        executor=executor,
        reason=reason,
        fallback=bool(params.get("fallback_to_python", True)),
        candidates=tuple(candidates),
        notes=tuple(notes),
    )


def run_job(module: AnsibleModule, operation: str, parameters: t.Mapping[str, t.Any], **facts: t.Any) -> Outcome:
    """Run the job of a module; in check mode as a dry run.

    On failure it ends the module with one clear line, the result so far, and *facts*.
    """
    params = module.params
    job = Job(
        operation=operation,
        parameters=parameters,
        dry_run=module.check_mode,
        timeout=params["timeout"],
        sample_interval=params["sample_interval"],
    )
    try:
        return _run_job(wish(params), job)
    except ExecutorUnavailable as exc:
        module.fail_json(msg=str(exc), changed=False, **facts)
    except JobFailed as exc:
        state = "a rerun goes on from what is done" if exc.resumable else "a rerun begins anew"
        written = exc.outcome.changed or exc.outcome.changes_count > 0
        module.fail_json(
            msg="%s%s" % (exc, " (%s)" % state if written and not module.check_mode else ""),
            error_code=exc.code,
            resumable=exc.resumable,
            **facts,
            **as_result(module, exc.outcome),
        )
    raise AssertionError("fail_json returned")


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
    # Ansible's own option decides whether a diff is shown; it is only built when it is.
    if module._diff:
        result["diff"] = diff(outcome)
    return result


def notices(module: AnsibleModule, outcome: Outcome) -> t.List[t.Dict[str, t.Any]]:
    """The executor's warnings for the result; the first few are shown as warnings of the task."""
    for warning in outcome.warnings[:_WARNINGS_SHOWN]:
        module.warn(printable(_with_path(warning)))
    if outcome.warnings_count > _WARNINGS_SHOWN:
        module.warn("%d more notices are in the result" % (outcome.warnings_count - _WARNINGS_SHOWN))
    return [_without_kind(warning) for warning in outcome.warnings]


def check_alerts(module: AnsibleModule) -> None:
    """Refuse unreadable thresholds before anything is touched."""
    try:
        _performance.alerts({}, [], module.params["alerts"])
    except ValueError as exc:
        module.fail_json(msg=str(exc))


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


def _without_kind(event: Event) -> t.Dict[str, t.Any]:
    return {key: printable(value) for key, value in event.items() if key != "event"}


def _with_path(warning: Event) -> str:
    path, message = warning.get("path"), str(warning["message"])
    return "%s: %s" % (path, message) if path and path not in message else message


def _line(change: Event, side: str) -> str:
    attributes = change.get(side) or {}
    shown = ["%s=%s" % (name, attributes[name]) for name in _TEXT_ATTRIBUTES if name in attributes]
    return str(printable(" ".join([change["path"], change["kind"], *shown]))) + "\n"


def _rest_of(outcome: Outcome) -> str:
    rest = outcome.changes_count - len(outcome.changes)
    return "and %d more, listed in %s\n" % (rest, outcome.changes_file) if rest else ""
