# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Compare a configuration with the schema."""

from __future__ import annotations

import re
import typing as t

from .. import _units
from . import schema
from .model import (
    KINDS,
    Key,
    ListOf,
    ModuleOptions,
    NamedValues,
    Node,
    Section,
    SettingsError,
    describe_type,
)
from .nearest import near_miss, nearest


class Leaf(t.NamedTuple):
    """A value that was given: its key in the schema, and what was read."""

    key: Key | ListOf
    value: t.Any


def validate(tree: t.Mapping[str, t.Any]) -> dict[str, Leaf]:
    """Every given value by its path, read by its kind: sizes in bytes, rates in bytes per second, seconds.

    A key without a value (null) counts as not given. Raises SettingsError with one line per problem.
    """
    checker = _Checker()
    for name, value in tree.items():
        section = schema.SECTIONS.get(name)
        if section is None:
            checker.problems.append(_unknown_section(name))
        else:
            checker.check(name, section, value)
    if not checker.problems:
        checker.problems.extend(_contradictions(checker.leaves))
    if checker.problems:
        raise SettingsError(checker.problems)
    return checker.leaves


def misspelt_sections(names: t.Iterable[str]) -> list[str]:
    """Problems of *names* that are slips of sections; other names are nobody's business."""
    found = ((name, near_miss(name, schema.SECTIONS)) for name in names if name not in schema.SECTIONS)
    return [f"{name}: unknown section; did you mean {meant}?" for name, meant in found if meant]


class _Checker:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.leaves: dict[str, Leaf] = {}

    def check(self, path: str, node: Node, value: t.Any) -> None:
        if value is None:
            return
        if isinstance(node, Key):
            self._value(path, node, value)
        elif isinstance(node, ListOf):
            self._list(path, node, value)
        elif not isinstance(value, t.Mapping):
            self.problems.append(f"{path}: must be a mapping of keys, not {describe_type(value)}")
        elif isinstance(node, Section):
            self._section(path, node, value)
        elif isinstance(node, NamedValues):
            self._named_values(path, node, value)
        else:
            self._module_options(path, node, value)

    def _value(self, path: str, key: Key, value: t.Any) -> None:
        if isinstance(value, (t.Mapping, list, tuple)):
            allowed = KINDS[key.kind].describe(key).replace("`", "")
            self.problems.append(f"{path}: must be one value ({allowed}), not {describe_type(value)}")
            return
        try:
            self.leaves[path] = Leaf(key, KINDS[key.kind].parse(value, path, key))
        except ValueError as exc:
            self.problems.append(str(exc))

    def _section(self, path: str, section: Section, value: t.Mapping[str, t.Any]) -> None:
        for name, item in value.items():
            child = section.keys.get(name)
            if child is None:
                self.problems.append(_unknown_key(path, str(name), section.keys))
            else:
                self.check(f"{path}.{name}", child, item)

    def _named_values(self, path: str, node: NamedValues, value: t.Mapping[str, t.Any]) -> None:
        for name, item in value.items():
            if re.match(node.pattern, str(name)) is None:
                self.problems.append(f"{path}: {_units.shown(name)} is not the name of an {node.names}")
            else:
                self.check(f"{path}.{name}", node.value, item)

    def _list(self, path: str, node: ListOf, value: t.Any) -> None:
        if not isinstance(value, (list, tuple)):
            self.problems.append(f"{path}: must be a list, not {describe_type(value)}")
            return
        for index, item in enumerate(value):
            if item is None:
                self.problems.append(f"{path}[{index}]: is empty")
            elif isinstance(node.item, Section):
                self.check(f"{path}[{index}]", node.item, item)
            else:
                # Judged, but not kept one by one: the list is one thing.
                judge = _Checker()
                judge.check(f"{path}[{index}]", node.item, item)
                self.problems.extend(judge.problems)
        if value and not isinstance(node.item, Section):
            self.leaves[path] = Leaf(node, list(value))

    def _module_options(self, path: str, node: ModuleOptions, value: t.Mapping[str, t.Any]) -> None:
        if node.names:
            for name in value:
                if name not in node.names:
                    self.problems.append(_unknown_key(path, str(name), node.names))
        for name in node.required:
            if value.get(name) is None:
                self.problems.append(f"{path}: {name} is missing")


def _unknown_section(name: str) -> str:
    meant = nearest(str(name), schema.SECTIONS)
    if meant is not None:
        return f"{name}: unknown section; did you mean {meant}?"
    hint = _elsewhere(str(name)) or f"known sections are {', '.join(schema.SECTIONS)}"
    return f"{name}: unknown section; {hint}"


def _unknown_key(path: str, name: str, known: t.Iterable[str]) -> str:
    meant = nearest(name, known)
    if meant is not None:
        return f"{path}.{name}: unknown key; did you mean {meant}?"
    hint = _elsewhere(name) or f"known keys are {', '.join(sorted(known))}"
    return f"{path}.{name}: unknown key; {hint}"


def _elsewhere(name: str) -> str | None:
    """A right key in a wrong place."""
    places = [entry.path for entry in schema.entries() if entry.path.rpartition(".")[2] == name]
    return f"did you mean {' or '.join(places)}?" if 0 < len(places) <= 3 else None


def _contradictions(leaves: t.Mapping[str, Leaf]) -> t.Iterator[str]:
    """Values that are right one by one, but not together."""
    small, medium = (f"migration_methods.thresholds.{name}" for name in ("small", "medium"))
    small_limit, medium_limit = _size_or_default(leaves, small), _size_or_default(leaves, medium)
    if small_limit > medium_limit:
        yield f"{small}: {_units.size_text(small_limit)} is above {medium}, {_units.size_text(medium_limit)}"
    distribution = "benchmarking.scenarios.mixed_workload.size_distribution"
    parts = [f"{distribution}.{name}" for name in ("small", "medium", "large")]
    shares = [leaves[part].value for part in parts if part in leaves]
    if len(shares) == len(parts) and abs(sum(shares) - 100) > 0.01:
        yield f"{distribution}: small, medium and large are {sum(shares):g}% together; give 100%"


def _size_or_default(leaves: t.Mapping[str, Leaf], path: str) -> int:
    size = leaves[path].value if path in leaves else _units.parse_size(schema.keys()[path].default, path)
    return int(size)
