# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Checks for untrusted JSON values: types, ranges, unknown keys. Every failure is a ``bad_job`` naming the key."""

from __future__ import annotations

import math
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ._errors import JobError

Check = Callable[[Any, str], Any]


class Field(NamedTuple):
    """One key of an object: how to check it, and what stands for it when it is absent."""

    check: Check
    default: Any = None
    required: bool = False


def bad_job(message: str) -> JobError:
    return JobError("bad_job", message)


def read_object(value: Any, where: str, fields: Dict[str, Field]) -> Dict[str, Any]:
    """Return ``value`` checked and with all defaults filled in; ``where`` is its name in messages, such as ``job``."""
    if not isinstance(value, dict):
        raise bad_job("%s must be an object" % where)
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise bad_job("%s has the unknown key %s; known are %s" % (where, unknown[0], ", ".join(sorted(fields))))
    result: Dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            result[name] = field.check(value[name], "%s.%s" % (where, name))
        elif field.required:
            raise bad_job("%s lacks the key %s" % (where, name))
        else:
            result[name] = field.default
    return result


def boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise bad_job("%s must be true or false" % where)
    return value


def integer(minimum: int = 0, maximum: Optional[int] = None) -> Check:
    allowed = "an integer of at least %d" % minimum
    if maximum is not None:
        allowed = "an integer from %d to %d" % (minimum, maximum)

    def check(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad_job("%s must be %s" % (where, allowed))
        if value < minimum or (maximum is not None and value > maximum):
            raise bad_job("%s is %d; it must be %s" % (where, value, allowed))
        return value

    return check


def number(minimum: float = 0, exclusive: bool = False, most: float = math.inf) -> Check:
    """A finite number of at least ``minimum``, or above it when ``exclusive``, and of at most ``most``."""
    allowed = "a number %s %g" % ("above" if exclusive else "of at least", minimum)
    allowed += " and at most %g" % most if most < math.inf else ""

    def check(value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise bad_job("%s must be %s" % (where, allowed))
        # Written so that NaN fails too.
        if not (minimum < value if exclusive else minimum <= value) or value == math.inf or value > most:
            raise bad_job("%s is %g; it must be %s" % (where, value, allowed))
        return value

    return check


def text(minimum: int = 0, pattern: Optional[str] = None) -> Check:
    expression = re.compile(pattern) if pattern else None

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise bad_job("%s must be a string" % where)
        if len(value) < minimum:
            raise bad_job("%s must not be empty" % where)
        if expression and not expression.fullmatch(value):
            raise bad_job("%s must match %s" % (where, pattern))
        return value

    return check


def choice(*values: str) -> Check:
    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in values:
            raise bad_job("%s must be one of %s" % (where, ", ".join(values)))
        return value

    return check


def optional(inner: Check) -> Check:
    """``null`` or what ``inner`` allows."""

    def check(value: Any, where: str) -> Any:
        return None if value is None else inner(value, where)

    return check


def list_of(inner: Check) -> Check:
    def check(value: Any, where: str) -> List[Any]:
        if not isinstance(value, list):
            raise bad_job("%s must be a list" % where)
        return [inner(item, "%s[%d]" % (where, index)) for index, item in enumerate(value)]

    return check


def any_object(value: Any, where: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_job("%s must be an object" % where)
    return value


def nested(fields: Dict[str, Field]) -> Check:
    def check(value: Any, where: str) -> Dict[str, Any]:
        return read_object(value, where, fields)

    return check
