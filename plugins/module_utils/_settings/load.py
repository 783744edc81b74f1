# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Read a configuration file.

YAML, with one addition: a key that stands twice in a mapping is merged instead of lost, since the guide
writes one section in two places.
"""

from __future__ import annotations

import typing as t

from .model import SettingsError

_MAPPING_TAG = "tag:yaml.org,2002:map"
_SEQUENCE_TAG = "tag:yaml.org,2002:seq"
_MERGE_TAG = "tag:yaml.org,2002:merge"
# Far more than any configuration needs; aliases of aliases grow without bound.
_MOST_NODES = 100000


class Loaded(t.NamedTuple):
    """The mapping of a file, and what its author may want to know about it."""

    tree: dict[str, t.Any]
    notes: list[str]


def load_file(path: str, name: str | None = None) -> Loaded:
    """Read the file *path*, called *name* in messages. Raises SettingsError."""
    name = name or path
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as exc:
        raise SettingsError([f"{name}: unable to read the configuration: {exc.strerror}"]) from exc
    try:
        return load_text(content.decode("utf-8-sig"), name)
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise SettingsError([f"{name}, line {line}: not valid UTF-8"]) from exc


def load_text(content: str, name: str) -> Loaded:
    """Read YAML that holds one mapping, or nothing. Raises SettingsError with the number of the line."""
    import yaml

    try:
        loader = yaml.SafeLoader(content)
        try:
            root = loader.get_single_node()
            builder = _Builder(loader, name)
            tree = builder.build(root, "") if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        raise SettingsError([_marked(name, exc)]) from exc
    except yaml.reader.ReaderError as exc:
        line = content.count("\n", 0, exc.position) + 1
        raise SettingsError([f"{name}, line {line}: not valid YAML: {exc.reason}"]) from exc
    except RecursionError as exc:
        raise SettingsError([f"{name}: not usable: nested too deeply"]) from exc
    if tree is None:
        return Loaded({}, [])
    if not isinstance(tree, dict):
        raise SettingsError([f"{name}, line 1: must be a mapping of sections such as 'performance:'"])
    return Loaded(tree, builder.notes)


def _marked(name: str, exc: t.Any) -> str:
    mark = exc.problem_mark or exc.context_mark
    place = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
    problem = exc.problem or exc.context or "unreadable"
    if "!vault" in problem:
        problem = "!vault is not supported inside; encrypt the whole file, or name a variable that is encrypted"
    return f"{place}: not valid YAML: {problem}"


class _Twice(t.NamedTuple):
    """One occurrence of a key."""

    line: int
    node: t.Any


class _Builder:
    """Turns PyYAML's nodes into Python values."""

    def __init__(self, loader: t.Any, name: str) -> None:
        self._loader = loader
        self._name = name
        self._open: set[int] = set()
        self._count = 0
        self.notes: list[str] = []

    def build(self, node: t.Any, path: str) -> t.Any:
        self._count += 1
        if self._count > _MOST_NODES:
            raise SettingsError([f"{self._name}: not usable: more than {_MOST_NODES} values"])
        if id(node) in self._open:
            raise SettingsError([f"{self._place(node)}: an alias contains itself"])
        self._open.add(id(node))
        try:
            if node.tag == _MAPPING_TAG and node.id == "mapping":
                return self._mapping([node], path)
            if node.tag == _SEQUENCE_TAG and node.id == "sequence":
                return [self.build(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, nodes: t.Sequence[t.Any], path: str) -> dict[str, t.Any]:
        """One mapping of all *nodes*: those of one key, in the order in which they stand."""
        inherited: dict[str, t.Any] = {}
        own: dict[str, list[_Twice]] = {}
        for node in nodes:
            for key_node, value_node in node.value:
                if key_node.tag == _MERGE_TAG:
                    for name, value in self._merge_key(value_node, path).items():
                        inherited.setdefault(name, value)
                    continue
                occurrence = _Twice(key_node.start_mark.line + 1, value_node)
                own.setdefault(self._key(key_node), []).append(occurrence)
        result = {name: self._value(found, f"{path}.{name}" if path else name) for name, found in own.items()}
        for name, value in inherited.items():
            result.setdefault(name, value)
        return result

    def _value(self, found: t.Sequence[_Twice], path: str) -> t.Any:
        if len(found) == 1:
            return self.build(found[0].node, path)
        if all(occurrence.node.tag == _MAPPING_TAG for occurrence in found):
            return self._mapping([occurrence.node for occurrence in found], path)
        values = [self.build(occurrence.node, path) for occurrence in found]
        if any(value != values[-1] for value in values):
            lines = ", ".join(str(occurrence.line) for occurrence in found)
            self.notes.append(f"{path} stands in lines {lines} of {self._name}; the last one counts")
        return values[-1]

    def _merge_key(self, node: t.Any, path: str) -> dict[str, t.Any]:
        """What '<<: *anchor' brings; the mapping's own keys take precedence as a whole."""
        sources = node.value if node.id == "sequence" else [node]
        merged: dict[str, t.Any] = {}
        for source in sources:
            value = self.build(source, path)
            if not isinstance(value, dict):
                raise SettingsError([f"{self._place(node)}: << must name a mapping"])
            for name, item in value.items():
                merged.setdefault(name, item)
        return merged

    def _key(self, node: t.Any) -> str:
        key = self._scalar(node)
        if not isinstance(key, str):
            raise SettingsError([f"{self._place(node)}: the key {node.value} must be a text; put it in quotes"])
        return key

    def _scalar(self, node: t.Any) -> t.Any:
        if node.id != "scalar":
            raise SettingsError([f"{self._place(node)}: a {node.id} cannot stand here"])
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError) as exc:
            # Such as the date 2024-99-99.
            raise SettingsError([f"{self._place(node)}: not valid YAML: {exc}"]) from exc

    def _place(self, node: t.Any) -> str:
        return f"{self._name}, line {node.start_mark.line + 1}"
