# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connections between two hosts in the fallback: options of TCP, rates, and how rates follow the network."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback.far import tcp
from ansible_collections.migration.assistant.plugins.module_utils._fallback.far.adapt import Adapter, Reading
from ansible_collections.migration.assistant.plugins.module_utils._fallback.far.frames import DATA, RATE, Frames

MEBIBYTE = 1 << 20
# The engine's controller is tested by the same one.
TABLE = Path(__file__).parents[3] / "go-engine" / "internal" / "far" / "testdata" / "bandwidth.json"
CASES = json.loads(TABLE.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_rate_follows_the_network(case: t.Dict[str, t.Any]) -> None:
    adapter = Adapter(300, case.get("most", 0) * MEBIBYTE)
    for number, step in enumerate(case["steps"]):
        reading = Reading(
            round_trip=step["trip"] / 1000,
            last_round_trip=step["last"] / 1000,
            least_round_trip=step["least"] / 1000,
            lost=step["lost"],
            rate=step["rate"] * MEBIBYTE,
        )
        wait = adapter.next(reading)
        assert (adapter.limit / MEBIBYTE, wait) == pytest.approx((step["limit"], step["wait"])), number


@pytest.fixture
def endpoint() -> t.Iterator[t.Dict[str, t.Any]]:
    """Where something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "addresses": ["127.0.0.1"],
            "port": server.getsockname()[1],
            "bind_address": "",
            "keep_alive": True,
            "connect_timeout": 5,
            "receive_buffer": 0,
            "send_buffer": 0,
            "force_buffers": False,
            "no_delay": None,
        }


@contextlib.contextmanager
def connected(endpoint: t.Dict[str, t.Any], **wanted: t.Any) -> t.Iterator[tcp.Connection]:
    connection = tcp.connect({**endpoint, **wanted}, "there")
    try:
        yield connection
    finally:
        connection.close()


def test_a_size_below_the_kernels_own_tuning_is_not_set(endpoint: t.Dict[str, t.Any]) -> None:
    with connected(endpoint) as plain, connected(endpoint, receive_buffer=64 << 10, send_buffer=32 << 10) as asked:
        settings = asked.settings()
        assert [setting["id"] for setting in settings] == ["tcp_receive_buffer", "tcp_send_buffer"]
        for setting in settings:
            assert setting["status"] == "kept_higher"
            assert setting["before"] == setting["after"] > setting["wanted"]
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            usual = plain.opened.getsockopt(socket.SOL_SOCKET, option)
            assert asked.opened.getsockopt(socket.SOL_SOCKET, option) >= usual


def test_a_size_that_is_forced_is_what_the_socket_has(endpoint: t.Dict[str, t.Any]) -> None:
    with connected(endpoint, receive_buffer=64 << 10, send_buffer=48 << 10, force_buffers=True) as forced:
        assert [(setting["status"], setting["after"]) for setting in forced.settings()] == [
            ("ok", 64 << 10),
            ("ok", 48 << 10),
        ]
        assert forced.opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 128 << 10
        assert forced.opened.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 96 << 10
        assert forced.opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@pytest.mark.parametrize(("wanted", "status"), [(True, "ok"), (False, "unsupported")])
def test_delay_is_told_as_the_socket_has_it(endpoint: t.Dict[str, t.Any], wanted: bool, status: str) -> None:
    with connected(endpoint, no_delay=wanted) as connection:
        connection.opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as ssh does
        (setting,) = connection.settings()
        assert (setting["id"], setting["after"], setting["status"]) == ("tcp_no_delay", True, status)


def test_the_kernel_tells_what_a_connection_does(endpoint: t.Dict[str, t.Any]) -> None:
    with connected(endpoint) as connection:
        before = connection.info()
        connection.opened.sendall(bytes(10_000))
        while connection.info().acknowledged - before.acknowledged < 10_000:
            pass
        info = connection.info()
        assert 0 < info.least_round_trip <= info.round_trip
        assert info.segments > before.segments
        assert info.retransmitted == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        connection.info()


def test_all_addresses_are_tried(endpoint: t.Dict[str, t.Any]) -> None:
    with connected(endpoint, addresses=["::1", "127.0.0.1"]):
        pass
    with pytest.raises(OSError, match=r"^connect to host there port 1: connection refused$"):
        tcp.connect({**endpoint, "port": 1}, "there")


def test_what_is_sent_at_a_rate_arrives_whole_and_in_pieces() -> None:
    reading, writing = os.pipe()
    sender = Frames(io.BytesIO(), writing)
    sender.obey_rate((4 * MEBIBYTE).to_bytes(8, "big"))
    content = os.urandom(MEBIBYTE)
    pieces: t.List[bytes] = []

    def read() -> None:
        while sum(map(len, pieces)) < len(content):
            pieces.append(os.read(reading, 1 << 20))

    reader = threading.Thread(target=read)
    reader.start()
    sender.send(DATA, content, flush=True)
    reader.join()
    assert content in b"".join(pieces)
    sender.close(1)
    os.close(reading)


def test_the_other_end_is_asked_for_a_rate() -> None:
    reading, writing = os.pipe()
    asked: t.List[bytes] = []
    ended = threading.Event()
    with open(reading, "rb") as incoming:
        receiver = Frames(incoming, -1)
        sender = Frames(io.BytesIO(), writing)
        sender.ask_rate(2.5 * MEBIBYTE)
        sender.close(1)
        receiver.start({RATE: asked.append}, ended.set)
        assert ended.wait(10)
    assert [int.from_bytes(payload, "big") for payload in asked] == [5 * MEBIBYTE // 2]
