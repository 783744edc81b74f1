# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
from pathlib import Path

from ansible_collections.migration.assistant.plugins.module_utils._settings import schema

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_document_is_what_the_schema_says() -> None:
    specification = importlib.util.spec_from_file_location("generate_configuration", DOCS / "generate_configuration.py")
    assert specification and specification.loader
    generator = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generator)
    document = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert document == generator.document(), "run docs/generate_configuration.py"


def test_the_document_has_every_key() -> None:
    document = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for entry in schema.entries():
        assert f"| `{entry.path.partition('.')[2]}` | {entry.node.meaning} |" in document
