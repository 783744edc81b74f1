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
from dataclasses import dataclass, field

VERSION = 1


def path_of(database: str) -> str:
    return os.path.join(os.path.dirname(database), ".%s.migration-assistant.json" % os.path.basename(database))


def partial_of(database: str) -> str:
    """Where a new database is built until it is complete."""
    return os.path.join(os.path.dirname(database), ".%s.migration-assistant.partial" % os.path.basename(database))


def digest(sql: str) -> str:
    return hashlib.sha256(sql.encode("utf-8")).hexdigest()


@dataclass
class Record:
    """What this collection wrote into a database: by name the digests of the definitions that it gave.

    tables and objects (indexes, views, triggers) are apart, since tables hold data.
    """

    tables: t.Dict[str, t.List[str]] = field(default_factory=dict)
    objects: t.Dict[str, t.List[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.tables and not self.objects

    def has_table(self, name: str, sql: str) -> bool:
        return digest(sql) in self.tables.get(name, ())

    def has_object(self, name: str, sql: str) -> bool:
        return digest(sql) in self.objects.get(name, ())

    def add(self, kind: t.Dict[str, t.List[str]], name: str, sql: str) -> None:
        """Note one more; *kind* is tables or objects of this record."""
        digests = kind.setdefault(name, [])
        if digest(sql) not in digests:
            digests.append(digest(sql))

    def as_json(self) -> t.Dict[str, t.Any]:
        return {"version": VERSION, "tables": self.tables, "objects": self.objects}


def read(database: str) -> Record:
    """The record of *database*; an empty one where there is none, or where it speaks of another file."""
    try:
        with open(path_of(database), encoding="utf-8") as stream:
            content = json.load(stream)
        status = os.stat(database)
        if content["version"] != VERSION or content["device"] != status.st_dev or content["inode"] != status.st_ino:
            return Record()
        return Record(*(_digests(content[kind]) for kind in ("tables", "objects")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()


def _digests(content: t.Mapping[str, t.Iterable[str]]) -> t.Dict[str, t.List[str]]:
    return {str(name): [str(value) for value in values] for name, values in content.items()}
