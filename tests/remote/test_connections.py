# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The TCP connections of a transfer: their options as the kernel has them, and the room that they leave to others."""

from __future__ import annotations

import statistics
import subprocess
import typing as t
from pathlib import Path

import pytest

from .bed import Bed
from .hosts import Host
from .scenes import DESTINATION, SOURCE, job_processes, make_tree, sync, until
from .test_transfer import assert_same, befriend

# As the guide has them.
GUIDE: dict[str, t.Any] = {
    "tcp_window_size": "64KB",
    "tcp_receive_buffer": "32KB",
    "tcp_send_buffer": "32KB",
    "tcp_no_delay": True,
}
EXECUTORS: dict[str, dict[str, t.Any]] = {
    "go": {"executor": "go"},
    "python": {"executor": "python"},
    "rsync": {"method": "ssh_rsync"},
}
by_each = pytest.mark.parametrize("options", list(EXECUTORS.values()), ids=list(EXECUTORS))


def statuses(result: dict[str, t.Any]) -> dict[str, str]:
    return {setting["id"]: setting["status"] for setting in result["connection_settings"]}


def notices(result: dict[str, t.Any], code: str) -> list[str]:
    return [notice["message"] for notice in result["notices"] if notice["code"] == code]


@by_each
def test_the_guides_sizes_are_told_to_be_lower_than_what_the_kernel_does(
    bed: Bed, tmp_path: Path, options: dict[str, t.Any]
) -> None:
    host = bed.host("sizes")
    host.run(f"rm -rf {DESTINATION}")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(bytes(5000))
    playbook = sync(
        source=str(tmp_path / "tree"), destination=DESTINATION, direction="push", ssh_options={}, **GUIDE, **options
    )
    for check, changed in ((True, True), (False, True), (True, False), (False, False)):
        played = bed.play(playbook, bed.inventory([host], user="root"), check=check)
        assert played.code == 0, played.output
        done = played.result("Copy")
        assert done.changed == changed
        assert statuses(done.result) == {
            "tcp_receive_buffer": "kept_higher",
            "tcp_send_buffer": "kept_higher",
            "tcp_no_delay": "ok",
        }
        for setting in done.result["connection_settings"][:2]:
            assert setting["wanted"] == 32 << 10
            assert setting["before"] == setting["after"] > setting["wanted"]
        assert len(notices(done.result, "connection_setting")) == 2
    assert_same(bed, str(tmp_path / "tree"), f"root@{host.address}:{DESTINATION}")


@by_each
def test_what_is_forced_is_what_the_kernel_has(bed: Bed, tmp_path: Path, options: dict[str, t.Any]) -> None:
    host = bed.host("forced")
    host.run(f"rm -rf {DESTINATION}")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(bytes(3_000_000))
    playbook = sync(
        source=str(tmp_path / "tree"),
        destination=DESTINATION,
        direction="push",
        tcp_receive_buffer="64KB",
        tcp_send_buffer="96KB",
        force_tcp_buffers=True,
        tcp_no_delay=False,
        bandwidth_limit="500KB/s",
        compression="none",
        **options,
    )
    play = bed.start_play(playbook, bed.inventory([host], user="root"))

    def is_seen() -> bool:
        # The kernel has twice what was asked for. Ansible's own connection has neither.
        shown = subprocess.run(["ss", "-tmin", "dst", host.address], check=True, capture_output=True, text=True).stdout
        return any("rb131072," in line and "tb196608," in line for line in shown.splitlines())

    play.until(is_seen, "a connection with these sizes")
    played = play.wait()
    assert played.code == 0, played.output
    result = played.result("Copy").result
    assert statuses(result) == {"tcp_receive_buffer": "ok", "tcp_send_buffer": "ok", "tcp_no_delay": "unsupported"}
    (message,) = notices(result, "connection_setting")
    assert message == "tcp_no_delay is unsupported: ssh decides this itself, and always sends small packets at once"
    # No end of it is left open.
    assert job_processes(host) == []
    until(lambda: not host.run("ss -Htn state established sport = :22").stdout.count(":22") > 1, what="their end")


