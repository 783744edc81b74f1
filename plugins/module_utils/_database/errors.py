# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The one exception of this package."""

from __future__ import annotations

import typing as t


class DatabaseError(Exception):
    """A migration that cannot be planned.

    option and value: what the user gave; code: one of the protocol's error codes; the text is one clear line.
    """

    def __init__(self, message: str, option: str = "", value: t.Any = None, code: str = "database_error") -> None:
        if option and value is not None:
            message = "%s: %s: %s" % (option, value, message)
        elif option:
            message = "%s: %s" % (option, message)
        super().__init__(message)
        self.option = option
        self.value = value
        self.code = code
