# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The plan of a migration from SQLite to SQLite."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t

from . import sqlite_record, sqlite_schema
from .errors import DatabaseError
from .options import Options
from .plan import Plan
from .sqlite_comparison import ADVICE, Comparer, Comparison, Wishes, drop_object
from .sqlite_connection import SIDE_FILES, Reader, is_empty, locate
from .sqlite_schema import Schema
from .sqlite_selection import Selection, select
from .sqlite_statements import TOUCH_SCHEMA, create_sequences, statements

METHOD = {"chosen": "streaming", "reason": "both sides are SQLite files on this host"}

_CHUNK_ROWS = 1000000
_LARGE = 1 << 30


def plan(source: t.Mapping[str, t.Any], destination: t.Mapping[str, t.Any], options: Options) -> Plan:
    """Inspect both sides and decide.

    source, destination: {engine: sqlite, database: path} or {url: sqlite:///path}. Raises DatabaseError, before
    anything is touched, for everything that can be known beforehand.
    """
    paths = locate(source, "source"), locate(destination, "destination")
    exists = _check_places(*paths)
    readers = [Reader(paths[0], "source")]
    try:
        if exists and not is_empty(paths[1]):
            readers.append(Reader(paths[1], "destination"))
        return _Planner(paths, readers, options, exists).plan()
    except BaseException:
        for reader in readers:
            reader.close()
        raise


def _check_places(source: str, destination: str) -> bool:
    """Whether the destination exists."""
    if not os.path.exists(source):
        raise DatabaseError("there is no such file", "source", source, "source_missing")
    directory = os.path.dirname(destination)
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    if not os.path.isdir(directory):
        message = "%s is not a directory" % directory
        raise DatabaseError(message, "destination", destination, "destination_unwritable")
    if not os.access(directory, os.W_OK | os.X_OK):
        message = "the directory %s cannot be written by this user" % directory
        raise DatabaseError(message, "destination", destination, "destination_unwritable")
    if os.path.exists(destination):
        if os.path.samefile(source, destination):
            raise DatabaseError("it is the same file as the source", "destination", destination, "paths_overlap")
        if os.path.isfile(destination) and not os.access(destination, os.R_OK | os.W_OK):
            raise DatabaseError("it cannot be written", "destination", destination, "destination_unwritable")
        return True
    for suffix in SIDE_FILES:
        if os.path.lexists(destination + suffix):
            raise DatabaseError(
                "%s is left over from another database of this name and would spoil the new one; remove it"
                % (destination + suffix),
                "destination",
                destination,
            )
    return False


