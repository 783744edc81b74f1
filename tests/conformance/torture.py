# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tree with all that is hard to carry: every kind of entry and attribute, and names that nobody would choose."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from pathlib import Path

from .trees import write

NAMES = 500


def build_torture(root: Path) -> None:
    """Make the tree. What needs root is left out for other users."""
    root.mkdir(parents=True)
    _name_files(root / "names")
    _kinds(root / "kinds")
    _links(root)
    _holes(root / "holes")
    _attributes(root / "attributes")
    _times(root)


def hostile_names() -> list[bytes]:
    """Names that a shell, a terminal, a protocol, a pattern or a decoder takes for something else."""
    single = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
    chosen = [b"...", b" ", b"  ", b"-", b"--", b"-rf", b"--delete", b"~", b"~root", b"*", b"?", b"[a-z]", b"{a,b}"]
    chosen += [
        b"$HOME",
        b"`id`",
        b"$(id)",
        b";",
        b"&& id",
        b"'",
        b'"',
        b"\\",
        b"\\#012",
        b"a\\#012b",
        b"a -> b",
        b"a => b",
    ]
    chosen += [b"a/b".replace(b"/", b"\xe2\x88\x95"), b"con", b"NUL", b"aux.txt", b"x:y", b"host:path", b"CVS", b".git"]
    chosen += [
        b"n" * 255,
        b"\xff" * 255,
        "\u00e9".encode(),
        "e\u0301".encode(),
        b"\xe9",
        b"\xed\xa0\x80",
        b"%s%n",
        b"%00",
    ]
    chosen += [
        b"new\nline",
        b"cr\rlf\r\n",
        b"tab\t",
        b"\x1b[31mred",
        b"end ",
        b" begin",
        b"dot.",
        b"null\\0",
        b".rsync-filter",
    ]
    pairs = (bytes(pair) for pair in itertools.product(b"\n \"'\\\xff*", b"\r\t\x80#>-$?"))
    numbered = (b"\xc3\x28-%d" % number for number in itertools.count())
    names = list(dict.fromkeys(itertools.chain(single, chosen, pairs)))
    return names + list(itertools.islice(numbered, max(0, NAMES - len(names))))


def _name_files(root: Path) -> None:
    for number, name in enumerate(hostile_names()):
        raw = os.path.join(os.fsencode(root), b"%d" % (number % 7), name)
        if number % 10 == 9:
            os.makedirs(raw)
            write(os.path.join(raw, name), name)
        else:
            write(raw, name * (number % 5), age=number)


def _kinds(root: Path) -> None:
    (root / "empty").mkdir(parents=True)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        # By its descriptor: the whole path may be longer than a socket's may be.
        folder = os.open(root, os.O_RDONLY)
        try:
            bound.bind(f"/proc/self/fd/{folder}/socket")
        finally:
            os.close(folder)
    if os.geteuid() == 0:
        os.mknod(root / "character", 0o20640, os.makedev(1, 3))
        os.mknod(root / "block", 0o60600, os.makedev(259, 1_000_000))
    for name, mode in {"setuid": 0o4755, "setgid": 0o2755, "closed": 0, "all": 0o777}.items():
        write(root / name, name.encode(), mode)
    for name, mode in {"sticky": 0o1777, "group": 0o2770, "searched": 0o711}.items():
        (root / name).mkdir()
        (root / name).chmod(mode)


def _links(root: Path) -> None:
    for number in range(5):
        write(root / "groups" / f"{number}", b"%d" % number * 1000)
        for other in range(number):
            os.makedirs(root / "groups" / f"to-{other}", exist_ok=True)
            os.link(root / "groups" / f"{number}", root / "groups" / f"to-{other}" / f"{number}")
    os.link(root / "kinds" / "fifo", root / "groups" / "another fifo")
    for name, target in {"dangling": "nowhere", "up": "../..", "self": "self", "absolute": "/etc/passwd"}.items():
        (root / "groups" / name).symlink_to(target)
    os.symlink(b"\xff\n" * 100, os.fsencode(root / "groups" / "long"))


def _holes(root: Path) -> None:
    root.mkdir()
    for name, pieces, size in (
        ("all", [], 8 << 20),
        ("begin", [0], 3 << 20),
        ("middle", [1 << 20, 3 << 20], 5 << 20),
        ("end", [(4 << 20) - 7], 4 << 20),
    ):
        with open(root / name, "wb") as stream:
            for piece in pieces:
                stream.seek(piece)
                stream.write(b"content")
            stream.truncate(size)
    write(root / "large", os.urandom(3_000_000))


def _attributes(root: Path) -> None:
    write(root / "file")
    (root / "folder" / "below").mkdir(parents=True)
    write(root / "folder" / "below" / "file")
    for path in (root / "file", root / "folder"):
        os.setxattr(path, "user.colour", b"blue\0\xff")
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user.large", os.urandom(2000))
    lists = {
        "file": ["-m", "u:daemon:rw,g:12345:r"],
        "folder": ["-m", "u:12346:rx", "-m", "d:u:daemon:rwx,d:g:12345:r"],
    }
    for name, entries in lists.items():
        subprocess.run(["setfacl", *entries, root / name], check=True)
    if os.geteuid() == 0:
        os.chown(root / "folder" / "below" / "file", 12_345, 54_321)
        os.setxattr(root / "file", "trusted.secret", b"for root")
        capability = bytes.fromhex("0100000200200000000000000000000000000000")
        os.setxattr(root / "folder" / "below" / "file", "security.capability", capability)


def _times(root: Path) -> None:
    """Times of every age, of directories and links too."""
    for number, (folder, folders, files) in enumerate(os.walk(os.fsencode(root), topdown=False)):
        for name in folders + files:
            moment = (number * 86_400 + 1) * 1_000_000_000 + 987_654_321
            os.utime(os.path.join(folder, name), ns=(moment, moment), follow_symlinks=False)
    os.utime(root, ns=(4_200_000_000_123_456_789, 4_200_000_000_123_456_789))
