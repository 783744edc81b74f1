# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What the process on the other host does: it answers questions about a tree, or carries out a job."""

from __future__ import annotations

import io
import os
import queue
import sys
from typing import IO, Any, NoReturn, Optional

from .._context import Event
from .._runner import execute
from .answers import Server
from .frames import CENSUS, EVENT, JOB, QUESTION, RATE, ConnectionLost, Frames
from .link import greet, read_greeting
from .messages import decode, encode
from .questions import Questions
from .source import Near


def main() -> NoReturn:
    """Ends the process with code 0 if the connection was ended, with 1 if there was none."""
    # At once: a thread still waits for what comes in.
    os._exit(_serve(io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False)), sys.stdout.fileno()))


def _serve(incoming: IO[bytes], outgoing: int) -> int:
    try:
        said = read_greeting(incoming)
    except EOFError:
        return 1
    except (ValueError, KeyError, TypeError) as error:
        greet(outgoing, error=str(error))
        return 1
    greet(outgoing)
    frames = Frames(incoming, outgoing)
    if said.get("role") == "job":
        _job(frames, said)
    else:
        server = Server(frames, None)
        frames.start({QUESTION: server.ask, RATE: frames.obey_rate}, server.end)
        _mind_silence(frames, said, server.end)
        server.serve()
    return 0


def _mind_silence(frames: Frames, said: Any, ended: Any) -> None:
    if said.get("silence"):
        frames.hang_up_after(float(said["silence"]), ended)


def _job(frames: Frames, said: Any) -> None:
    """Carry out the job that comes, with the source at the other end."""
    jobs: queue.SimpleQueue[Optional[bytes]] = queue.SimpleQueue()
    questions = Questions(frames, lambda: None)
    near = Near(questions, str(said.get("machine", "")))

    def ended() -> None:
        jobs.put(None)

    frames.start({**questions.handlers(), JOB: jobs.put, CENSUS: near.take_census}, ended)
    _mind_silence(frames, said, ended)
    job = jobs.get()
    if job is None:
        return

    def emit(event: Event) -> None:
        try:
            frames.send(EVENT, encode(event), flush=event["event"] != "change")
        except ConnectionLost:
            return  # the job is cancelled by that

    execute(decode(job), emit, frames.lost.is_set, near)
