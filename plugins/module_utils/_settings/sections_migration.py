# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The section on what moves."""

from __future__ import annotations

from .model import Key, ListOf, ModuleOptions, Section

_EXECUTOR_OPTIONS = frozenset(
    ("alerts", "executor", "fallback_to_python", "go_binary_path", "sample_interval", "timeout")
)

FILE_SYNC_OPTIONS = _EXECUTOR_OPTIONS | frozenset(
    (
        "bandwidth_limit",
        "buffer_size",
        "chunk_size",
        "compare",
        "delete",
        "destination",
        "filters",
        "max_delete",
        "method",
        "parallel_chunks",
        "parallel_files",
        "preserve",
        "source",
        "verify",
    )
)

DATABASE_MIGRATE_OPTIONS = _EXECUTOR_OPTIONS | frozenset(
    (
        "bookkeeping",
        "chunk_rows",
        "destination",
        "exclude",
        "if_exists",
        "prune",
        "resume",
        "source",
        "tables",
        "verify",
    )
)

MIGRATION = Section(
    "What moves.",
    {
        "files": ListOf(
            "Trees, in this order.",
            ModuleOptions("file_sync", FILE_SYNC_OPTIONS, ("source", "destination")),
            ("migrate.files",),
        ),
        "databases": ListOf(
            "Databases, in this order.",
            ModuleOptions("database_migrate", DATABASE_MIGRATE_OPTIONS, ("source", "destination")),
            ("migrate.databases",),
        ),
        "uploads": ListOf("Uploads to object stores, in this order.", ModuleOptions("cloud_upload")),
        "before": ListOf("Before the move.", Key("text", "Path of a file with tasks."), ("migrate.before",)),
        "after": ListOf("After the move.", Key("text", "Path of a file with tasks."), ("migrate.after",)),
    },
)
