# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The whole configuration as one schema, in the guide's order."""

from __future__ import annotations

import typing as t

from . import sections_database, sections_host, sections_migration, sections_transfer
from .model import Key, ListOf, NamedValues, Node, Section

SECTIONS: dict[str, Section] = {
    "performance": sections_transfer.PERFORMANCE,
    "go_operations": sections_transfer.GO_OPERATIONS,
    "network_optimization": sections_transfer.NETWORK_OPTIMIZATION,
    "transfer_methods": sections_transfer.TRANSFER_METHODS,
    "parallel_optimization": sections_transfer.PARALLEL_OPTIMIZATION,
    "database_optimization": sections_database.DATABASE_OPTIMIZATION,
    "migration_methods": sections_database.MIGRATION_METHODS,
    "mysql_optimization": sections_database.MYSQL_OPTIMIZATION,
    "postgresql_optimization": sections_database.POSTGRESQL_OPTIMIZATION,
    "mongodb_optimization": sections_database.MONGODB_OPTIMIZATION,
    "filesystem_optimization": sections_transfer.FILESYSTEM_OPTIMIZATION,
    "aws_s3_optimization": sections_host.AWS_S3_OPTIMIZATION,
    "gcs_optimization": sections_host.GCS_OPTIMIZATION,
    "memory_optimization": sections_host.MEMORY_OPTIMIZATION,
    "monitoring": sections_host.MONITORING,
    "docker_optimization": sections_host.DOCKER_OPTIMIZATION,
    "benchmarking": sections_host.BENCHMARKING,
    "migration": sections_migration.MIGRATION,
}


class Entry(t.NamedTuple):
    """A key of the schema with its path: 'volumes[].type' in a list, '<name>' where the user names it."""

    path: str
    node: Key | ListOf


def entries() -> t.Iterator[Entry]:
    """Every key, in the order of the schema. A list whose items are no sections is one entry itself."""
    for name, section in SECTIONS.items():
        yield from _entries(name, section)


def keys() -> dict[str, Key]:
    """Every single value by its path."""
    return {entry.path: entry.node for entry in entries() if isinstance(entry.node, Key)}


def _entries(path: str, node: Node) -> t.Iterator[Entry]:
    if isinstance(node, Section):
        for name, child in node.keys.items():
            yield from _entries(f"{path}.{name}", child)
    elif isinstance(node, NamedValues):
        yield Entry(f"{path}.<{node.names}>", node.value)
    elif isinstance(node, ListOf) and isinstance(node.item, Section):
        yield from _entries(f"{path}[]", node.item)
    elif isinstance(node, (Key, ListOf)):
        yield Entry(path, node)
