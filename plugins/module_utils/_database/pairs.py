# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Which planner is for which pair of engines."""

from __future__ import annotations

import typing as t

from . import postgres, sqlite
from .endpoint import engine_of
from .errors import DatabaseError
from .options import Options
from .plan import Plan

_PLANNERS = {
    ("sqlite", "sqlite"): sqlite.plan,
    ("postgresql", "postgresql"): postgres.plan,
}
# The library with which a planner of theirs looks at a database, and how pip calls it.
LIBRARIES = {"sqlite": "SQLAlchemy >= 2.0", "postgresql": "psycopg >= 3.2"}


def plan(source: t.Mapping[str, t.Any], destination: t.Mapping[str, t.Any], options: Options) -> Plan:
    """The plan for two sides, as the options source and destination give them. Raises DatabaseError; ImportError where
    the library for it is missing."""
    engines = engine_of(source, "source"), engine_of(destination, "destination")
    if engines not in _PLANNERS:
        known = " and ".join("%s to %s" % pair for pair in _PLANNERS)
        raise DatabaseError("from %s to %s cannot be migrated; %s can" % (*engines, known), "destination.engine")
    return _PLANNERS[engines](source, destination, options)
