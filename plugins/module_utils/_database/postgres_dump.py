# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The definitions of a PostgreSQL database, as its own pg_dump writes them, entry by entry."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import tempfile
import typing as t

from .endpoint import Server
from .errors import DatabaseError
from .postgres_catalog import BOOKKEEPING
from .postgres_session import APPLICATION

# Of packages that keep several versions beside each other.
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_OPTIONS = (
    *("--no-owner", "--no-privileges", "--no-tablespaces", "--no-publications", "--no-subscriptions"),
    *("--no-security-labels", "--no-toast-compression", "--no-password"),
)
# A header between entries, the end, and everything in which what looks like a header is none.
_TOKEN = re.compile(
    r"^--\n-- Name: (?P<name>[^\n]*); Type: (?P<kind>[A-Z ]+); Schema: (?P<schema>[^\n]*); Owner: [^\n]*\n--\n"
    r"|^--\n-- PostgreSQL database dump complete\n(?P<end>)"
    r"|'[^']*(?:''[^']*)*'"
    r'|"[^"]*(?:""[^"]*)*"'
    r"|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$",
    re.MULTILINE | re.DOTALL,
)
# Said between entries for those that follow: pg_dump's own notion of where things are kept.
_ASIDE = re.compile(r"^SET default_(?:tablespace|table_access_method) = [^\n]*;\n", re.MULTILINE)


class Entry(t.NamedTuple):
    """One definition. kind: as pg_dump calls it, such as TABLE or FK CONSTRAINT. schema: '-' for what is in none.

    name: of what belongs to a table, the table's name stands before its own.
    """

    kind: str
    schema: str
    name: str
    sql: str

    @property
    def key(self) -> t.Tuple[str, str, str]:
        return self.kind, self.schema, self.name

    @property
    def has_statement(self) -> bool:
        """Some are but a remark."""
        return any(line and not line.startswith("--") for line in self.sql.splitlines())


class Definitions(t.NamedTuple):
    """Both in an order in which they can be carried out. before: without them there are no rows; after: what is better
    made when the rows are there."""

    before: t.List[Entry]
    after: t.List[Entry]


def find(version: int) -> t.Tuple[str, int]:
    """The pg_dump that fits a server of that version, such as 150018: its path and its major version.

    An older one refuses the server. Of the others the nearest is taken, since newer ones write what only newer servers
    know. Raises DatabaseError.
    """
    found: t.Dict[int, str] = {}
    paths = [shutil.which("pg_dump")] + [
        os.path.join(place, "pg_dump") for glob_ in _PLACES for place in glob.glob(glob_)
    ]
    for path in paths:
        if path is not None and os.access(path, os.X_OK):
            major = _major(path)
            if major is not None:
                found.setdefault(major, path)
    wanted = version // 10000
    fitting = [major for major in sorted(found) if major >= wanted]
    if not fitting:
        has = "that of version %s is too old" % max(found) if found else "there is none"
        raise DatabaseError(
            "the definitions of PostgreSQL %d need pg_dump of version %d or newer on this host, and %s"
            % (wanted, wanted, has),
            code="tool_missing",
        )
    return found[fitting[0]], fitting[0]


def _major(path: str) -> t.Optional[int]:
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return None
    match = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    return int(match.group(1)) if match else None


def dump(tool: str, server: Server, snapshot: t.Optional[str], without: t.Sequence[str] = ()) -> Definitions:
    """The definitions of a database, within a snapshot if one is named. without: tables, as quoted names, which need
    not be readable then. Raises DatabaseError."""
    with tempfile.TemporaryDirectory(prefix="migration-assistant-") as directory:
        environment, words = _login(server, directory)
        command = [tool, *_OPTIONS, *words]
        if snapshot is not None:
            command.append("--snapshot=" + snapshot)
        command += ["--exclude-schema=" + BOOKKEEPING, *("--exclude-table=" + name for name in without)]
        running = [
            subprocess.Popen(  # pylint: disable=ansible-bad-function
                [*command, "--section=" + section],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for section in ("pre-data", "post-data")
        ]
        outputs = [process.communicate() for process in running]
    for process, (_output, complaints) in zip(running, outputs):
        if process.returncode != 0:
            lines = [line for line in complaints.decode("utf-8", "replace").splitlines() if line.strip()]
            reason = re.sub(r"^pg_dump: (?:error: )?", "", lines[0]) if lines else "exit code %d" % process.returncode
            raise DatabaseError("pg_dump failed: %s" % reason, server.option, server)
    before, after = (split(output.decode("utf-8")) for output, _complaints in outputs)
    return Definitions(before, after)


def split(text: str) -> t.List[Entry]:
    """The entries of a script that pg_dump wrote."""
    entries: t.List[Entry] = []
    header: t.Optional[t.Tuple[str, str, str]] = None
    start = 0
    for match in _TOKEN.finditer(text):
        if match.group("kind") is None and match.group("end") is None:
            continue
        if header is not None:
            entries.append(Entry(*header, sql=_ASIDE.sub("", text[start : match.start()]).strip()))
        kind, schema, name = match.group("kind", "schema", "name")
        header = None if kind is None else (str(kind), str(schema), str(name))
        start = match.end()
    return entries


def _login(server: Server, directory: str) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Environment and words for libpq. The password is in a file that only this user can read."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment["PGAPPNAME"] = APPLICATION
    environment["PGCLIENTENCODING"] = "UTF8"
    for variable, name in (("PGSSLMODE", "mode"), ("PGSSLROOTCERT", "root_certificate"), ("PGSSLCERT", "certificate")):
        if server.tls.get(name):
            environment[variable] = str(server.tls[name])
    if server.tls.get("key"):
        environment["PGSSLKEY"] = str(server.tls["key"])
    if server.password is not None:
        path = os.path.join(directory, "password")
        fields = ("*", "*", "*", "*", server.password)
        line = ":".join(field if field == "*" else re.sub(r"([\\:])", r"\\\1", field) for field in fields)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(line + "\n")
        environment["PGPASSFILE"] = path
    words = ["--host", server.host, "--port", str(server.port), "--username", server.user]
    # A name that holds '=' would be read as a connection string, in which this one is quoted.
    database = re.sub(r"([\\'])", r"\\\1", server.database)
    return environment, [*words, "--dbname", "dbname='%s'" % database]
