# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The section on what moves."""

from __future__ import annotations

from .model import Key, ListOf, ModuleOptions, Section, choice, count, duration

_JOB_OPTIONS = frozenset(
    (
        "alerts",
        "executor",
        "fallback_to_python",
        "gc_threshold",
        "go_binary_path",
        "lease",
        "lock_timeout",
        "memory_limit",
        "on_disconnect",
        "priority",
        "progress_interval",
        "sample_interval",
        "timeout",
    )
)

FILE_SYNC_OPTIONS = _JOB_OPTIONS | frozenset(
    (
        "adaptive_bandwidth",
        "auto_adjust_parallelism",
        "bandwidth_limit",
        "bandwidth_test_interval",
        "buffer_size",
        "checksum_algorithm",
        "checksum_cache",
        "chunk_size",
        "compare",
        "compression",
        "compression_level",
        "direct_io",
        "connect_timeout",
        "connection_pooling",
        "delete",
        "destination",
        "direction",
        "filters",
        "follow_symlinks",
        "force_tcp_buffers",
        "keep_alive_interval",
        "large_file_method",
        "max_connections",
        "max_delete",
        "method",
        "numeric_ids",
        "on_vanished",
        "one_file_system",
        "parallel_chunks",
        "parallel_files",
        "performance_threshold",
        "preserve",
        "read_timeout",
        "resume",
        "retries",
        "source",
        "ssh_options",
        "stream_buffer_size",
        "stream_buffers",
        "sync_frequency",
        "tcp_no_delay",
        "tcp_receive_buffer",
        "tcp_send_buffer",
        "tcp_window_size",
        "update",
        "verify",
    )
)

DATABASE_MIGRATE_OPTIONS = _JOB_OPTIONS | frozenset(
    (
        "allow_losses",
        "bookkeeping",
        "chunk_rows",
        "connect_timeout",
        "destination",
        "exclude",
        "if_exists",
        "parallel_chunks",
        "prune",
        "resume",
        "retries",
        "source",
        "tables",
        "verify",
    )
)


def _both(option: str) -> tuple[str, ...]:
    return (f"file_sync.{option}", f"database_migrate.{option}")


MIGRATION = Section(
    "What moves.",
    {
        "files": ListOf(
            "Trees, in this order; manifest names a file by which the copy is verified.",
            ModuleOptions("file_sync", FILE_SYNC_OPTIONS | {"manifest"}, ("source", "destination")),
            ("migrate.files",),
        ),
        "databases": ListOf(
            "Databases, in this order.",
            ModuleOptions("database_migrate", DATABASE_MIGRATE_OPTIONS, ("source", "destination")),
            ("migrate.databases",),
        ),
        "uploads": ListOf("Uploads to object stores, in this order.", ModuleOptions("cloud_upload")),
        "jobs": Section(
            "How the jobs of files and databases run. An item that has the option itself takes its own.",
            {
                "lease": duration("Time for which a job goes on unheard of its controller.", 300, _both("lease"), 1),
                "on_disconnect": choice(
                    "What it does then, or when its play is interrupted.",
                    "stop",
                    ("stop", "finish"),
                    _both("on_disconnect"),
                ),
                "lock_timeout": duration(
                    "Time to wait for another job that writes to the destination.", 0, _both("lock_timeout")
                ),
                "progress_interval": duration(
                    "Time between two lines on how far it is.", None, _both("progress_interval")
                ),
                "priority": Section(
                    "How much of a busy host it takes.",
                    {
                        "nice": count(
                            "Priority for the processor; 19 comes last.", None, _both("priority.nice"), 0, 19
                        ),
                        "io_class": choice(
                            "Priority for disks; idle comes after all others.",
                            None,
                            ("best-effort", "idle"),
                            _both("priority.io_class"),
                        ),
                        "io_level": count(
                            "Priority within best-effort; 7 comes last.", None, _both("priority.io_level"), 0, 7
                        ),
                    },
                ),
            },
        ),
        "before": ListOf("Before the move.", Key("text", "Path of a file with tasks."), ("migrate.before",)),
        "after": ListOf("After the move.", Key("text", "Path of a file with tasks."), ("migrate.after",)),
    },
)
