# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Read the executor's event lines: tolerant of what is new, strict about what is torn."""

from __future__ import annotations

import json
import typing as t

Event = t.Dict[str, t.Any]

KNOWN_EVENTS = frozenset(
    ("hello", "progress", "change", "difference", "warning", "setting", "sample", "result", "error")
)
TERMINAL_EVENTS = frozenset(("result", "error"))
MAX_LINE = 16 * 1024 * 1024


class ProtocolError(Exception):
    """The executor's output does not follow the protocol."""


class EventReader:
    """Turn a stream of bytes into events.

    An event of an unknown kind becomes a warning event, so that a newer engine does not stop an older
    collection. A line that is no JSON object, is too long, or is cut off raises ProtocolError.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._lines = 0

    def feed(self, data: bytes) -> t.Iterator[Event]:
        """Give the events of every line that *data* completes."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE:
            raise ProtocolError(
                "line %d of the executor's output is longer than %d bytes" % (self._lines + 1, MAX_LINE)
            )
        for line in lines:
            self._lines += 1
            if line.strip():
                yield self._parse(line)

    def close(self) -> None:
        """Say that the stream has ended; a line without its end is an error."""
        if self._rest.strip():
            raise ProtocolError(
                "the executor's output ends in a torn line (line %d): %s" % (self._lines + 1, _excerpt(self._rest))
            )

    def _parse(self, line: bytes) -> Event:
        try:
            event = json.loads(line.decode("ascii"))
        except ValueError as exc:
            raise ProtocolError(
                "line %d of the executor's output is not JSON: %s" % (self._lines, _excerpt(line))
            ) from exc
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise ProtocolError("line %d of the executor's output is not an event: %s" % (self._lines, _excerpt(line)))
        if event["event"] not in KNOWN_EVENTS:
            return {
                "event": "warning",
                "code": "unknown_event",
                "message": "the executor sent an event that this collection does not know: %s" % event["event"][:80],
            }
        return event


def _excerpt(line: bytes) -> str:
    return repr(line[:120].decode("ascii", "backslashreplace"))
