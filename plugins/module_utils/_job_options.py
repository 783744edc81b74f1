# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The options that data-plane modules share, and the executor that they ask for."""

from __future__ import annotations

import typing as t

from . import _performance, _units
from ._executor import Candidate, Wish, cache, host_platform
from ._jobs import priority


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
        "lease": {"type": "float", "default": 300},
        "on_disconnect": {"type": "str", "choices": ["stop", "finish"], "default": "stop"},
        "priority": {
            "type": "dict",
            "default": {},
            "options": {
                "nice": {"type": "int"},
                "io_class": {"type": "str", "choices": ["best-effort", "idle"]},
                "io_level": {"type": "int"},
            },
        },
        "progress_interval": {"type": "float"},
        "sample_interval": {"type": "float", "default": 5},
        "memory_limit": {"type": "str"},
        "gc_threshold": {"type": "str", "default": "80%"},
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


def writing_job_argument_spec() -> t.Dict[str, t.Any]:
    """Those, and how to share a destination; documented in the doc fragment ``executor.writing_job``."""
    return {**job_argument_spec(), "lock_timeout": {"type": "float", "default": 0}}


def check(params: t.Mapping[str, t.Any]) -> None:
    """Raise ValueError or PriorityError for an option of a job that no host could take."""
    _performance.alerts({}, [], params["alerts"])
    priority.check(**params["priority"])
    memory(params)
    limits = {"lease": 1, "lock_timeout": 0, "timeout": 0, "sample_interval": 0, "progress_interval": 0}
    for name, least in limits.items():
        if params.get(name) is not None and not least <= params[name] < float("inf"):
            raise ValueError("%s: %g: give %d or more seconds" % (name, params[name], least))


def memory(params: t.Mapping[str, t.Any]) -> t.Tuple[int, float]:
    """The limit of memory in bytes, 0 for none, and the per cent of it from which on garbage is collected."""
    threshold = _units.parse_percentage(params["gc_threshold"], "gc_threshold")
    if not threshold:
        raise ValueError("gc_threshold: %r: give a percentage above 0" % params["gc_threshold"])
    limit = _units.parse_size(params["memory_limit"] or 0, "memory_limit")
    # Nothing runs in less.
    return limit and _units.parse_size(params["memory_limit"], "memory_limit", minimum=_units.MB), threshold


class Controller:
    """What the action plugin tells a module, as ``plugin_utils/engine_builds.py`` and ``executor_action.py`` say it.

    builds: the controller's engine per platform, with its sha256 and origin, and its path if local. named: the engine
    at go_binary_path; its platform is None where that cannot be told. local: whether the module runs where those paths
    are. notes: what was looked for in vain. deliver: whether a missing engine can be had for the asking. delivered:
    where it was put. job: id, wait (seconds, None for ever) and started_by of a job that is to be detached; None
    otherwise. far: how the engine on the managed host is reached from here, where the module runs on the controller.
    """

    def __init__(self, said: t.Optional[t.Mapping[str, t.Any]]) -> None:
        said = said or {}
        self.use_go_engine: t.Optional[bool] = said.get("use_go_engine")
        self.builds: t.Mapping[str, t.Mapping[str, str]] = said.get("builds") or {}
        self.named: t.Optional[t.Mapping[str, str]] = said.get("named")
        self.local = bool(said.get("local"))
        self.notes = tuple(said.get("notes") or ())
        self.deliver = bool(said.get("deliver"))
        self.delivered: t.Optional[str] = said.get("delivered")
        self.job: t.Optional[t.Mapping[str, t.Any]] = said.get("job")
        self.far: t.Optional[t.Mapping[str, t.Any]] = said.get("far")

    def build(self) -> t.Optional[t.Mapping[str, str]]:
        """The controller's engine for this host's platform: the named one before others."""
        platform = host_platform()
        if self.named is not None and self.named["platform"] in (None, platform):
            return self.named
        return self.builds.get(platform)


def wish(params: t.Mapping[str, t.Any], controller: Controller, notes: t.Sequence[str] = ()) -> Wish:
    """The executor that the task asks for, from its options and from what the controller knows."""
    platform = host_platform()
    found = [*notes, *controller.notes]
    if controller.named is not None and controller.named["platform"] not in (None, platform):
        found.append(
            "%s is for %s, this host is %s" % (controller.named["path"], controller.named["platform"], platform)
        )
    if controller.build() is None:
        found.append("the controller has no engine built for %s" % platform)
    executor, reason = _executor(params, controller)
    return Wish(
        executor=executor,
        reason=reason,
        fallback=bool(params.get("fallback_to_python", True)),
        candidates=tuple(_candidates(params, controller)),
        notes=tuple(found),
    )


def _candidates(params: t.Mapping[str, t.Any], controller: Controller) -> t.Iterator[Candidate]:
    builds = [controller.build(), controller.builds.get(host_platform())]
    for build in builds[: 1 if builds[0] is builds[1] else 2]:
        if build is not None:
            if controller.local:
                yield Candidate(build["path"], build["origin"], build["sha256"])
            yield from cache.candidates(build["sha256"])
    if params.get("_controller") is None and params.get("go_binary_path"):
        # Without the action plugin the module runs where the path is.
        yield Candidate(params["go_binary_path"], "go_binary_path")
    if controller.build() is None:
        yield from cache.candidates(None)


def _executor(params: t.Mapping[str, t.Any], controller: Controller) -> t.Tuple[str, str]:
    """The executor that is asked for, and by what."""
    executor = params.get("executor")
    if executor is not None:
        return executor, "the task says executor: %s" % executor
    wanted = controller.use_go_engine
    return "python" if wanted is False else "auto", "MIGRATION_USE_GO_ENGINE is %s" % str(wanted).lower()
