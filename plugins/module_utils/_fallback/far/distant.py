# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The source's tree on another host, as the work sees it."""

from __future__ import annotations

import base64
import collections
import contextlib
import errno
import os
import stat
import struct
import threading
import zlib
from typing import Any, Callable, ContextManager, Deque, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, cast

from ..origin import Part, Range, SourceDirectory, SourceFile, SourceRoute
from ..tree import Vanished, from_text, join, text
from ..xattrs import Xattrs, for_user
from .answers import digest_of
from .frames import DATA, PART, ConnectionLost
from .messages import Message, decode, raise_failure, stat_from_list
from .owners import Owners
from .questions import Answer, Questions

_POSITION = struct.Struct(">Q")
# Up to this size a file comes with the answer that opens it.
_SMALL = 1 << 20
# How much small files that are asked for ahead may have together.
_MOST_AHEAD = 4 << 20
# How many listings are asked for ahead, and of how many entries at most.
_LISTINGS_AHEAD = 64
_ENTRIES_AHEAD = 2000


class Wanted:
    """What is wanted of a tree: extended attributes, names of owners, how blocks are compressed."""

    def __init__(self, xattrs: bool, names: bool, compression: str, level: int) -> None:
        self.xattrs = xattrs
        self.names = names
        self.compression = compression
        self.level = level


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

    def __init__(self, questions: Questions, wanted: Wanted) -> None:
        self.questions = questions
        self._wanted = wanted
        self._owners = Owners()
        self._lock = threading.Lock()
        self._ahead: Dict[str, Answer] = {}

    def open(self, path: str, filters: Sequence[Dict[str, Any]], one_file_system: bool) -> FarDirectory:
        """Open the root. ``filters`` and ``one_file_system`` are for counting what is in the tree."""
        rules = [{key: rule[key] for key in ("action", "regex", "directories_only")} for rule in filters]
        question = {
            "ask": "root",
            "path": text(path),
            "xattrs": self._wanted.xattrs,
            "names": self._wanted.names,
            "compression": self._wanted.compression,
            "level": self._wanted.level,
            "filters": rules,
            "one_file_system": one_file_system,
        }
        self.read(self.questions.ask(question).take()[1])
        return FarDirectory(self, "").load()

    def read(self, payload: bytes) -> Message:
        """A message, after the names of owners in it were learnt. Raises the failure that it tells."""
        message = decode(payload)
        if self._wanted.names:
            self._owners.learn(message.get("names", {}))
        raise_failure(message)
        return message

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

    def list_ahead(self, paths: Sequence[str]) -> None:
        """Ask for the listings of directories that are about to be entered, as far as there is room."""
        with self._lock:
            for path in paths:
                if len(self._ahead) >= _LISTINGS_AHEAD:
                    break
                if path not in self._ahead:
                    question = {"ask": "list", "path": text(path), "most": _ENTRIES_AHEAD}
                    self._ahead[path] = self.questions.ask(question, flush=False)
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


class FarDirectory(SourceDirectory):
    """A directory on another host. What is in it was told when it was opened."""

    def __init__(self, tree: FarTree, path: str) -> None:
        self._tree = tree
        self._path = path
        self._listing: Optional[Listing] = None
        self._ahead: Dict[str, FarFile] = {}

    def load(self) -> FarDirectory:
        """Get the listing, and ask for those of the directories in it."""
        self._listing = self._tree.list(self._path)
        below = [name for name, entry in self._listing.entries.items() if entry.is_dir(follow_symlinks=False)]
        # The last is entered first.
        self._tree.list_ahead([join(self._path, name) for name in reversed(below)])
        return self

    @property
    def _loaded(self) -> Listing:
        if self._listing is None:
            self._listing = self._tree.list(self._path)
        return self._listing

    def _find(self, name: str) -> FarEntry:
        entry = self._loaded.entries.get(name)
        if entry is None:
            raise Vanished
        raise_failure(entry.failure)
        return entry

    def info(self) -> os.stat_result:
        return self._loaded.info

    def scan(self) -> ContextManager[Iterator[os.DirEntry[str]]]:
        entries = cast("Iterator[os.DirEntry[str]]", iter(list(self._loaded.entries.values())))
        return contextlib.nullcontext(entries)

    def xattrs(self, root: bool) -> Xattrs:
        return self._tree.xattrs(self._loaded.attributes, root)

    def entry_xattrs(self, name: str, root: bool) -> Xattrs:
        return self._tree.xattrs(self._find(name).attributes, root)

    def read_link(self, name: str) -> str:
        target = self._find(name).target
        if target is None:
            raise Vanished
        return target

    def open_directory(self, name: str) -> FarDirectory:
        return FarDirectory(self._tree, join(self._path, name)).load()

    @contextlib.contextmanager
    def ahead(self, wanted: Iterable[Tuple[str, os.stat_result]]) -> Iterator[None]:
        asked: List[str] = []
        size = 0
        for name, info in wanted:
            size += info.st_size
            if info.st_size <= _SMALL and size <= _MOST_AHEAD:
                self._ahead[name] = FarFile(self._tree, self, name, info).ask((0, info.st_size), flush=False)
                asked.append(name)
        if asked:
            self._tree.questions.flush()
        try:
            yield
        finally:
            for name in asked:
                left = self._ahead.pop(name, None)
                if left is not None:
                    left.close()

    def open_file(self, name: str, info: os.stat_result, unread: bool = False) -> FarFile:
        opened = self._ahead.pop(name, None)
        if opened is None:
            opened = FarFile(self._tree, self, name, info)
            whole = not unread and info.st_size <= _SMALL
            opened.ask((0, info.st_size if whole else 0), flush=True)
        return opened.open()

    def path_of(self, name: str) -> str:
        return join(self._path, name)

    def duplicate(self) -> FarDirectory:
        other = FarDirectory(self._tree, self._path)
        other._listing = self._listing
        return other

    def route(self) -> FarRoute:
        return FarRoute(self._tree)

    def close(self) -> None:
        self._listing = None


