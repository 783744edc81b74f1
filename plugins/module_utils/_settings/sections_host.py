# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Sections on object stores, hosts, watching and benchmarks."""

from __future__ import annotations

from .. import _units
from .model import Key, ListOf, NamedValues, Section, boolean, choice, count, duration, percentage, size, text

_WORKERS = 1024
_LEAST_CACHE = 64 * 1024
_MOST_CACHE = 1 << 50
# The limits of the protocol: parts of 5 MB to 5 GB.
_S3_LEAST_PART = 5 * _units.MB
_S3_MOST_PART = 5 * _units.GB
_WATCHED = ("file_sync", "file_checksum", "database_migrate")

AWS_S3_OPTIMIZATION = Section(
    "Amazon S3 and stores that speak its protocol.",
    {
        "transfer": Section(
            "Transfers.",
            {
                "multipart_threshold": size("Objects from this size on are sent in parts."),
                "multipart_chunksize": size("Size of a part.", None, (), _S3_LEAST_PART, _S3_MOST_PART),
                "max_concurrency": count("Requests at once.", None, maximum=_WORKERS),
                "use_threads": boolean("Send requests at the same time at all.", True),
            },
        ),
        "storage_class": choice(
            "Storage class of new objects.",
            "STANDARD",
            (
                "STANDARD",
                "STANDARD_IA",
                "ONEZONE_IA",
                "INTELLIGENT_TIERING",
                "GLACIER_IR",
                "GLACIER",
                "DEEP_ARCHIVE",
                "REDUCED_REDUNDANCY",
            ),
        ),
        "performance": Section(
            "Requests.",
            {
                "use_accelerated_endpoint": boolean("Use the bucket's transfer acceleration.", False),
                "enable_crc32c_checksum": boolean("Have the store check a CRC-32C of what it gets.", True),
                "retry_mode": choice("How requests are tried again.", "adaptive", ("standard", "adaptive")),
            },
        ),
    },
)

GCS_OPTIMIZATION = Section(
    "Google Cloud Storage.",
    {
        "transfer": Section(
            "Transfers.",
            {
                "chunk_size": size(
                    "Size of a part; the protocol wants a multiple of 256KB.", None, (), 256 * _units.KB
                ),
                "parallel_uploads": count("Objects in work at once.", None, maximum=_WORKERS),
                "resumable_threshold": size("Objects from this size on are sent resumably."),
            },
        ),
        "performance": Section(
            "Requests.",
            {
                "use_json_api": boolean("Use the JSON API instead of the XML API."),
                "enable_gzip_compression": boolean("Compress what is sent.", False),
            },
        ),
    },
)

MEMORY_OPTIMIZATION = Section(
    "Memory.",
    {
        "max_memory_usage": size(
            "Most memory of an executor; a job that takes more ends.",
            None,
            tuple(f"{module}.memory_limit" for module in _WATCHED),
        ),
        "memory_monitoring": boolean(
            "Watch the memory; false lifts the limit.",
            True,
            tuple(f"{module}.memory_limit" for module in _WATCHED),
        ),
        "gc_threshold": percentage(
            "Collect garbage from this part of max_memory_usage on.",
            "80%",
            tuple(f"{module}.gc_threshold" for module in _WATCHED),
        ),
        "streaming": Section(
            "Contents that are under way between two hosts. They are never held whole.",
            {
                "enabled": boolean(
                    "Have much of them under way; false for as little as possible.",
                    True,
                    "file_sync.stream_buffer_size",
                ),
                "buffer_size": size(
                    "Most bytes of one stream.",
                    "2MB",
                    "file_sync.stream_buffer_size",
                    256 * _units.KB,
                    _units.GB,
                ),
                "max_buffers": count(
                    "Buffers of all streams together.", None, "file_sync.stream_buffers", maximum=_WORKERS
                ),
            },
        ),
        "caching": Section(
            "What is kept in case it is needed again: checksums of files, on the hosts where these are.",
            {
                "enabled": boolean("Keep it.", False, "file_sync.checksum_cache.enabled"),
                "max_cache_size": size(
                    "Most room for it.", "64MB", "file_sync.checksum_cache.max_size", _LEAST_CACHE, _MOST_CACHE
                ),
                "cache_ttl": duration("How long it is kept.", "7d", "file_sync.checksum_cache.max_age", 1),
            },
        ),
    },
)

