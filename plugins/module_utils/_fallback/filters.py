# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Which entries are left out: the first rule that matches an entry decides."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Pattern, Tuple

from ._validate import Field, bad_job, boolean, choice, nested, text

FILTER_FIELDS: Dict[str, Field] = {
    "action": Field(choice("include", "exclude", "hide", "show", "protect", "risk"), required=True),
    "regex": Field(text(), required=True),
    "directories_only": Field(boolean, False),
    "rule": Field(text()),
}


def check_filter(value: Any, where: str) -> Dict[str, Any]:
    """One filter of the job, its expression compiled under ``expression``."""
    rule: Dict[str, Any] = nested(FILTER_FIELDS)(value, where)
    try:
        rule["expression"] = re.compile(rule["regex"])
    except (re.error, OverflowError, RecursionError) as error:
        raise bad_job("%s.regex is no regular expression: %s" % (where, error)) from error
    return rule


class Filters:
    """The rules of a job. Without rules nothing is left out and nothing is asked."""

    def __init__(self, rules: List[Dict[str, Any]]) -> None:
        self._hiding = _select(rules, outside=("exclude", "hide"), inside=("include", "show"))
        self._protecting = _select(rules, outside=("exclude", "protect"), inside=("include", "risk"))
        self.any_hidden = any(decides for decides, _directories, _expression in self._hiding)
        self.any_protected = any(decides for decides, _directories, _expression in self._protecting)

    def hides(self, path: str, is_directory: bool) -> bool:
        """Whether the source's entry at ``path`` is not transferred."""
        return self.any_hidden and _first_match(self._hiding, path, is_directory)

    def protects(self, path: str, is_directory: bool) -> bool:
        """Whether the destination's entry at ``path`` is not deleted."""
        return self.any_protected and _first_match(self._protecting, path, is_directory)


_Rule = Tuple[bool, bool, Pattern[str]]


def _select(rules: List[Dict[str, Any]], outside: Tuple[str, ...], inside: Tuple[str, ...]) -> List[_Rule]:
    return [
        (rule["action"] in outside, rule["directories_only"], rule["expression"])
        for rule in rules
        if rule["action"] in outside + inside
    ]


def _first_match(rules: List[_Rule], path: str, is_directory: bool) -> bool:
    for decides, directories_only, expression in rules:
        if (is_directory or not directories_only) and expression.fullmatch(path):
            return decides
    return False
