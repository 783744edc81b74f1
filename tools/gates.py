# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which gates there are: what each runs, where, and how its output is counted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import counts
from engine import build_engine, find_go, go_environment
from environment import BUILD, COLLECTIONS, ROOT, VENV, all_pythons
from wine import wine_is_possible

VENVS = BUILD / "venvs"
STATICCHECK = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
MODULE_SIDE = ((3, 8), (3, 9))


@dataclass(frozen=True)
class Environment:
    """A virtual environment to test in. *controller*: it has an ansible-core to run playbooks with. *only_core*: what
    does not need ansible-core is tested by another one with the same Python."""

    name: str
    path: Path
    python: str
    files: tuple[str, ...]
    constraint: str | None = None
    controller: bool = True
    only_core: bool = False


@dataclass(frozen=True)
class Gate:
    """One command; it passed if the command succeeded and at least one test ran."""

    name: str
    group: str
    command: Sequence[str | Path]
    count: Callable[[str, bool], counts.Counts] = counts.whole
    cwd: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)

    @property
    def needs_engine(self) -> bool:
        return self.group not in ("lint", "sanity")

    @property
    def needs_windows(self) -> bool:
        return self.name.endswith("-windows")


def environments() -> tuple[list[Environment], list[str]]:
    """The environments to test in besides .venv, and what could not be tested since its Python is not here."""
    pythons = all_pythons()
    main = next(VENV.glob("lib/python3.*")).name.removeprefix("python")
    main_version = tuple(int(part) for part in main.split("."))
    found = []
    if (3, 11) in pythons:
        python = pythons[3, 11]
        path = VENVS / "py3.11-core2.18"
        found.append(Environment("py3.11-core2.18", path, python, ("core-2.18.txt",), only_core=True))
    for version, python in pythons.items():
        name = f"py{version[0]}.{version[1]}"
        if version in MODULE_SIDE:
            found.append(Environment(name, VENVS / name, python, ("unit.txt",), controller=False))
        elif version >= (3, 11) and version != main_version:
            found.append(Environment(name, VENVS / name, python, ("run.txt", "unit.in"), "test.txt"))
    wanted = {(3, 8): "modules on 3.8", (3, 9): "modules on 3.9", (3, 11): "ansible-core 2.18 and 2.19 on 3.11"}
    wanted |= {(3, 12): "the newest ansible-core on 3.12", (3, 13): "the newest ansible-core on 3.13"}
    missing = [what for version, what in wanted.items() if version not in pythons and version != main_version]
    return found, missing


def all_gates(others: list[Environment]) -> list[Gate]:
    """Every gate, those that take longest first, so that the last ones to end are short."""
    controllers = [environment for environment in others if environment.controller]
    newest = [environment for environment in controllers if environment.name == "py3.13"]
    newest = newest or [environment for environment in controllers if "core" not in environment.name][-1:]
    conformance, *python = _python(others)
    return [
        *_remote(),
        conformance,
        *_sanity([Environment("main", VENV, "", ()), *newest]),
        *_molecule(),
        *_integration(others),
        Gate("engine-builds", "builds", _script("engine_builds.py"), counts.pytest),
        *_windows(),
        *_go(),
        *python,
        *_content(),
        *_lint(),
    ]


def _tool(name: str) -> Path:
    return VENV / "bin" / name


def _script(name: str, *arguments: str | Path) -> list[str | Path]:
    return [_tool("python"), ROOT / "tools" / name, *arguments]


def _ansible() -> dict[str, str]:
    """For tools that start ansible themselves: ours, with nothing of it in the user's home."""
    path = os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]])
    return {"PATH": path, "ANSIBLE_HOME": str(BUILD / "ansible"), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}


def _sanity(where: list[Environment]) -> list[Gate]:
    return [Gate(f"sanity-{one.name}", "sanity", _script("sanity.py", one.path), counts.sanity) for one in where]


def _molecule() -> list[Gate]:
    env = {**_ansible(), "MOLECULE_EPHEMERAL_DIRECTORY": str(BUILD / "molecule")}
    return [Gate("molecule", "molecule", [_tool("molecule"), "test"], env=env)]


