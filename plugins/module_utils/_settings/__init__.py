# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The configuration: sections and keys of the guide, merged, judged, and turned into options of modules."""

from __future__ import annotations

from .load import Loaded, load_file, load_text
from .model import SettingsError
from .resolve import ENVIRONMENT_SWITCH, MODULES, Resolved, Settings, module_defaults, read, resolve, superseded
from .schema import SECTIONS
from .validate import misspelt_sections

__all__ = [
    "ENVIRONMENT_SWITCH",
    "MODULES",
    "SECTIONS",
    "Loaded",
    "Resolved",
    "Settings",
    "SettingsError",
    "load_file",
    "load_text",
    "misspelt_sections",
    "module_defaults",
    "read",
    "resolve",
    "superseded",
]
