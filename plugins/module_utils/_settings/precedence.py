# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Figures that the configuration gives in more than one place, and which place wins.

The more specific one: the section of a method or provider, then the section of the domain (files, databases,
networks), then the general section. The documentation's table is made from this one.
"""

from __future__ import annotations

import typing as t


class Figure(t.NamedTuple):
    """A figure and its places, the most specific one first.

    Of places that stand in one tuple the greatest value counts. consumer: the options that it feeds, as the
    schema has it.
    """

    name: str
    places: tuple[tuple[str, ...], ...]
    consumer: tuple[str, ...] = ()
    note: str = ""


def _figure(name: str, *places: str | tuple[str, ...], feeds: tuple[str, ...] = (), note: str = "") -> Figure:
    tiers = tuple(place if isinstance(place, tuple) else (place,) for place in places)
    return Figure(name, tiers, feeds, note)


FIGURES: tuple[Figure, ...] = (
    _figure(
        "executor of file transfers",
        "transfer_methods.local_to_local.use_go_engine",
        "performance.use_go_engine",
        feeds=("file_sync.executor",),
    ),
    _figure(
        "method of a copy",
        "transfer_methods.local_to_local.method",
        "go_operations.file_copy.method",
        feeds=("file_sync.method",),
    ),
    _figure(
        "chunk of a large file",
        "transfer_methods.large_files.chunk_size",
        "go_operations.file_copy.chunk_size",
        "parallel_optimization.chunk_size",
        feeds=("file_sync.chunk_size",),
    ),
    _figure(
        "chunks of one file at once",
        "transfer_methods.large_files.parallel_chunks",
        "go_operations.file_copy.parallel_chunks",
        "parallel_optimization.parallel_chunks",
        feeds=("file_sync.parallel_chunks",),
    ),
    _figure(
        "buffer of a copy",
        "go_operations.file_copy.buffer_size",
        (
            "filesystem_optimization.io_optimization.read_buffer_size",
            "filesystem_optimization.io_optimization.write_buffer_size",
        ),
        feeds=("file_sync.buffer_size",),
    ),
    _figure(
        "interval of samples",
        "monitoring.metrics.enabled",
        "monitoring.metrics.collection_interval",
        feeds=("file_sync.sample_interval", "file_checksum.sample_interval", "database_migrate.sample_interval"),
        note="enabled counts when it is false; the interval is 0 then",
    ),
    _figure(
        "memory of an executor",
        "memory_optimization.memory_monitoring",
        "memory_optimization.max_memory_usage",
        feeds=("file_sync.memory_limit", "database_migrate.memory_limit"),
        note="memory_monitoring counts when it is false; there is no limit then",
    ),
    _figure(
        "buffer of a stream between two hosts",
        "memory_optimization.streaming.enabled",
        "memory_optimization.streaming.buffer_size",
        feeds=("file_sync.stream_buffer_size",),
        note="enabled counts when it is false; the buffer is the smallest one then",
    ),
    _figure(
        "files at once, checksums",
        "go_operations.checksum_calculation.parallel_files",
        "parallel_optimization.parallel_files",
        feeds=("file_checksum.parallel_files",),
    ),
    _figure(
        "memory of checksums",
        "memory_optimization.memory_monitoring",
        "go_operations.checksum_calculation.memory_limit",
        "memory_optimization.max_memory_usage",
        feeds=("file_checksum.memory_limit",),
        note="memory_monitoring counts when it is false; there is no limit then",
    ),
    _figure(
        "connections of a transfer",
        "network_optimization.concurrent_connections",
        "parallel_optimization.max_connections",
        feeds=("file_sync.max_connections",),
    ),
    _figure(
        "TCP window",
        "network_optimization.tcp_optimization.window_size",
        "network_optimization.tcp_window_size",
        feeds=("file_sync.tcp_window_size",),
    ),
    _figure(
        "interval of keep-alive packets",
        "network_optimization.tcp_optimization.keep_alive",
        "network_optimization.keep_alive",
        "network_optimization.tcp_optimization.keep_alive_interval",
        feeds=("file_sync.keep_alive_interval",),
        note="keep_alive counts when it is false; there are none then",
    ),
    _figure(
        "compression of a transfer",
        "transfer_methods.server_to_server.compression",
        "network_optimization.compression.enabled",
        "network_optimization.compression.algorithm",
        "go_operations.compression.algorithm",
        feeds=("file_sync.compression",),
        note="the first of the two switches that is given counts; where it is true, or none is, the algorithm does",
    ),
    _figure(
        "level of a transfer's compression",
        "network_optimization.compression.level",
        "go_operations.compression.level",
        feeds=("file_sync.compression_level",),
        note="only where an algorithm is chosen; the general level only for the algorithm of its own section",
    ),
    _figure(
        "rows of a chunk",
        "migration_methods.large_database.chunk_size",
        "database_optimization.parallel_processing.chunk_size",
        feeds=("database_migrate.chunk_rows",),
    ),
    _figure(
        "rows of a batch",
        "migration_methods.cross_platform.batch_size",
        "database_optimization.query_optimization.batch_size",
    ),
    _figure(
        "documents of a batch",
        "mongodb_optimization.performance.batchSize",
        "database_optimization.query_optimization.batch_size",
    ),
    _figure(
        "tables at once, parallel dump",
        "migration_methods.medium_database.parallel_jobs",
        "database_optimization.parallel_processing.parallel_tables",
    ),
    _figure(
        "collections at once",
        "mongodb_optimization.performance.parallel_collections",
        "database_optimization.parallel_processing.parallel_tables",
    ),
    _figure(
        "connections to MongoDB",
        "mongodb_optimization.connection_options.maxPoolSize",
        "database_optimization.connection_pool.size",
    ),
    _figure(
        "commit after each statement, MySQL",
        "mysql_optimization.connection_options.autocommit",
        "database_optimization.query_optimization.disable_autocommit",
        note="disable_autocommit is its opposite",
    ),
    _figure(
        "objects at once, S3",
        "aws_s3_optimization.transfer.max_concurrency",
        "transfer_methods.local_to_cloud.parallel_uploads",
        "parallel_optimization.parallel_files",
    ),
    _figure(
        "objects at once, Google Cloud Storage",
        "gcs_optimization.transfer.parallel_uploads",
        "transfer_methods.local_to_cloud.parallel_uploads",
        "parallel_optimization.parallel_files",
    ),
    _figure(
        "parts from this size on, S3",
        "aws_s3_optimization.transfer.multipart_threshold",
        "transfer_methods.local_to_cloud.multipart_threshold",
    ),
    _figure(
        "resumable from this size on, Google Cloud Storage",
        "gcs_optimization.transfer.resumable_threshold",
        "transfer_methods.local_to_cloud.multipart_threshold",
    ),
    _figure(
        "part of an object, S3",
        "aws_s3_optimization.transfer.multipart_chunksize",
        "parallel_optimization.chunk_size",
    ),
    _figure(
        "part of an object, Google Cloud Storage",
        "gcs_optimization.transfer.chunk_size",
        "parallel_optimization.chunk_size",
    ),
)

# The places of each option that has more than one.
PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    option: figure.places for figure in FIGURES for option in figure.consumer
}
