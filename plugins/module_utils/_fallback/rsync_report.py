# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What the runs of rsync in one job have done, as this collection tells it."""

from __future__ import annotations

import errno
import os
import re
import threading
from typing import Any, Dict, List, Set, Tuple

from ._context import Context
from ._errors import ItemError, JobError
from ._meter import Tally
from .rsync_output import IN_THE_WAY, Complaint, Line, parse_complaint, parse_line
from .tree import Dangling, Vanished

_NO_SPACE = (28, 122)
_MISSING = 2
_TAIL = 20
# What rsync says of a connection whose end something else has told already.
_FOLLOWS = b"connection unexpectedly closed"
_STATISTICS = (
    *("files_total", "directories_total", "symlinks_total", "specials_total", "bytes_total"),
    *("files_copied", "bytes_copied", "files_resumed", "bytes_resumed", "bytes_reused", "files_unchanged"),
    "files_newer",
    *("metadata_updated", "directories_created", "symlinks_created", "hard_links_created", "specials_created"),
    *("deleted", "temporaries_removed", "skipped", "files_verified", "checksums_cached"),
)
_NUMBER_OF_FILES = re.compile(rb"Number of files: \d+(?: \((.*)\))?")
_KIND_AND_NUMBER = re.compile(rb"(\w+): (\d+)")
_TOTAL_SIZE = re.compile(rb"Total file size: (\d+)")
_TOTALS = {
    b"reg": "files_total",
    b"dir": "directories_total",
    b"link": "symlinks_total",
    b"dev": "specials_total",
}


