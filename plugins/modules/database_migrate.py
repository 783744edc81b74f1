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
  - >-
    Makes O(destination) equal O(source), from SQLite to SQLite and from PostgreSQL to PostgreSQL. The host that runs
    the module reads from the one and writes to the other.
  - >-
    The whole run sees one state of the source, also while the source is written to. See RV(snapshot) for what its
    writers notice.
  - >-
    Of SQLite: tables with all their rows, storage classes and rowids, WITHOUT ROWID and STRICT tables, generated
    columns, constraints, indexes, views, triggers, virtual tables, AUTOINCREMENT counters, statistics of ANALYZE,
    C(user_version) and C(application_id). A new destination is built in a hidden file beside its name and renamed when
    it is complete and verified. An existing one is compared row by row, and repaired in one transaction, built anew, or
    left alone, as O(if_exists) says.
  - >-
    Of PostgreSQL: all that C(pg_dump) defines (schemas, extensions, types, functions, sequences, tables, partitions,
    identity and generated columns, defaults, comments, views, materialized views, indexes, constraints, triggers,
    rules, policies, statistics) and all rows, which go from server to server as they are. Tables are read in chunks by
    several connections at once, and indexes are built when a table's rows are there, foreign keys when all are. A
    chunk and the record of it are one transaction: after an interruption no row is there twice, and none is missing.
  - >-
    Of an existing PostgreSQL database each table is compared by hashes, which both servers compute, and only the rows
    that differ are written. Where neither server has been written to since both were found equal, not even that is
    done.
requirements:
  - SQLAlchemy >= 2.0 on the host that runs the module, for SQLite
  - >-
    psycopg >= 3.2 on the host that runs the module, and C(pg_dump), at least as new as both servers, for PostgreSQL
