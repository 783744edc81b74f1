# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The driver for PostgreSQL: libpq by psycopg 3, simple queries and COPY, without waiting where nothing can cancel."""

from __future__ import annotations

import os
import re
import selectors
import threading
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from ._errors import JobError
from .tables_server import Blocks, Connection, Row, ServerError

_LOOK_SECONDS = 0.1
# How long to wait for the server to take a request to cancel.
_CANCEL_SECONDS = 5.0
_BLOCK = 1 << 18

# The server ends, begins, or has ended an idle session; or has no room for one more.
_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "53300")
_ACCESS_DENIED = ("28", "42501")
_DISK_FULL = "53100"
_DEADLOCKS = ("40001", "40P01")
_CONFLICTS = ("23505", "23P01")
# libpq keeps to itself which code a login was refused with: its words tell, where they are English.
_LOGIN_DENIED = re.compile(
    r"authentication failed|pg_hba\.conf|role \".*\" does not exist|not permitted to log in|"
    r"permission denied for database|no password supplied|requires a valid client certificate"
)
_LOGIN_LATER = re.compile(
    r"the database system is |too many clients|too many connections for|connection slots are reserved"
)
# Another try would meet it again, though libpq says it and not the server.
_TLS_REFUSED = re.compile(r"SSL error|not support SSL|certificate|private key")


def connect(server: Dict[str, Any], side: str, check: Callable[[], None]) -> Connection:
    """Connect and log in. server: as in the job. Raises ServerError, JobError where there is no driver."""
    try:
        from psycopg import pq
    except ImportError as error:
        raise JobError(
            "capability_missing",
            "the Python fallback needs the Python library psycopg (3.1 or newer) and libpq on this host: "
            "pip install 'psycopg[binary]'; or let the Go engine do the work",
        ) from error
    # The job says where it goes, and not the environment, which libpq asks first. A file of passwords may stay.
    for name in [name for name in os.environ if name.startswith("PG") and name != "PGPASSFILE"]:
        os.environ.pop(name, None)
    return _Login(pq, server, side, check).connection()


def _conninfo(server: Dict[str, Any]) -> bytes:
    tls = server["tls"]
    words = {
        "host": server["host"],
        "port": server["port"],
        "user": server["user"],
        "password": server["password"],
        "dbname": server["database"],
        "application_name": server["application_name"],
        "sslmode": tls["mode"],
        "sslrootcert": tls["root_certificate"],
        "sslcert": tls["certificate"],
        "sslkey": tls["key"],
        "client_encoding": "UTF8",
        # A host that is gone shall be noticed while a long statement runs there.
        "keepalives_idle": 60,
        "keepalives_interval": 10,
        "keepalives_count": 6,
    }
    quoted = (
        "%s='%s'" % (name, str(word).replace("\\", "\\\\").replace("'", "\\'"))
        for name, word in words.items()
        if word is not None
    )
    return _encode(" ".join(quoted))


def _encode(sql: str) -> bytes:
    return sql.encode("utf-8", "surrogateescape")


def _decode(value: Optional[bytes]) -> str:
    return (value or b"").decode("utf-8", "surrogateescape")


class _Login:
    """The way to a connection."""

    def __init__(self, pq: Any, server: Dict[str, Any], side: str, check: Callable[[], None]) -> None:
        self._pq = pq
        self._check = check
        self._conninfo = _conninfo(server)
        self._side = side
        self._name = "the %s at %s:%d" % (side, server["host"], server["port"])
        self._limit: float = server["connect_timeout"]

    def connection(self) -> Connection:
        try:
            pgconn = self._pq.PGconn.connect_start(self._conninfo)
        except Exception as error:
            raise self._refused(str(error)) from error
        try:
            self._log_in(pgconn)
            pgconn.nonblocking = 1
            return _Connection(self._pq, pgconn, self._side, self._name, self._check)
        except BaseException:
            pgconn.finish()
            raise

    def _log_in(self, pgconn: Any) -> None:
        polling = self._pq.PollingStatus
        deadline = time.monotonic() + self._limit if self._limit else None
        # As connect_start leaves it, it wants to write.
        state = polling.WRITING
        while state != polling.OK:
            if state == polling.FAILED or pgconn.status == self._pq.ConnStatus.BAD:
                raise self._refused(_decode(pgconn.error_message))
            event = selectors.EVENT_READ if state == polling.READING else selectors.EVENT_WRITE
            # The socket is another one for each address that is tried.
            with selectors.DefaultSelector() as selector:
                selector.register(pgconn.socket, event)
                while not selector.select(_LOOK_SECONDS):
                    self._check()
                    if deadline is not None and time.monotonic() > deadline:
                        raise self._refused("no connection within %g s" % self._limit)
            state = pgconn.connect_poll()

    def _refused(self, words: str) -> ServerError:
        reason = _reason(words)
        code, transient = "database_error", False
        if _LOGIN_LATER.search(reason) or not (_is_servers(words) or _TLS_REFUSED.search(reason)):
            code, transient = "unreachable", True
        if _LOGIN_DENIED.search(reason):
            code, transient = "access_denied", False
        message = "%s: %s" % (self._name, reason)
        return ServerError(code, message, self._side, transient, lost=True, connecting=True)