@by_each
def test_behind_another_host_nothing_can_be_set(bed: Bed, tmp_path: Path, options: dict[str, t.Any]) -> None:
    host = bed.host("inside", behind="jump")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(bytes(5000))
    playbook = sync(
        source=str(tmp_path / "tree"),
        destination=DESTINATION,
        direction="push",
        adaptive_bandwidth=True,
        **GUIDE,
        **options,
    )
    played = bed.play(playbook, bed.inventory([host], user="root"))
    assert played.code == 0, played.output
    result = played.result("Copy").result
    assert set(statuses(result).values()) == {"unsupported"}
    reason = "ssh reaches the host through another (ProxyJump)"
    assert {setting["reason"] for setting in result["connection_settings"]} == {reason}
    assert len(notices(result, "connection_setting")) == 3
    why = "rsync keeps to one rate" if "method" in options else reason
    assert notices(result, "bandwidth_not_adapted") == [f"the bandwidth is not adapted to the network: {why}"]


def test_a_host_that_refuses_connections_is_told_as_ssh_tells_it(bed: Bed, tmp_path: Path) -> None:
    near = bed.host("refused")
    befriend(bed, near, near)
    make_tree(near)
    for options in ({"executor": "go"}, {"executor": "python"}):
        playbook = sync(destination=f"ssh://root@{near.address}:99/srv/other", tcp_no_delay=True, **options)
        failed = bed.play(playbook, bed.inventory([near], user="root")).result("Copy").result
        assert failed["error_code"] == "unreachable"
        assert "port 99: " in failed["msg"]
        assert failed["msg"].lower().endswith("connection refused")


_TRIP = """
import socket, time
for _number in range(7):
    began = time.monotonic()
    try:
        socket.create_connection(("%s", 9), 10).close()
    except ConnectionRefusedError:
        pass
    print(time.monotonic() - began)
"""


def round_trip(near: Host, far: Host) -> float:
    """Seconds that a packet takes from one host to the other and back, the median of some."""
    said = near.run("python3 -", stdin=(_TRIP % far.address).encode()).stdout
    return statistics.median(map(float, said.split()))


def arrived(host: Host) -> int:
    """Bytes that the destination has, in files that are not whole yet among them."""
    return 1024 * int(host.run(f"du -sk {DESTINATION} 2>/dev/null | cut -f1", check=False).stdout or 0)


def slow_down(host: Host) -> None:
    """Let 20 Mbit/s reach the host, and a deep buffer be before it, as home routers have one."""
    index = host.run("cat /sys/class/net/eth0/iflink").stdout.strip()
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    (name,) = (line.split()[1].split("@")[0] for line in links.splitlines() if line.startswith(f"{index}:"))
    shape = ["rate", "20mbit", "burst", "16k", "limit", "4m"]
    subprocess.run(["tc", "qdisc", "replace", "dev", name, "root", "tbf", *shape], check=True)


@pytest.mark.parametrize(
    # Each executor and each side once: the two share a table of what they decide.
    ("executor", "side"),
    [("go", "destination"), ("python", "source")],
)
def test_a_transfer_leaves_room_for_others(bed: Bed, executor: str, side: str) -> None:
    # The same on every kernel; others may keep the queue short by themselves.
    options = ("--sysctl=net.ipv4.tcp_congestion_control=reno",)
    near, far = bed.hosts(["near-room", "far-room"], options=options)
    befriend(bed, near, far)
    source, destination = (far, near) if side == "source" else (near, far)
    make_tree(source, files=60, size=2_000_000)
    slow_down(destination)
    ends = {"source": SOURCE, "destination": DESTINATION}
    ends[side] = f"ssh://root@{far.address}{ends[side]}"
    trips: dict[bool, list[float]] = {False: [], True: []}

    def is_queue(adaptive: bool, limit: float) -> bool:
        trips[adaptive].append(round_trip(near, far))
        return trips[adaptive][-1] > limit

    for adaptive in (False, True):
        for host in (near, far):
            host.run(f"rm -rf {DESTINATION}")
        playbook = sync(**ends, adaptive_bandwidth=adaptive, executor=executor, compression="none")
        play = bed.start_play(playbook, bed.inventory([near], user="root"))
        if adaptive:
            play.until(lambda: arrived(destination) > 20 << 20, "the first files")
            play.until(lambda: not any(is_queue(True, 0.1) for _look in range(3)), "a short queue")
        else:
            play.until(lambda: is_queue(False, 0.3), "a long queue")
        played = play.wait()
        assert played.code == 0, played.output
        result = played.result("Copy").result
        assert bool(notices(result, "bandwidth_adjusted")) == adaptive, result["notices"]
        assert result["statistics"]["files_copied"] == 60
