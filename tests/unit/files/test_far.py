# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The side of a transfer that is on another host: URLs, options, the words of ssh."""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere
from ansible_collections.migration.assistant.plugins.module_utils._files import far, sync


def params(**given: t.Any) -> t.Dict[str, t.Any]:
    defaults = {name: spec.get("default") for name, spec in sync.ARGUMENT_SPEC.items()}
    defaults["checksum_cache"] = {"enabled": False, "max_size": "64MB", "max_age": 604800}
    return dict(defaults, source="/srv/source", destination="/srv/destination", **given)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ssh://host/srv", far.Url(None, "host", None, "/srv")),
        ("ssh://me@host.example:2222/srv/www", far.Url("me", "host.example", 2222, "/srv/www")),
        ("ssh://me@[fe80::1]:22/", far.Url("me", "fe80::1", 22, "/")),
        ("ssh://host/with%20space/%FF", far.Url(None, "host", None, "/with space/\udcff")),
        ("/srv/www", None),
    ],
)
def test_a_url_names_a_host_and_a_directory(text: str, url: t.Optional[far.Url]) -> None:
    assert far.parse_url("source", text) == url


@pytest.mark.parametrize(
    "text",
    [
        "ssh://host",
        "ssh:///srv",
        "http://host/srv",
        "ssh://me:secret@host/srv",
        "ssh://host:port/srv",
        "ssh://host/srv?x=1",
        "ssh://-oProxyCommand=evil/srv",
        "ssh://-l@host/srv",
    ],
)
def test_a_url_that_cannot_be_used_is_told_with_what_is_allowed(text: str) -> None:
    with pytest.raises(sync.FileSyncError, match=r"source: .*ssh://user@host:port/path"):
        far.parse_url("source", text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"direction": "push"}, "destination"),
        ({"direction": "pull"}, "source"),
    ],
)
def test_the_direction_says_which_side_is_elsewhere(given: t.Dict[str, t.Any], expected: t.Optional[str]) -> None:
    assert far.side(params(**given)) == expected


def test_a_url_says_which_side_is_elsewhere() -> None:
    assert far.side(dict(params(), source="ssh://host/srv")) == "source"
    assert far.side(dict(params(), destination="ssh://host/srv")) == "destination"
    with pytest.raises(sync.FileSyncError, match="only one side"):
        far.side(dict(params(), source="ssh://one/srv", destination="ssh://other/srv"))
    with pytest.raises(sync.FileSyncError, match="direction: push says where both sides are"):
        far.side(dict(params(direction="push"), destination="ssh://host/srv"))


REACHED = {"command": ["ssh", "-T", "host", "engine serve"], "name": "host"}


def test_the_options_of_ssh_come_before_those_of_the_inventory() -> None:
    given = params(direction="push", ssh_options={"Compression": True, "Port": 2222})
    made = far.parameters(given, "destination", REACHED)
    assert made["command"] == [
        *("ssh", "-o", "Compression=yes", "-o", "Port=2222", "-o", "ConnectTimeout=30"),
        *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", "-T", "host", "engine serve"),
    ]
    words = far.ssh_command(far.Url("me", "host", 22, "/"), given)
    assert words[:5] == ["ssh", "-o", "Compression=yes", "-o", "Port=2222"]
    assert words[-5:] == ["-p", "22", "-l", "me", "host"]


def test_a_connection_is_kept_unless_something_else_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)

        def planned(**given: t.Any) -> tuple[bool, t.Optional[str]]:
            options = params(direction="push", connection_pooling=True, **given)
            reached = {"command": ["ssh", "-F", "/dev/null", "localhost", "engine serve"], "name": "host"}
            made = far.parameters(options, "destination", reached)
            return "pool" in made, far.without_effect(options, made)

        assert planned() == (True, None)
        assert planned(ssh_options={"ControlPath": "/mine"}) == (False, None)
        kept, told = planned(adaptive_bandwidth=True)
        assert not kept
        assert told is not None and told.startswith("connection_pooling has no effect beside the options of TCP")
        # Where ssh makes the connection all the same, it can be kept.
        assert planned(adaptive_bandwidth=True, ssh_options={"ProxyJump": "other"}) == (True, None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"read_timeout": 300, "keep_alive_interval": 60}, ["ServerAliveInterval=60", "ServerAliveCountMax=5"]),
        ({"read_timeout": 20}, ["ServerAliveInterval=15", "ServerAliveCountMax=2"]),
        ({"read_timeout": 0}, ["ServerAliveInterval=15", "ServerAliveCountMax=1073741824"]),
        ({"keep_alive_interval": 0}, ["ServerAliveInterval=0"]),
    ],
)
def test_a_host_without_a_sign_of_life_is_lost_after_a_time(given: t.Dict[str, t.Any], words: t.List[str]) -> None:
    found = far.connection_words(params(**given))
    assert [word for word in found if word != "-o"] == ["ConnectTimeout=30", *words]


