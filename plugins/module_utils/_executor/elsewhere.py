# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The engine on another host, which this one reaches by ssh: find it, bring it, start it."""

from __future__ import annotations

import gzip
import hashlib
import re
import shlex
import subprocess
import tempfile
import typing as t

from .._fallback.far import pool
from .._fallback.far.complaints import telling
from . import cache
from .selection import host_platform, platform_name

# A connection that carries bytes and nothing else, asks nobody, and notices that the other host is gone. The engine
# compresses what pays, by more than one processor; -C is among Ansible's own arguments.
PLAIN_SSH = (
    *("-T", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-o", "Compression=no"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
)

# Starts an engine that comes in by standard input, compressed, after a line that announces it. Nothing is written to a
# disk, as check mode wants it.
_FROM_MEMORY = """
import os, sys, zlib
line = b""
while line != b"migration-engine-follows\\n":
    line = b"" if line.endswith(b"\\n") else line
    byte = os.read(0, 1)
    if not byte:
        sys.exit("no engine came in")
    line += byte
left, unpacked = int(sys.argv[1]), zlib.decompressobj(31)
engine = os.memfd_create("migration-engine")
while left:
    block = os.read(0, min(left, 1 << 20))
    if not block:
        sys.exit("the engine came in by half")
    left -= len(block)
    block = unpacked.decompress(block)
    while block:
        block = block[os.write(engine, block):]
os.execv("/proc/self/fd/%d" % engine, ["migration-engine", "serve"])
"""

# Where the engine lies is as places.py has it. What others could write is not started.
_SETTINGS = """\
export LC_ALL=C
if [ "$(id -u)" = 0 ]; then d=/var/lib/migration-assistant
else d="${{XDG_CACHE_HOME:-$HOME/.cache}}/migration-assistant"; fi
e="$d/engine"; f="$e/{name}"
"""
_LOOK = (
    _SETTINGS
    + """\
echo "platform $(uname -s) $(uname -m)"
if [ -x "$f" ] && [ -z "$(find "$d" "$e" "$f" -maxdepth 0 -perm -020 -o -maxdepth 0 -perm -002 2>&1)" ] &&
  [ "$(sha256sum < "$f" | cut -c 1-64)" = {sha256} ]; then echo "engine $f"; fi
"""
)
_INSTALL = (
    _SETTINGS
    + """\
umask 022
mkdir -p "$e" && t="$e/.incoming-$$" && trap 'rm -f "$t"' EXIT && gzip -dc > "$t" && chmod 755 "$t" &&
  [ "$(sha256sum < "$t" | cut -c 1-64)" = {sha256} ] && "$t" version > /dev/null && mv -f "$t" "$f" && echo "engine $f"
"""
)


class Unreachable(Exception):
    """The other host cannot be reached, or cannot have the engine; the message says why in one line."""


class NoEngine(Unreachable):
    """The other host can be reached, and cannot have the engine."""


def installed(path: str) -> str:
    """The command that starts an engine which the other host has."""
    return "%s serve" % shlex.quote(path)


def from_memory(python: str, size: int) -> str:
    """The command that starts an engine of so many bytes, by gzip, which comes in first."""
    return "%s -c %s %d" % (python, shlex.quote(_FROM_MEMORY), size)


def configuration(ssh: t.Sequence[str]) -> t.Dict[str, str]:
    """What ssh's configuration is for a host: value of each option, by its name in small letters. Empty where ssh does
    not tell. ssh: the words with the host."""
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [ssh[0], "-G", *ssh[1:]], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return {}
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines() if done.returncode == 0 else []
    return dict(line.split(" ", 1) for line in lines if " " in line)


def fast_ciphers(ssh: t.Sequence[str], host: str) -> t.List[str]:
    """Words of ssh that prefer AES-GCM among the ciphers which its configuration allows; none where that gains nothing.

    It takes a third of the time of ssh's first choice on a processor with instructions for AES. ssh: the words without
    the host.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            if not re.search(r"^(flags|Features)\b.*\baes\b", stream.read(), re.MULTILINE):
                return []
    except OSError:
        return []
    names = configuration([*ssh, host]).get("ciphers", "").split(",")
    fast = [name for name in names if "-gcm@" in name]
    if not fast or names[0] in fast:
        return []
    return ["-o", "Ciphers=%s" % ",".join(fast + [name for name in names if name not in fast])]


def find(
    ssh: t.Sequence[str], engine: str, bring: bool, kept: t.Optional[t.Dict[str, t.Any]] = None
) -> t.Tuple[str, t.Optional[bytes]]:
    """The command that starts the engine of this host on another one, and what must be sent to it first, if anything.

    ssh: the words to which a command for the other host is added. engine: path of the engine of this host. bring:
    whether a missing engine may be installed there; otherwise it is only held in memory. kept: where connections are
    kept, as the job is told. Raises Unreachable.
    """
    slot = pool.take(kept)
    if slot is None:
        return _find(ssh, engine, bring)
    try:
        slot.prove(ssh[:-1], ssh[-1])
        return _find([ssh[0], *slot.words(), *ssh[1:]], engine, bring)
    finally:
        slot.release()


def _find(ssh: t.Sequence[str], engine: str, bring: bool) -> t.Tuple[str, t.Optional[bytes]]:
    with open(engine, "rb") as stream:
        content = stream.read()
    sha256 = hashlib.sha256(content).hexdigest()
    names = {"name": cache.file_name(sha256), "sha256": sha256}
    said = _ask(ssh, _LOOK.format(**names))
    if "engine" in said:
        return installed(said["engine"]), None
    platform = platform_name(*said.get("platform", " ").split(" ", 1))
    if platform != host_platform():
        raise NoEngine("it is %s, and this host has the engine for %s only" % (platform, host_platform()))
    packed = gzip.compress(content, 6)
    if not bring:
        return from_memory("python3", len(packed)), packed
    said = _ask(ssh, _INSTALL.format(**names), packed)
    if "engine" not in said:
        raise NoEngine("the engine cannot be installed there")
    return installed(said["engine"]), None


def _ask(ssh: t.Sequence[str], script: str, sent: bytes = b"") -> t.Dict[str, str]:
    """Run a script on the other host; give the lines that it answers, by their first words."""
    # Not by a pipe: a process of ssh that keeps the connection for the job may hold standard error open.
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [*ssh, "sh -c %s" % shlex.quote(script)],
            input=sent,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
        errors.seek(0)
        complaints = errors.read().decode("utf-8", "replace")
    answers = (line.partition(" ") for line in done.stdout.decode("utf-8", "surrogateescape").splitlines())
    said = {word: rest for word, _space, rest in answers if word in ("engine", "platform")}
    if "platform" not in said and "engine" not in said:
        line = telling(complaints.splitlines())
        raise Unreachable(line or "ssh ended with code %d and without a word" % done.returncode)
    return said
