# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root gives symbolic links to their owner, in a directory of a user who puts root's files in their place meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, Executor, run
from .trees import settle, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give links away")

USER = 65534
LINKS = 40
RENAME_EXCHANGE = 2
# Whichever of these an executor uses, there is time before it for the user.
CALLS = "chown,lchown,fchown,fchownat"
SLOWLY = ("strace", "-f", "-qq", "-e", f"trace={CALLS}", "-e", f"inject={CALLS}:delay_enter=20000")


def exchange(one: Path, other: Path) -> None:
    """Exchange two names. No error where one of them is gone: the executor is at work."""
    ctypes.CDLL(None).renameat2(-1, bytes(one), -1, bytes(other), RENAME_EXCHANGE)


def swap_what_is_there(destination: Path, secrets: Path) -> None:
    """Exchange the links with root's files."""
    for number in range(LINKS):
        exchange(destination / str(number), secrets / str(number))


def swap_what_is_new(destination: Path, secrets: Path) -> None:
    """Exchange each new link, which does not have its name yet, with one of root's files."""
    for path in destination.glob(".migration-assistant-*.tmp"):
        for secret in secrets.iterdir():
            if path.is_symlink() and not secret.is_symlink():
                exchange(path, secret)


@contextlib.contextmanager
def hostile(swap: t.Callable[[Path, Path], None], destination: Path, secrets: Path) -> t.Iterator[None]:
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            swap(destination, secrets)

    user = threading.Thread(target=go_on)
    user.start()
    try:
        yield
    finally:
        ended.set()
        user.join()


@pytest.mark.parametrize("operation", ["file_sync", "file_archive"])
@pytest.mark.parametrize("swap", [swap_what_is_there, swap_what_is_new])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_has_taken_a_links_name_is_not_given_away(
    executor: Executor, swap: t.Callable[[Path, Path], None], operation: str, tmp_path: Path
) -> None:
    source, destination, secrets, kept = (tmp_path / name for name in ("source", "destination", "secrets", "kept"))
    for path in (source, destination, secrets, kept):
        path.mkdir()
    for number in map(str, range(LINKS)):
        (source / number).symlink_to("target")
        os.lchown(source / number, USER, USER)
        if swap is swap_what_is_there:
            (destination / number).symlink_to("target")
        write(secrets / number, b"root's")
        # What became of it is seen here, wherever its other name is.
        os.link(secrets / number, kept / number)
    settle(source)
    wanted: dict[str, t.Any] = {"source": str(source), "destination": str(destination)}
    if operation == "file_archive":
        archive = str(tmp_path / "archive.tar")
        packing = {"action": "pack", "source": str(source), "destination": archive, "format": "tar"}
        packed = run(executor, "file_archive", packing)
        assert packed.terminal["event"] == "result", packed.terminal
        wanted = {"action": "unpack", "source": archive, "destination": str(destination)}
    with hostile(swap, destination, secrets):
        done = run(executor, operation, wanted, prefix=[*SLOWLY, "-o", str(tmp_path / "log")])
    # Some entries may have been replaced during the run, which is told.
    assert done.terminal.get("code") in (None, "partial_failure"), (done.terminal, done.stderr)
    assert {path.name for path in kept.iterdir() if path.stat().st_uid != 0} == set()
