# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The compressions of archives: streams that compress what is written, or decompress what is read."""

from __future__ import annotations

import importlib
import os
import subprocess
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional

from . import _platform
from ._errors import JobError

_GZIP_BLOCK = 1 << 20
_READ_SIZE = 1 << 18
# As the command zstd bounds the memory of reading.
_LARGEST_WINDOW = 128 << 20


class Corrupt(Exception):
    """What is read is no such stream, or it is truncated or corrupt."""


class Format(NamedTuple):
    """One kind of compression, and the Python library or the command that it needs; either will do.

    Levels go from lowest to highest; ``levels`` is empty where there are none. ``piece``: how much is decompressed at
    once, so that a little that stands for much fits into memory.
    """

    name: str
    levels: range
    usual: int = 0
    magic: bytes = b""
    library: str = ""
    command: str = ""
    piece: int = 1 << 14

    def has_library(self) -> bool:
        return not self.library or _platform.has_library(self.library)

    def is_available(self) -> bool:
        return self.has_library() or _platform.has_command(self.command)

    def require(self) -> None:
        """Raise a JobError if this host has neither the library nor the command."""
        if self.is_available():
            return
        raise JobError(
            "capability_missing",
            "the Python fallback needs the Python library %s or the command %s on this host for the format %s; "
            "install one there, or let the Go engine do the work" % (self.library, self.command, self.name),
        )

    def writer(self, to: IO[bytes], level: int, parallel: int) -> Writer:
        if self.name == "tar":
            return Writer(to)
        if self.name == "gzip":
            return GzipWriter(to, level, parallel)
        if not self.has_library():
            return CommandWriter(to, self, level, parallel)
        return LibraryWriter(to, *_COMPRESSORS[self.name](importlib.import_module(self.library), level, parallel))

    def reader(self, descriptor: int) -> Reader:
        """Decompress the file of an open descriptor, from its beginning on. The caller closes the descriptor."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        if self.name == "tar":
            return Reader(descriptor)
        if not self.has_library():
            return CommandReader(descriptor, self)
        return FramesReader(descriptor, _DECOMPRESSORS[self.name], self)


class Writer:
    """Writes as it is."""

    def __init__(self, to: IO[bytes]) -> None:
        self._to = to

    def write(self, data: bytes) -> None:
        self._to.write(data)

    def close(self) -> None:
        """Complete the stream; the file stays open."""

    def abandon(self) -> None:
        """End without completing it."""


class LibraryWriter(Writer):
    """Compresses by a library."""

    def __init__(
        self, to: IO[bytes], begin: bytes, compress: Callable[[bytes], bytes], finish: Callable[[], bytes]
    ) -> None:
        super().__init__(to)
        self._compress = compress
        self._finish = finish
        to.write(begin)

    def write(self, data: bytes) -> None:
        self._to.write(self._compress(data))

    def close(self) -> None:
        self._to.write(self._finish())


class GzipWriter(Writer):
    """One member of gzip, whose blocks are compressed by several threads."""

    def __init__(self, to: IO[bytes], level: int, parallel: int) -> None:
        super().__init__(to)
        self._level = level
        self._parallel = parallel
        self._pool = ThreadPoolExecutor(parallel)
        self._pending: List[Future[bytes]] = []
        self._parts: List[bytes] = []
        self._held = self._size = self._sum = 0
        to.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def write(self, data: bytes) -> None:
        self._sum = zlib.crc32(data, self._sum)
        self._size += len(data)
        self._parts.append(bytes(data))
        self._held += len(data)
        if self._held >= _GZIP_BLOCK:
            self._hand_out(zlib.Z_SYNC_FLUSH)

    def _hand_out(self, ending: int) -> None:
        self._pending.append(self._pool.submit(_deflate, b"".join(self._parts), self._level, ending))
        self._parts, self._held = [], 0
        while len(self._pending) > 2 * self._parallel:
            self._to.write(self._pending.pop(0).result())

    def close(self) -> None:
        self._hand_out(zlib.Z_FINISH)
        for block in self._pending:
            self._to.write(block.result())
        self._to.write(self._sum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"))
        self._pool.shutdown()

    def abandon(self) -> None:
        self._pool.shutdown()


def _deflate(data: bytes, level: int, ending: int) -> bytes:
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush(ending)


class CommandWriter(Writer):
    """Compresses by a command of the system, which writes to the file itself."""

    def __init__(self, to: IO[bytes], form: Format, level: int, parallel: int) -> None:
        super().__init__(to)
        self._name = form.command
        arguments = {
            "zstd": ["-q", "-%d" % level, "-T%d" % parallel],
            "lz4": ["-q", "-%d" % level],
            "brotli": ["-q", str(level)],
        }[form.name]
        self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [form.command, *arguments, "-c"], stdin=subprocess.PIPE, stdout=to.fileno(), stderr=subprocess.DEVNULL
        )

    def write(self, data: bytes) -> None:
        self._input().write(data)

    def _input(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise AssertionError("the command reads from a pipe")
        return self._process.stdin

    def close(self) -> None:
        self._input().close()
        code = self._process.wait()
        if code != 0:
            raise OSError(None, "the command %s failed with code %d" % (self._name, code))

    def abandon(self) -> None:
        self._process.kill()
        self._process.communicate()


class Reader:
    """Reads as it is. ``read`` gives nothing at the end, and raises Corrupt where the stream ends too early."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, min(size, _READ_SIZE))

    def close(self) -> None:
        """Give back what reading needs besides the descriptor."""


