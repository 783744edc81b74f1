# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The operations by name. A new one needs one line here."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple

from . import archive, checksum, files, rsync, sqlite, tables
from ._context import Context


class Operation(NamedTuple):
    """``validate(parameters)`` returns them checked and with defaults, or raises a ``bad_job``; ``run(context)`` does
    the work; ``available()`` tells whether this platform and Python can do it."""

    validate: Callable[[Dict[str, Any]], Dict[str, Any]]
    run: Callable[[Context], None]
    available: Callable[[], bool]


OPERATIONS: Dict[str, Operation] = {
    "file_sync": Operation(files.validate_sync, files.synchronize, files.available),
    "ssh_rsync": Operation(rsync.validate, rsync.run, rsync.available),
    "file_statistics": Operation(files.validate_statistics, files.gather_statistics, files.available),
    "file_checksum": Operation(checksum.validate, checksum.run, files.available),
    "file_archive": Operation(archive.validate, archive.run, files.available),
    "database_migrate": Operation(sqlite.validate, sqlite.run, sqlite.available),
    "table_copy": Operation(tables.validate, tables.run, tables.available),
}
