# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of TCP, and where ssh's own configuration says that its connections lead."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._files import connection, sync


def params(**given: t.Any) -> t.Dict[str, t.Any]:
    return dict({name: spec.get("default") for name, spec in connection.ARGUMENT_SPEC.items()}, **given)


def ssh(folder: Path, configuration: str = "") -> t.List[str]:
    """The system's ssh, with that configuration."""
    path = folder / "ssh_config"
    path.write_text("Host *\n" + configuration + "\n")
    return ["ssh", "-F", str(path), "-o", "ConnectTimeout=7", "127.0.0.1"]


def test_nothing_is_asked_for_by_default(tmp_path: Path) -> None:
    assert connection.parameters(params(), ssh(tmp_path)) == {}
    assert connection.parameters(params(force_tcp_buffers=True, bandwidth_test_interval=5), ["absent"]) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tcp_window_size": "64KB"}, {"receive_buffer": 65536, "send_buffer": 65536}),
        (
            {"tcp_window_size": "64KB", "tcp_receive_buffer": "32KB"},
            {"receive_buffer": 32768, "send_buffer": 65536},
        ),
        ({"tcp_send_buffer": "1MB", "force_tcp_buffers": True}, {"send_buffer": 1 << 20, "force_buffers": True}),
        ({"tcp_no_delay": False}, {"no_delay": False}),
        ({"adaptive_bandwidth": True, "bandwidth_test_interval": 60}, {"adapt_interval": 60}),
    ],
)
def test_what_is_asked_for_is_in_the_job(
    given: t.Dict[str, t.Any], expected: t.Dict[str, t.Any], tmp_path: Path
) -> None:
    made = connection.parameters(params(**given), ssh(tmp_path))["socket"]
    endpoint = {"addresses": ["127.0.0.1"], "port": 22, "bind_address": "", "keep_alive": True, "connect_timeout": 7}
    assert made == {"force_buffers": False, **expected, **endpoint}


def test_where_the_connection_leads_is_what_ssh_says(tmp_path: Path) -> None:
    configuration = "HostName 127.0.0.2\nPort 2222\nBindAddress 127.0.0.3\nTCPKeepAlive no\nAddressFamily inet"
    made = connection.parameters(params(tcp_no_delay=True), ssh(tmp_path, configuration))["socket"]
    assert (made["addresses"], made["port"]) == (["127.0.0.2"], 2222)
    assert (made["bind_address"], made["keep_alive"]) == ("127.0.0.3", False)


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ("ProxyJump other", "ssh reaches the host through another (ProxyJump)"),
        ("ProxyCommand nc %h %p", "ssh reaches the host through another (ProxyCommand)"),
        ("CanonicalizeHostname yes", "ssh finds the name of the host by itself (CanonicalizeHostname)"),
        ("BindInterface lo", "ssh binds its connections to an interface (BindInterface)"),
        ("HostName name.invalid", "the name name.invalid cannot be resolved"),
        ("Nonsense", "ssh -G does not tell where its connections lead"),
    ],
)
def test_a_connection_that_ssh_must_make_is_left_to_it(configuration: str, reason: str, tmp_path: Path) -> None:
    made = connection.parameters(params(tcp_no_delay=True), ssh(tmp_path, configuration))["socket"]
    assert made == {"no_delay": True, "force_buffers": False, "unavailable": reason}


def test_a_proxy_that_is_switched_off_is_none(tmp_path: Path) -> None:
    made = connection.parameters(params(tcp_no_delay=True), ssh(tmp_path, "ProxyJump none\nProxyCommand none"))
    assert "unavailable" not in made["socket"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tcp_window_size": "1KB"}, "tcp_window_size: '1KB'"),
        ({"tcp_window_size": "1GB"}, "tcp_window_size: '1GB'"),
        ({"tcp_receive_buffer": "much"}, "tcp_receive_buffer: 'much' is not a size"),
        ({"tcp_send_buffer": "-1"}, "tcp_send_buffer: '-1'"),
        ({"bandwidth_test_interval": 0}, "bandwidth_test_interval: 0: give 1 or more seconds"),
        ({"bandwidth_test_interval": float("inf")}, "bandwidth_test_interval: inf: give 1 or more seconds"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_what_is_allowed(given: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(sync.FileSyncError) as caught:
        connection.check(params(**given))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
