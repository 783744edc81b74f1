# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the engine on the controller reaches the one on a managed host: by ssh, with the play's own settings."""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.connection import ConnectionBase

from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere


def check(connection: ConnectionBase) -> None:
    """Fail for a connection over which no engine can reach another."""
    if connection.transport != "ssh":
        raise AnsibleActionFail(
            f"direction: push and pull go by ssh; the connection to this host is {connection.transport}"
        )
    if connection.get_option("password"):
        raise AnsibleActionFail(
            "direction: push and pull need a login by key, since several connections are opened at once; "
            "this host's inventory has a password (ansible_password)"
        )


def command(connection: ConnectionBase, remote: str) -> list[str]:
    """The words that run a command on the host, each time by a connection of its own.

    The module puts the task's ssh_options behind the first word: ssh takes the first of each that it is given.
    """
    option = connection.get_option
    words = [option("ssh_executable") or "ssh"]
    words += [*elsewhere.PLAIN_SSH, "-o", "ControlMaster=no", "-o", "ControlPath=none"]
    words += shlex.split(option("ssh_args") or "")
    if option("host_key_checking") is False:
        words += ["-o", "StrictHostKeyChecking=no"]
    if option("port") is not None:
        words += ["-o", f"Port={option('port')}"]
    if option("private_key_file"):
        words += ["-o", f'IdentityFile="{os.path.expanduser(option("private_key_file"))}"']
    if option("remote_user"):
        words += ["-o", f'User="{option("remote_user")}"']
    words += ["-o", f"ConnectTimeout={option('timeout')}"]
    for name in ("ssh_common_args", "ssh_extra_args"):
        words += shlex.split(option(name) or "")
    return [*words, *elsewhere.fast_ciphers(words, option("host")), option("host"), remote]


def become(connection: ConnectionBase, remote: str) -> tuple[str, str | None]:
    """The command as the user that tasks on the host run as, and the password that is asked for on the way there."""
    if connection.become is None:
        return remote, None
    wrapped = connection.become.build_become_command(remote, connection._shell)
    return wrapped, connection.become.get_option("become_pass", playcontext=None) or None


def facts(connection: ConnectionBase, remote: str, prelude: str | None = None) -> dict[str, t.Any]:
    """What a module on the controller is told of the host. prelude: the file that is sent before anything else."""
    wrapped, password = become(connection, remote)
    far = {"command": command(connection, wrapped), "name": str(connection.get_option("host"))}
    return {"far": {**far, "prelude": prelude}, "password": password}
