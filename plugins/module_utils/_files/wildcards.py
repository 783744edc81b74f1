# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wildcards of rsync's patterns, as pieces of regular expressions."""

from __future__ import annotations

import typing as t

ANYTHING = "(?s:.*)"
_IN_NAME = "[^/]*"
_ONE = "[^/]"
_LAST = 0x10FFFF

_Ranges = t.List[t.Tuple[int, int]]


def _ranges(*spans: str) -> _Ranges:
    return [(ord(span[0]), ord(span[-1])) for span in spans]


# As in the C locale, which rsync's own matcher assumes.
_CLASSES: t.Dict[str, _Ranges] = {
    "alnum": _ranges("az", "AZ", "09"),
    "alpha": _ranges("az", "AZ"),
    "blank": _ranges(" ", "\t"),
    "cntrl": _ranges("\x00\x1f", "\x7f"),
    "digit": _ranges("09"),
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/", ":@", "[`", "{~"),
    "space": _ranges("\t\r", " "),
    "upper": _ranges("AZ"),
    "xdigit": _ranges("09", "af", "AF"),
}


def read(pattern: str) -> t.List[str]:
    """The expressions of a pattern's tokens in their order; a slash is always a token of its own.

    Raises ValueError, with what is wrong, for a pattern that could never match.
    """
    try:
        pattern.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ValueError("it is not valid UTF-8; put a ? for each such character") from exc
    if not any(mark in pattern for mark in "*?["):
        # Without wildcards a backslash is an ordinary character.
        return [_literal(character) for character in pattern]
    tokens: t.List[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        end = position + 1
        if character == "*":
            while pattern[end : end + 1] == "*":
                end += 1
            tokens.append(_IN_NAME if end - position == 1 else ANYTHING)
        elif character == "?":
            tokens.append(_ONE)
        elif character == "[":
            token, end = _bracket(pattern, position)
            tokens.append(token)
        elif character == "\\":
            if end == len(pattern):
                raise ValueError("a backslash ends the pattern")
            tokens.append(_literal(pattern[end]))
            end += 1
        else:
            tokens.append(_literal(character))
        position = end
    return tokens


def _literal(character: str) -> str:
    """The expression of one character. RE2 takes a backslash before punctuation, but before no letter or digit."""
    if character == "/" or character == "_" or character.isalnum() or not character.isascii():
        return character
    return "\\" + character


def _bracket(pattern: str, start: int) -> t.Tuple[str, int]:
    """The expression of the class that begins at ``start``, and the position after it. None matches a slash."""
    position = start + 1
    negated = pattern[position : position + 1] in ("!", "^")
    position += negated
    first = position
    found: _Ranges = []
    while pattern[position : position + 1] != "]" or position == first:
        if pattern.startswith("[:", position):
            close = pattern.find(":]", position)
            name = pattern[position + 2 : close] if close > 0 else ""
            if name not in _CLASSES:
                raise ValueError("it has an unknown class of characters; known are %s" % ", ".join(sorted(_CLASSES)))
            found.extend(_CLASSES[name])
            position = close + 2
            continue
        low, position = _member(pattern, position)
        high = low
        if pattern[position : position + 1] == "-" and pattern[position + 1 : position + 2] not in ("]", ""):
            high, position = _member(pattern, position + 1)
        # The first character counts even where the range is upside down.
        found.append((low, max(low, high)))
    return _class(found, negated), position + 1


def _member(pattern: str, position: int) -> t.Tuple[int, int]:
    if pattern[position : position + 1] == "\\":
        position += 1
    if position >= len(pattern):
        raise ValueError("a [ has no ] after it")
    return ord(pattern[position]), position + 1


def _class(found: _Ranges, negated: bool) -> str:
    slash = ord("/")
    kept: _Ranges = [(slash, slash)] if negated else []
    for low, high in found:
        for start, end in ((low, min(high, slash - 1)), (max(low, slash + 1), high)):
            if start <= end:
                kept.append((start, end))
    if not kept:
        # Nothing at all, such as [/].
        return "[^%s-%s]" % ("\\x00", chr(_LAST))
    body = "".join(_span(start, end) for start, end in kept)
    return "[%s%s]" % ("^" if negated else "", body)


def _span(start: int, end: int) -> str:
    return _literal(chr(start)) if start == end else "%s-%s" % (_literal(chr(start)), _literal(chr(end)))
