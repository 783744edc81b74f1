# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The operation ``ssh_rsync``: the system's rsync does the work, between this host and another.

Several of them share the directories of the tree; one more then goes over the whole tree, so that the result is what
one alone would have made: hard links between the shares, deletions, times of directories.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shlex
import shutil
import subprocess
import threading
import time
from typing import Any, Callable, ContextManager, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import _platform, tree
from ._context import Context
from ._errors import ItemError, JobError
from ._validate import Field, boolean, choice, integer, list_of, nested, number, read_object, text
from .far import login, pool
from .far.complaints import telling
from .far.proxy import FIELD as SOCKET
from .far.proxy import Socket
from .far.retry import with_retries
from .far.ssh import Ssh
from .files import SYNC, absolute_path, compares_contents
from .roots import Destination
from .rsync_output import OUT_FORMAT, parse_line, unescape
from .rsync_report import Report, Said

# Exit codes.
_PARTIAL, _VANISHED = 23, 24
_LOST = frozenset([5, 10, 12, 30, 35, 255])
_NO_COMMAND = 127
_NOT_FOUND = re.compile(r"\brsync: (?:command )?not found")

# How many directories for each rsync make shares that are about equal, and how far down they are looked for.
_SHARES = 8
_DEEPEST = 3
_CODECS = {"gzip": "zlib", "zstd": "zstd", "lz4": "lz4"}
# Type and mode, size, date, time, name.
_LISTED_DIRECTORY = re.compile(rb"d\S+ +\d+ \S+ \S+ (.*)\Z", re.DOTALL)
_STDERR_PATIENCE = 1.0
# What the other rsync fails at comes by rsync's own channel: ssh drops what the other end still says when this one has
# ended. Those older than 3.2.3, here or there, always do so, and do not know the option.
_TOLD_BY_RSYNC = "--stderr=client"
_UNKNOWN_TO_OLDER = re.compile(rb"--(stderr=client|no-msgs2stderr): unknown option")


_FAR: Dict[str, Field] = {
    "side": Field(choice("source", "destination"), required=True),
    "name": Field(text(), required=True),
    "ssh": Field(list_of(text()), required=True),
    "host": Field(text(minimum=1), required=True),
    "login": login.FIELD,
    "pool": pool.FIELD,
    "shell": Field(text(minimum=1), "sh -c"),
    "connections": Field(integer(1, 64), 4),
    "read_timeout": Field(number(), 0),
    "keep_alive_interval": Field(number(), 0),
    "retries": Field(integer(0, 1000), 0),
    "numeric_ids": Field(boolean, False),
    "lock_timeout": Field(number(), 0),
    "compression": Field(choice("none", *_CODECS), "none"),
    "compression_level": Field(integer(0, 22), 0),
    "socket": SOCKET,
}
# What means the same as for the other methods.
_AS_EVER = (
    *(
        "compare",
        "update",
        "verify",
        "on_vanished",
        "delete",
        "max_delete",
        "one_file_system",
        "follow_symlinks",
        "preserve",
    ),
    *("bandwidth_limit", "sync_frequency", "resume"),
)


def _directory(value: Any, where: str) -> str:
    return tree.text(absolute_path(value, where))


_FIELDS: Dict[str, Field] = {
    "source": Field(_directory, required=True),
    "destination": Field(_directory, required=True),
    "rules": Field(list_of(text()), ()),
    **{name: SYNC[name] for name in _AS_EVER},
    "far": Field(nested(_FAR), required=True),
}


def validate(parameters: Dict[str, Any]) -> Dict[str, Any]:
    return read_object(parameters, "parameters", _FIELDS)


def available() -> bool:
    """Whether this host has rsync."""
    return shutil.which("rsync") is not None


def run(context: Context) -> None:
    """Make the destination's tree equal the source's."""
    work = _Work(context)
    try:
        with_retries(context, work.run)
    finally:
        context.statistics = work.report.statistics()


class _Ended(NamedTuple):
    """How one rsync ended."""

    code: int
    last: str
    said: Said


