# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Frames over two descriptors: a kind, and the bytes that belong to it. They go in blocks, and a block is compressed
if that takes less time than it saves on the wire."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from typing import IO, Callable, Dict, Optional

from .._errors import JobError
from .._limiter import Limiter

# Kinds.
QUESTION = b"q"
PART = b"p"  # of an answer: an object
DATA = b"d"  # of an answer: where it belongs in the file, and the bytes
SAME = b"s"  # of an answer: where it belongs, and how much of what the other end has there is the same
END = b"z"  # of an answer, its last object
CENSUS = b"c"  # how much there is in the tree, once that is counted
JOB = b"j"
EVENT = b"e"  # of that job
ALIVE = b"k"
RATE = b"r"  # at which the other end may send

Handler = Callable[[bytes], None]

_BLOCK = struct.Struct(">BII")  # whether it is compressed, its length as sent, its length
_FRAME = struct.Struct(">cI")
_RATE = struct.Struct(">Q")  # bytes per second, 0 for no limit
# What is sent at once at a slow rate.
_LEAST_PIECE = 16 << 10
_FULL = 256 << 10
_LONGEST_BLOCK = 64 << 20
# The share of a block that must be saved for it to be sent compressed.
_LEAST = 0.05
# How many blocks go as they are before one shows again whether compression would pay.
_SAMPLE_EVERY = 16


class ConnectionLost(JobError):
    """The other host is gone. The job goes on where it is when there is a new connection."""

    def __init__(self, message: str = "the connection to the other host was lost") -> None:
        super().__init__("unreachable", message)


class Pace:
    """Knows how fast the wire and the compressor are, and decides by that what is compressed."""

    def __init__(self, codec: str, level: int) -> None:
        self._never = codec == "none"
        self._always = codec not in ("none", "auto")
        # What the levels of other codecs mean for this one is near enough.
        self._level = min(level, 9) or 1
        self._wire_cost = 0.0  # seconds for one byte
        self._pack_cost = 0.0
        self._ratio = 1.0
        self._skipped = 0

    def pack(self, block: bytes) -> Optional[bytes]:
        """The block compressed, None if it is to be sent as it is."""
        if self._never or len(block) < 64 or not (self._always or self._is_worth_it()):
            return None
        began = time.thread_time()
        packed = zlib.compress(block, self._level)
        cost = (time.thread_time() - began) / len(block)
        ratio = len(packed) / len(block)
        first = not self._pack_cost
        self._pack_cost = cost if first else self._pack_cost + (cost - self._pack_cost) / 4
        self._ratio = ratio if first else self._ratio + (ratio - self._ratio) / 4
        return packed if ratio < 1 - _LEAST else None

    def _is_worth_it(self) -> bool:
        saved = (1 - self._ratio) * self._wire_cost
        if not self._pack_cost or not self._wire_cost or (self._ratio < 1 - _LEAST and self._pack_cost < saved):
            return True
        self._skipped = (self._skipped + 1) % _SAMPLE_EVERY
        return self._skipped == 0

    def note_write(self, seconds: float, length: int) -> None:
        """Learn from a write how fast the wire is."""
        cost = seconds / length
        self._wire_cost = self._wire_cost + (cost - self._wire_cost) / 8 if self._wire_cost else cost