MONITORING = Section(
    "Watching a run.",
    {
        "metrics": Section(
            "Samples in the course of time.",
            {
                "enabled": boolean(
                    "Take samples; false sets the interval to 0.",
                    True,
                    tuple(f"{module}.sample_interval" for module in _WATCHED),
                ),
                "collection_interval": duration(
                    "Time between two samples.", 5, tuple(f"{module}.sample_interval" for module in _WATCHED)
                ),
                "retention_period": duration("How long samples are kept.", "24h"),
            },
        ),
        "alerts": Section(
            "Thresholds; what crosses them is listed in the result.",
            {
                "low_transfer_rate": Key(
                    "rate", "Lowest rate.", None, tuple(f"{module}.alerts.low_transfer_rate" for module in _WATCHED)
                ),
                "high_memory_usage": percentage(
                    "Most memory of the executor, of the host's.",
                    None,
                    tuple(f"{module}.alerts.high_memory_usage" for module in _WATCHED),
                ),
                "high_cpu_usage": percentage(
                    "Most use of the host's processors by the executor.",
                    None,
                    tuple(f"{module}.alerts.high_cpu_usage" for module in _WATCHED),
                ),
                "connection_failures": count(
                    "Operations that had to be tried again.",
                    None,
                    tuple(f"{module}.alerts.connection_failures" for module in _WATCHED),
                ),
            },
        ),
        "profiling": Section(
            "Where the time goes.",
            {
                "enabled": boolean("Take profiles.", False),
                "profile_interval": duration("Time between two profiles.", 60, minimum=1),
                "save_profiles": boolean("Keep them after the run.", True),
            },
        ),
    },
)

DOCKER_OPTIMIZATION = Section(
    "Containers.",
    {
        "resources": Section(
            "Limits of a container.",
            {
                "memory": size("Most memory.", None, (), 6 * _units.MB),
                "cpus": Key("number", "Most processors; parts of one are possible."),
            },
        ),
        "volumes": ListOf(
            "Mounts of a container.",
            Section(
                "One mount.",
                {
                    "type": choice("Kind of mount.", None, ("tmpfs", "bind", "volume")),
                    "source": text("Directory or volume that is mounted."),
                    "target": text("Path in the container."),
                    "read_only": boolean("Mount read-only.", False),
                    "tmpfs": Section("Options of a tmpfs.", {"size": size("Its size.")}),
                },
            ),
        ),
        "network_mode": text("Network of a container: host, bridge, none or the name of a network."),
        "build_args": NamedValues(
            "Arguments of a build.", "argument", r"[A-Za-z_][A-Za-z0-9_]*\Z", Key("scalar", "Its value.")
        ),
    },
)


def _share(meaning: str, default: str) -> Key:
    return percentage(f"Part of files {meaning}.", default)


BENCHMARKING = Section(
    "Benchmarks.",
    {
        "scenarios": Section(
            "What is measured.",
            {
                "small_files": Section(
                    "Many small files.",
                    {
                        "file_count": count("Number of files.", 10000),
                        "avg_file_size": size("Their average size.", "10KB"),
                        "total_size": size("Size of all.", "100MB"),
                    },
                ),
                "large_files": Section(
                    "A few large files.",
                    {
                        "file_count": count("Number of files.", 10),
                        "avg_file_size": size("Their average size.", "100MB"),
                        "total_size": size("Size of all.", "1GB"),
                    },
                ),
                "mixed_workload": Section(
                    "Files of every size.",
                    {
                        "file_count": count("Number of files.", 5000),
                        "size_distribution": Section(
                            "Parts of small, medium and large files; 100% together.",
                            {
                                "small": _share("below 1MB", "80%"),
                                "medium": _share("of 1MB to 10MB", "15%"),
                                "large": _share("above 10MB", "5%"),
                            },
                        ),
                    },
                ),
            },
        ),
        "targets": Section(
            "What is expected.",
            {
                "transfer_rate": Key("rate target", "Rate.", "10MB/s"),
                "cpu_usage": Key("percentage target", "Use of the processors.", "< 80%"),
                "memory_usage": Key("size target", "Memory.", "< 4GB"),
                "error_rate": Key("percentage target", "Operations that fail.", "< 1%"),
            },
        ),
    },
)
