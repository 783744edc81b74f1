# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller finds of engines."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._version import PROTOCOL, VERSION
from ansible_collections.migration.assistant.plugins.plugin_utils import engine_builds

ENTRY = {"file": "an-engine", "sha256": "0" * 64, "size": 1, "compressed": "an-engine.gz"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the directories of the test are looked in."""
    monkeypatch.setattr(engine_builds, "directories", lambda first=None: [first] if first else [])


def manifest(directory: Path, **changes: t.Any) -> str:
    content = {"version": VERSION, "protocol": PROTOCOL, "platforms": {"linux-amd64": ENTRY}, **changes}
    (directory / "manifest.json").write_text(json.dumps(content))
    return str(directory)


def test_the_manifest_names_the_engines(tmp_path: Path) -> None:
    builds = engine_builds.find_builds(None, manifest(tmp_path))
    build = builds.find("linux-amd64")
    assert build is not None
    assert (build.path, build.compressed) == (str(tmp_path / "an-engine"), str(tmp_path / "an-engine.gz"))
    assert build.sha256 == "0" * 64
    assert builds.find("linux-riscv64") is None


@pytest.mark.parametrize("changes", [{"version": "9.9.9"}, {"protocol": 99}])
def test_engines_of_another_version_do_not_count(tmp_path: Path, changes: t.Dict[str, t.Any]) -> None:
    assert engine_builds.find_builds(None, manifest(tmp_path, **changes)).by_platform == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"version": "%s"}' % VERSION, "null"])
def test_a_manifest_that_cannot_be_read_is_warned_of(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: t.List[str] = []
    monkeypatch.setattr(engine_builds.display, "warning", warnings.append)
    (tmp_path / "manifest.json").write_text(content)
    assert engine_builds.find_builds(None, str(tmp_path)).by_platform == {}
    assert len(warnings) == 1
    assert str(tmp_path) in warnings[0]


def header(kind: str) -> bytes:
    if kind == "elf":
        return b"\x7fELF" + b"\0" * 14 + b"\xb7\0"
    if kind == "mach-o":
        return b"\xcf\xfa\xed\xfe\x0c\0\0\x01"
    if kind == "pe":
        return b"MZ" + b"\0" * 58 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0\x64\x86"
    return b"#!/bin/sh\n"


@pytest.mark.parametrize(
    ("kind", "platform"),
    [("elf", "linux-arm64"), ("mach-o", "darwin-arm64"), ("pe", "windows-amd64"), ("script", None)],
)
def test_the_platform_of_a_named_engine_is_read_from_its_header(
    tmp_path: Path, kind: str, platform: t.Optional[str]
) -> None:
    path = tmp_path / "my-engine"
    path.write_bytes(header(kind))
    builds = engine_builds.find_builds(str(path), manifest(tmp_path))
    assert builds.named is not None
    assert builds.named.platform == platform
    assert builds.named.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    found = builds.find("linux-amd64")
    assert found is not None
    assert found.origin == ("go_binary_path" if platform is None else "the controller's build")


def test_a_named_engine_that_is_not_there_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: t.List[str] = []
    monkeypatch.setattr(engine_builds.display, "warning", warnings.append)
    builds = engine_builds.find_builds("/nowhere/engine", manifest(tmp_path))
    assert builds.named is None
    assert builds.notes == ["go_binary_path: /nowhere/engine does not exist on the controller"]
    assert warnings == [f"{builds.notes[0]}; looking for the engine in its usual places"]
    assert builds.find("linux-amd64") is not None
