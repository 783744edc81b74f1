# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the questions that ssh can ask when it logs in are answered. That it gets in is for tests/remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from .executors import FAR_SIDES, Executor, run

PASSWORD = "c4n4ry 'login' $(7b1d)"
LOGIN = {"password": PASSWORD, "name": "me@host", "starts": ["me@host's ", "(me@host) "], "word": "assword"}
# Asks as ssh does, and says what it was told; an empty answer is what ssh takes for none.
ASK = 'for q; do a=$("$SSH_ASKPASS" "$q"); c=$?; done; echo "told $c <$a>" >&2; exit 255'

MORE = "ssh asks for more than the login password of me@host: "
TOLD = f"told 0 <{PASSWORD}>"
DECLINED = "told 1 <>"


@pytest.mark.parametrize("executor", FAR_SIDES)
@pytest.mark.parametrize(
    ("questions", "said"),
    [
        (["me@host's password: "], TOLD),
        (["(me@host) Password: "], TOLD),
        (["Enter passphrase for key '/me/key': ", "me@host's password: "], TOLD),
        (["me@host's password: ", "me@host's password: "], "the login password of me@host was refused"),
        (["(me@host) Password: ", "me@host's password: "], "the login password of me@host was refused"),
        (["guest@jump's password: "], f"{MORE}guest@jump's password:"),
        (["guest@jump's password: me@host's password: "], f"{MORE}guest@jump's password: me@host's password:"),
        (["(me@host) Verification\n code: "], f"{MORE}(me@host) Verification code:"),
        (["Enter me@host's old password: "], f"{MORE}Enter me@host's old password:"),
        (["Password: "], f"{MORE}Password:"),
        (["Enter passphrase for key '/me/key': "], DECLINED),
        (["The authenticity of host 'host' can't be established.\nAre you sure (yes/no)? "], DECLINED),
        (["Are you sure you want to continue connecting (yes/no/[fingerprint])? "], DECLINED),
        (["Accept updated hostkeys? (yes/no): "], DECLINED),
        (["Please type 'yes', 'no' or the fingerprint: "], DECLINED),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_the_password_is_told_once_and_to_its_host_only(
    executor: Executor, questions: list[str], said: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    far = {"command": ["sh", "-c", ASK, "sh", *questions], "name": "there", "login": LOGIN}
    parameters = {"source": str(source), "destination": str(tmp_path / "destination"), "far": far}
    failed = run(executor, "file_sync", parameters)
    assert failed.terminal["code"] == "unreachable"
    assert failed.terminal["message"] == f"unable to reach there: {said}"


@pytest.mark.parametrize("executor", FAR_SIDES)
def test_a_question_that_is_none_for_a_password_is_not_answered(executor: Executor, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    command = ["env", "SSH_ASKPASS_PROMPT=confirm", "sh", "-c", ASK, "sh", "me@host's password: "]
    far = {"command": command, "name": "there", "login": LOGIN}
    parameters = {"source": str(source), "destination": str(tmp_path / "destination"), "far": far}
    failed = run(executor, "file_sync", parameters)
    assert failed.terminal["message"] == f"unable to reach there: {DECLINED}"