notes:
  - >-
    Beside a SQLite destination a record of the tables that were written is kept, C(.NAME.migration-assistant.json), and
    in a PostgreSQL destination the schema C(migration_assistant). O(bookkeeping) tells how to do without it.
  - >-
    PostgreSQL 14 or newer on both sides. The user of the source needs to read all tables, that of the destination to
    create in its database, as the database's owner can. Neither needs to be a superuser.
  - >-
    Owners, privileges, tablespaces and roles of PostgreSQL stay as the destination's user makes them. Tables with FORCE
    ROW LEVEL SECURITY need users with BYPASSRLS. Between different major versions definitions that are there are taken
    as they are, since the servers may print one in two ways.
  - >-
    During a repair triggers and rules of the repaired table sleep, and foreign keys from and to it are dropped and made
    again. A table with a foreign key that the source does not have is not repaired.
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
        description: Kind of database; as O(source.url) says, or else V(sqlite).
        type: str
        choices: [sqlite, postgresql]
      database:
        description: Path of the file of SQLite, or name of the database on a server.
        type: str
      url:
        description:
          - All of it in one, such as C(sqlite:///PATH), with four slashes before an absolute path, or
            C(postgresql://user:password@host:port/database?sslmode=verify-full).
          - A URL may have C(sslmode), C(sslrootcert), C(sslcert) and C(sslkey). What it says is no option besides.
        type: str
      host:
        description: Name or address of the server, or the directory of its Unix socket. V(localhost) by default.
        type: str
      port:
        description: Port of the server. V(5432) by default.
        type: int
      user:
        description: Who logs in at the server.
        type: str
      password:
        description: The password for that. Refused for SQLite, whose files have none.
        type: str
      tls:
        description: How the connection to the server is encrypted.
        type: dict
        suboptions:
          mode:
            description:
              - V(require) insists on encryption, V(verify-ca) on a certificate of a known authority too, V(verify-full)
                on one of that very host. V(prefer) by default, which takes what it gets.
            type: str
            choices: [disable, allow, prefer, require, verify-ca, verify-full]
          root_certificate:
            description: File with the certificates of the authorities.
            type: path
          certificate:
            description: File with the certificate that this side shows.
            type: path
          key:
            description: File with the key of it.
            type: path
  destination:
    description: Database to copy to. Missing directories above it are created.
    type: dict
    required: true
    suboptions:
      engine:
        description: Kind of database; as O(destination.url) says, or else V(sqlite).
        type: str
        choices: [sqlite, postgresql]
      database:
        description: Path of the file of SQLite, or name of the database on a server.
        type: str
      url:
        description:
          - All of it in one, such as C(sqlite:///PATH), with four slashes before an absolute path, or
            C(postgresql://user:password@host:port/database?sslmode=verify-full).
          - A URL may have C(sslmode), C(sslrootcert), C(sslcert) and C(sslkey). What it says is no option besides.
        type: str
      host:
        description: Name or address of the server, or the directory of its Unix socket. V(localhost) by default.
        type: str
      port:
        description: Port of the server. V(5432) by default.
        type: int
      user:
        description: Who logs in at the server.
        type: str
      password:
        description: The password for that. Refused for SQLite, whose files have none.
        type: str
      tls:
        description: How the connection to the server is encrypted.
        type: dict
        suboptions:
          mode:
            description:
              - V(require) insists on encryption, V(verify-ca) on a certificate of a known authority too, V(verify-full)
                on one of that very host. V(prefer) by default, which takes what it gets.
            type: str
            choices: [disable, allow, prefer, require, verify-ca, verify-full]
          root_certificate:
            description: File with the certificates of the authorities.
            type: path
          certificate:
            description: File with the certificate that this side shows.
            type: path
          key:
            description: File with the key of it.
            type: path
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
      - >-
        V(sync) repairs rows, definitions and settings in place, of SQLite all or nothing. Of PostgreSQL it makes the
        definitions that are missing; one that is there and differs is an error.
      - V(replace) builds a new file and renames it over the old one. PostgreSQL does not have it.
    type: str
    choices: [fail, sync, replace]
    default: fail
  prune:
    description:
      - Remove tables that the source lacks, of SQLite also indexes, views and triggers.
      - Other objects that a PostgreSQL destination alone has stay, and are listed in RV(extra_tables).
    type: bool
    default: false
  allow_losses:
    description:
      - What of a PostgreSQL database may be left behind. Otherwise the task fails before anything is written if the
        source has any. RV(omitted) lists what was.
      - >-
        V(event_triggers) go if the destination's user is a superuser. V(extension_tables) are rows of users in tables
        that belong to an extension.
    type: list
    elements: str
    choices: [event_triggers, extension_tables, large_objects, publications, subscriptions]
    default: []
  verify:
    description:
      - How the destination is verified before it gets its name, or before the repair is committed; on a PostgreSQL
        server when the rows are there, before foreign keys and triggers are made.
      - V(counts) compares numbers of rows.
      - >-
        V(checksum) compares every value. Of SQLite it compares storage classes too, and has SQLite check the structure
        and the foreign keys. V(full) does the same with SQLite's thorough check, and on servers row by row.
    type: str
    choices: [none, counts, checksum, full]
    default: checksum
  parallel_chunks:
    description: Chunks that are read and written at once, each on a connection to either server.
    type: int
    default: 4
  chunk_rows:
    description:
      - Rows that are copied in one transaction. After an interruption a run goes on from the last of them.
      - By default 1000000 for SQLite, and 200000 for servers, less where rows are long.
    type: int
  connect_timeout:
    description: Seconds within which a server must answer. 0 waits as long as the system does.
    type: float
    default: 30
  retries:
    description:
      - How often what fails with a connection, or because of others' transactions, is tried again, after pauses that
        grow from 1 to 30 seconds.
    type: int
    default: 5
  resume:
    description: Whether to go on with what an interrupted run has left. Otherwise it is thrown away.
    type: bool
    default: true
  bookkeeping:
    description:
      - V(keep) leaves the record of written tables beside the destination, or in it.
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

- name: Move a database to another server
  migration.assistant.database_migrate:
    source:
      engine: postgresql
      host: old.example.com
      user: reader
      password: "{{ vault_old_password }}"
      database: shop
      tls: {mode: verify-full}
    destination:
      url: "postgresql://owner:{{ vault_new_password }}@new.example.com/shop"
    exclude:
      - "session*"
  delegate_to: localhost

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
    The state of the source that was read. C(writers) is V(continue) on a server and where SQLite is in WAL mode, and
    V(wait) where those who write to it have to wait until the copy is done.
  returned: always
  type: dict
  sample: {kind: one read transaction, journal_mode: wal, writers: continue}
verified:
  description: >-
    The level that was reached, and how many rows were compared. C(level) is V(fingerprint) where nothing had to be
    compared, since neither server has been written to since both were found equal.
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
from ansible_collections.migration.assistant.plugins.module_utils._database import endpoint, options, pairs
from ansible_collections.migration.assistant.plugins.module_utils._database.errors import DatabaseError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(_job_options.writing_job_argument_spec(), **options.ARGUMENT_SPEC),
        supports_check_mode=True,
    )
    _job_module.run(module, work)


def work(run: _job_module.Run) -> None:
    params = run.params
    try:
        plan = pairs.plan(params["source"], params["destination"], options.Options.of(params, run.check_mode))
    except ImportError:
        library = pairs.LIBRARIES[endpoint.engine_of(params["source"], "source")]
        run.fail(missing_required_lib(library), exception=traceback.format_exc())
    except DatabaseError as exc:
        run.fail(str(exc), error_code=exc.code)
    facts = {
        "source": plan.sides[0],
        "destination": plan.sides[1],
        "method": plan.method,
        "snapshot": plan.snapshot,
        "omitted": plan.omitted,
        "extra_tables": plan.extra_tables,
    }
    with plan:
        outcome = run.job(plan.operation, plan.parameters, writes=plan.writes, **facts)
        if not outcome.changed:
            plan.remember(outcome.statistics)
    level = plan.level or ("none" if run.check_mode else params["verify"])
    verified = {"level": level, "rows": outcome.statistics.get("rows_verified", 0) if level != "none" else 0}
    run.exit(outcome, verified=verified, **facts)


if __name__ == "__main__":
    main()
