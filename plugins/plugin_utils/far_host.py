# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the executor on the controller reaches the one on a managed host: by ssh, with the play's own settings."""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.connection import ConnectionBase

from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere, ssh_login


def check(connection: ConnectionBase) -> None:
    """Fail for a connection over which no executor can reach another."""
    if connection.transport != "ssh":
        raise AnsibleActionFail(
            f"direction: push and pull go by ssh; the connection to this host is {connection.transport}"
        )
    if _option(connection, "pkcs11_provider"):
        raise AnsibleActionFail(
            "direction: push and pull cannot log in by a token (pkcs11_provider); give a key or a password"
        )


class Host:
    """A managed host, for commands on it that each have a connection of their own."""

    def __init__(self, connection: ConnectionBase) -> None:
        self._connection = connection
        self.name = str(connection.get_option("host"))
        # What is asked for on the way to the user that tasks on the host run as.
        self.password: str | None = None
        if connection.become is not None:
            self.password = connection.become.get_option("become_pass", playcontext=None) or None
        # By which ssh gets in, if a key does not do, and what its question for that has in it.
        self.login_password = _login_password(connection)
        self.asked_by: str | None = _option(connection, "sshpass_prompt") or None
        # The words to which a command for the host is added.
        self.ssh = _ssh(connection)

    def command(self, remote: str) -> list[str]:
        """The words that run a command on the host as that user.

        The module puts the task's ssh_options behind the first word: ssh takes the first of each that it is given.
        """
        become = self._connection.become
        wrapped = become.build_become_command(remote, self._connection._shell) if become is not None else remote
        return [*self.ssh, wrapped]

    def shell(self) -> str | None:
        """What runs a script on the host as that user, when the script is added as one word; None where that needs a
        password, or says something of its own."""
        become = self._connection.become
        if become is None:
            return "sh -c"
        shell = self._connection._shell
        wrapped = become.build_become_command("true", shell)
        script = shlex.quote(f"{shell.ECHO} {become.success} {shell.COMMAND_SEP} true")
        return wrapped[: -len(script)].rstrip() if not self.password and wrapped.endswith(script) else None


def _option(connection: ConnectionBase, name: str) -> t.Any:
    """An option that not every version of the plugin has."""
    try:
        return connection.get_option(name)
    except KeyError:
        return None


def _login_password(connection: ConnectionBase) -> str | None:
    if _option(connection, "password_mechanism") == "disable":
        return None
    # The play's context has what --ask-pass asked for.
    return connection.get_option("password") or getattr(connection._play_context, "password", None) or None


def _ssh(connection: ConnectionBase) -> list[str]:
    option = connection.get_option
    words = [option("ssh_executable") or "ssh"]
    words += ssh_login.ASKING if _login_password(connection) else ()
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
    return [*words, *elsewhere.fast_ciphers(words, option("host")), option("host")]
