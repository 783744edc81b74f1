# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""From a configuration to options of modules: task option, then configuration, then environment, then default."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from . import schema
from .model import KINDS, Key, ListOf, parse_boolean
from .precedence import PLACES
from .validate import Leaf, validate

MODULES = ("file_sync", "file_checksum", "database_migrate", "transfer_plan")
ENVIRONMENT_SWITCH = "MIGRATION_USE_GO_ENGINE"
_FROM_CONFIGURATION = "configuration: "
_EXECUTORS = {True: "auto", False: "python"}
# What a switch that is off means for the option that it feeds; one that is on leaves it to the next place.
_OFF = {
    "monitoring.metrics.enabled": 0,
    "memory_optimization.memory_monitoring": "0",
    "memory_optimization.streaming.enabled": "256KB",
    "network_optimization.tcp_optimization.keep_alive": 0,
    "network_optimization.keep_alive": 0,
    "transfer_methods.server_to_server.compression": "none",
    "network_optimization.compression.enabled": "none",
}
# A general switch that is not asked where the special one is given.
_OVERRULED = {
    "network_optimization.compression.enabled": "transfer_methods.server_to_server.compression",
    "network_optimization.keep_alive": "network_optimization.tcp_optimization.keep_alive",
}
_LISTS = ("files", "databases", "uploads", "before", "after")
# The method of those trees that go between two hosts.
_BETWEEN_HOSTS = "transfer_methods.server_to_server.method"
_SIDES = ("source", "destination")


class Resolved(t.NamedTuple):
    """The value of an option, None for none, and where it comes from."""

    value: t.Any
    origin: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """A configuration that was found valid.

    sections: as given, without those that are empty. migration: its lists, absent ones empty.
    leaves: every given value by its path.
    """

    sections: t.Mapping[str, t.Any]
    migration: t.Mapping[str, list[t.Any]]
    leaves: t.Mapping[str, Leaf]
    notes: t.Sequence[str] = ()

    @property
    def not_yet_used(self) -> list[str]:
        """Paths of the values that were given and have no effect in this version."""
        return [path for path, leaf in self.leaves.items() if not leaf.key.consumer]


def read(tree: t.Mapping[str, t.Any], notes: t.Sequence[str] = ()) -> Settings:
    """The settings of a mapping of sections. Raises SettingsError."""
    leaves = validate(tree)
    given = {name: value for name, value in tree.items() if value is not None and name != "migration"}
    migration = tree.get("migration") or {}
    lists = {name: list(migration.get(name) or ()) for name in _LISTS}
    if _BETWEEN_HOSTS in leaves:
        lists["files"] = [_with_method(item, leaves[_BETWEEN_HOSTS].value) for item in lists["files"]]
    return Settings(given, lists, leaves, tuple(notes))


def _with_method(item: t.Mapping[str, t.Any], method: str) -> t.Mapping[str, t.Any]:
    """A tree with the method for two hosts, if it goes between two and has none of its own."""
    between = item.get("direction") in ("push", "pull") or any("://" in str(item[side]) for side in _SIDES)
    return {"method": method, **item} if between else item


def resolve(
    settings: Settings,
    module: str,
    environment: t.Mapping[str, str] | None = None,
    task_options: t.Mapping[str, t.Any] | None = None,
) -> dict[str, Resolved]:
    """Value and origin of every option of *module* that a configuration can give.

    Options of an option are written with a dot: preserve.permissions. *task_options* are what a task gives
    itself, in that notation. Raises ValueError for an environment that cannot be used.
    """
    given = {option: value for option, value in (task_options or {}).items() if value is not None}
    resolved = {}
    for option in _options(module):
        if option in given:
            resolved[option] = Resolved(given[option], "task option")
        else:
            resolved[option] = _resolve(settings, module, option, environment)
    return resolved


def module_defaults(
    settings: Settings, module: str, environment: t.Mapping[str, str] | None = None
) -> dict[str, t.Any]:
    """Options of *module* that the configuration or the environment gives, nested as the module takes them.

    What neither gives is absent, so that the module's own default holds.
    """
    defaults: dict[str, t.Any] = {}
    for option, resolved in resolve(settings, module, environment).items():
        if resolved.origin == "default":
            continue
        inner = defaults
        *parents, last = option.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = resolved.value
    return defaults


