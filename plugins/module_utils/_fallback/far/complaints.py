# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""What ssh says on its standard error, in one line."""

from __future__ import annotations

import re
from typing import Iterable

# What it says by the way: of a new host key, of a key exchange that is not of the newest, of an option that it no
# longer has.
_DECORATION = re.compile(
    r"Warning: Permanently added|@@@|\*\* |command-line line .*: Unsupported option |mux_client_request_session: "
    r"|ControlSocket .* already exists, disabling multiplexing"
)
# What follows from what it has said before, such as that a host on the way refused the login.
_FOLLOWS = re.compile(
    r"Host key verification failed\.|kex_exchange_identification: |ssh_exchange_identification: "
    r"|banner exchange: |Connection (closed|reset) by |stdio forwarding failed"
)


def telling(lines: Iterable[str]) -> str:
    """The last line that tells something: ssh says first what is wrong, and then what follows from it."""
    said = follows = ""
    for line in lines:
        text = line.strip()
        if not text or _DECORATION.match(text):
            continue
        if _FOLLOWS.match(text):
            follows = text
        else:
            said = text
    return said or follows
