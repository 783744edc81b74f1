# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Sections on how files, and their transfers, work."""

from __future__ import annotations

from .. import _units
from .model import Key, NamedValues, Section, boolean, choice, count, duration, size, text

_MODULES = ("file_sync", "file_checksum", "database_migrate", "transfer_plan")
_COMPRESSIONS = ("gzip", "zstd", "lz4", "brotli")
_LOCAL_METHODS = ("auto", "direct_copy", "chunked_transfer", "concurrent_chunks")
_REMOTE_METHODS = _LOCAL_METHODS + ("archive_transfer", "hybrid_sync", "ssh_rsync")
_WORKERS = 1024
_CONNECTIONS = 64
_LEAST_CHUNK = 64 * _units.KB
_LEAST_BUFFER = 4 * _units.KB
_MOST_SOCKET_BUFFER = _units.GB - 1
_TUNING = "The kernel's own tuning is kept where it goes further."
_WINDOW = "TCP window of a connection. " + _TUNING

PERFORMANCE = Section(
    "Which executor does the work.",
    {
        "use_go_engine": boolean(
            "Prefer the Go engine; false takes the Python fallback always.",
            True,
            tuple(f"{module}.executor" for module in _MODULES),
        ),
        "go_binary_path": text(
            "Path of the engine on the controller; without it, or if it does not exist, the usual places are searched.",
            None,
            tuple(f"{module}.go_binary_path" for module in _MODULES),
        ),
        "fallback_to_python": boolean(
            "Take the Python fallback where the engine cannot run; false fails there.",
            True,
            tuple(f"{module}.fallback_to_python" for module in _MODULES),
        ),
    },
)

GO_OPERATIONS = Section(
    "Operations of the executors. They count for both, the engine and the fallback.",
    {
        "file_copy": Section(
            "Copying of files.",
            {
                "method": choice("How a file is copied.", None, _LOCAL_METHODS, "file_sync.method"),
                "chunk_size": size("Range of a large file.", None, "file_sync.chunk_size", _LEAST_CHUNK),
                "parallel_chunks": count(
                    "Ranges of one large file in work at once.", None, "file_sync.parallel_chunks", maximum=_WORKERS
                ),
                "buffer_size": size("Bytes read and written at once.", None, "file_sync.buffer_size", _LEAST_BUFFER),
            },
        ),
        "checksum_calculation": Section(
            "Checksums of files.",
            {
                "algorithm": choice(
                    "Kind of checksum.", "sha256", ("sha256", "blake3", "xxh3"), "file_sync.checksum_algorithm"
                ),
                "parallel_files": count(
                    "Files in work at once, for manifests.", None, "file_checksum.parallel_files", maximum=_WORKERS
                ),
                "memory_limit": size("Most memory for manifests.", None, "file_checksum.memory_limit"),
            },
        ),
        "compression": Section(
            "Compression of archives and streams.",
            {
                "algorithm": choice("Kind of compression.", None, _COMPRESSIONS, "file_sync.compression"),
                "level": count("1 is fastest, 9 is smallest.", None, "file_sync.compression_level", maximum=9),
                "parallel_streams": count("Streams compressed at once.", 4, maximum=_WORKERS),
            },
        ),
    },
)

# This section stands twice in the guide; it is the union of both.
NETWORK_OPTIMIZATION = Section(
    "Connections over the network.",
    {
        "concurrent_connections": count(
            "Connections of one transfer.", None, "file_sync.max_connections", maximum=_CONNECTIONS
        ),
        "connection_pooling": boolean(
            "Use connections again instead of opening new ones.", False, "file_sync.connection_pooling"
        ),
        "keep_alive": boolean("Keep idle connections open.", None, "file_sync.keep_alive_interval"),
        "tcp_window_size": size(_WINDOW, None, "file_sync.tcp_window_size", _LEAST_BUFFER, _MOST_SOCKET_BUFFER),
        "read_buffer_size": size(
            "Buffer of a TCP connection for what it receives. " + _TUNING,
            None,
            "file_sync.tcp_receive_buffer",
            _LEAST_BUFFER,
            _MOST_SOCKET_BUFFER,
        ),
        "write_buffer_size": size(
            "Buffer of a TCP connection for what it sends. " + _TUNING,
            None,
            "file_sync.tcp_send_buffer",
            _LEAST_BUFFER,
            _MOST_SOCKET_BUFFER,
        ),
        "max_bandwidth": Key(
            "rate in MB/s",
            "Most bytes per second of a task over all its files; 0 for no limit.",
            None,
            ("file_sync.bandwidth_limit",),
        ),
        "adaptive_bandwidth": boolean(
            "Leave room for others in the network: go slower while a queue stands in it.",
            False,
            "file_sync.adaptive_bandwidth",
        ),
        "bandwidth_test_interval": duration(
            "Time between two looks at the network.", 300, "file_sync.bandwidth_test_interval", minimum=1
        ),
        "compression": Section(
            "Compression on the wire.",
            {
                "enabled": boolean("Compress what is sent.", None, "file_sync.compression"),
                "algorithm": choice(
                    "Kind of compression; lz4 for speed, brotli for size, auto for what is the fastest.",
                    "auto",
                    ("auto", *_COMPRESSIONS),
                    "file_sync.compression",
                ),
                "level": count("1 is fastest, 9 is smallest.", None, "file_sync.compression_level", maximum=9),
            },
        ),
        "tcp_optimization": Section(
            "Options of TCP.",
            {
                "window_size": size(_WINDOW, None, "file_sync.tcp_window_size", _LEAST_BUFFER, _MOST_SOCKET_BUFFER),
                "no_delay": boolean(
                    "Send small packets at once (no Nagle's algorithm). ssh always does.",
                    None,
                    "file_sync.tcp_no_delay",
                ),
                "keep_alive": boolean("Keep idle connections open.", True, "file_sync.keep_alive_interval"),
                "keep_alive_interval": duration(
                    "Time between two keep-alive packets.", 15, "file_sync.keep_alive_interval", minimum=1
                ),
            },
        ),
    },
)

