# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a job is told of a login by password, and where connections are kept."""

from __future__ import annotations

import shutil
import stat
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._executor import ssh_login

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh")


@needs_ssh
def test_the_questions_that_are_answered_name_who_logs_in_where() -> None:
    words = ["ssh", "-F", "/dev/null", "-o", "User=me", "-o", "HostName=Real.Example", "alias"]
    assert ssh_login.by_password(words, "secret", None) == {
        "password": "secret",
        "name": "me@real.example",
        "starts": ["me@real.example's ", "(me@real.example) "],
        "word": "assword",
    }
    words[-1:-1] = ["-o", "HostKeyAlias=known", "-o", "User=other"]
    told = ssh_login.by_password(words, "secret", "Kennwort")
    assert (told["name"], told["word"]) == ("me@known", "Kennwort")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1w", "ssh is OpenSSH_8.4p1 Debian-5; use a key"),
        ("OpenSSH_7.10p1", "ssh is OpenSSH_7.10p1; use a key"),
        ("SomethingElse 9.9", "ssh is SomethingElse 9.9; use a key"),
    ],
)
def test_an_ssh_that_cannot_ask_safely_is_refused(version: str, said: str, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho '{version}' >&2\n", encoding="utf-8")
    ssh.chmod(0o755)
    with pytest.raises(ssh_login.Unavailable, match=said):
        ssh_login.by_password([str(ssh), "host"], "secret", None)
    with pytest.raises(ssh_login.Unavailable, match="/nowhere/ssh does not start; use a key"):
        ssh_login.by_password(["/nowhere/ssh", "host"], "secret", None)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield Path(directory)


def test_a_connection_is_kept_for_the_very_same_words_and_agent(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ssh_login.pool(["ssh", "-p", "22", "host"])
    assert kept == ssh_login.pool(["ssh", "-p", "22", "host"])
    assert kept["directory"] == str(runtime / "migration-assistant" / "ssh")
    assert stat.S_IMODE(Path(kept["directory"]).stat().st_mode) == 0o700
    others = [ssh_login.pool(words)["key"] for words in (["ssh", "host"], ["ssh", "-p22", "host"])]
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    others.append(ssh_login.pool(["ssh", "-p", "22", "host"])["key"])
    assert len({kept["key"], *others}) == 4


def test_connections_are_not_kept_where_others_could_reach_them(runtime: Path) -> None:
    directory = Path(ssh_login.pool(["ssh", "host"])["directory"])
    directory.chmod(0o750)
    assert ssh_login.pool(["ssh", "host"])["directory"] != str(directory)
    directory.rmdir()
    directory.symlink_to("/tmp")
    assert ssh_login.pool(["ssh", "host"])["directory"] != str(directory)
