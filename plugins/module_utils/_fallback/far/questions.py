# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""Questions to the end that has the source. Many may be under way; their answers come in the order in which they were
asked."""

from __future__ import annotations

import collections
import threading
from typing import Callable, Deque, Dict, Optional, Tuple

from .frames import DATA, END, PART, QUESTION, SAME, ConnectionLost, Frames, Handler
from .messages import Message, encode

_PATIENCE = 0.2

Check = Callable[[], None]


class Answer:
    """What is coming. Who has asked takes all of it, or drops it: until then the answers behind it wait, if more of it
    has come than ``most_waiting``; None for no limit."""

    def __init__(self, frames: Frames, check: Check, most_waiting: Optional[int]) -> None:
        self._frames = frames
        self._check = check
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._waiting: Deque[Tuple[bytes, bytes]] = collections.deque()
        self._size = 0
        self._dropped = False

    def put(self, kind: bytes, payload: bytes) -> None:
        """Add what has come; wait while too much of it was not taken."""
        with self._changed:
            while self._is_full() and not self._frames.lost.is_set():
                self._changed.wait(_PATIENCE)
            if not self._dropped:
                self._waiting.append((kind, payload))
                self._size += len(payload)
                self._changed.notify_all()

    def _is_full(self) -> bool:
        return self._most_waiting is not None and self._size > self._most_waiting and not self._dropped

    def take(self) -> Tuple[bytes, bytes]:
        """Kind and payload of the next frame. Raises ConnectionLost, and what ends the job."""
        with self._changed:
            while not self._waiting:
                if self._frames.lost.is_set():
                    raise ConnectionLost
                self._changed.wait(_PATIENCE)
                self._check()
            kind, payload = self._waiting.popleft()
            self._size -= len(payload)
            self._changed.notify_all()
            return kind, payload

    def drop(self) -> None:
        """Say that the rest is not wanted."""
        with self._changed:
            self._dropped = True
            self._waiting.clear()
            self._size = 0
            self._changed.notify_all()


class Questions:
    """Asks over one connection, for any thread. ``check`` is called while an answer is waited for.

    most_waiting: bytes of an answer that have come and wait to be taken, as long as no more come; of one that was not
    asked for ahead of need.
    """

    most_waiting = 2 << 20

    def __init__(self, frames: Frames, check: Check) -> None:
        self._frames = frames
        self._check = check
        self._lock = threading.Lock()
        self._asked: Deque[Answer] = collections.deque()

    def handlers(self) -> Dict[bytes, Handler]:
        """What takes the frames of answers."""
        return {
            PART: lambda payload: self._asked[0].put(PART, payload),
            DATA: lambda payload: self._asked[0].put(DATA, payload),
            SAME: lambda payload: self._asked[0].put(SAME, payload),
            END: lambda payload: self._asked.popleft().put(END, payload),
        }

    def ask(self, question: Message, ahead: bool = False) -> Answer:
        """Ask, at once or ahead of need: then it is sent by ``flush`` or with the next question that is sent at once.

        Who will take what is asked ahead may first need an answer that comes behind it: none has to wait for it. So ask
        ahead only for what has a bound.
        """
        answer = Answer(self._frames, self._check, None if ahead else self.most_waiting)
        # In one go: else the answers could come in another order.
        with self._lock:
            self._asked.append(answer)
            self._frames.send(QUESTION, encode(question), flush=not ahead)
        return answer

    def flush(self) -> None:
        """Send what was asked."""
        self._frames.flush()
