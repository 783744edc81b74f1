# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The record that a migration leaves beside a SQLite destination: which tables it wrote there."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

VERSION = 1


def path_of(database: str) -> str:
    return os.path.join(os.path.dirname(database), ".%s.migration-assistant.json" % os.path.basename(database))


def partial_of(database: str) -> str:
    """Where a new database is built until it is complete."""
    return os.path.join(os.path.dirname(database), ".%s.migration-assistant.partial" % os.path.basename(database))


def digest(sql: str) -> str:
    return hashlib.sha256(sql.encode("utf-8")).hexdigest()


def read(database: str) -> t.Dict[str, t.List[str]]:
    """The tables that this collection wrote into *database*, with the digests of the definitions that it gave them.

    Empty where there is no record, or where it speaks of another file.
    """
    try:
        with open(path_of(database), encoding="utf-8") as stream:
            content = json.load(stream)
        status = os.stat(database)
        if content["version"] != VERSION or content["device"] != status.st_dev or content["inode"] != status.st_ino:
            return {}
        return {str(name): [str(digest) for digest in digests] for name, digests in content["tables"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