class FramesReader(Reader):
    """Decompresses frames, or members, that follow one another."""

    def __init__(self, descriptor: int, make: Callable[[Any], Any], form: Format) -> None:
        super().__init__(descriptor)
        self._library = importlib.import_module(form.library) if form.library else zlib
        self._make = make
        self._piece = form.piece
        self._frame: Optional[Any] = None
        self._input = b""
        self._output = b""
        self._given = 0  # of the output
        self._begun = False

    def read(self, size: int) -> bytes:
        while self._given == len(self._output):
            if not self._input:
                self._input = os.read(self._descriptor, _READ_SIZE)
                if not self._input:
                    if self._frame is not None or not self._begun:
                        raise Corrupt
                    return b""
            self._decompress()
        data = self._output[self._given : self._given + size]
        self._given += len(data)
        return data

    def _decompress(self) -> None:
        if self._frame is None:
            self._frame = self._make(self._library)
            self._begun = True
        piece, self._input = self._input[: self._piece], self._input[self._piece :]
        try:
            self._output, self._given = self._frame.decompress(piece), 0
        except Exception as error:
            # Each library has errors of its own.
            raise Corrupt from error
        if self._frame.eof:
            self._input = (self._frame.unused_data or b"") + self._input
            self._frame = None


class _BrotliFrame:
    """Brotli's decompressor with the methods of the others."""

    unused_data = b""

    def __init__(self, library: Any) -> None:
        self._inner = library.Decompressor()

    def decompress(self, data: bytes) -> bytes:
        return bytes(self._inner.process(data))

    @property
    def eof(self) -> bool:
        return bool(self._inner.is_finished())


class CommandReader(Reader):
    """Decompresses by a command of the system."""

    def __init__(self, descriptor: int, form: Format) -> None:
        super().__init__(descriptor)
        self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [form.command, "-q", "-d", "-c"] if form.name != "brotli" else [form.command, "-d", "-c"],
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def read(self, size: int) -> bytes:
        if self._process.stdout is None:
            raise AssertionError("the command writes to a pipe")
        data = self._process.stdout.read(size)
        if not data and self._process.wait() != 0:
            raise Corrupt
        return data

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _zstd_compressor(library: Any, level: int, parallel: int) -> Any:
    inner = library.ZstdCompressor(level=level, threads=parallel if parallel > 1 else 0, write_checksum=True)
    stream = inner.compressobj()
    return b"", stream.compress, stream.flush


def _lz4_compressor(library: Any, level: int, _parallel: int) -> Any:
    stream = library.LZ4FrameCompressor(compression_level=level if level > 1 else 0, content_checksum=True)
    return stream.begin(), stream.compress, stream.flush


def _brotli_compressor(library: Any, level: int, _parallel: int) -> Any:
    stream = library.Compressor(quality=level)
    return b"", stream.process, stream.finish


_COMPRESSORS: Dict[str, Callable[[Any, int, int], Any]] = {
    "zstd": _zstd_compressor,
    "lz4": _lz4_compressor,
    "brotli": _brotli_compressor,
}
_DECOMPRESSORS: Dict[str, Callable[[Any], Any]] = {
    "gzip": lambda library: library.decompressobj(zlib.MAX_WBITS | 16),
    "zstd": lambda library: library.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj(),
    "lz4": lambda library: library.LZ4FrameDecompressor(),
    "brotli": _BrotliFrame,
}

# Tar, the first, compresses nothing.
FORMATS: Dict[str, Format] = {
    form.name: form
    for form in (
        Format("tar", range(0)),
        Format("gzip", range(1, 10), 6, b"\x1f\x8b"),
        Format("zstd", range(1, 20), 3, b"\x28\xb5\x2f\xfd", "zstandard", "zstd", piece=1024),
        Format("lz4", range(1, 10), 1, b"\x04\x22\x4d\x18", "lz4.frame", "lz4"),
        Format("brotli", range(12), 5, b"", "brotli", "brotli", piece=256),
    )
}


def detect(descriptor: int) -> Format:
    """The format of a file by its first bytes. Brotli has no mark, and so is taken for tar."""
    beginning = os.pread(descriptor, 8, 0)
    for form in FORMATS.values():
        if form.magic and beginning.startswith(form.magic):
            return form
    return FORMATS["tar"]
