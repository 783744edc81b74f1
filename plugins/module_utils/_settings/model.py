# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Words to write the schema of the configuration in."""

from __future__ import annotations

import dataclasses
import typing as t

from .. import _units
from .._units import Target

Consumers = t.Union[str, t.Tuple[str, ...]]


class SettingsError(ValueError):
    """A configuration that cannot be used; one line for each problem."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclasses.dataclass(frozen=True)
class Key:
    """One value.

    kind: how it is read, see KINDS. default: in the notation of the configuration; None where another key or
    the module decides. consumer: the options 'module.option' that it feeds. minimum, maximum: in the unit
    of the kind.
    """

    kind: str
    meaning: str
    default: t.Any = None
    consumer: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """A mapping with known keys."""

    meaning: str
    keys: t.Mapping[str, Node]


@dataclasses.dataclass(frozen=True)
class NamedValues:
    """A mapping whose keys the user names; *pattern* says which names there can be, *names* what they are."""

    meaning: str
    names: str
    pattern: str
    value: Key


@dataclasses.dataclass(frozen=True)
class ListOf:
    """A list of alike items."""

    meaning: str
    item: Key | Section | ModuleOptions
    consumer: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModuleOptions:
    """A mapping of options of *module*, which judges their values itself.

    *names* is empty where the module is yet to come; then any option passes.
    """

    module: str
    names: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()


Node = t.Union[Key, Section, NamedValues, ListOf, ModuleOptions]


def boolean(meaning: str, default: bool | None = None, consumer: Consumers = ()) -> Key:
    return Key("boolean", meaning, default, _consumers(consumer))


def choice(meaning: str, default: str | None, choices: t.Sequence[str], consumer: Consumers = ()) -> Key:
    return Key("choice", meaning, default, _consumers(consumer), choices=tuple(choices))


def text(meaning: str, default: str | None = None, consumer: Consumers = ()) -> Key:
    return Key("text", meaning, default, _consumers(consumer))


def count(
    meaning: str,
    default: int | None = None,
    consumer: Consumers = (),
    minimum: int = 1,
    maximum: int = _units.LARGEST,
) -> Key:
    return Key("count", meaning, default, _consumers(consumer), minimum=minimum, maximum=maximum)


def size(
    meaning: str,
    default: str | None = None,
    consumer: Consumers = (),
    minimum: int = 1,
    maximum: int = _units.LARGEST,
) -> Key:
    return Key("size", meaning, default, _consumers(consumer), minimum=minimum, maximum=maximum)


def duration(meaning: str, default: int | str | None = None, consumer: Consumers = (), minimum: float = 0) -> Key:
    return Key("duration", meaning, default, _consumers(consumer), minimum=minimum)


def percentage(meaning: str, default: str | None = None, consumer: Consumers = ()) -> Key:
    return Key("percentage", meaning, default, _consumers(consumer))


def _consumers(consumer: Consumers) -> tuple[str, ...]:
    return (consumer,) if isinstance(consumer, str) else consumer


class Kind(t.NamedTuple):
    """How one kind of value is read, described, and written as an option of a module."""

    parse: t.Callable[[t.Any, str, Key], t.Any]
    describe: t.Callable[[Key], str]
    option: t.Callable[[t.Any], t.Any] = lambda value: value


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def parse_boolean(value: t.Any, path: str) -> bool:
    """true or false, also as the texts that Ansible takes for them; ValueError otherwise."""
    if isinstance(value, bool):
        return value
    known = _BOOLEANS.get(str(value).strip().lower()) if isinstance(value, (str, int)) else None
    if known is None:
        raise ValueError(f"{path}: {_units.shown(value)} is not a boolean; give true or false")
    return known


def _parse_choice(value: t.Any, path: str, key: Key) -> str:
    if not isinstance(value, str) or value not in key.choices:
        raise ValueError(f"{path}: {_units.shown(value)} is unknown; give one of {', '.join(key.choices)}")
    return str(value)


def _parse_text(value: t.Any, path: str, _key: Key) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{path}: {_units.shown(value)} is not a text; give one in quotes")
    return str(value)


def _parse_number(value: t.Any, path: str, key: Key) -> float:
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not (key.minimum or 0) < number < float("inf"):
        raise ValueError(f"{path}: {_units.shown(value)} is not a number above {key.minimum or 0:g}")
    return number


def _parse_scalar(value: t.Any, path: str, _key: Key) -> t.Any:
    if not isinstance(value, (str, bool, int, float)):
        raise ValueError(f"{path}: must be a text, a number or a boolean, not {describe_type(value)}")
    return value


def _parse_target(value: t.Any, path: str, parse: t.Callable[[t.Any, str], float], operator: str) -> dict[str, t.Any]:
    return dict(_units.parse_target(value, path, parse, operator)._asdict())


def _least(key: Key) -> int:
    return int(key.minimum or 0)


def _most(key: Key) -> int:
    return _units.LARGEST if key.maximum is None else int(key.maximum)


def _describe_range(word: str, key: Key, write: t.Callable[[float], str]) -> str:
    least = write(_least(key)) if _least(key) > 1 else ""
    most = write(_most(key)) if _most(key) < _units.LARGEST else ""
    if least and most:
        return f"{word}, {least} to {most}"
    if most:
        return f"{word}, at most {most}"
    return f"{word}, at least {least}" if least else word


def _describe_count(key: Key) -> str:
    if _most(key) < _units.LARGEST:
        return f"whole number, {_least(key)} to {_most(key)}"
    return f"whole number, {_least(key)} or more"


def _whole_if_possible(number: float) -> float:
    return int(number) if number == int(number) else number


KINDS: dict[str, Kind] = {
    "boolean": Kind(lambda value, path, key: parse_boolean(value, path), lambda key: "true or false"),
    "choice": Kind(_parse_choice, lambda key: "one of " + ", ".join(f"`{item}`" for item in key.choices)),
    "text": Kind(_parse_text, lambda key: "text"),
    "number": Kind(_parse_number, lambda key: f"number above {key.minimum or 0:g}"),
    "scalar": Kind(_parse_scalar, lambda key: "text, number or boolean"),
    "count": Kind(
        lambda value, path, key: _units.parse_count(value, path, _least(key), _most(key)),
        _describe_count,
    ),
    "size": Kind(
        lambda value, path, key: _units.parse_size(value, path, _least(key), _most(key)),
        lambda key: _describe_range("size", key, _units.size_text),
        _units.size_text,
    ),
    "rate": Kind(
        lambda value, path, key: _units.parse_rate(value, path),
        lambda key: "rate; a bare number is in bytes per second",
        _units.rate_text,
    ),
    "rate in MB/s": Kind(
        lambda value, path, key: _units.parse_rate(value, path, bare="MB"),
        lambda key: "rate; a bare number is in MB/s",
        _units.rate_text,
    ),
    "percentage": Kind(
        lambda value, path, key: _units.parse_percentage(value, path),
        lambda key: "percentage",
        _units.percentage_text,
    ),
    "duration": Kind(
        lambda value, path, key: _units.parse_duration(value, path, key.minimum or 0),
        lambda key: "duration; a bare number is in seconds",
        _whole_if_possible,
    ),
    "rate target": Kind(
        lambda value, path, key: _parse_target(value, path, _units.parse_rate, ">="),
        lambda key: "rate; `<`, `<=`, `>` or `>=` may stand before it, `>=` otherwise",
    ),
    "size target": Kind(
        lambda value, path, key: _parse_target(value, path, _units.parse_size, "<"),
        lambda key: "size; `<`, `<=`, `>` or `>=` may stand before it, `<` otherwise",
    ),
    "percentage target": Kind(
        lambda value, path, key: _parse_target(value, path, _units.parse_percentage, "<"),
        lambda key: "percentage; `<`, `<=`, `>` or `>=` may stand before it, `<` otherwise",
    ),
}


def describe_type(value: t.Any) -> str:
    """What *value* is, without showing it: it may hold a secret."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, t.Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"


__all__ = [
    "KINDS",
    "Key",
    "ListOf",
    "ModuleOptions",
    "NamedValues",
    "Node",
    "Section",
    "SettingsError",
    "Target",
    "boolean",
    "choice",
    "count",
    "describe_type",
    "duration",
    "parse_boolean",
    "percentage",
    "size",
    "text",
]
