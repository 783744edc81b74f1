# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> t.Iterator[Path]:
    """A directory that other users can reach too: pytest closes the parent of its own whenever a run of it starts."""
    path = Path(tempfile.mkdtemp(prefix="migration-assistant-test-"))
    path.chmod(0o755)
    yield path.resolve()
    shutil.rmtree(path, ignore_errors=True)
