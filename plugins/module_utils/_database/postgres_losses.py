# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What of a PostgreSQL database does not go, and must not be lost in silence."""

from __future__ import annotations

import typing as t

from .errors import DatabaseError
from .options import Options
from .postgres_session import Session

_QUERIES = {
    "large_objects": "SELECT count(*) || ' large objects' FROM pg_largeobject_metadata HAVING count(*) > 0",
    "publications": "SELECT pubname FROM pg_publication ORDER BY 1",
    "subscriptions": "SELECT subname FROM pg_stat_subscription ORDER BY 1",
}
_CONFIGURATION = (
    "SELECT format('%I.%I', n.nspname, c.relname), x.condition FROM pg_extension e,"
    " unnest(e.extconfig, e.extcondition) AS x (oid, condition) JOIN pg_class c ON c.oid = x.oid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' ORDER BY 1"
)
_EVENT_TRIGGERS = "SELECT evtname FROM pg_event_trigger ORDER BY 1"
_IS_SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


def _extension_tables(source: Session) -> t.List[str]:
    """The tables of extensions that hold rows of users, which do not come with the extension."""
    found = []
    for name, condition in source.rows(_CONFIGURATION):
        if source.value("SELECT EXISTS (SELECT FROM %s %s)" % (name, condition)):
            found.append(str(name))
    return found


def losses(source: Session, destination: Session, options: Options) -> t.List[t.Dict[str, str]]:
    """{kind, name, reason} of each. Raises DatabaseError for those that allow_losses does not name."""
    queries = dict(_QUERIES)
    if not destination.value(_IS_SUPERUSER):
        queries["event_triggers"] = _EVENT_TRIGGERS
    found = {kind: [str(row[0]) for row in source.rows(sql)] for kind, sql in queries.items()}
    found["extension_tables"] = _extension_tables(source)
    forbidden = ["%s (%s)" % (kind, ", ".join(names)) for kind, names in found.items() if names]
    forbidden = [text for text in forbidden if text.split(" ")[0] not in options.allow_losses]
    if forbidden:
        raise DatabaseError(
            "what does not go would be lost: %s; allow_losses names what may be" % "; ".join(forbidden),
            "source",
            source.server,
        )
    return [
        {"kind": kind[:-1].replace("_", " "), "name": name, "reason": "allow_losses names %s" % kind}
        for kind, names in found.items()
        for name in names
    ]