class _Planner:
    def __init__(self, paths: t.Tuple[str, str], readers: t.List[Reader], options: Options, exists: bool) -> None:
        self._source_path, self._destination_path = paths
        self._readers = readers
        self._options = options
        self._exists = exists
        self._source = readers[0]
        self._pragmas = {
            name: self._source.value("PRAGMA %s" % name)
            for name in ("encoding", "page_size", "auto_vacuum", "journal_mode")
        }

    def plan(self) -> Plan:
        options = self._options
        schema = sqlite_schema.read(self._source)
        selection = select(schema, options.tables, options.exclude)
        there: t.Optional[Schema] = None
        comparison = Comparison()
        if len(self._readers) > 1:
            there = sqlite_schema.read(self._readers[1])
            if there.is_empty:
                there = None
            else:
                wishes = Wishes(options.if_exists, options.prune, options.tables, options.exclude)
                comparison = Comparer(selection, schema, there, self._destination_path, wishes).compare()
                self._compare_encodings(comparison)
        anew = there is None or (options.if_exists == "replace" and comparison.differs)
        parameters = self._parameters(schema, selection, comparison, there, anew)
        wal = self._source.is_wal
        snapshot = {
            "kind": "one read transaction",
            "journal_mode": str(self._pragmas["journal_mode"]),
            "writers": "continue" if wal else "wait",
        }
        if not options.dry_run and len(self._readers) > 1:
            # The executor replaces or writes it, and needs it for itself.
            self._readers.pop().close()
        held = contextlib.ExitStack()
        # They stay open, so that no side file is left beside a database that the executor only reads.
        for reader in self._readers:
            held.callback(reader.close)
        return Plan(
            operation="database_migrate",
            parameters=parameters,
            sides=(self._source_path, self._destination_path),
            method=METHOD,
            snapshot=snapshot,
            omitted=selection.omitted,
            extra_tables=comparison.extra,
            writes=[self._destination_path],
            held=held,
        )

    def _compare_encodings(self, comparison: Comparison) -> None:
        theirs = self._readers[1].value("PRAGMA encoding")
        if theirs == self._pragmas["encoding"]:
            return
        if self._options.if_exists != "replace":
            raise DatabaseError(
                "its text encoding is %s and that of the source %s; if_exists: replace builds it anew"
                % (theirs, self._pragmas["encoding"]),
                "destination",
                self._destination_path,
                "destination_exists",
            )
        comparison.differs = True

    def _parameters(
        self, schema: Schema, selection: Selection, comparison: Comparison, there: t.Optional[Schema], anew: bool
    ) -> t.Dict[str, t.Any]:
        options = self._options
        keep = options.bookkeeping == "keep"
        settings = [] if there is not None and selection.filtered else ["user_version", "application_id"]
        tables = self._tables(schema, selection, comparison, there)
        objects = self._objects(selection, comparison)
        virtual = any(table.module for table in selection.tables)
        return {
            "source": {"engine": "sqlite", "database": self._source_path},
            "destination": {"engine": "sqlite", "database": self._destination_path},
            "strategy": "build" if anew else "compare",
            "if_exists": options.if_exists,
            "destination_exists": self._exists,
            "verify": options.verify,
            "integrity": self._integrity(),
            "chunk_rows": options.chunk_rows or _CHUNK_ROWS,
            "resume": options.resume,
            "digest": self._digest(tables, objects),
            "source_schema_version": schema.version,
            "destination_schema_version": None if there is None else there.version,
            "journal_mode": "wal" if self._source.is_wal else "delete",
            "prepare": [
                "PRAGMA main.encoding = '%s'" % self._pragmas["encoding"],
                "PRAGMA main.page_size = %d" % self._pragmas["page_size"],
                "PRAGMA main.auto_vacuum = %d" % self._pragmas["auto_vacuum"],
            ],
            "partial": sqlite_record.partial_of(self._destination_path),
            "tables": tables,
            "objects": objects,
            "removed": comparison.removed,
            "touch_schema": list(TOUCH_SCHEMA) if virtual else [],
            "settings": settings,
            "settings_refusal": self._settings_refusal(there),
            "record_path": sqlite_record.path_of(self._destination_path),
            "record": self._record(selection) if keep else None,
        }

    def _integrity(self) -> str:
        """How the destination's structure is checked: thoroughly when asked for, or when it is cheap."""
        if self._options.verify in ("none", "counts"):
            return "none"
        size = int(self._pragmas["page_size"]) * int(self._source.value("PRAGMA page_count"))
        return "full" if self._options.verify == "full" and size < _LARGE else "quick"

    def _tables(
        self, schema: Schema, selection: Selection, comparison: Comparison, there: t.Optional[Schema]
    ) -> t.List[t.Dict[str, t.Any]]:
        tables = []
        for number, table in enumerate(selection.tables):
            key = table.name.lower()
            present = there.tables.get(key) if there is not None else None
            sql = statements(table, number)
            if present is not None:
                sql["drop"] = statements(present, number)["drop"]
            action = comparison.actions.get(key, "create")
            if comparison.refusals.get(key):
                sql["refusal"] = comparison.refusals[key]
            tables.append({"name": table.name, "action": action, **sql})
        counted = any(table.autoincrement for table in selection.tables)
        if schema.has_sequences and not counted and not selection.filtered:
            # A table that is gone has left its empty counters behind: the new file has them too.
            missing = there is None or not there.has_sequences
            action = "create" if missing else "keep"
            tables.append({"name": "sqlite_sequence", "action": action, "create": create_sequences(), "drop": []})
        return tables

    @staticmethod
    def _objects(selection: Selection, comparison: Comparison) -> t.List[t.Dict[str, t.Any]]:
        items = [(item, comparison.actions.get(item.name.lower(), "create")) for item in selection.objects]
        return [
            {
                "kind": item.kind,
                "name": item.name,
                "table": item.table,
                "action": action,
                "create": item.sql,
                "drop": drop_object(item),
            }
            for item, action in [*items, *comparison.kept]
        ]

    def _settings_refusal(self, there: t.Optional[Schema]) -> t.Optional[str]:
        if (
            there is None
            or self._options.if_exists != "fail"
            or not sqlite_record.read(self._destination_path).is_empty
        ):
            return None
        return "destination: %s: its settings differ from the source, and this collection did not write it; %s" % (
            self._destination_path,
            ADVICE,
        )

    def _record(self, selection: Selection) -> t.Dict[str, t.Any]:
        record = sqlite_record.read(self._destination_path)
        for table in selection.tables:
            record.add(record.tables, table.name, table.sql)
        for item in selection.objects:
            record.add(record.objects, item.name, item.sql)
        return record.as_json()

    def _digest(self, tables: t.List[t.Dict[str, t.Any]], objects: t.List[t.Dict[str, t.Any]]) -> str:
        """Equal digests: a partial destination of the one plan can be continued by the other."""
        content = [
            self._source_path,
            {key: value for key, value in self._pragmas.items() if key != "journal_mode"},
            [[table["name"], table["create"]] for table in tables],
            [[item["name"], item["create"]] for item in objects],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
