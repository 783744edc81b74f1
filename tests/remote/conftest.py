# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests on remote hosts.

With pytest -n each worker has a bed of its own, with its own hosts in its own networks, in the one daemon.
"""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from daemon import Daemon
from environment import SetupError
from hosts import HOSTS, prepare_hosts

from .bed import Bed

_DAEMON = pytest.StashKey[Daemon]()


@pytest.fixture(scope="session")
def bed(pytestconfig: pytest.Config) -> t.Iterator[Bed]:
    """Makes hosts, in a network that nothing but these tests can see; they are removed at the end."""
    with contextlib.ExitStack() as stack:
        worker = getattr(pytestconfig, "workerinput", None)
        if worker:
            daemon, number = Daemon.join(*worker["daemon"]), int(worker["workerid"].removeprefix("gw"))
        else:
            daemon, number = start_daemon(), 0
            stack.callback(daemon.stop)
        stack.enter_context(daemon.network())
        made = Bed(daemon, number)
        stack.callback(made.close)
        yield made


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: t.Any) -> None:
    """Before a worker starts: have the daemon started, by this process, which outlives all workers."""
    stash = node.config.stash
    if _DAEMON not in stash:
        stash[_DAEMON] = start_daemon()
    node.workerinput["daemon"] = stash[_DAEMON].address


def pytest_unconfigure(config: pytest.Config) -> None:
    if _DAEMON in config.stash:
        config.stash[_DAEMON].stop()


def start_daemon() -> Daemon:
    daemon = Daemon(HOSTS)
    try:
        prepare_hosts()
        daemon.start()
    except SetupError as exc:
        pytest.exit(f"error: {exc}", returncode=1)
    return daemon
