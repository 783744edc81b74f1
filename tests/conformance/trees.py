# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make trees, and describe them exactly."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import typing as t
from pathlib import Path

EPOCH = 1_700_000_000_000_000_000

Entry = t.Tuple[t.Any, ...]


def write(path: Path | bytes, content: bytes = b"content", mode: int = 0o644, age: int = 0) -> None:
    """A file, with a modification time that has nanoseconds and depends on *age* (seconds) alone."""
    raw = os.fsencode(path)
    os.makedirs(os.path.dirname(raw), exist_ok=True)
    with open(raw, "wb") as stream:
        stream.write(content)
    os.chmod(raw, mode)
    os.utime(raw, ns=(stamp(age), stamp(age)))


def stamp(age: int) -> int:
    return EPOCH - age * 1_000_000_000 + 123_456_789


def settle(root: Path) -> None:
    """Give every directory and symbolic link below *root*, and *root* itself, a fixed time."""
    for folder, _folders, _files in os.walk(os.fsencode(root), topdown=False):
        for entry in os.scandir(folder):
            if entry.is_symlink():
                os.utime(entry.path, ns=(stamp(5), stamp(5)), follow_symlinks=False)
        os.utime(folder, ns=(stamp(9), stamp(9)))


def snapshot(root: Path, ownership: bool = True) -> dict[bytes, Entry]:
    """Everything about a tree that a sync carries over, by relative path."""
    tree: dict[bytes, Entry] = {}
    inodes: dict[tuple[int, int], list[bytes]] = {}
    base = os.fsencode(root)
    if not os.path.isdir(base):
        return tree
    for folder, folders, files in os.walk(base):
        for name in [b"."] * (folder == base) + sorted(folders) + sorted(files):
            path = os.path.normpath(os.path.join(folder, name))
            info = os.lstat(path)
            relative = os.path.relpath(path, base)
            entry: list[t.Any] = [stat.S_IFMT(info.st_mode), info.st_mtime_ns]
            if not stat.S_ISLNK(info.st_mode):
                entry += [stat.S_IMODE(info.st_mode), sorted_xattrs(path)]
            if ownership:
                entry += [info.st_uid, info.st_gid]
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as stream:
                    entry += [info.st_size, hashlib.sha256(stream.read()).hexdigest()]
                if info.st_nlink > 1:
                    inodes.setdefault((info.st_dev, info.st_ino), []).append(relative)
            elif stat.S_ISLNK(info.st_mode):
                entry.append(os.readlink(path))
            elif stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
                entry.append(info.st_rdev)
            tree[relative] = tuple(entry)
    for members in inodes.values():
        for member in members:
            tree[member] += (("linked", tuple(sorted(members))),)
    return tree


def sorted_xattrs(path: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError:
        return ()
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)


def rsync_differences(source: Path, destination: Path) -> str:
    """What rsync would still have to do; empty when the trees are equal."""
    done = subprocess.run(
        ["rsync", "-aHAXni", "--delete", f"{source}/", f"{destination}/"], capture_output=True, text=True, check=True
    )
    return done.stdout


def temporaries(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".migration-assistant-*")]
