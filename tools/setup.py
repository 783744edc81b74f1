# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepare this clone for `make migrate` (setup.py run), for the engine alone, or for the tests."""

from __future__ import annotations

import sys

from engine import build_engine, ensure_engine
from environment import (
    VENV,
    SetupError,
    ensure_system_packages,
    ensure_venv,
    fail,
    link_collection,
    main_python,
    only_one,
    say,
)
from wine import ensure_wine

# Commands that the tests start, and the Debian packages that they are in.
TEST_COMMANDS = {
    "gcc": "gcc libc6-dev",
    "getfattr": "attr",
    "postgres": "postgresql",
    "rsync": "rsync",
    "setfacl": "acl",
    "sqlite3": "sqlite3",
    "strace": "strace",
    "tmux": "tmux",
}


def prepare_run() -> None:
    """Everything that a migration needs. Without an engine it goes on: the Python fallback does the work."""
    with only_one():
        link_collection()
        ensure_venv(VENV, main_python, "run.txt")
        try:
            ensure_engine()
        except SetupError as exc:
            say(f"setup: unable to build the engine: {exc}")
            say("setup: going on with the Python fallback, which does the same work more slowly")


def prepare_test() -> None:
    """Everything that the tests need, but the engine."""
    with only_one():
        link_collection()
        ensure_venv(VENV, main_python, "run.txt")
        ensure_venv(VENV, main_python, "test.txt")
        ensure_system_packages(TEST_COMMANDS)


def prepare_windows() -> None:
    """The engine for Windows, and Wine to run it."""
    with only_one():
        ensure_wine()
        ensure_engine("windows-amd64")


def prepare_engine() -> None:
    """The engine; that it cannot be built is an error here."""
    with only_one():
        ensure_venv(VENV, main_python, "run.txt")
        try:
            ensure_engine()
        except SetupError as exc:
            raise SetupError(f"unable to build the engine: {exc}") from exc


def prepare_engines() -> None:
    """The engine for every platform."""
    with only_one():
        ensure_venv(VENV, main_python, "run.txt")
        ensure_engine(*build_engine.PLATFORMS)


if __name__ == "__main__":
    steps = {
        "run": prepare_run,
        "engine": prepare_engine,
        "engines": prepare_engines,
        "test": prepare_test,
        "windows": prepare_windows,
    }
    wanted = sys.argv[1:]
    if not wanted or set(wanted) - set(steps):
        fail(f"usage: setup.py {'|'.join(steps)} …")
    try:
        for name in wanted:
            steps[name]()
    except SetupError as error:
        fail(error)