class Report:
    """Takes the lines of several runs, from any thread, and tells each change and each complaint once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._parameters = context.parameters
        self._tally: Tally = context.meter.tally()
        self._lock = threading.Lock()
        self._seen: Set[int] = set()
        self._counts: Dict[str, int] = dict.fromkeys(_STATISTICS, 0)
        # The destination was made for this job.
        self.root_is_new = False
        self.complaints: Set[Tuple[str, str]] = set()
        # A later run will delete what is in the way of an entry.
        self.deletes_later = False

    def begin(self, deletes_later: bool) -> None:
        """Begin a try, in which what went wrong in an earlier one may go well, or goes wrong again."""
        self.complaints.clear()
        self._counts["skipped"] = 0
        self.deletes_later = deletes_later

    def statistics(self) -> Dict[str, int]:
        """Figures of all runs, as every file_sync has them."""
        return dict(self._counts, changes=self._context.changes)

    def all_verified(self) -> None:
        """Say that all contents were compared."""
        self._counts["files_verified"] = self._counts["files_total"]

    def take(self, line: bytes) -> None:
        """One line of a run that changes something, or would."""
        told = parse_line(line)
        if told is None:
            self._take_statistics(line)
            complaint = parse_complaint(line)
            if complaint is not None:
                self.tell(complaint)
            return
        if self.root_is_new and told.path == ".":
            told = told._replace(action="create")
        self._context.connected = True
        key = hash((told.path, told.action == "delete"))
        with self._lock:
            if key in self._seen:
                return
            self._seen.add(key)
            self._count(told)
        path = told.path.rstrip("/") or "."
        after: Dict[str, Any] = {}
        if told.target is not None:
            after["target"] = told.target
        elif told.kind == "file" and told.action in ("create", "update"):
            after["size"] = told.size
        self._context.change(told.action, told.kind, path, None, after)

    def _count(self, told: Line) -> None:
        counts = self._counts
        self._tally.items_done += 1
        self._context.meter.current = told.path
        if told.sent:
            counts["files_copied"] += 1
            counts["bytes_copied"] += told.size
            self._tally.files_copied += 1
            self._tally.bytes_done += told.size
            self._tally.bytes_total += told.size
            return
        name = {
            ("create", "directory"): "directories_created",
            ("create", "symlink"): "symlinks_created",
            ("update", "symlink"): "symlinks_created",
            ("create", "file"): "hard_links_created",
            ("update", "file"): "hard_links_created",
        }.get((told.action, told.kind))
        if name is None:
            name = {"delete": "deleted", "metadata": "metadata_updated"}.get(told.action, "specials_created")
        counts[name] += 1

    def _take_statistics(self, line: bytes) -> None:
        match = _NUMBER_OF_FILES.match(line)
        if match is not None:
            kinds = dict(_KIND_AND_NUMBER.findall(match.group(1) or b""))
            for kind, name in _TOTALS.items():
                self._counts[name] = int(kinds.get(kind, b"0"))
            self._counts["specials_total"] += int(kinds.get(b"special", b"0"))
            self._counts["directories_total"] = max(self._counts["directories_total"] - 1, 0)  # without the root
            self._tally.items_total = max(self._tally.items_done, sum(int(number) for number in kinds.values()))
        match = _TOTAL_SIZE.match(line)
        if match is not None:
            self._counts["bytes_total"] = int(match.group(1))
            unchanged = self._counts["files_total"] - self._counts["files_copied"] - self._counts["hard_links_created"]
            self._counts["files_unchanged"] = max(unchanged, 0)

    def tell(self, complaint: Complaint) -> None:
        """Tell what went wrong with an entry."""
        if self.deletes_later and complaint.message == IN_THE_WAY:
            return
        path, whose = complaint.path, ""
        for side in ("source", "destination"):
            root = self._parameters[side].rstrip("/")
            if path is not None and (path == root or path.startswith(root + "/")):
                path, whose = path[len(root) + 1 :] or ".", side
            elif path is not None and side == "destination" and (root + "/").startswith(path.rstrip("/") + "/"):
                path, whose = ".", side  # a directory above it
        if path is None or not self._is_new(complaint, path):
            return
        # That it cannot be made, entered or written. What else goes wrong with it is of no harm to what is in it.
        is_closed = complaint.number == errno.EROFS or complaint.message.startswith(("mkdir ", "change_dir"))
        if complaint.number is not None and path == "." and whose == "destination" and is_closed:
            message = "the destination %s cannot be written: %s" % (
                self._parameters["destination"],
                os.strerror(complaint.number),
            )
            raise JobError("destination_unwritable", message)
        if complaint.code == "io_error" and path == "." and complaint.number == _MISSING:
            raise JobError("source_missing", "the source %s does not exist" % self._parameters["source"])
        if complaint.code == "io_error" and path == "." and complaint.message.startswith("change_dir "):
            why = complaint.message.rpartition("failed: ")[2].rpartition(" (")[0]
            raise JobError("io_error", "unable to open the source %s: %s" % (self._parameters["source"], why))
        if complaint.code == Vanished.code:
            self._context.vanished = True
        if complaint.code == "special_skipped":
            self._counts["skipped"] += 1
        # rsync itself takes a link that leads nowhere for an error, and deletes nothing then.
        if complaint.code in ("io_error", Dangling.code) or (
            complaint.code == Vanished.code and self._parameters["on_vanished"] == "fail"
        ):
            self._context.failure(path, ItemError(complaint.code, complaint.message))
        else:
            self._context.warning(complaint.code, complaint.message, path)

    def tell_nameless(self, complaint: Complaint) -> None:
        """Tell what went wrong with an entry that rsync does not name."""
        if self._is_new(complaint, "."):
            self._context.failure(".", ItemError(complaint.code, complaint.message))

    def _is_new(self, complaint: Complaint, path: str) -> bool:
        told = (complaint.message, path)
        with self._lock:
            is_new = told not in self.complaints
            self.complaints.add(told)
        return is_new


class Said:
    """What one run says that went wrong, by its standard error."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.last: List[str] = []
        self._has_failure = False
        self._nameless: List[Complaint] = []

    def take(self, line: bytes) -> None:
        """Tell what went wrong with an entry, and keep the last words."""
        complaint = parse_complaint(line)
        if complaint is None or _FOLLOWS in line:
            words = line.decode("utf-8", "replace").strip()
            said = "" if words.startswith("rsync") else words
        elif complaint.number in _NO_SPACE:
            raise JobError("disk_full", "the destination has no room left: %s" % complaint.message)
        else:
            said = complaint.message
            self._has_failure = self._has_failure or complaint.is_failure
            if complaint.path is None:
                self._nameless.append(complaint)
            else:
                self._report.tell(complaint)
        if said:
            self.last = [*self.last, said][-_TAIL:]

    def explains(self) -> bool:
        """Whether a run that was not done with all entries has said what failed. Only then is a failure without a name
        one of an entry."""
        for complaint in self._nameless:
            self._report.tell_nameless(complaint)
        return self._has_failure
