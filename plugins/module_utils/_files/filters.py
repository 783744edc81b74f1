# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rsync's filter rules, as regular expressions that the executors match against whole paths.

The expressions use only what Go's RE2 and Python's re read alike. A character is a character here, where rsync
matches bytes: ``?`` matches one letter of any alphabet.
"""

from __future__ import annotations

import re
import typing as t

from . import wildcards
from .preflight import FileSyncError
from .wildcards import ANYTHING

Filter = t.Dict[str, t.Any]

_ACTIONS = {
    "+": "include",
    "include": "include",
    "-": "exclude",
    "exclude": "exclude",
    "H": "hide",
    "hide": "hide",
    "S": "show",
    "show": "show",
    "P": "protect",
    "protect": "protect",
    "R": "risk",
    "risk": "risk",
}
_CLEAR = ("!", "clear")
_MERGE = (".", ":", "merge", "dir-merge")
# An absolute rule looks at the path on each side, and so becomes one filter for each.
_SIDES = {"include": ("show", "risk"), "exclude": ("hide", "protect")}
_EVERYWHERE = "(?:" + ANYTHING + "/)?"


def parse(
    rules: t.Iterable[str], source: t.Optional[str] = None, destination: t.Optional[str] = None
) -> t.List[Filter]:
    """The rules as filters of a job: a list of {action, regex, directories_only, rule}.

    source and destination are only needed for rules with the modifier ``/``, which match absolute paths; without a
    destination nothing is said of it. Raises FileSyncError for a rule that cannot be read or is not supported.
    """
    filters: t.List[Filter] = []
    for rule, line in _lines(rules):
        word, modifiers, pattern = _split(line)
        if word in _CLEAR:
            if pattern or modifiers:
                raise _error(rule, "'%s' clears the rules before it and takes no pattern" % word)
            filters.clear()
            continue
        action = _action(rule, word, modifiers)
        if not pattern:
            raise _error(rule, "it has no pattern")
        if "/" in modifiers:
            filters.extend(_absolute(rule, action, pattern, source, destination))
        else:
            filters.extend(_filter(rule, action, *expression) for expression in _translate(rule, pattern))
    return filters


def for_rsync(rules: t.Sequence[str], source: str, destination: str) -> t.List[str]:
    """The rules in the words of rsync, which reads them itself. Raises FileSyncError where parse does."""
    parse(rules, source, destination)
    return [line for _rule, line in _lines(rules)]


def _lines(rules: t.Iterable[str]) -> t.Iterator[t.Tuple[str, str]]:
    """Each rule as it was given, and as it is read. Comments and empty ones say nothing."""
    for rule in rules:
        if not isinstance(rule, str):
            raise _error(rule, "give each rule as a string, such as '- *.tmp'")
        # A YAML block scalar ends in a newline.
        line = rule.rstrip("\n")
        if line.strip() and not line.startswith("#"):
            yield rule, line


def _split(line: str) -> t.Tuple[str, str, str]:
    """Word, modifiers and pattern. One space or underscore stands between; further ones belong to the pattern."""
    for word in sorted(_ACTIONS.keys() | set(_CLEAR) | set(_MERGE), key=len, reverse=True):
        if not line.startswith(word):
            continue
        rest = line[len(word) :]
        if len(word) > 1 and rest[:1] not in ("", " ", "_", ","):
            continue
        if rest.startswith(","):
            rest = rest[1:]
        end = min((rest.index(mark) for mark in " _" if mark in rest), default=len(rest))
        return word, rest[:end], rest[end + 1 :]
    return "", "", line


def _action(rule: str, word: str, modifiers: str) -> str:
    if word in _MERGE:
        raise _error(rule, "rules from files are not supported; list them here")
    if word not in _ACTIONS:
        raise _error(rule, "begin it with +, -, H, S, P or R, or with the word for it, and a space")
    unsupported = modifiers.replace("/", "")
    if unsupported:
        raise _error(rule, "the modifier '%s' is not supported; only / is" % unsupported[0])
    return _ACTIONS[word]


def _filter(rule: str, action: str, regex: str, directories_only: bool) -> Filter:
    return {"action": action, "regex": regex, "directories_only": directories_only, "rule": rule.rstrip("\n")}


_Expression = t.Tuple[str, bool]


class _Pattern(t.NamedTuple):
    """A pattern taken apart: its tokens without a leading and a trailing slash."""

    tokens: t.List[str]
    anchored: bool
    directories_only: bool


def _read(rule: str, pattern: str) -> _Pattern:
    directories_only = len(pattern) > 1 and pattern.endswith("/")
    anchored = pattern.startswith("/")
    try:
        tokens = wildcards.read(pattern)
    except ValueError as exc:
        raise _error(rule, str(exc)) from exc
    return _Pattern(tokens[anchored : len(tokens) - directories_only], anchored, directories_only)


def _translate(rule: str, pattern: str) -> t.List[_Expression]:
    """One expression, or two where a directory and what is in it match differently."""
    tokens, anchored, directories_only = _read(rule, pattern)
    if pattern.endswith("/***") and len(tokens) > 1:
        # The directory, but no file of its name, and all that is in it.
        return [(_place(tokens[:-2], anchored), True), (_place(tokens, anchored), directories_only)]
    return [(_place(tokens, anchored), directories_only)]


def _place(tokens: t.List[str], anchored: bool) -> str:
    """The expression of the whole path: where in it the tokens may stand."""
    if not anchored and tokens[:1] == [ANYTHING]:
        # Matched against the path with a slash before it.
        anchored = tokens[1:2] != ["/"]
        tokens = tokens if anchored else tokens[2:]
    return ("" if anchored else _EVERYWHERE) + "".join(tokens)


def _absolute(
    rule: str, action: str, pattern: str, source: t.Optional[str], destination: t.Optional[str]
) -> t.Iterator[Filter]:
    if source is None:
        raise _error(rule, "the modifier / is not supported here, where no directories are given")
    if not pattern.startswith("/"):
        raise _error(rule, "with the modifier / the pattern must begin with a slash")
    on_source, on_destination = _SIDES.get(action, (action, action))
    if action not in ("protect", "risk"):
        for regex, directories_only in _below(rule, pattern, source):
            yield _filter(rule, on_source, regex, directories_only)
    if action not in ("hide", "show") and destination is not None:
        for regex, directories_only in _below(rule, pattern, destination):
            yield _filter(rule, on_destination, regex, directories_only)


def _below(rule: str, pattern: str, root: str) -> t.List[_Expression]:
    """What an absolute pattern means below a root: nothing, or the part that is left after the root's own path."""
    parts = pattern.split("/")[1:]
    names = [name for name in root.split("/") if name]
    for part, name in zip(parts, names):
        if "**" in part:
            raise _error(rule, "** in the path of a directory itself is not supported with the modifier /")
        if not re.fullmatch("".join(_read(rule, part).tokens), name):
            return []
    if len(parts) <= len(names):
        return []
    return _translate(rule, "/" + "/".join(parts[len(names) :]))


def _error(rule: t.Any, message: str) -> FileSyncError:
    return FileSyncError("filters", rule, message)
