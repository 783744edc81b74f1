# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What proves that two databases are still equal, kept on the host that compared them.

It holds how far each server had come when they were found equal. A server that has come no further was not written to,
and so the next run need not look at a single row. Whoever lacks this file, or cannot read it, compares again.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from .._executor import places

_VERSION = 1


class Proof(t.NamedTuple):
    """plan: a digest of what was compared and how. source, destination: how far each had come. rows, tables: what they
    hold."""

    plan: str
    source: str
    destination: str
    rows: int
    tables: int


def read(sides: t.Sequence[str]) -> t.Optional[Proof]:
    """The proof for these two databases, or None."""
    for directory in places.state_directories():
        path = os.path.join(directory, "equal", _name(sides))
        try:
            if places.distrust(os.path.dirname(path)) is not None:
                continue
            with open(path, encoding="utf-8") as stream:
                content = json.load(stream)
            if content.pop("version") == _VERSION:
                return Proof(**content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return None


def write(sides: t.Sequence[str], proof: Proof) -> None:
    """Keep it. Where there is no place for it nothing is lost but time."""
    try:
        directory = places.make_private(os.path.join(places.state_directory(), "equal"))
        path = os.path.join(directory, _name(sides))
        descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(dict(proof._asdict(), version=_VERSION), stream)
        os.replace(path + ".new", path)
    except (OSError, places.NoPlace):
        return


def _name(sides: t.Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sides).encode("utf-8", "surrogateescape")).hexdigest()
