# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest

# On the Pythons of managed hosts, which have no ansible-core, everything else is tested.
NEED_CORE = ("action", "filter", "lookup", "modules", "plugin_utils", "tools")

if importlib.util.find_spec("ansible") is None:
    collect_ignore_glob = [f"{name}/*" for name in NEED_CORE]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only-core", action="store_true", help="run only the tests of what needs ansible-core")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> t.Optional[bool]:
    if not config.getoption("--only-core", default=False):
        return None
    below = collection_path.relative_to(Path(__file__).parent).parts
    return True if below and below[0] not in NEED_CORE else None