class Frames:
    """One connection. Any thread may send; ``start`` begins to receive, in a thread of its own."""

    def __init__(self, incoming: IO[bytes], outgoing: int) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()
        self._gathered = bytearray()
        self._pace = Pace("none", 0)
        self._limiter: Optional[Limiter] = None
        self._heard = time.monotonic()
        self.lost = threading.Event()

    def compress(self, codec: str, level: int) -> None:
        """Choose how the blocks of this end are compressed from now on."""
        self._pace = Pace(codec, level)

    def keep_to(self, rate: float) -> None:
        """Send so many bytes per second at most from now on; 0 for no limit."""
        self._limiter = Limiter(int(rate), self._check) if rate else None

    def ask_rate(self, rate: float) -> None:
        """Have the other end keep to a rate. Raises ConnectionLost."""
        self.send(RATE, _RATE.pack(int(rate)), flush=True)

    def obey_rate(self, payload: bytes) -> None:
        """The handler for what the other end has asked so."""
        self.keep_to(_RATE.unpack(payload)[0])

    def _check(self) -> None:
        if self.lost.is_set():
            raise ConnectionLost

    def send(self, kind: bytes, *payload: bytes, flush: bool = False) -> None:
        """Send a frame, soon or at once. Raises ConnectionLost."""
        with self._lock:
            self._gathered += _FRAME.pack(kind, sum(len(part) for part in payload))
            for part in payload:
                self._gathered += part
            if flush or len(self._gathered) >= _FULL:
                self._flush()

    def flush(self) -> None:
        """Send what was gathered. Raises ConnectionLost."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if not self._gathered:
            return
        if self.lost.is_set():
            raise ConnectionLost
        block = bytes(self._gathered)
        self._gathered.clear()
        packed = self._pace.pack(block)
        sent = packed or block
        began = time.monotonic()
        try:
            self._write(_BLOCK.pack(packed is not None, len(sent), len(block)) + sent)
        except OSError as error:
            self.lost.set()
            raise ConnectionLost from error
        self._pace.note_write(time.monotonic() - began, len(sent))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            limiter = self._limiter
            piece = view
            if limiter is not None:
                piece = view[: max(limiter.rate // 20, _LEAST_PIECE)]
                limiter.take(len(piece))
            view = view[os.write(self._outgoing, piece) :]

    def close(self, patience: float) -> bool:
        """Send nothing more, and let the other end see that; False if a write that is under way does not end."""
        self.lost.set()
        if not self._lock.acquire(timeout=patience):
            return False
        try:
            if self._outgoing >= 0:
                os.close(self._outgoing)
                self._outgoing = -1
        finally:
            self._lock.release()
        return True

    def start(self, handlers: Dict[bytes, Handler], ended: Callable[[], None]) -> None:
        """Give each frame to the handler of its kind, and tell when there are no more."""

        def receive() -> None:
            try:
                while not self.lost.is_set() and self._receive(handlers):
                    pass
            except (OSError, ValueError, zlib.error, struct.error, ConnectionLost):
                pass  # what follows cannot be understood: it is lost
            self.lost.set()
            ended()

        threading.Thread(target=receive, name="frames", daemon=True).start()

    def _receive(self, handlers: Dict[bytes, Handler]) -> bool:
        """Receive one block; False at the end."""
        header = self._incoming.read(_BLOCK.size)
        if len(header) < _BLOCK.size:
            return False
        packed, sent, length = _BLOCK.unpack(header)
        if max(sent, length) > _LONGEST_BLOCK:
            raise ValueError("a block of %d bytes" % length)
        block = self._incoming.read(sent)
        if len(block) < sent:
            return False
        self._heard = time.monotonic()
        if packed:
            unpacker = zlib.decompressobj()
            block = unpacker.decompress(block, length)
        if len(block) != length:
            raise ValueError("a block of %d bytes instead of %d" % (len(block), length))
        position = 0
        while position < length:
            kind, size = _FRAME.unpack_from(block, position)
            position += _FRAME.size
            if position + size > length:
                raise ValueError("a frame that its block cuts off")
            handler = handlers.get(kind)
            if handler is not None:
                handler(block[position : position + size])
            position += size
        return True

    def call_out(self, interval: float) -> None:
        """Let the other end hear something as often as that."""

        def call() -> None:
            while not self.lost.wait(interval):
                try:
                    self.send(ALIVE, flush=True)
                except ConnectionLost:
                    return

        threading.Thread(target=call, name="alive", daemon=True).start()

    def hang_up_after(self, silence: float, ended: Callable[[], None]) -> None:
        """Take the other end for gone when nothing was heard of it for so long."""
        self._heard = time.monotonic()

        def watch() -> None:
            while not self.lost.wait(silence / 4):
                if time.monotonic() - self._heard > silence:
                    self.lost.set()
                    ended()
                    return

        threading.Thread(target=watch, name="silence", daemon=True).start()