def _is_servers(words: str) -> bool:
    """Whether the server itself said so, and not libpq."""
    return re.search(r"failed: [^\s:]+:  ", words) is not None


def _reason(words: str) -> str:
    """What libpq says, in one line: the same once, without the address and hints."""
    reasons: List[str] = []
    for line in words.strip().splitlines():
        reason = re.sub(r"^(connection failed: )?(connection to server .*? failed: )?([^\s:]+:  )?", "", line)
        if reason and not line.startswith((" ", "\t")) and reason not in reasons:
            reasons.append(reason.strip())
    return "; ".join(reasons) or "no connection"


class _Connection(Connection):
    def __init__(self, pq: Any, pgconn: Any, side: str, name: str, check: Callable[[], None]) -> None:
        self._pq = pq
        self._pgconn = pgconn
        self._side = side
        self._name = name
        self._check = check
        self._status = pq.ExecStatus
        self._broken = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(pgconn.socket, selectors.EVENT_READ)

    # What a statement answers.

    def execute(self, sql: str) -> int:
        self._send(sql)
        return self._outcome()[0]

    def query(self, sql: str) -> Iterator[Row]:
        self._send(sql)
        self._pgconn.set_single_row_mode()
        whole = False
        try:
            while True:
                result = self._next()
                if result is None:
                    break
                self._raise_for(result)
                columns = range(result.nfields)
                for row in range(result.ntuples):
                    yield tuple([self._text(result.get_value(row, column)) for column in columns])
            whole = True
        finally:
            if not whole and self._pgconn.transaction_status == self._pq.TransactionStatus.ACTIVE:
                self.close()

    @staticmethod
    def _text(value: Optional[bytes]) -> Optional[str]:
        return None if value is None else _decode(value)

    def copy_out(self, sql: str) -> Blocks:
        return _Outgoing(self, sql)

    def copy_in(self, sql: str, blocks: Iterable[bytes]) -> int:
        self._send(sql)
        self._expect(self._status.COPY_IN)
        try:
            for block in blocks:
                self._put(self._pgconn.put_copy_data, block)
        except ServerError as error:
            if not self._is_lost():
                self._abort_copy()
            raise error
        self._put(self._pgconn.put_copy_end)
        return self._outcome()[0]

    def _abort_copy(self) -> None:
        """Have the server forget the rows that it was given. The transaction has then failed."""
        try:
            self._put(self._pgconn.put_copy_end, b"the source failed")
            self._outcome()
        except ServerError:
            return

    # Transactions.

    def begin(self) -> None:
        self.execute("BEGIN")

    def commit(self) -> None:
        self._send("COMMIT")
        _rows, word = self._outcome()
        if word != "COMMIT":
            raise self._error("database_error", "the transaction was rolled back")

    def end(self) -> None:
        idle = self._pq.TransactionStatus
        try:
            if self._is_lost() or self._pgconn.transaction_status == idle.ACTIVE:
                self.close()
            elif self._pgconn.transaction_status != idle.IDLE:
                self.execute("ROLLBACK")
        except (ServerError, JobError):
            self.close()

    def literal(self, text: str) -> str:
        quoted = text.replace("'", "''")
        return "E'%s'" % quoted.replace("\\", "\\\\") if "\\" in quoted else "'%s'" % quoted

    @property
    def usable(self) -> bool:
        idle = (self._pq.TransactionStatus.IDLE, self._pq.TransactionStatus.INTRANS)
        return not self._is_lost() and self._pgconn.transaction_status in idle

    def close(self) -> None:
        try:
            if not self._is_lost() and self._pgconn.transaction_status == self._pq.TransactionStatus.ACTIVE:
                self._cancel()
        finally:
            self._selector.close()
            self._pgconn.finish()

    def _cancel(self) -> None:
        """Ask the server to end the statement under way: it would not notice that nobody waits for it any more."""
        canceller = self._pgconn.get_cancel()

        def ask() -> None:
            try:
                canceller.cancel()
            except Exception:
                return

        # It makes a connection of its own, and has no limit of time for that.
        thread = threading.Thread(target=ask, name="cancel", daemon=True)
        thread.start()
        thread.join(_CANCEL_SECONDS)

    # The protocol.

    def _is_lost(self) -> bool:
        return self._broken or bool(self._pgconn.status != self._pq.ConnStatus.OK)

    def _send(self, sql: str) -> None:
        if self._is_lost():
            raise self._error("unreachable", "the connection was lost", transient=True, lost=True)
        self._calling(self._pgconn.send_query, _encode(sql))
        self._flush()

    def _calling(self, function: Callable[..., Any], *values: Any) -> Any:
        """Call libpq; what it cannot do is that the connection is gone, of which the server may have told why."""
        try:
            return function(*values)
        except Exception as error:
            raise self._gone() from error

    def _gone(self) -> ServerError:
        words = _decode(self._pgconn.error_message)
        try:
            result = self._pgconn.get_result()
        except Exception:
            result = None
        if result is not None and result.status == self._status.FATAL_ERROR:
            words, code = self._described(result)
            if code and not self._is_lost():
                return self._refused(words, code)
        return self._error("unreachable", _reason(words), transient=True, lost=True)

    def _flush(self) -> None:
        while self._calling(self._pgconn.flush):
            self._wait(selectors.EVENT_READ | selectors.EVENT_WRITE)
            # The server may be waiting to be read.
            self._calling(self._pgconn.consume_input)
        self._check()

    def _put(self, function: Callable[..., Any], *values: Any) -> None:
        """Hand something to libpq that it may have no room for at the moment."""
        while not self._calling(function, *values):
            self._wait(selectors.EVENT_READ | selectors.EVENT_WRITE)
            self._calling(self._pgconn.consume_input)
        self._flush()

    def _wait(self, events: int = selectors.EVENT_READ) -> None:
        """Wait for the server, but not for long: what TLS has read already is not seen from here."""
        if events != selectors.EVENT_READ:
            self._selector.modify(self._pgconn.socket, events)
        try:
            if not self._selector.select(_LOOK_SECONDS):
                self._check()
        finally:
            if events != selectors.EVENT_READ:
                self._selector.modify(self._pgconn.socket, selectors.EVENT_READ)

    def _next(self) -> Any:
        """The next result of what was sent; None after the last."""
        while self._pgconn.is_busy():
            self._wait()
            self._calling(self._pgconn.consume_input)
        return self._pgconn.get_result()

    def _outcome(self) -> Tuple[int, str]:
        """Take all results: rows written by them together, and the word for what the last one did."""
        rows, word, failure = 0, "", None
        while True:
            result = self._next()
            if result is None:
                break
            if result.status == self._status.FATAL_ERROR:
                failure = failure or result
            elif result.status in (self._status.COPY_IN, self._status.COPY_OUT, self._status.COPY_BOTH):
                self.close()
                raise self._error("database_error", "COPY where a plain statement was expected", lost=True)
            rows += result.command_tuples or 0
            word = _decode(result.command_status)
        if failure is not None:
            self._raise_for(failure)
        return rows, word

    def _expect(self, status: Any) -> None:
        result = self._next()
        if result is not None:
            self._raise_for(result)
        if result is None or result.status != status:
            self.close()
            raise self._error("database_error", "a plain statement where COPY was expected", lost=True)

    def _raise_for(self, result: Any) -> None:
        if result.status != self._status.FATAL_ERROR:
            return
        message, code = self._described(result)
        # Else the connection could not be used for the next statement.
        if not self._is_lost():
            try:
                while self._next() is not None:
                    continue
            except ServerError:
                pass
        raise self._refused(message, code)

    def _described(self, result: Any) -> Tuple[str, str]:
        field = self._pq.DiagnosticField
        message = _decode(result.error_field(field.MESSAGE_PRIMARY)) or _reason(_decode(result.error_message))
        return " ".join(message.split()), _decode(result.error_field(field.SQLSTATE))

    def _refused(self, message: str, code: str) -> ServerError:
        # Only the main message: details may hold what is in the rows.
        if self._is_lost() or not code or code.startswith(_LOST):
            return self._error("unreachable", message, transient=True, lost=True)
        if code.startswith(_ACCESS_DENIED):
            return self._error("access_denied", message)
        kind = "disk_full" if code == _DISK_FULL else "database_error"
        message = "%s (SQLSTATE %s)" % (message, code)
        return self._error(kind, message, transient=code in _DEADLOCKS, conflict=code in _CONFLICTS)

    def _error(self, code: str, message: str, **kinds: bool) -> ServerError:
        # libpq itself may not have noticed yet.
        self._broken = self._broken or kinds.get("lost", False)
        return ServerError(code, "%s: %s" % (self._name, message), self._side, **kinds)


class _Outgoing(Blocks):
    """The bytes of a COPY, many rows to a block."""

    def __init__(self, connection: _Connection, sql: str) -> None:
        self._connection = connection
        self._sql = sql

    def __iter__(self) -> Iterator[bytes]:
        connection = self._connection
        connection._send(self._sql)
        connection._expect(connection._status.COPY_OUT)
        get = connection._pgconn.get_copy_data
        pieces: List[Any] = []
        size = 0
        while True:
            try:
                count, piece = get(1)
            except Exception as error:
                raise connection._gone() from error
            if count > 0:
                pieces.append(piece)
                size += count
                if size >= _BLOCK:
                    yield b"".join(pieces)
                    pieces, size = [], 0
            elif count == 0:
                connection._wait()
                connection._calling(connection._pgconn.consume_input)
            else:
                break
        if pieces:
            yield b"".join(pieces)
        self.rows = connection._outcome()[0]
