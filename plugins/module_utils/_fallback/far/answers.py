# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The end that has the source: it answers what the other one asks about the tree, in the order of the questions."""

from __future__ import annotations

import base64
import hashlib
import os
import queue
import stat
import struct
import zlib
from typing import Any, Dict, List, Optional, Tuple

from .. import _platform, following, tree, xattrs
from .._errors import ItemError, JobError
from ..census import Census
from ..compare import MOST_AT_ONCE, checksum_of
from ..copy import data_ranges, is_sparse
from ..digests import ALGORITHMS, DEFAULT
from ..filters import Filters, check_filter
from ..roots import open_source
from ..sumcache import Cache
from ..sumcache_file import open_cache
from ..tree import Route, join, text
from ..xattrs import Xattrs
from .frames import CENSUS, DATA, END, PART, SAME, ConnectionLost, Frames
from .messages import Message, decode, encode, encode_listing, failure_of, stat_to_list
from .owners import Namer

# Bytes of a listing in one frame, and in all of one that is asked for ahead of need.
_AT_ONCE = 64 << 10
_AHEAD = 512 << 10
_POSITION = struct.Struct(">Q")
# Blocks of a file that are compared with those of the file that it replaces, and the bytes of their digests.
BLOCK = 16 << 10
DIGEST = 16


class Offer:
    """All that the other end may see: one tree, without what the filters hide. That end may belong to somebody whom
    this one does not trust with anything else."""

    def __init__(self, root: str, filters: Filters, follow: bool, cache: Optional[Dict[str, Any]]) -> None:
        self.root = root
        self.cache = cache
        self.follow = follow
        self.filters = filters


