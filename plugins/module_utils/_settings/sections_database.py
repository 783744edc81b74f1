# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Sections on databases."""

from __future__ import annotations

from .. import _units
from .model import Section, boolean, choice, count, duration, size, text

_METHODS = ("auto", "dump_restore", "parallel_dump", "streaming", "sqlalchemy_transfer")
_CONNECTIONS = 1024

DATABASE_OPTIMIZATION = Section(
    "Databases of every engine.",
    {
        "connection_pool": Section(
            "Connections to a database.",
            {
                "size": count("Connections that stay open.", 20, maximum=_CONNECTIONS),
                "max_overflow": count("Further ones in case of need.", 30, minimum=0, maximum=_CONNECTIONS),
                "timeout": duration("Time to wait for a free connection.", 30),
                "recycle": duration("Age at which a connection is renewed; 0 for never.", 3600),
            },
        ),
        "query_optimization": Section(
            "Statements.",
            {
                "batch_size": count("Rows written by one statement.", 10000),
                "fetch_size": count("Rows read at once.", 1000),
                "use_prepared_statements": boolean("Prepare statements that are used often.", True),
                "disable_autocommit": boolean("Commit by chunk instead of by statement.", True),
            },
        ),
        "parallel_processing": Section(
            "What happens at once.",
            {
                "parallel_tables": count("Tables in work at once.", 4, maximum=_CONNECTIONS),
                "parallel_chunks": count("Chunks of one table in work at once.", 2, maximum=_CONNECTIONS),
                "chunk_size": count("Rows of one chunk of a table.", None, "database_migrate.chunk_rows"),
            },
        ),
    },
)

MIGRATION_METHODS = Section(
    "The method for a database, by its size.",
    {
        "small_database": Section(
            "Databases up to thresholds.small.",
            {
                "method": choice("How it is moved.", "dump_restore", _METHODS),
                "single_transaction": boolean("Read everything in one transaction.", True),
            },
        ),
        "medium_database": Section(
            "Databases up to thresholds.medium.",
            {
                "method": choice("How it is moved.", "parallel_dump", _METHODS),
                "parallel_jobs": count("Tables in work at once.", None, maximum=_CONNECTIONS),
                "compression": boolean("Compress the dump.", True),
            },
        ),
        "large_database": Section(
            "Greater databases.",
            {
                "method": choice("How it is moved.", "streaming", _METHODS),
                "chunk_size": count("Rows of one chunk of a table.", None, "database_migrate.chunk_rows"),
                "parallel_streams": count(
                    "Chunks in work at once, over all tables.", 4, "database_migrate.parallel_chunks", maximum=128
                ),
            },
        ),
        "cross_platform": Section(
            "From one engine to another.",
            {
                "method": choice("How it is moved.", "sqlalchemy_transfer", _METHODS),
                "batch_size": count("Rows written by one statement."),
                "use_bulk_insert": boolean("Write many rows with one statement.", True),
            },
        ),
        "thresholds": Section(
            "What counts as small, medium and large.",
            {
                "small": size("Databases up to this size are small.", "1GB"),
                "medium": size("Those up to this size are medium, greater ones are large.", "100GB"),
            },
        ),
    },
)

MYSQL_OPTIMIZATION = Section(
    "MySQL and MariaDB.",
    {
        "connection_options": Section(
            "Options of the connection.",
            {
                "charset": text("Character set.", "utf8mb4"),
                "use_unicode": boolean("Text as Unicode.", True),
                "autocommit": boolean("Commit after every statement."),
            },
        ),
        "performance": Section(
            "Settings of the server.",
            {
                "innodb_buffer_pool_size": size("Memory for pages of tables.", None, (), 5 * _units.MB),
                "innodb_log_file_size": size("Size of the redo log.", None, (), 4 * _units.MB),
                "max_allowed_packet": size("Greatest packet.", None, (), _units.KB, _units.GB),
            },
        ),
        "migration": Section(
            "The load.",
            {
                "disable_foreign_keys": boolean("Check foreign keys after the load.", True),
                "disable_triggers": boolean("Create triggers after the load.", True),
                "disable_indexes": boolean("Build indexes after the load.", True),
                "use_extended_insert": boolean("Write many rows with one statement.", True),
            },
        ),
    },
)

POSTGRESQL_OPTIMIZATION = Section(
    "PostgreSQL.",
    {
        "connection_options": Section(
            "Options of the connection.",
            {
                "sslmode": choice(
                    "TLS of the connection.",
                    None,
                    ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
                ),
                "application_name": text("Name that pg_stat_activity shows.", "migration-assistant"),
            },
        ),
        "performance": Section(
            "Settings of the server.",
            {
                "shared_buffers": size("Memory for pages of tables.", None, (), 128 * _units.KB),
                "work_mem": size("Memory for one sort or hash.", None, (), 64 * _units.KB, 2 * _units.TB),
                "maintenance_work_mem": size("Memory to build an index.", None, (), _units.MB, 2 * _units.TB),
            },
        ),
        "migration": Section(
            "The load.",
            {
                "use_copy": boolean("Write by COPY instead of INSERT.", True),
                "disable_triggers": boolean("Create triggers after the load.", True),
                "analyze_after_migration": boolean("Run ANALYZE after the load.", True),
            },
        ),
    },
)

MONGODB_OPTIMIZATION = Section(
    "MongoDB.",
    {
        "connection_options": Section(
            "Options of the connection.",
            {
                "maxPoolSize": count("Most connections.", None, maximum=_CONNECTIONS),
                "minPoolSize": count("Connections that stay open.", 5, minimum=0, maximum=_CONNECTIONS),
                "maxIdleTimeMS": count(
                    "Milliseconds until an idle connection is closed; 0 for never.", 30000, minimum=0
                ),
            },
        ),
        "performance": Section(
            "The load.",
            {
                "batchSize": count("Documents read or written at once."),
                "parallel_collections": count("Collections in work at once.", None, maximum=_CONNECTIONS),
                "use_bulk_operations": boolean("Write many documents with one request.", True),
            },
        ),
        "migration": Section(
            "What is carried over, and how.",
            {
                "preserve_indexes": boolean("Create indexes before the load; false builds them after it.", False),
                "use_aggregation_pipeline": boolean("Read through an aggregation pipeline.", False),
            },
        ),
    },
)