class _Work:
    """One job."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._parameters = context.parameters
        self._far: Dict[str, Any] = self._parameters["far"]
        self._is_push = self._far["side"] == "destination"
        self._socket = Socket.of(context)
        self._older = False
        self.report = Report(context)

    def run(self) -> None:
        """One try of the job."""
        with self._destination():
            self._context.meter.phase = "copy"
            self.report.begin(deletes_later=self._parameters["delete"] and not self._context.dry_run)
            if not self._context.dry_run:
                self._run_shares()
            self._run_whole()
            if self._parameters["verify"] and not self._context.dry_run:
                self._context.meter.phase = "verify"
                self._verify()
            self._context.meter.phase = "finish"
        self._socket.tell(None, can_adapt=False)

    def _destination(self) -> ContextManager[Any]:
        """The lock on a destination of this host, which is made with its parents if it is missing."""
        if self._is_push or (self._context.dry_run and not os.path.isdir(self._parameters["destination"])):
            return contextlib.nullcontext()
        return self._locked()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with Destination(self._context) as destination:
            if not self._context.dry_run:
                self.report.root_is_new = self.report.root_is_new or destination.existing is None
                destination.create()
            yield

    def _run_shares(self) -> None:
        """Let several of them work at once, if the tree has enough directories."""
        count = self._far["connections"]
        # Each directory that rsync is given by name has a file system of its own to stay on.
        if count < 2 or self._parameters["one_file_system"]:
            return
        directories = self._directories(count * _SHARES)
        shares = [share for share in (directories[number::count] for number in range(count)) if share]
        if len(shares) < 2:
            return
        self._make_above(directories)
        failures: List[BaseException] = []

        def work(share: Sequence[bytes]) -> None:
            try:
                listed = b"".join(b"./" + path + b"\0" for path in share)
                ended = self._rsync(["--files-from=-", "--from0"], listed, shares=len(shares))
                self._check_end(ended)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(share,), name="rsync", daemon=True) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in sorted(failures, key=lambda failure: isinstance(failure, JobError)):
            raise failure

    def _make_above(self, directories: Sequence[bytes]) -> None:
        """Make the directories that the shares have in common, so that each is made, and told, once."""
        above = {b"."}
        for path in directories:
            names = path.split(b"/")
            above.update(b"/".join(names[:depth]) for depth in range(1, len(names)))
        listed = b"".join(b"./" + path + b"\0" for path in sorted(above))
        self._check_end(self._rsync(["--no-recursive", "--dirs", "--files-from=-", "--from0"], listed))

    def _directories(self, enough: int) -> List[bytes]:
        """Directories that have no other of the list above or below them: the source's first, and those in them where
        these are too few."""
        found: List[bytes] = []
        for depth in range(1, _DEEPEST + 1):
            found = self._list(depth)
            if len(found) >= enough:
                break
        return found

    def _list(self, depth: int) -> List[bytes]:
        """The directories at a depth, or less where nothing is below them."""
        # After the task's rules, which so hide what is in a hidden directory too: rsync does not ask them about the
        # directories above one that it is given by name.
        limits = ["--include=" + "/*" * level + "/" for level in range(1, depth + 1)] + ["--exclude=*"]
        listed: List[bytes] = []
        ended = self._run_command(
            [*self._command(), *limits, "--list-only", "--no-h", self._place("source")],
            b"",
            listed.append,
        )
        self._check_end(ended, local=self._is_push)
        paths = [match.group(1) for match in map(_LISTED_DIRECTORY.match, listed) if match is not None]
        # The task's rules may include what is further down.
        names = [unescape(path) for path in paths if path != b"." and path.count(b"/") < depth]
        above = {name.rpartition(b"/")[0] for name in names}
        return sorted(name for name in names if name not in above)

    def _run_whole(self) -> None:
        delete, limit = self._parameters["delete"], self._parameters["max_delete"]
        if not delete or not self._context.dry_run:
            self._check_end(self._rsync([]))
        if self._context.vanished:
            self._list(1)  # which fails without a source
        # rsync itself would delete after what it failed to read was no more than a file.
        if not delete or self._context.first_failure is not None:
            return
        if limit is not None:
            doomed = self._count_doomed()
            if doomed > limit:
                message = "%d entries would be deleted; max_delete allows %d" % (doomed, limit)
                raise JobError("max_delete_exceeded", message)
        self.report.deletes_later = False
        self._check_end(self._rsync(["--delete-delay"]))

    def _count_doomed(self) -> int:
        doomed = 0

        def count(line: bytes) -> None:
            nonlocal doomed
            told = parse_line(line)
            doomed += told is not None and told.action == "delete"

        command = [*self._command(), "--dry-run", "--delete", self._place("source"), self._place("destination")]
        self._check_end(self._run_command(command, b"", count))
        return doomed

    def _verify(self) -> None:
        """Compare the contents of both sides once more."""

        def take(line: bytes) -> None:
            told = parse_line(line)
            if told is not None and told.sent:
                self._context.failure(told.path, ItemError("verification_failed", "the copy differs from its source"))

        command = [*self._command(), "--dry-run", "--checksum", self._place("source"), self._place("destination")]
        self._check_end(self._run_command(command, b"", take))
        if self._context.first_failure is None:
            self.report.all_verified()

    def _rsync(self, more: Sequence[str], listed: bytes = b"", shares: int = 1) -> _Ended:
        """Run rsync once, and tell what it changes."""
        dry_run = ["--dry-run"] if self._context.dry_run else []
        stats = [] if listed else ["--stats"]
        limit = self._parameters["bandwidth_limit"]
        pace = ["--bwlimit=%d" % max(1, limit // 1024 // shares)] if limit else []
        command = [*self._command(), *pace, *dry_run, *stats, *more, self._place("source"), self._place("destination")]
        return self._run_command(command, listed, self.report.take)

    def _command(self) -> List[str]:
        """rsync and the options that all its runs have."""
        parameters, far = self._parameters, self._far
        preserve: Dict[str, bool] = parameters["preserve"]
        words = ["rsync", "--recursive", "--links", "--sparse", "--8-bit-output", "--no-human-readable"]
        # -s is secluded-args, by the name that older ones know too.
        words += ["-s", "--out-format=" + OUT_FORMAT, "--itemize-changes"]
        words += [] if self._older else [_TOLD_BY_RSYNC]
        switches = {
            "--perms": preserve["permissions"],
            "--times": preserve["timestamps"],
            "--owner": preserve["owner"],
            "--group": preserve["group"],
            "--hard-links": preserve["hard_links"],
            "--acls": preserve["xattrs"],
            "--xattrs": preserve["xattrs"],
            "--devices": preserve["specials"],
            "--specials": preserve["specials"],
            "--checksum": compares_contents(parameters),
            "--update": parameters["update"],
            "--one-file-system": parameters["one_file_system"],
            "--copy-links": parameters["follow_symlinks"],
            "--numeric-ids": far["numeric_ids"],
            "--fsync": parameters["sync_frequency"] > 0,
        }
        words += [switch for switch, wanted in switches.items() if wanted]
        if parameters["resume"]:
            words.append("--partial-dir=.migration-assistant-partial")
        if far["read_timeout"]:
            words.append("--timeout=%d" % max(1, round(far["read_timeout"])))
        if far["compression"] in _CODECS:
            words += ["--compress", "--compress-choice=" + _CODECS[far["compression"]]]
            if far["compression_level"]:
                words.append("--compress-level=%d" % far["compression_level"])
        if preserve["xattrs"] and not preserve["selinux"] and _platform.effective_user() == 0:
            # With a filter of attributes rsync no longer leaves out by itself what it has another option for.
            words += ["--filter=-x security.selinux", "--filter=-x system.*"]
        words += ["--filter=" + rule for rule in parameters["rules"]]
        return [*words, "--rsync-path=" + self._rsync_there()]

    def _rsync_there(self) -> str:
        """The command that runs rsync on the other host, and makes the directory that its destination belongs in: not
        each rsync can. Where that fails, rsync tells it."""
        script = 'exec rsync "$@"'
        if self._is_push and not self._context.dry_run:
            parent = shlex.quote(os.path.dirname(self._parameters["destination"]))
            script = "mkdir -p -- %s 2>/dev/null; %s" % (parent, script)
        return "%s %s rsync" % (self._far["shell"], shlex.quote(script))

    def _place(self, side: str) -> str:
        path: str = self._parameters[side].rstrip("/") + "/"
        if side != self._far["side"]:
            return path
        host = self._far["host"]
        return "%s:%s" % ("[%s]" % host if ":" in host else host, path)

    def _run_command(self, command: Sequence[str], listed: bytes, take: Callable[[bytes], None]) -> _Ended:
        """Run rsync over a connection of its own, and give each line of its standard output."""
        far = self._far
        with Ssh(self._context) as ssh:
            if ssh.slot is not None:
                ssh.slot.prove(far["ssh"], far["host"])
            words = list(far["ssh"])
            words[1:1] = ssh.words()
            ended = self._run_process([command[0], "--rsh=" + shlex.join(words), *command[1:]], ssh, listed, take)
            if self._older and _TOLD_BY_RSYNC in command:
                return self._run_command([word for word in command if word != _TOLD_BY_RSYNC], listed, take)
            if ssh.proxy is None or ssh.proxy.connection is not None:
                ssh.socket.tell(ssh.proxy, can_adapt=False)
            return ended if ended.code == 0 else ended._replace(last=ssh.explain(ended.last))

    def _run_process(self, command: Sequence[str], ssh: Ssh, listed: bytes, take: Callable[[bytes], None]) -> _Ended:
        environment = ssh.environment() or os.environ
        try:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
                [os.fsencode(tree.from_text(word)) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environment, "LC_ALL": "C"},
                start_new_session=True,
            )
        except OSError as error:
            raise JobError("io_error", "unable to start rsync: %s" % (error.strerror or error)) from error
        ssh.started(process.pid)
        lines: queue.Queue[Optional[Tuple[bool, bytes]]] = queue.Queue(10_000)
        readers = [
            threading.Thread(target=_read_lines, args=(stream, is_error, lines), name="rsync lines", daemon=True)
            for stream, is_error in ((process.stdout, False), (process.stderr, True))
        ]
        said = Said(self.report)
        ended = None
        try:
            for reader in readers:
                reader.start()
            threading.Thread(target=_feed, args=(process.stdin, listed), name="rsync list", daemon=True).start()
            open_streams = len(readers)
            while open_streams:
                self._context.check()
                try:
                    item = lines.get(timeout=0.2)
                except queue.Empty:
                    # A process of ssh that keeps the connection for a following job may hold standard error open.
                    if process.poll() is not None and ended is None:
                        ended = time.monotonic()
                    if ended is not None and time.monotonic() - ended > _STDERR_PATIENCE:
                        break
                    continue
                if item is None:
                    open_streams -= 1
                elif item[0]:
                    self._older = self._older or _UNKNOWN_TO_OLDER.search(item[1]) is not None
                    said.take(item[1])
                else:
                    take(item[1])
            return _Ended(process.wait(), telling(said.last), said)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _check_end(self, ended: _Ended, local: bool = False) -> None:
        """Raise what a run ended by, unless that was told entry by entry. local: it has reached no other host."""
        name = self._far["name"]
        if ended.code in (0, _VANISHED, _PARTIAL) and not local:
            self._context.connected = True
        if ended.code in (0, _VANISHED) or (ended.code == _PARTIAL and ended.said.explains()):
            return
        if ended.code in _LOST and not _NOT_FOUND.search(ended.last):
            begin = "the connection to %s was lost" if self._context.connected else "unable to reach %s"
            raise JobError("unreachable", "%s: %s" % (begin % name, ended.last or "rsync ended with %d" % ended.code))
        if ended.code == _NO_COMMAND or _NOT_FOUND.search(ended.last):
            raise JobError("unreachable", "unable to reach %s: there is no rsync on it" % name)
        raise JobError("io_error", "rsync ended with code %d: %s" % (ended.code, ended.last or "without a word"))


def _read_lines(stream: Any, is_error: bool, lines: Any) -> None:
    for line in stream:
        lines.put((is_error, line.rstrip(b"\n")))
    lines.put(None)


def _feed(stream: Any, listed: bytes) -> None:
    """Give rsync its list, and the end of it."""
    with contextlib.suppress(OSError):
        stream.write(listed)
        stream.close()