class Server:
    """Answers until the connection ends. Without an offer the other end may see what this user can: it has logged in as
    that user."""

    def __init__(self, frames: Frames, offer: Optional[Offer]) -> None:
        self._frames = frames
        self._offer = offer
        self._questions: queue.SimpleQueue[Optional[bytes]] = queue.SimpleQueue()
        self._root = -1
        self._root_path = ""
        self._filters: Optional[Filters] = None
        self._with_xattrs = False
        self._algorithm = ALGORITHMS[DEFAULT]
        self._cache: Optional[Cache] = None
        self._cache_options: Optional[Dict[str, Any]] = None
        self._with_labels = False
        self._follow = False
        self._privileged = _platform.effective_user() == 0
        self._namer = Namer(wanted=False)
        self._route: Optional[Route] = None
        self._census: Optional[Census] = None

    def ask(self, question: bytes) -> None:
        """Take a question, to be answered in its turn."""
        self._questions.put(question)

    def end(self) -> None:
        """Say that there will be no more questions."""
        self._questions.put(None)

    def serve(self) -> None:
        """Answer until ``end``. Returns too when the connection is lost."""
        try:
            while not self._frames.lost.is_set():
                question = self._questions.get()
                if question is None:
                    return
                self._answer(decode(question))
                if self._questions.empty():
                    self._frames.flush()
        except ConnectionLost:
            return
        finally:
            self._frames.lost.set()  # nobody answers any more
            self._close()

    def _close(self) -> None:
        if self._census is not None:
            self._census.__exit__()
        if self._route is not None:
            self._route.__exit__()
        if self._root >= 0:
            os.close(self._root)
        if self._cache is not None:
            self._cache.close()

    def _answer(self, question: Message) -> None:
        kinds = {
            "root": self._answer_root,
            "list": self._list,
            "file": self._file,
            "digest": self._digest,
            "there": self._answer_there,
        }
        try:
            last = kinds[str(question.get("ask"))](question)
        except ConnectionLost:
            raise
        except (JobError, OSError, tree.Vanished, ItemError) as error:
            last = failure_of(error)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise ConnectionLost("the other host asked what is no question") from error
        self._end(last)

    def _end(self, last: Message) -> None:
        names = self._namer.take()
        self._frames.send(END, encode({**last, "names": names} if names else last))

    def _part(self, part: Message, entries: Optional[List[bytes]] = None) -> None:
        names = self._namer.take()
        told = {**part, "names": names} if names else part
        self._frames.send(PART, encode(told) if entries is None else encode_listing(told, entries))

    def _answer_root(self, question: Message) -> Message:
        path = tree.from_text(question["path"])
        if self._root >= 0:
            raise JobError("bad_job", "a root was named already")
        if self._offer is not None and self._offer.root != path:
            raise JobError("bad_job", "the directory %s is not the source of this job" % text(path))
        self._follow = bool(question["follow"])
        if self._follow and self._offer is not None and not self._offer.follow:
            raise JobError("bad_job", "symbolic links are not followed in this job")
        if question.get("checksums") is not None:
            self._algorithm = ALGORITHMS[question["checksums"]]
            self._algorithm.require("the source's host")
        self._cache_options = question.get("cache") if self._offer is None else self._offer.cache
        self._root = open_source(path)
        self._root_path = path
        self._with_xattrs = bool(question["xattrs"]) and _platform.HAS_XATTRS
        self._with_labels = bool(question["labels"])
        self._namer = Namer(bool(question["names"]))
        self._frames.compress(question["compression"], question["level"])
        self._route = Route(self._root, False, False, self._follow).__enter__()
        filters = [check_filter(rule, "filters") for rule in question["filters"]]
        counted = self._offer.filters if self._offer is not None else Filters(filters)
        self._filters = self._offer.filters if self._offer is not None else None
        in_one = bool(question["one_file_system"])
        self._census = Census(self._root, counted, self._tell_census, in_one, self._follow)
        self._census.__enter__()
        return self._stat(os.fstat(self._root))

    def _answer_there(self, _question: Message) -> Message:
        tree.check_there(self._root_path, self._root)
        return {}

    def _tell_census(self, items: int, size: int) -> None:
        try:
            self._frames.send(CENSUS, encode({"items": items, "bytes": size}), flush=True)
        except ConnectionLost:
            return

    def _stat(self, info: os.stat_result, found: Optional[Xattrs] = None) -> Message:
        self._namer.note(info.st_uid, info.st_gid, found)
        return {"stat": stat_to_list(info)}

    def _enter(self, path: str) -> int:
        if self._route is None:
            raise JobError("bad_job", "no root was named")
        if any(name in ("", ".", "..") for name in path.split("/")) and path:
            raise FileNotFoundError(path)
        return self._route.open(path)

    def _shows(self, path: str, directory: bool) -> bool:
        """Whether the other end may see an entry: nothing that is hidden, or lies in what is hidden."""
        if self._filters is None or not path:
            return True
        names = path.split("/")
        above = ("/".join(names[:count]) for count in range(1, len(names)))
        hides = self._filters.hides
        return not hides(text(path), directory) and not any(hides(text(each), True) for each in above)

    def _list(self, question: Message) -> Message:
        path = tree.from_text(question["path"])
        if not self._shows(path, True):
            raise FileNotFoundError(path)
        # Opened anew: another opening shares its place in the listing.
        directory = tree.open_directory(self._enter(path), ".")
        try:
            with following.scan(directory, self._follow) as scanned:
                entries = list(scanned)
            ahead = question.get("most") is not None
            if ahead and len(entries) > question["most"]:
                return {"failed": "EFBIG"}
            info = os.fstat(directory)
            own, told = self._xattrs(directory, None)
            last: Message = {**self._stat(info, own), **told}
            listed: List[bytes] = []
            size = 0
            for entry in entries:
                told_entry = self._entry(directory, path, entry)
                if told_entry is None:
                    continue
                listed.append(encode(told_entry))
                size += len(listed[-1])
                if size <= (_AHEAD if ahead else _AT_ONCE):
                    continue
                if ahead:
                    return {"failed": "EFBIG"}
                self._part({}, listed)
                listed, size = [], 0
            if listed:
                self._part({}, listed)
            return last
        finally:
            os.close(directory)

    def _xattrs(self, directory: int, name: Optional[str]) -> Tuple[Optional[Xattrs], Message]:
        """The attributes of an open directory or of an entry in it, and how they are told."""
        if not self._with_xattrs:
            return None, {}
        try:
            if name is None:
                found = xattrs.read_open(directory, self._privileged)
            else:
                found = xattrs.read_entry(directory, name, self._privileged, self._follow)
        except OSError as error:
            return None, {"xattrs": failure_of(error)}
        if not self._with_labels:
            found = xattrs.without_label(found)
        if not found:
            return None, {}
        encoded = {key: base64.b64encode(value).decode("ascii") for key, value in found.items()}
        return found, {"xattrs": {"values": encoded}}

    def _entry(self, directory: int, path: str, entry: os.DirEntry[str]) -> Optional[Message]:
        """All that there is to know of an entry; None for one that has vanished, or is not offered."""
        name = entry.name
        told: Message = {"name": text(name)}
        try:
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except (OSError, tree.Dangling) as error:
            return {**told, **failure_of(error)}
        if not self._shows(join(path, name), stat.S_ISDIR(info.st_mode)):
            return None
        found: Optional[Xattrs] = None
        if stat.S_ISLNK(info.st_mode):
            try:
                told["target"] = text(os.readlink(name, dir_fd=directory))
            except FileNotFoundError:
                return None
            except OSError as error:
                return {**told, **failure_of(error)}
        elif not stat.S_ISDIR(info.st_mode):
            found, more = self._xattrs(directory, name)
            told.update(more)
        return {**told, **self._stat(info, found)}

    def _open(self, question: Message) -> Tuple[int, os.stat_result]:
        """The file that was listed, if it is still that."""
        path = tree.from_text(question["path"])
        above, _slash, name = path.rpartition("/")
        if not self._shows(path, False) or name in ("", ".", ".."):
            raise FileNotFoundError(path)
        directory = self._enter(above)
        info = os.stat(name, dir_fd=directory, follow_symlinks=self._follow)
        if not stat.S_ISREG(info.st_mode) or [info.st_dev, info.st_ino] != question["identity"]:
            raise tree.replaced("source")
        descriptor = tree.open_source_file(directory, name, info, self._follow)
        opened = os.fstat(descriptor)
        if not tree.same_entry(opened, info):
            os.close(descriptor)
            raise tree.replaced("source")
        return descriptor, opened

    def _file(self, question: Message) -> Message:
        descriptor, info = self._open(question)
        try:
            self._part(self._stat(info))
            start, end = question["range"]
            end = min(end, info.st_size)
            if question.get("known"):
                total = self._delta(descriptor, start, end, base64.b64decode(question["known"]))
                return {**self._stat(os.fstat(descriptor)), "crc": total}
            total = 0
            for first, last in data_ranges(descriptor, start, end) if is_sparse(info) else [(start, end)]:
                while first < last:
                    data = os.pread(descriptor, min(last - first, MOST_AT_ONCE), first)
                    if not data:
                        break  # it has become shorter
                    total = zlib.crc32(data, total)
                    self._frames.send(DATA, _POSITION.pack(first), data)
                    first += len(data)
            return {**self._stat(os.fstat(descriptor)), "crc": total}
        finally:
            os.close(descriptor)

    def _delta(self, descriptor: int, start: int, end: int, known: bytes) -> int:
        """Send a range, but of a block that the other end knows only that it is the same; gives the CRC-32 of all."""
        total, same_from = 0, start
        for number, position in enumerate(range(start, end, BLOCK)):
            block = os.pread(descriptor, min(BLOCK, end - position), position)
            if not block:
                break  # it has become shorter
            total = zlib.crc32(block, total)
            if block_digest(block) == known[number * DIGEST : (number + 1) * DIGEST]:
                continue
            self._same(same_from, position)
            self._frames.send(DATA, _POSITION.pack(position), block)
            same_from = position + len(block)
        self._same(same_from, end)
        return total

    def _same(self, start: int, end: int) -> None:
        if start < end:
            self._frames.send(SAME, _POSITION.pack(start), _POSITION.pack(end - start))

    def _digest(self, question: Message) -> Message:
        descriptor, _info = self._open(question)
        try:
            told: Message = {}
            cache = self._open_cache(told) if question.get("known") else None
            checksum, known = checksum_of(descriptor, question["size"], self._algorithm, cache=cache)
            return {**self._stat(os.fstat(descriptor)), **told, "digest": checksum.hex(), "known": known}
        finally:
            os.close(descriptor)

    def _open_cache(self, told: Message) -> Optional[Cache]:
        """The cache of checksums, and the first time what is to be told of it."""
        if self._cache_options is not None:
            options, notices = self._cache_options, told.setdefault("notices", [])
            self._cache_options = None
            self._cache = open_cache(options, bool(options["read_only"]), notices)
        return self._cache


def block_digest(block: bytes) -> bytes:
    """What tells two blocks apart."""
    return hashlib.blake2b(block, digest_size=DIGEST).digest()
