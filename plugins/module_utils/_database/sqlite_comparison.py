# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What must happen to an existing SQLite destination, judged by the catalogs of both sides."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import dataclass, field

from . import sqlite_record
from .errors import DatabaseError
from .sqlite_schema import Schema, SchemaObject, Table, quote
from .sqlite_selection import Selection
from .sqlite_statements import drop

ADVICE = "if_exists: sync makes it equal, if_exists: replace builds it anew"


@dataclass
class Comparison:
    """actions: what to do with each table and object, by lower-case name.

    refusals: why a table must not be written (only with if_exists: fail). removed: {kind, name, sql} of what goes.
    kept: objects of the destination alone, which must survive. differs: whether the schemas differ.
    """

    actions: t.Dict[str, str] = field(default_factory=dict)
    refusals: t.Dict[str, str] = field(default_factory=dict)
    removed: t.List[t.Dict[str, t.Any]] = field(default_factory=list)
    kept: t.List[t.Tuple[SchemaObject, str]] = field(default_factory=list)
    extra: t.List[str] = field(default_factory=list)
    differs: bool = False


@dataclass
class Wishes:
    """The options that decide here."""

    if_exists: str
    prune: bool
    tables: t.Sequence[str]
    exclude: t.Sequence[str]

    def covers(self, name: str) -> bool:
        """Whether the options tables and exclude speak of a table of this name."""
        lowered = name.lower()
        if any(fnmatch.fnmatchcase(lowered, pattern.lower()) for pattern in self.exclude):
            return False
        return not self.tables or any(fnmatch.fnmatchcase(lowered, pattern.lower()) for pattern in self.tables)


class Comparer:
    """Compares the selected part of a source with a destination."""

    def __init__(self, selection: Selection, source: Schema, destination: Schema, path: str, wishes: Wishes) -> None:
        self._selection = selection
        self._source = source
        self._destination = destination
        self._path = path
        self._wishes = wishes
        self._written = sqlite_record.read(path)
        self._result = Comparison()

    def compare(self) -> Comparison:
        """Raises DatabaseError where the destination must not be touched."""
        for table in self._selection.tables:
            self._compare_table(table)
        self._find_extra_tables()
        for item in self._selection.objects:
            self._compare_object(item)
        self._find_extra_objects()
        result = self._result
        result.differs = bool(result.removed) or any(
            action not in ("compare", "keep", "recreate") for action in result.actions.values()
        )
        return result

    def _owns(self, table: str) -> bool:
        present = self._destination.tables.get(table.lower())
        return present is not None and self._written.has_table(present.name, present.sql)

    def _refuse(self, what: str) -> None:
        if self._wishes.if_exists == "fail":
            raise DatabaseError(
                "%s, and this collection did not write it; %s" % (what, ADVICE), "destination", self._path,
                "destination_exists",
            )  # fmt: skip

    def _compare_table(self, table: Table) -> None:
        key = table.name.lower()
        present = self._destination.tables.get(key)
        view = self._destination.objects.get(key)
        if view is not None and view.kind == "view":
            self._refuse("it has a view named %s where the source has a table" % table.name)
            self._remove("view", view.name, ["DROP VIEW main.%s" % quote(view.name)])
        if present is None:
            self._result.actions[key] = "create"
            return
        owned = self._owns(key)
        if present.sql == table.sql:
            self._result.actions[key] = "compare"
            if self._wishes.if_exists == "fail" and not owned:
                self._result.refusals[key] = (
                    "destination: %s: its table %s differs from the source, and this collection did not write it; %s"
                    % (self._path, table.name, ADVICE)
                )
            return
        if not owned:
            self._refuse("its table %s has another definition" % table.name)
        self._result.actions[key] = "rebuild"

    def _compare_object(self, item: SchemaObject) -> None:
        key = item.name.lower()
        present = self._destination.objects.get(key)
        if key in self._destination.tables:
            raise DatabaseError(
                "it has a table named %s where the source has a %s; remove or rename it" % (item.name, item.kind),
                "destination",
                self._path,
            )
        on_table = item.table.lower()
        if present is None:
            if on_table in self._destination.tables and not self._owns(on_table):
                self._refuse("its table %s lacks the %s %s" % (item.table, item.kind, item.name))
            self._result.actions[key] = "create"
        elif (present.kind, present.table.lower(), present.sql) == (item.kind, on_table, item.sql):
            remade = self._result.actions.get(on_table) in ("rebuild", "update") and item.kind != "view"
            self._result.actions[key] = "recreate" if remade else "keep"
        else:
            if not self._written.has_object(present.name, present.sql):
                self._refuse("its %s %s has another definition" % (present.kind, present.name))
            self._result.actions[key] = "update"

    def _find_extra_tables(self) -> None:
        destination = self._destination
        for key, table in destination.tables.items():
            if table.internal or key in self._result.actions:
                continue
            owner = destination.shadows.get(key, key)
            lacking = owner not in self._source.tables
            if lacking and self._wishes.prune and self._wishes.covers(owner):
                if not self._owns(key):
                    self._refuse("prune would remove its table %s" % table.name)
                self._remove("table", table.name, drop(table))
            elif lacking or self._wishes.if_exists == "replace":
                self._result.extra.append(table.name)
        if self._wishes.if_exists == "replace" and self._result.extra:
            raise DatabaseError(
                "replace would lose the tables %s, which are not migrated; prune: true removes those that the source "
                "lacks, if_exists: sync keeps them" % ", ".join(self._result.extra),
                "destination",
                self._path,
                "destination_exists",
            )

    def _find_extra_objects(self) -> None:
        removed = {str(item["name"]).lower() for item in self._result.removed}
        for key, item in self._destination.objects.items():
            table = item.table.lower()
            if key in self._source.objects or key in removed or table in removed:
                continue
            ours = table in self._result.actions or (item.kind == "view" and not self._selection.filtered)
            if not ours:
                continue
            written = self._written.has_object(item.name, item.sql)
            if self._wishes.prune or written:
                # An index, view or trigger that was migrated goes when the source has lost it: it holds no data.
                if not written:
                    self._refuse("prune would remove its %s %s" % (item.kind, item.name))
                self._remove(item.kind, item.name, [drop_object(item)])
            elif self._wishes.if_exists == "replace":
                raise DatabaseError(
                    "replace would lose the %s %s, which the source lacks; prune: true allows that"
                    % (item.kind, item.name),
                    "destination",
                    self._path,
                    "destination_exists",
                )
            else:
                self._result.extra.append(item.name)
                remade = self._result.actions.get(table) in ("rebuild", "update") and item.kind != "view"
                self._result.kept.append((item, "recreate" if remade else "keep"))

    def _remove(self, kind: str, name: str, sql: t.List[str]) -> None:
        self._result.removed.append({"kind": kind, "name": name, "sql": sql})


def drop_object(item: SchemaObject) -> str:
    return "DROP %s IF EXISTS main.%s" % (item.kind.upper(), quote(item.name))