def superseded(settings: Settings) -> list[str]:
    """One line for every given value without effect, because another key gives the same figure and wins. One that has
    an effect on another module names the module on which it has none."""
    resolved = {f"{module}.{name}": each for module in MODULES for name, each in resolve(settings, module).items()}
    winners = {each.origin[len(_FROM_CONFIGURATION) :] for each in resolved.values()}
    lines = []
    for option, each in resolved.items():
        winner = each.origin[len(_FROM_CONFIGURATION) :]
        module, _dot, name = option.partition(".")
        for path in itertools.chain(*places_of(option)):
            leaf = settings.leaves.get(path)
            if leaf and path != winner and _as_option(path, leaf.key, leaf.value) not in (None, each.value):
                where = f" for {module}" if path in winners else ""
                lines.append(f"{path} gives way to {winner}{where}" if winner else f"{path} has no effect on {name}")
    return list(dict.fromkeys(lines))


def _resolve(settings: Settings, module: str, option: str, environment: t.Mapping[str, str] | None) -> Resolved:
    places = places_of(f"{module}.{option}")
    if option == "compression_level":
        # A level is one of the kind that is compressed by.
        compression = _resolve(settings, module, "compression", {})
        if compression.value in ("auto", "none"):
            return Resolved(None, "default")
        if compression.origin != _FROM_CONFIGURATION + "go_operations.compression.algorithm":
            places = tuple(tier for tier in places if "go_operations.compression.level" not in tier)
    for tier in places:
        found = [(path, leaf) for path, leaf in ((path, _leaf(settings, path)) for path in tier) if leaf is not None]
        if not found or _OVERRULED.get(found[0][0]) in settings.leaves:
            continue
        path, leaf = max(found, key=lambda item: t.cast(float, item[1].value)) if len(found) > 1 else found[0]
        value = _as_option(path, leaf.key, leaf.value)
        if value is not None:
            return Resolved(value, _FROM_CONFIGURATION + path)
    if option == "executor":
        switch = (environment or {}).get(ENVIRONMENT_SWITCH, "").strip()
        if switch:
            return Resolved(_EXECUTORS[parse_boolean(switch, ENVIRONMENT_SWITCH)], f"environment: {ENVIRONMENT_SWITCH}")
    return Resolved(_default(places), "default")


def _leaf(settings: Settings, path: str) -> Leaf | None:
    """What is given at a path: where the user names the keys, all of them as one mapping."""
    parent, bracket, _names = path.partition("<")
    if not bracket:
        return settings.leaves.get(path)
    named = {name[len(parent) :]: leaf for name, leaf in settings.leaves.items() if name.startswith(parent)}
    if not named:
        return None
    return Leaf(next(iter(named.values())).key, {name: leaf.value for name, leaf in named.items()})


def places_of(option: str) -> tuple[tuple[str, ...], ...]:
    """The keys that feed 'module.option', the most specific one first."""
    return PLACES.get(option) or tuple((path,) for path, key in schema.keys().items() if option in key.consumer)


def _options(module: str) -> list[str]:
    """Options of *module* that some key feeds, in the order of the schema."""
    prefix = module + "."
    names = [
        consumer[len(prefix) :]
        for key in schema.keys().values()
        for consumer in key.consumer
        if consumer.startswith(prefix)
    ]
    return list(dict.fromkeys(names))


def _default(places: t.Sequence[t.Sequence[str]]) -> t.Any:
    """The default of the most general place that has one."""
    keys = schema.keys()
    for tier in reversed(places):
        for path in tier:
            key = keys[path]
            if key.default is not None:
                value = _as_option(path, key, KINDS[key.kind].parse(key.default, path, key))
                if value is not None:
                    return value
    return None


def _as_option(path: str, key: Key | ListOf, value: t.Any) -> t.Any:
    """*value* of the key *path* in the notation of the option that it feeds; None if it leaves it open."""
    if path in _OFF:
        return None if value else _OFF[path]
    if path.endswith(".use_go_engine"):
        return _EXECUTORS[value]
    return KINDS[key.kind].option(value) if isinstance(key, Key) else value
