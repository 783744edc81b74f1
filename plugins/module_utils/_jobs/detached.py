# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Let the rest of a program run in a process of its own, which goes on when the connection is gone."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
import traceback
import typing as t

from .directory import JobDirectory

_LOOK_SECONDS = 0.1
_RENEW_SECONDS = 5.0


class Died(Exception):
    """The job's process ended without a result."""


def can_detach() -> bool:
    return hasattr(os, "fork") and hasattr(os, "setsid")


def detach(directory: JobDirectory, work: t.Callable[[int], t.Any]) -> int:
    """Run *work* in a detached process, and give a descriptor that is at its end when the process is.

    What it prints becomes the job's result when it has ended, by SystemExit or else. It is given a descriptor: as
    long as any process has that, the job counts as alive.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # The lock goes over to the new process before anybody can take the job for dead.
    alive = directory.hold()
    ended, ending = os.pipe()
    if os.fork() == 0:
        os.close(ended)
        _run_detached(directory, lambda: work(alive))
    os.close(ending)
    os.close(alive)
    return ended


def wait(
    directory: JobDirectory, seconds: t.Optional[float], ended: t.Optional[int] = None
) -> t.Optional[t.Dict[str, t.Any]]:
    """The job's result; None if it still runs after so many seconds (None: for as long as it takes).

    ended: what detach gave, which saves looking. Meanwhile the lease is renewed. Raises Died.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    renewal = time.monotonic() + _RENEW_SECONDS
    while True:
        alive = directory.is_alive()
        outcome = directory.outcome()
        if outcome is not None:
            return outcome
        if not alive:
            raise Died("the job's process ended without a result: %s" % (directory.errors() or "it left no message"))
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            return None
        if now >= renewal:
            directory.renew()
            renewal = now + _RENEW_SECONDS
        pause = min(renewal, deadline or renewal) - now
        if ended is None:
            time.sleep(min(_LOOK_SECONDS, pause))
        elif select.select([ended], [], [], pause)[0]:
            # Its process has ended; an engine that it had may take a moment longer.
            time.sleep(_LOOK_SECONDS / 10)


def _run_detached(directory: JobDirectory, work: t.Callable[[], t.Any]) -> t.NoReturn:
    """The new process: it never returns into the code of the old one."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.chdir("/")
        _redirect(directory)
        _keep_payload(directory)
        directory.update(pid=os.getpid())
        try:
            work()
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 1
        sys.stdout.flush()
        if directory.is_collected():
            # Nobody waits for the result of a job that was cancelled by its own play.
            directory.remove()
        else:
            os.fsync(sys.stdout.fileno())
            os.rename(directory.file("result.partial"), directory.file("result"))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _redirect(directory: JobDirectory) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path, how in (
        (0, os.devnull, os.O_RDONLY),
        (1, directory.file("result.partial"), flags),
        (2, directory.file("errors"), flags),
    ):
        descriptor = os.open(path, how, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _keep_payload(directory: JobDirectory) -> None:
    """Keep the archive that this code came in, which Ansible removes when the old process ends.

    What is imported later comes from the copy.
    """
    archive = getattr(sys.modules[__name__].__loader__, "archive", None)
    if archive is None:
        return
    copy = shutil.copyfile(archive, directory.file("payload.zip"))

    def moved(path: t.Any) -> t.Any:
        ours = isinstance(path, str) and (path == archive or path.startswith(archive + os.sep))
        return copy + path[len(archive) :] if ours else path

    for paths in [sys.path, *(getattr(module, "__path__", None) for module in list(sys.modules.values()))]:
        if isinstance(paths, list):
            paths[:] = [moved(path) for path in paths]