def _remote() -> list[Gate]:
    """Makes its hosts itself, as root, while other gates run. Two files of tests at once, since they mostly wait."""
    gate = _pytest("remote", Environment("", VENV, "", ()), "-n", "2", "--dist", "loadfile")
    if os.geteuid() == 0 or shutil.which("sudo") is None:
        return [gate]
    kept = {**gate.env, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    sudo = ["sudo", "-n", "env", *(f"{name}={value}" for name, value in kept.items())]
    return [replace(gate, command=[*sudo, *gate.command])]


def _integration(others: list[Environment]) -> list[Gate]:
    gates = [Gate("integration", "integration", _script("integration.py", VENV), counts.pytest)]
    for one in others:
        if one.controller:
            # What is special to a Python shows in one playbook; the newest and the oldest ansible-core get all of them.
            command = _script("integration.py", one.path, *["--only", "migrate"] * (one.name == "py3.12"))
        elif one.name == _oldest_managed_host():
            command = _script("integration.py", VENV, "--target-python", one.path / "bin" / "python")
        else:
            continue
        gates.append(Gate(f"integration-{one.name}", "integration", command, counts.pytest))
    return gates


def _oldest_managed_host() -> str:
    """The oldest Python of managed hosts that the ansible-core of .venv supports."""
    return "py3.8" if list(VENV.glob("lib/python3.11")) else "py3.9"


def _go() -> list[Gate]:
    go = find_go()
    sources = ROOT / "go-engine"
    env = {**go_environment(go), "CGO_ENABLED": "1"}
    tools = BUILD / "go-tools"
    # Both look at what the engine is built from, and in its way (without C, without paths): what it depends on is
    # then compiled once for all of them.
    as_built = {**env, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    static = [f"GOBIN='{tools}' {go} install {STATICCHECK}"]
    static += [f"'{tools}/staticcheck' -tags {tags} ./..." for tags in ("none", "failpoints", "portable")]
    static += [f"GOOS={system} '{tools}/staticcheck' ./..." for system in ("windows", "darwin")]
    vet = ["GOOS={} GOARCH={} {} vet ./...".format(*platform.split("-"), go) for platform in build_engine.PLATFORMS]
    vet.append(f"{go} vet -tags portable ./...")
    portable = [go, "test", "-race", "-v", "-tags", "portable", "./internal/fsys", "./internal/files"]
    unformatted = 'files=$(gofmt -l .) && echo "$files" && test -z "$files"'
    return [
        Gate("go-test", "unit", [go, "test", "-race", "-v", "./..."], counts.go_test, sources, env),
        Gate("go-test-portable", "unit", portable, counts.go_test, sources, env),
        Gate("staticcheck", "lint", ["sh", "-c", " && ".join(static)], cwd=sources, env=as_built),
        Gate("go-vet", "lint", ["sh", "-c", " && ".join(vet)], cwd=sources, env=as_built),
        Gate("gofmt", "lint", ["sh", "-c", unformatted], cwd=sources, env=env),
    ]


def _windows() -> list[Gate]:
    """The Windows build of the engine under Wine: its unit tests, and the conformance cases that it can run."""
    if not wine_is_possible():
        return []
    go = find_go()
    wine = f"'{_tool('python')}' '{ROOT / 'tools' / 'wine.py'}'"
    # Without paths, as the engine is built, so that what it depends on is not compiled anew.
    unit: list[str | Path] = [go, "test", "-trimpath", "-v", "-exec", wine, "./..."]
    cross = {**go_environment(go), "GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0"}
    conformance: list[str | Path] = [_tool("pytest"), "-q", "-p", "no:cacheprovider", "--windows", "tests/conformance"]
    return [
        Gate("conformance-windows", "conformance", conformance, counts.pytest, env={"GO": go}),
        Gate("go-test-windows", "unit", unit, counts.go_test, ROOT / "go-engine", cross),
    ]


def _python(others: list[Environment]) -> list[Gate]:
    main = Environment("", VENV, "", ())
    # The executors know nothing of ansible-core: the oldest and the newest Python show what there is to see.
    extremes = [*[one for one in others if not one.controller][:1], *others[-1:]]
    # What the engine and two executors do, and what a kill leaves, is the same on whatever Python.
    without = [
        "--only-fallback",
        "--ignore-glob=*/test_file_sync_between_hosts*.py",
        "--ignore-glob=*/test_*_killed.py",
        "--ignore-glob=*/test_table_copy_lost.py",
        "--ignore-glob=*/test_table_copy_memory.py",
    ]
    gates = [_pytest("conformance", main), *(_pytest("conformance", one, *without) for one in extremes)]
    return gates + [_pytest("unit", one, *["--only-core"] * one.only_core) for one in (main, *others)]


def _pytest(group: str, one: Environment, *options: str) -> Gate:
    command: list[str | Path] = [one.path / "bin" / "pytest", "-q", "--durations=20", "-p", "no:cacheprovider"]
    command += [*options, f"tests/{group}"]
    return Gate(f"{group}-{one.name}".rstrip("-"), group, command, counts.pytest, env={"GO": find_go()})


def _content() -> list[Gate]:
    """The collection as its users get it."""
    syntax: list[str | Path] = [_tool("ansible-playbook"), "--syntax-check", *sorted(ROOT.glob("playbooks/*.yml"))]
    return [
        Gate("collection", "collection", _script("collection.py"), counts.pytest),
        Gate("ansible-lint", "lint", [_tool("ansible-lint")], env=_ansible()),
        Gate("changelog", "lint", [_tool("antsibull-changelog"), "lint"], env=_ansible()),
        Gate("syntax-check", "lint", syntax, env=_ansible()),
    ]


def _lint() -> list[Gate]:
    yaml = [
        ".ansible-lint",
        ".yamllint",
        "changelogs",
        "extensions",
        "galaxy.yml",
        "meta",
        "playbooks",
        "roles",
        "tests",
    ]
    mypy_path = {"MYPYPATH": str(COLLECTIONS), "PATH": os.environ["PATH"]}
    return [
        Gate("mypy", "lint", [_tool("mypy")], env=mypy_path),
        Gate("mypy-tools", "lint", [_tool("mypy"), "--strict", "tools"]),
        Gate("ruff-check", "lint", [_tool("ruff"), "check"]),
        Gate("ruff-format", "lint", [_tool("ruff"), "format", "--check"]),
        Gate("yamllint", "lint", [_tool("yamllint"), "--strict", *[name for name in yaml if (ROOT / name).exists()]]),
    ]
