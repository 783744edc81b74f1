# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""System packages: what is asked of the package manager, for which a script stands in."""

from __future__ import annotations

import os
from pathlib import Path

import environment
import pytest
from environment import SetupError, ensure_system_packages

WANTED = {"a-server": "the-server", "no-such-command": "one another"}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The arguments that apt-get was given, a line each time."""
    asked = tmp_path / "asked"
    _program(tmp_path / "bin" / "apt-get", f'echo "$@" >> {asked}')
    _program(tmp_path / "bin" / "sudo", 'shift; exec "$@"')
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    monkeypatch.setattr(environment, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(environment, "_SERVER_PROGRAMS", str(tmp_path / "lib" / "*" / "bin"))
    return asked


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_what_is_missing_is_installed(asked: Path) -> None:
    ensure_system_packages(WANTED)
    assert asked.read_text(encoding="utf-8").splitlines() == [
        "update",
        "install --yes --no-install-recommends another one the-server",
    ]


def test_a_server_that_is_not_in_the_path_is_not_installed_anew(asked: Path, tmp_path: Path) -> None:
    _program(tmp_path / "lib" / "15" / "bin" / "a-server", "")
    ensure_system_packages(WANTED)
    assert asked.read_text(encoding="utf-8").splitlines()[-1].endswith("--no-install-recommends another one")
    asked.unlink()
    ensure_system_packages({"a-server": "the-server"})
    assert not asked.exists()


def test_an_installation_that_fails_tells_why_and_what_to_do(asked: Path, tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "apt-get", 'echo "E: Unable to locate package one" >&2; exit 100')
    with pytest.raises(SetupError, match=r"E: Unable to locate package one \(by hand: sudo apt-get install .*one"):
        ensure_system_packages(WANTED)
