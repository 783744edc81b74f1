# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engines that the controller has: built in the clone, by the role engine, or put into an execution environment."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible import constants as C
from ansible.utils.display import Display

from ansible_collections.migration.assistant.plugins.module_utils._version import PROTOCOL, VERSION

MANIFEST = "manifest.json"
_COLLECTION_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# Where the documentation tells builders of execution environments to put it.
_EXECUTION_ENVIRONMENT = "/usr/share/migration-assistant/engine"

display = Display()


class Build(t.NamedTuple):
    """An engine. platform: None where that cannot be told. compressed: path of the same by gzip, or its own."""

    platform: str | None
    path: str
    sha256: str
    origin: str
    compressed: str

    def as_option(self, local: bool) -> dict[str, str | None]:
        """What a module is told of it: where it is only if the module runs there too."""
        known = {"platform": self.platform, "sha256": self.sha256, "origin": self.origin}
        return {**known, "path": self.path} if local or self.origin == "go_binary_path" else known


class Builds(t.NamedTuple):
    """Engines by platform; the one that go_binary_path names; notes on what was looked for in vain."""

    by_platform: dict[str, Build]
    named: Build | None
    notes: list[str]

    def find(self, platform: str) -> Build | None:
        """The engine for a platform: the named one before others."""
        if self.named is not None and self.named.platform in (None, platform):
            return self.named
        return self.by_platform.get(platform)


def find_builds(named_path: str | None = None, directory: str | None = None) -> Builds:
    """What the controller has. named_path: that of go_binary_path; directory: one to look in before the usual ones."""
    notes: list[str] = []
    by_platform: dict[str, Build] = {}
    for place in directories(directory):
        for platform, build in _manifest(place).items():
            by_platform.setdefault(platform, build)
    return Builds(by_platform, _named(named_path, notes) if named_path else None, notes)


def directories(first: str | None = None) -> list[str]:
    """Where the controller's engines may be, with their manifest."""
    usual = [
        os.path.join(_COLLECTION_ROOT, "build", "engine"),
        os.path.join(C.config.get_config_value("ANSIBLE_HOME"), "migration-assistant", "engine"),
        _EXECUTION_ENVIRONMENT,
    ]
    return [os.path.abspath(os.path.expanduser(first)), *usual] if first else usual


def _manifest(directory: str) -> dict[str, Build]:
    """The engines in a directory, if they belong to this version."""
    try:
        with open(os.path.join(directory, MANIFEST), encoding="utf-8") as stream:
            manifest = json.load(stream)
        if manifest["version"] != VERSION or manifest["protocol"] != PROTOCOL:
            display.vv(f"the engines in {directory} belong to another version of the collection")
            return {}
        return {platform: _built(directory, platform, entry) for platform, entry in manifest["platforms"].items()}
    except OSError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        display.warning(f"{os.path.join(directory, MANIFEST)} cannot be read as a manifest of engines: {exc!r}")
        return {}


def _built(directory: str, platform: str, entry: t.Mapping[str, str]) -> Build:
    path = os.path.join(directory, entry["file"])
    compressed = os.path.join(directory, entry.get("compressed") or entry["file"])
    return Build(platform, path, entry["sha256"], "the controller's build", compressed)


def _named(named_path: str, notes: list[str]) -> Build | None:
    path = os.path.abspath(os.path.expanduser(named_path))
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as exc:
        problem = "does not exist" if isinstance(exc, FileNotFoundError) else f"cannot be read ({exc.strerror})"
        note = f"go_binary_path: {named_path} {problem} on the controller"
        notes.append(note)
        display.warning(f"{note}; looking for the engine in its usual places")
        return None
    platform = platform_of(content)
    return Build(platform, path, hashlib.sha256(content).hexdigest(), "go_binary_path", path)


def platform_of(program: bytes) -> str | None:
    """The platform that a program is for, by its header, such as linux-amd64; None where the header does not tell."""
    if program[:4] == b"\x7fELF":
        return _platform("linux", {0x3E: "amd64", 0xB7: "arm64"}, _number(program, 18, 2))
    if program[:4] == b"\xcf\xfa\xed\xfe":
        return _platform("darwin", {0x1000007: "amd64", 0x100000C: "arm64"}, _number(program, 4, 4))
    if program[:2] == b"MZ":
        header = _number(program, 60, 4)
        return _platform("windows", {0x8664: "amd64", 0xAA64: "arm64"}, _number(program, header + 4, 2))
    return None


def _number(program: bytes, offset: int, size: int) -> int:
    return int.from_bytes(program[offset : offset + size], "little")


def _platform(system: str, architectures: t.Mapping[int, str], machine: int) -> str | None:
    return f"{system}-{architectures[machine]}" if machine in architectures else None
