# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What of a PostgreSQL table stands in the way of a repair of its rows: foreign keys, triggers and rules."""

from __future__ import annotations

import typing as t

from . import postgres_catalog as catalog
from .postgres_catalog import Table, quote
from .postgres_dump import Definitions
from .postgres_schema import silent
from .postgres_session import Session

_ANCESTORS = (
    "SELECT c.oid, a.relid::oid FROM pg_class c, pg_partition_ancestors(c.oid) a"
    " WHERE c.relispartition AND a.relid <> c.oid"
)
_TRIGGERS = (
    "SELECT tgrelid, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' ORDER BY 1, 2"
)
_RULES = (
    "SELECT ev_class, rulename, ev_enabled::text FROM pg_rewrite"
    " WHERE ev_type <> '1' AND ev_enabled <> 'D' ORDER BY 1, 2"
)
_ENABLED = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


class Obstacles:
    """Those of a destination. coming: what it gets or has; going: tables that are dropped before."""

    def __init__(
        self, destination: Session, coming: Definitions, there: t.Sequence[Table], going: t.Sequence[Table]
    ) -> None:
        self._by_oid = {table.oid: table for table in there}
        gone = {table.oid for table in going}
        self._keys = [key for key in catalog.foreign_keys(destination) if key.table not in gone]
        self._coming = {(entry.schema, entry.name) for entry in coming.after if entry.kind == "FK CONSTRAINT"}
        self._ancestors: t.Dict[int, t.Set[int]] = {}
        for oid, ancestor in destination.rows(_ANCESTORS):
            self._ancestors.setdefault(oid, set()).add(ancestor)
        self._triggers = destination.rows(_TRIGGERS)
        self._rules = destination.rows(_RULES)

    def of(self, table: Table) -> t.Dict[str, t.Any]:
        """What a job does about them: unhook and rehook, before_repair and after_repair. table: the destination's."""
        away, back = [], []
        for owner, key, definition, comment in self._foreign_keys(table):
            name = "%s.%s" % (owner.label, key)
            only = "" if owner.is_partitioned else "ONLY "
            sql = ["ALTER TABLE %s%s ADD CONSTRAINT %s %s" % (only, owner.quoted, quote(key), definition)]
            if comment is not None:
                sql.append("COMMENT ON CONSTRAINT %s ON %s IS %s" % (quote(key), owner.quoted, comment))
            drop = "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s" % (owner.quoted, quote(key))
            away.append(silent("foreign key", name, [drop]))
            back.append(silent("foreign key", name, sql))
        asleep, awake = self._asleep(table)
        return {
            "unhook": away,
            "rehook": [back] if back else [],
            "before_repair": asleep,
            "after_repair": awake,
        }

    def immovable(self, table: Table) -> t.Optional[str]:
        """A foreign key that would not come back after an interruption; None where there is none."""
        for owner, key, _definition, _comment in self._foreign_keys(table):
            if (owner.schema, " ".join(("%s %s" % (owner.name, key)).split("\n"))) not in self._coming:
                return "%s of %s" % (key, owner.label)
        return None

    def _foreign_keys(self, table: Table) -> t.Iterator[t.Tuple[Table, str, str, t.Optional[str]]]:
        """Those from and to a table, or to what it is a partition of."""
        family = {table.oid, *self._ancestors.get(table.oid, ())}
        for key in self._keys:
            if (key.table in family or key.referenced in family) and key.table in self._by_oid:
                yield self._by_oid[key.table], key.name, key.definition, key.comment

    def _asleep(self, table: Table) -> t.Tuple[t.List[str], t.List[str]]:
        asleep, awake = [], []
        for kind, only, rows in (("TRIGGER", "ONLY ", self._triggers), ("RULE", "", self._rules)):
            for oid, name, enabled in rows:
                if oid == table.oid:
                    words = (only + table.quoted, kind, quote(name))
                    asleep.append("ALTER TABLE %s DISABLE %s %s" % words)
                    awake.append("ALTER TABLE %s %s %s %s" % (words[0], _ENABLED[enabled], *words[1:]))
        return asleep, awake
