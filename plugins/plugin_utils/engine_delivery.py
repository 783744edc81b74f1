# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring the engine from the controller to a host, where its module checks it and puts it in its place."""

from __future__ import annotations

import fcntl
import hashlib
import os
import typing as t
from contextlib import contextmanager

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.migration.assistant.plugins.module_utils import _units
from ansible_collections.migration.assistant.plugins.plugin_utils.engine_builds import Build


class NotDelivered(Exception):
    """The engine could not be brought to the host; the message says why."""


class Turn:
    """A task's turn to bring the engine to a host and user. waited: whether another one did so meanwhile."""

    def __init__(self, descriptor: int, waited: bool) -> None:
        self._descriptor = descriptor
        self.waited = waited

    def end(self) -> None:
        """Let others have their turn."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def turn(action: ActionBase) -> t.Iterator[Turn]:
    """Let one task at a time bring the engine to a host and user, until its turn is ended, or this is left."""
    connection = action._connection
    become = connection.become.get_option("become_user") if connection.become else None
    place = [action._get_remote_addr({}), action._get_remote_user(), action._play_context.port, become]
    name = hashlib.sha256(repr(place).encode()).hexdigest()[:16]
    descriptor = os.open(os.path.join(C.DEFAULT_LOCAL_TMP, f"engine-{name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    taken = Turn(descriptor, waited=False)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            taken.waited = True
        yield taken
    finally:
        taken.end()


def size(build: Build) -> str:
    """How much has to be transferred, for people."""
    try:
        return _units.format_size(os.path.getsize(build.compressed))
    except OSError:
        return "of unknown size"


def deliver(action: ActionBase, build: Build) -> str:
    """Transfer the engine into the task's temporary directory on the host, and give its path there.

    Raises NotDelivered, and AnsibleConnectionFailure where the host cannot be reached.
    """
    shell = action._connection._shell
    try:
        if shell.tmpdir is None:
            action._make_tmp_path()
        path = str(shell.join_path(shell.tmpdir, "migration-engine"))
        action._transfer_file(build.compressed, path)
        _let_read(action, [shell.tmpdir, path])
    except AnsibleConnectionFailure:
        raise
    except (AnsibleError, OSError) as exc:
        raise NotDelivered(f"the engine cannot be brought to this host: {exc}") from exc
    return path


def _let_read(action: ActionBase, paths: t.Sequence[str]) -> None:
    """Let the user that the module becomes read the files."""
    try:
        action._fixup_perms2(paths, execute=False)
    except AnsibleError:
        # The engine is no secret. Without pipelining the module with its arguments goes to the same directory.
        if not action._is_pipelining_enabled("new"):
            raise
        if action._remote_chmod(paths, "a+rX")["rc"] != 0:
            raise
