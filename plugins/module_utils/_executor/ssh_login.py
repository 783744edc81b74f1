# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""How an executor's ssh gets in to another host: by a password, or by a connection of an earlier job."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import tempfile
import typing as t

from . import places

# Words of ssh that let it ask, once: more would be wrong answers to a server that counts them.
ASKING = ("-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1")
# The first that tells in each question which host it is of; those before 8.4 need a display to ask at all.
_OLDEST = (8, 5)
# What the questions have of both names.
_LONGEST_USER, _LONGEST_HOST = 30, 128

IDLE_SECONDS = 60
# A socket's name has room for 104 bytes at least, and ssh adds 17 to it while it makes one.
_LONGEST_DIRECTORY = 60
# What ssh neither splits nor expands.
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+\Z")


class Unavailable(Exception):
    """It cannot be had; the message says why in one line."""


def by_password(ssh: t.Sequence[str], password: str, word: t.Optional[str]) -> t.Dict[str, t.Any]:
    """What a job is told of the login. ssh: its words, the host last. word: what ssh's question for the password has in
    it, by default as Ansible has it. Raises Unavailable."""
    version = _output([ssh[0], "-V"])
    found = re.search(r"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)", version)
    if found is None or (int(found.group(1)), int(found.group(2))) < _OLDEST:
        is_what = "is %s" % version.split(",")[0].strip() if version.strip() else "does not start"
        message = "a login by password needs OpenSSH %d.%d or later on this side, and %s %s; use a key"
        raise Unavailable(message % (*_OLDEST, ssh[0], is_what))
    settings = dict(line.partition(" ")[::2] for line in _output([*ssh[:-1], "-G", ssh[-1]]).splitlines())
    user, host = settings.get("user"), settings.get("hostkeyalias") or settings.get("hostname")
    if not user or not host:
        raise Unavailable("ssh does not tell who is to log in where")
    return {
        "password": password,
        "name": "%s@%s" % (user, host),
        "starts": ["%s@%s's " % (user[:_LONGEST_USER], host[:_LONGEST_HOST]), "(%s@%s) " % (user, host)],
        "word": word or "assword",
    }


def pool(ssh: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """Where connections are kept for the next job that has the same words of ssh, the host among them. Raises
    Unavailable."""
    # Who has another agent has other keys, even with the same account on this host.
    decisive = [*ssh, os.environ.get("SSH_AUTH_SOCK", "")]
    key = hashlib.sha256("\0".join(decisive).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return {"directory": _pool_directory(), "key": key, "idle": IDLE_SECONDS}


def _pool_directory() -> str:
    if not hasattr(os, "geteuid"):
        raise Unavailable("ssh keeps no connections on this platform")
    bases = [os.path.join(place, "migration-assistant-%d" % os.geteuid()) for place in ("/tmp", tempfile.gettempdir())]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime) and os.stat(runtime).st_uid == os.geteuid():
        bases.insert(0, os.path.join(runtime, "migration-assistant"))
    reasons = []
    for directory in dict.fromkeys(os.path.join(base, "ssh") for base in bases):
        try:
            if len(os.fsencode(directory)) > _LONGEST_DIRECTORY:
                raise OSError("its name is too long for a socket")
            if not _PLAIN.match(directory):
                raise OSError("ssh would take its name for another")
            places.make_private(directory)
            info = os.lstat(directory)
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
                raise OSError("it is not for this user alone")
            return directory
        except OSError as exc:
            reasons.append("%s: %s" % (directory, exc.strerror or exc))
    raise Unavailable("; ".join(reasons))


def _output(command: t.Sequence[str]) -> str:
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace")
