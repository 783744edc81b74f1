# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""A tree on another host: what is asked of it as a whole, and its listings."""

from __future__ import annotations

import base64
import errno
import os
import stat
import threading
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, cast

from ..digests import ALGORITHMS, DEFAULT
from ..tree import from_text, text
from ..xattrs import Xattrs, for_user
from .frames import PART, ConnectionLost
from .messages import Message, decode, raise_failure, stat_from_list
from .owners import Owners
from .questions import Answer, Questions

# How many listings are asked for ahead, and of how many entries at most. The other end bounds their bytes.
_LISTINGS_AHEAD = 64
_ENTRIES_AHEAD = 2000


class Wanted(NamedTuple):
    """What is wanted of a tree."""

    xattrs: bool
    # SELinux contexts.
    labels: bool
    # Of owners.
    names: bool
    # Symbolic links are what they lead to.
    follow: bool
    compression: str
    level: int
    # Of which kind; None for none.
    checksums: Optional[str]
    # How they are remembered; None for not at all.
    cache: Optional[Dict[str, Any]]


class FarEntry:
    """One of a listing, with the methods of an os.DirEntry."""

    __slots__ = ("_info", "attributes", "failure", "name", "target")

    def __init__(self, name: str, message: Message, info: Optional[os.stat_result]) -> None:
        self.name = name
        self._info = info
        self.failure = message if "failed" in message else None
        self.attributes: Optional[Message] = message.get("xattrs")
        target = message.get("target")
        self.target = from_text(target) if target is not None else None

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        raise_failure(self.failure)
        if self._info is None:
            raise ConnectionLost("the other host sent an entry without what it is")
        return self._info

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return self._info is not None and stat.S_ISDIR(self._info.st_mode)

    def is_file(self, *, follow_symlinks: bool) -> bool:
        return self._info is not None and stat.S_ISREG(self._info.st_mode)


class Listing:
    """What the other host has told of a directory."""

    def __init__(self, info: os.stat_result, attributes: Optional[Message], entries: Dict[str, FarEntry]) -> None:
        self.info = info
        self.attributes = attributes
        self.entries = entries


class FarTree:
    """One tree on another host."""

    def __init__(self, questions: Questions, wanted: Wanted, notice: Callable[[str], None]) -> None:
        self.questions = questions
        self._notice = notice
        self._wanted = wanted
        self.algorithm = ALGORITHMS[wanted.checksums or DEFAULT]
        self._owners = Owners()
        self._lock = threading.Lock()
        self._ahead: Dict[str, Answer] = {}

    def read(self, payload: bytes) -> Message:
        """A message, after the names of owners in it were learnt. Raises the failure that it tells."""
        message = decode(payload)
        if self._wanted.names:
            self._owners.learn(message.get("names", {}))
        raise_failure(message)
        return message

    def tell(self, message: Message) -> None:
        """Tell the notices of the other host."""
        for notice in message.get("notices", []):
            self._notice(str(notice))

    def stat(self, message: Message) -> os.stat_result:
        """What an entry is, with the owners that it has here."""
        info = stat_from_list(message.get("stat", []))
        return cast(
            "os.stat_result",
            cast(Any, info)._replace(st_uid=self._owners.user(info.st_uid), st_gid=self._owners.group(info.st_gid)),
        )

    def xattrs(self, attributes: Optional[Message], root: bool) -> Xattrs:
        """Attributes as they were told, with the owners that they have here."""
        if not attributes:
            return {}
        raise_failure(attributes)
        values = attributes.get("values", {})
        found = {str(name): base64.b64decode(value) for name, value in values.items()}
        return for_user(self._owners.lists(found), root)

    def open(self, path: str, filters: Sequence[Dict[str, Any]], one_file_system: bool) -> None:
        """Open the root. ``filters`` and ``one_file_system`` are for counting what is in the tree."""
        rules = [{key: rule[key] for key in ("action", "regex", "directories_only")} for rule in filters]
        question = {
            "ask": "root",
            "path": text(path),
            "xattrs": self._wanted.xattrs,
            "labels": self._wanted.labels,
            "names": self._wanted.names,
            "follow": self._wanted.follow,
            "compression": self._wanted.compression,
            "level": self._wanted.level,
            "checksums": self._wanted.checksums,
            "cache": self._wanted.cache,
            "filters": rules,
            "one_file_system": one_file_system,
        }
        self.read(self.questions.ask(question).take()[1])

    def check_there(self) -> None:
        """Raise a JobError if the tree has vanished since it was opened."""
        self.read(self.questions.ask({"ask": "there"}).take()[1])

    def list_ahead(self, paths: Sequence[str]) -> None:
        """Ask for the listings of directories that are about to be entered, as far as there is room."""
        with self._lock:
            for path in paths:
                if len(self._ahead) >= _LISTINGS_AHEAD:
                    break
                if path not in self._ahead:
                    question = {"ask": "list", "path": text(path), "most": _ENTRIES_AHEAD}
                    self._ahead[path] = self.questions.ask(question, ahead=True)
        self.questions.flush()

    def list(self, path: str) -> Listing:
        """The listing of a directory."""
        with self._lock:
            answer = self._ahead.pop(path, None)
        if answer is not None:
            try:
                return self._read_listing(answer)
            except OSError as error:
                if error.errno != errno.EFBIG:  # that is too much to be sent ahead
                    raise
        return self._read_listing(self.questions.ask({"ask": "list", "path": text(path)}))

    def _read_listing(self, answer: Answer) -> Listing:
        entries: Dict[str, FarEntry] = {}
        while True:
            kind, payload = answer.take()
            message = self.read(payload)
            for told in message.get("entries", []):
                name = from_text(told["name"])
                if name in ("", ".", "..") or "/" in name:
                    raise ConnectionLost("the other host sent the impossible name %s" % text(name))
                info = self.stat(told) if "stat" in told else None
                entries[name] = FarEntry(name, told, info)
            if kind != PART:
                return Listing(self.stat(message), message.get("xattrs"), entries)
