# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The source on another host: it is reached by a command, or is where the job came from."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, Optional, Tuple

from .. import digests
from .._context import Context
from .._validate import bad_job
from ..origin import SourceDirectory
from ..sumcache_file import cache_options, warn
from .distant import FarDirectory
from .frames import CENSUS, ConnectionLost
from .link import Link, machine
from .listing import FarTree, Wanted
from .messages import decode
from .questions import Questions


class Near:
    """The end that has given this one a job, and has the source."""

    def __init__(self, questions: Questions, machine: str) -> None:
        self.questions = questions
        self.machine = machine
        self.context: Optional[Context] = None

    def take_census(self, payload: bytes) -> None:
        """Take what it has counted."""
        if self.context is not None:
            _take_census(self.context, payload)


@contextlib.contextmanager
def far_source(context: Context) -> Iterator[Tuple[SourceDirectory, bool]]:
    """Open the source. Gives it, and whether its path means the same on this host."""
    far: Dict[str, Any] = context.parameters["far"]
    near: Optional[Near] = context.near
    if not far["command"]:
        if near is None:
            raise bad_job("job.parameters.far.command must not be empty")
        near.context = context
        yield _open(context, near.questions, _same_machine(near.machine)), _same_machine(near.machine)
        return
    link: Optional[Link] = None
    try:
        with Link(context, "serve") as link:
            context.connected = True
            questions = Questions(link.opened, context.check)
            handlers = {**questions.handlers(), CENSUS: lambda payload: _take_census(context, payload)}
            link.opened.start(handlers, lambda: None)
            same = _same_machine(str(link.greeting.get("machine", "")))
            with link.adapting(context, sends=False):
                yield _open(context, questions, same), same
    except ConnectionLost as error:
        context.check()
        raise error if link is None else link.explain(error) from error


def _take_census(context: Context, payload: bytes) -> None:
    """Tell the meter how much the other end has counted."""
    counted = decode(payload)
    context.meter.set_totals(int(counted["items"]), int(counted["bytes"]))


def _same_machine(other: str) -> bool:
    return other != "" and other == machine()


def _open(context: Context, questions: Questions, same_machine: bool) -> SourceDirectory:
    parameters = context.parameters
    far = parameters["far"]
    questions.most_waiting = far["stream_buffer_size"]
    algorithm = digests.of_sync(parameters)
    if algorithm is not None:
        algorithm.require("this host" if far["command"] else "the destination's host")
    wanted = Wanted(
        xattrs=parameters["preserve"]["xattrs"],
        labels=parameters["preserve"]["selinux"],
        names=not (far["numeric_ids"] or same_machine),
        follow=parameters["follow_symlinks"],
        compression=far["compression"],
        level=far["compression_level"],
        checksums=algorithm and algorithm.name,
        cache=cache_options(context),
    )
    tree = FarTree(questions, wanted, lambda notice: warn(context, "on the source's host: %s" % notice))
    tree.open(parameters["source"], parameters["filters"], parameters["one_file_system"])
    return FarDirectory(tree, "").load()
