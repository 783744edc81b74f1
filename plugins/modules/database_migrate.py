#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_migrate
short_description: Make a destination database equal a source database
version_added: 0.1.0
description:
  - Makes O(destination) equal O(source), on the host that runs the module. Both are SQLite databases so far.
  - >-
    Tables with all their rows, storage classes and rowids, WITHOUT ROWID and STRICT tables, generated columns,
    constraints, indexes, views, triggers, virtual tables, AUTOINCREMENT counters, statistics of ANALYZE,
    C(user_version) and C(application_id).
  - >-
    The whole run sees one state of the source, also while the source is written to. See RV(snapshot) for what its
    writers notice.
  - >-
    A new destination is built in a hidden file beside its name and renamed when it is complete and verified. A run
    that was interrupted goes on from the last complete chunk.
  - >-
    An existing destination is compared row by row. If it differs, it is repaired in one transaction, or built anew,
    or left alone, as O(if_exists) says.
requirements:
  - SQLAlchemy >= 2.0 on the host that runs the module
notes:
  - >-
    Beside the destination a record of the tables that were written is kept, C(.NAME.migration-assistant.json).
    O(bookkeeping) tells how to do without it.
  - >-
    Indexes, triggers and views that this module wrote go when the source has lost them. Others that the destination
    alone has stay as they are, unless O(prune) is set.
  - With O(tables) or O(exclude), C(user_version) and C(application_id) of an existing destination are left alone.
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.database
  - migration.assistant.executor
  - migration.assistant.executor.job
  - migration.assistant.executor.writing_job
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  source:
    description: Database to copy from. It is never written to.
    type: dict
    required: true
    suboptions:
      engine:
        description: Kind of database.
        type: str
        choices: [sqlite]
        default: sqlite
      database:
        description: Path of the database file.
        type: path
      url:
        description: The same as C(sqlite:///PATH), with four slashes before an absolute path.
        type: str
      password:
        description: Refused here, since a SQLite file has no password.
        type: str
  destination:
    description: Database to copy to. Missing directories above it are created.
    type: dict
    required: true
    suboptions:
      engine:
        description: Kind of database.
        type: str
        choices: [sqlite]
        default: sqlite
      database:
        description: Path of the database file.
        type: path
      url:
        description: The same as C(sqlite:///PATH), with four slashes before an absolute path.
        type: str
      password:
        description: Refused here, since a SQLite file has no password.
        type: str
  tables:
    description:
      - Tables to migrate, as names or shell patterns. All by default. Indexes and triggers go with their tables.
      - A name that matches no table is an error. Views and triggers that need a table which is left out are left out.
    type: list
    elements: str
    default: []
  exclude:
    description: Tables to leave out, as names or shell patterns.
    type: list
    elements: str
    default: []
  if_exists:
    description:
      - What to do with an existing destination that differs. An equal one is never touched.
      - >-
        V(fail) repairs tables that this module wrote earlier, as V(sync) does, and fails before it would change
        any other.
      - V(sync) repairs rows, definitions and settings in place, all or nothing.
      - V(replace) builds a new file and renames it over the old one.
    type: str
    choices: [fail, sync, replace]
    default: fail
  prune:
    description: Remove tables, indexes, views and triggers that the source lacks.
    type: bool
    default: false
  verify:
    description:
      - How the destination is verified before it gets its name, or before the repair is committed.
      - V(counts) compares numbers of rows.
      - >-
        V(checksum) compares every value and its storage class, and has SQLite check the structure and the foreign
        keys. V(full) does the same with SQLite's thorough check.
    type: str
    choices: [none, counts, checksum, full]
    default: checksum
  chunk_rows:
    description: Rows that are copied in one transaction. After an interruption a run goes on from the last of them.
    type: int
    default: 1000000
  resume:
    description: Whether to go on with what an interrupted run has left. Otherwise it is thrown away.
    type: bool
    default: true
  bookkeeping:
    description:
      - V(keep) leaves the record of written tables beside the destination.
      - >-
        V(remove) leaves none. A later run with O(if_exists=fail) then takes the destination for somebody else's,
        and fails if it differs.
    type: str
    choices: [keep, remove]
    default: keep
"""

EXAMPLES = r"""
- name: Copy a shop's database to its new place
  migration.assistant.database_migrate:
    source:
      database: /srv/old/shop.db
    destination:
      database: /srv/www/shop.db

- name: Make an existing database equal, but keep its own tables
  migration.assistant.database_migrate:
    source:
      url: sqlite:////srv/old/shop.db
    destination:
      url: sqlite:////srv/www/shop.db
    if_exists: sync
    exclude:
      - "session*"
      - cache
    verify: full

- name: See what would change
  migration.assistant.database_migrate:
    source:
      database: /srv/old/shop.db
    destination:
      database: /srv/www/shop.db
    if_exists: sync
    prune: true
  check_mode: true
  diff: true
"""

RETURN = r"""
source:
  description: The database that was copied from.
  returned: always
  type: str
destination:
  description: The database that was copied to.
  returned: always
  type: str
executor:
  description: Which executor ran.
  returned: always
  type: dict
  sample: {used: go, version: 0.1.0, path: /opt/migration-engine, reason: the controller's build}
method:
  description: The method and why it was chosen.
  returned: always
  type: dict
  sample: {chosen: streaming, reason: both sides are SQLite files on this host}
snapshot:
  description: >-
    The state of the source that was read. C(writers) is V(continue) where it is in WAL mode, and V(wait) where
    those who write to it have to wait until the copy is done.
  returned: always
  type: dict
  sample: {kind: one read transaction, journal_mode: wal, writers: continue}
verified:
  description: The level that was reached, and how many rows were compared.
  returned: success
  type: dict
  sample: {level: checksum, rows: 120000}
omitted:
  description: What was not migrated, and why.
  returned: always
  type: list
  elements: dict
  sample: [{kind: view, name: open_sessions, reason: it needs sessions}]
extra_tables:
  description: Tables and other objects that the destination alone has, and keeps.
  returned: always
  type: list
  elements: str
statistics:
  description: Counts of what the source holds and of what was done.
  returned: always
  type: dict
  sample: {tables: 5, rows_total: 120000, rows_copied: 7, rows_inserted: 5, rows_updated: 2, rows_deleted: 0}
performance:
  description: Performance facts, such as C(rows_copied), C(rows_per_second) and C(duration_seconds).
  returned: always
  type: dict
samples:
  description: The same in the course of time.
  returned: always
  type: list
  elements: dict
alerts:
  description: Thresholds of O(alerts) that were crossed.
  returned: always
  type: list
  elements: dict
changes:
  description: The first hundred changed items.
  returned: always
  type: list
  elements: dict
  sample: [{action: update, kind: rows, path: orders, after: {inserted: 5, updated: 2, deleted: 0}}]
changes_count:
  description: Number of all changed items.
  returned: always
  type: int
changes_file:
  description: File on the host with all changed items, one JSON object per line, if there are more than a hundred.
  returned: always
  type: str
notices:
  description: What was peculiar, such as rows that break foreign keys; the first hundred.
  returned: always
  type: list
  elements: dict
notices_count:
  description: Number of all notices.
  returned: always
  type: int
error_code:
  description: What kind of failure it was, such as V(destination_exists).
  returned: failure
  type: str
earlier_run:
  description: >-
    What an earlier run with the same options did after its controller was gone. That is part of C(changed);
    everything else in the result is of this run.
  returned: when there was one whose result nobody has seen
  type: dict
  sample: {id: 3f2a9c1d, changed: true, changes_count: 120, statistics: {}, performance: {}}
resumable:
  description: Whether a rerun goes on from what is done.
  returned: failure of the job
  type: bool
"""

import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.migration.assistant.plugins.module_utils import _job_module, _job_options
from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError

METHOD = {"chosen": "streaming", "reason": "both sides are SQLite files on this host"}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(_job_options.writing_job_argument_spec(), **sqlite.ARGUMENT_SPEC),
        supports_check_mode=True,
    )
    _job_module.run(module, work)


def work(run: _job_module.Run) -> None:
    params = run.params
    options = sqlite.Options(
        dry_run=run.check_mode, **{name: params[name] for name in sqlite.OPTIONS if params[name] is not None}
    )
    try:
        plan = sqlite.plan(params["source"], params["destination"], options)
    except ImportError:
        run.fail(missing_required_lib("SQLAlchemy >= 2.0"), exception=traceback.format_exc())
    except DatabaseError as exc:
        run.fail(str(exc), error_code=exc.code)
    facts = {
        "source": plan.parameters["source"]["database"],
        "destination": plan.parameters["destination"]["database"],
        "method": METHOD,
        "snapshot": plan.snapshot,
        "omitted": plan.omitted,
        "extra_tables": plan.extra_tables,
    }
    with plan:
        outcome = run.job("database_migrate", plan.parameters, writes=[facts["destination"]], **facts)
    verified = {"level": params["verify"], "rows": outcome.statistics.get("rows_verified", 0)}
    if run.check_mode:
        verified = {"level": "none", "rows": 0}
    run.exit(outcome, verified=verified, **facts)


if __name__ == "__main__":
    main()