@pytest.mark.parametrize(("limit", "word"), [(0.2, "1"), (45, "45"), (0, "none")])
def test_each_connection_has_its_limit_of_time(limit: float, word: str) -> None:
    options = params(connect_timeout=limit)
    pushed = dict(options, direction="push")
    by_rsync = far.rsync_parameters(pushed, "destination", {"name": "host", "ssh": ["ssh", "host"], "shell": "sh -c"})
    for words in (
        by_rsync["ssh"],
        far.parameters(pushed, "destination", REACHED)["command"],
        far.ssh_command(far.Url(None, "host", None, "/"), options),
    ):
        assert [found for found in words if found.startswith("ConnectTimeout")] == [f"ConnectTimeout={word}"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"retries": -1}, "retries: -1: give a number from 0 to 1000"),
        ({"read_timeout": -1}, "read_timeout: -1: give 0 or more seconds"),
        ({"keep_alive_interval": -1}, "keep_alive_interval: -1: give 0 or more seconds"),
        ({"max_connections": 0}, "max_connections: 0: give a number from 1 to 64"),
        ({"connect_timeout": -1}, "connect_timeout: -1: give 0 or more seconds"),
        ({"compression_level": 5}, "compression_level: 5: compression: auto has no levels"),
        ({"compression": "gzip", "compression_level": 10}, "compression_level: 10: give 1 to 9 for gzip"),
        ({"ssh_options": {"-F": "x"}}, "ssh_options: '-F': give names of ssh_config"),
        ({"ssh_options": {"Port": ["1"]}}, "give each option one value in one line"),
        ({"ssh_options": {"User": "a\nProxyCommand evil"}}, "give each option one value in one line"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_with_what_is_allowed(given: t.Dict[str, t.Any], message: str) -> None:
    for direction in ("push", "host"):  # also where no connection is made
        with pytest.raises(sync.FileSyncError) as caught:
            sync.plan(params(direction=direction, **given), REACHED, lambda url: REACHED)
        assert message in str(caught.value)


def test_only_what_is_here_is_looked_at(tmp_path: Path) -> None:
    def plan(**given: t.Any) -> t.Dict[str, t.Any]:
        return sync.plan(
            params(**given) if not paths else dict(params(**given), **paths), REACHED, lambda url: REACHED
        )[0]

    paths = {"source": str(tmp_path), "destination": "/nowhere/on/this/host"}
    assert plan(direction="push")["far"]["side"] == "destination"
    paths = {"source": "/nowhere/on/this/host", "destination": str(tmp_path / "new")}
    assert plan(direction="pull")["far"]["side"] == "source"
    with pytest.raises(sync.FileSyncError, match="the directory does not exist"):
        plan(direction="push")
    paths = {"source": "relative", "destination": str(tmp_path)}
    with pytest.raises(sync.FileSyncError, match="give an absolute path"):
        plan(direction="pull")


def fake_ssh(folder: Path, answer: str) -> t.List[str]:
    """A command that answers as ssh -G does."""
    script = folder / "ssh"
    script.write_text("#!/bin/sh\ncat <<'END'\n%s\nEND\n" % answer)
    script.chmod(0o755)
    return [str(script)]


def test_fast_ciphers_are_preferred_among_those_that_are_allowed(tmp_path: Path) -> None:
    has_aes = " aes" in Path("/proc/cpuinfo").read_text()
    usual = fake_ssh(tmp_path, "user me\nciphers chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com")
    expected = ["-o", "Ciphers=aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"] if has_aes else []
    assert elsewhere.fast_ciphers(usual, "host") == expected
    # What the configuration forbids stays forbidden.
    assert elsewhere.fast_ciphers(fake_ssh(tmp_path, "ciphers aes256-ctr"), "host") == []
    assert elsewhere.fast_ciphers(fake_ssh(tmp_path, "ciphers aes256-gcm@openssh.com,aes256-ctr"), "host") == []
    assert elsewhere.fast_ciphers([str(tmp_path / "absent")], "host") == []