class FarRoute(SourceRoute):
    """Directories on another host need no way: each is known by its path."""

    def __init__(self, tree: FarTree) -> None:
        self._tree = tree
        self._opened = FarDirectory(tree, "")

    def __enter__(self) -> FarRoute:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._opened.close()

    def open(self, path: str) -> FarDirectory:
        if self._opened.path_of("") != join(path, ""):
            self._opened.close()
            self._opened = FarDirectory(self._tree, path)
        return self._opened


class FarFile(SourceFile):
    """A file on another host. ``ask`` is the first call, ``open`` the next."""

    def __init__(self, tree: FarTree, directory: FarDirectory, name: str, info: os.stat_result) -> None:
        self._tree = tree
        self._directory = directory
        self._name = name
        self._path = directory.path_of(name)
        self._identity = [info.st_dev, info.st_ino]
        self._answer: Optional[Tuple[Range, Answer]] = None
        self._first: Optional[os.stat_result] = None
        self._info = info

    def ask(self, wanted: Range, flush: bool) -> FarFile:
        self._answer = (wanted, self._ask(wanted, flush))
        return self

    def _ask(self, wanted: Range, flush: bool = True) -> Answer:
        question = {"ask": "file", "path": text(self._path), "identity": self._identity, "range": wanted}
        return self._tree.questions.ask(question, flush)

    def open(self) -> FarFile:
        """Wait for the beginning of the answer, and take over what the file is."""
        if self._answer is None:
            raise AssertionError("it was asked for")
        self._begin(self._answer[1])
        return self

    def _begin(self, answer: Answer) -> None:
        """Read how an answer begins."""
        _kind, payload = answer.take()
        self._note(self._tree.stat(self._tree.read(payload)))

    def _note(self, info: os.stat_result) -> None:
        """Keep what the file is; once it has changed, what is known of that."""
        if self._first is None:
            self._first = self._info = info
        elif (info.st_size, info.st_mtime_ns) != (self._first.st_size, self._first.st_mtime_ns):
            self._info = info

    def info(self) -> os.stat_result:
        return self._info

    def xattrs(self, root: bool) -> Xattrs:
        return self._directory.entry_xattrs(self._name, root)

    def same_content(self, target: int, size: int, check: Callable[[], None]) -> bool:
        question = {"ask": "digest", "path": text(self._path), "identity": self._identity, "size": size}
        answer = self._tree.questions.ask(question)
        here = digest_of(target, size, check)
        message = self._tree.read(answer.take()[1])
        ends = self._tree.stat(message).st_size == os.fstat(target).st_size == size
        return ends and message.get("digest") == here

    def receive(self, ranges: Iterator[Range], check: Callable[[], None]) -> Iterator[Tuple[Range, Iterator[Part]]]:
        under_way: Deque[Tuple[Range, Answer, bool]] = collections.deque()

        def ask_next() -> None:
            wanted = next(ranges, None)
            if wanted is None:
                return
            first, self._answer = self._answer, None
            if first is not None and first[0] == wanted:
                under_way.append((*first, True))
                return
            if first is not None:
                first[1].drop()
            under_way.append((wanted, self._ask(wanted), False))

        try:
            ask_next()
            while under_way:
                ask_next()  # on its way while the one before it is written
                wanted, answer, begun = under_way[0]
                if not begun:
                    self._begin(answer)
                yield wanted, self._parts(answer, check)
                under_way.popleft()
        finally:
            for _wanted, answer, _begun in under_way:
                answer.drop()

    def _parts(self, answer: Answer, check: Callable[[], None]) -> Iterator[Part]:
        total = 0
        while True:
            check()
            kind, payload = answer.take()
            if kind != DATA:
                break
            data = memoryview(payload)[_POSITION.size :]
            total = zlib.crc32(data, total)
            yield _POSITION.unpack_from(payload)[0], data
        message = self._tree.read(payload)
        self._note(self._tree.stat(message))
        if message.get("crc") != total:
            raise ConnectionLost("the data was damaged on its way: its CRC-32 is %08x" % total)

    def restart(self) -> None:
        self._first = None

    def close(self) -> None:
        if self._answer is not None:
            self._answer[1].drop()
            self._answer = None