TRANSFER_METHODS = Section(
    "The method of a transfer, by its kind.",
    {
        "local_to_local": Section(
            "Both sides on one host.",
            {
                "method": choice("How a tree is copied.", "auto", _LOCAL_METHODS, "file_sync.method"),
                "use_go_engine": boolean("As performance.use_go_engine, for files alone.", None, "file_sync.executor"),
            },
        ),
        "local_to_cloud": Section(
            "A tree to an object store.",
            {
                "method": choice("How a tree is uploaded.", "cloud_sync", ("auto", "cloud_sync")),
                "parallel_uploads": count("Objects in work at once.", 8, maximum=_WORKERS),
                "multipart_threshold": size("Objects from this size on are sent in parts.", "100MB"),
            },
        ),
        "server_to_server": Section(
            "Two hosts.",
            {
                "method": choice("How a tree is sent between two hosts.", "auto", _REMOTE_METHODS, "migrate.files"),
                "compression": boolean("Compress what is sent.", None, "file_sync.compression"),
                "ssh_options": NamedValues(
                    "Options of ssh_config.",
                    "option of ssh_config",
                    r"[A-Za-z][A-Za-z0-9]*\Z",
                    Key("scalar", "Its value.", None, ("file_sync.ssh_options",)),
                ),
            },
        ),
        "large_files": Section(
            "Files above chunk_size.",
            {
                "method": choice(
                    "How a large file is moved; auto leaves it to the method of the transfer.",
                    "auto",
                    _LOCAL_METHODS,
                    "file_sync.large_file_method",
                ),
                "chunk_size": size("Range of a large file.", None, "file_sync.chunk_size", _LEAST_CHUNK),
                "parallel_chunks": count(
                    "Ranges of one large file in work at once.", None, "file_sync.parallel_chunks", maximum=_WORKERS
                ),
                "resume_on_failure": boolean("Go on from the ranges that are done.", True, "file_sync.resume"),
            },
        ),
        "thresholds": Section(
            "Where transfer_plan draws its lines.",
            {
                "average_file_size": size(
                    "Trees with a greater average are moved in chunks.", "100MB", "transfer_plan.large_file_average"
                ),
                "file_count": count("Trees of more files are moved as an archive.", 10000, "transfer_plan.many_files"),
            },
        ),
    },
)

PARALLEL_OPTIMIZATION = Section(
    "How much happens at once.",
    {
        "parallel_files": count(
            "Files in work at once.",
            8,
            ("file_sync.parallel_files", "file_checksum.parallel_files", "transfer_plan.parallel_files"),
            maximum=_WORKERS,
        ),
        "parallel_chunks": count(
            "Ranges of one large file in work at once.", 4, "file_sync.parallel_chunks", maximum=_WORKERS
        ),
        "chunk_size": size("Range of a large file.", "50MB", "file_sync.chunk_size", _LEAST_CHUNK),
        "max_connections": count("Connections of one transfer.", 4, "file_sync.max_connections", maximum=_CONNECTIONS),
        "connection_timeout": duration("Time to wait for a connection.", 30, "file_sync.connect_timeout"),
        "read_timeout": duration("Time to wait for an answer.", 60, "file_sync.read_timeout"),
        "auto_adjust_parallelism": boolean(
            "Copy fewer files at a time below performance_threshold, while that does no harm.",
            False,
            "file_sync.auto_adjust_parallelism",
        ),
        "performance_threshold": Key(
            "rate", "Rate below which that is tried.", "1MB/s", ("file_sync.performance_threshold",)
        ),
    },
)

FILESYSTEM_OPTIMIZATION = Section(
    "Reading and writing of files.",
    {
        "io_optimization": Section(
            "Buffers and their way to the disk.",
            {
                "read_buffer_size": size("Bytes read at once.", "256KB", "file_sync.buffer_size", _LEAST_BUFFER),
                "write_buffer_size": size("Bytes written at once.", "256KB", "file_sync.buffer_size", _LEAST_BUFFER),
                "use_direct_io": boolean("Go past the page cache.", False, "file_sync.direct_io"),
                "sync_frequency": count(
                    "Wait for the disk after this many files, and at the end; 0 for never.",
                    0,
                    "file_sync.sync_frequency",
                    minimum=0,
                ),
            },
        ),
        "temp_storage": Section(
            "Where what is needed only during the run lies.",
            {
                "directory": text("Directory for it.", "/tmp/migration-assistant"),
                "use_fast_storage": boolean("Take the fastest disk if there is a choice.", True),
                "cleanup_on_completion": boolean("Remove it after the run.", True),
                "max_temp_size": size("Most space for it.", "10GB"),
            },
        ),
        "file_handling": Section(
            "What of a file is carried over.",
            {
                "preserve_permissions": boolean("Modes.", True, "file_sync.preserve.permissions"),
                "preserve_timestamps": boolean("Modification times.", True, "file_sync.preserve.timestamps"),
                "follow_symlinks": boolean(
                    "Copy what a symbolic link names instead of the link.",
                    False,
                    ("file_sync.follow_symlinks", "transfer_plan.follow_symlinks"),
                ),
                "handle_special_files": boolean(
                    "Recreate fifos, sockets and, as root, devices.", True, "file_sync.preserve.specials"
                ),
            },
        ),
    },
)
