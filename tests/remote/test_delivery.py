# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine gets to hosts that have nothing but Python and ssh: once, checked, and only where it can run."""

from __future__ import annotations

import hashlib
import re

import pytest
from engine import ENGINES

from .bed import Bed
from .hosts import Host
from .scenes import DESTINATION, SOURCE, STATE, assert_equal, make_tree, sync

ENGINE = f"{STATE}/engine"
DELIVERED = "the engine that was delivered to this host"


def engine_of(host: Host, directory: str = ENGINE) -> list[str]:
    found = host.run(f"find {directory} -type f 2>/dev/null", check=False)
    return sorted(found.stdout.split())


def puts(output: str, host: Host) -> int:
    """How often the engine was transferred to a host, in the output of -vvv."""
    return len(re.findall(rf"^<{re.escape(host.address)}> PUT \S*migration-engine\S* ", output, re.MULTILINE))


def executions(output: str, host: Host | None = None) -> int:
    """How often something was run on a host by ssh, or a module anywhere."""
    if host is None:
        return len(re.findall(r"^Using module file ", output, re.MULTILINE))
    return len(re.findall(rf"^<{re.escape(host.address)}> SSH: EXEC ", output, re.MULTILINE))


def test_twenty_hosts_get_it_once_and_then_one_execution_does_it_all(bed: Bed) -> None:
    hosts = bed.hosts([f"many{number:02}" for number in range(20)])
    for host in hosts:
        make_tree(host)
    inventory = bed.inventory(hosts, user="root")
    first = bed.play(sync(), inventory, forks=20, verbosity=3, timeout=600)
    assert first.code == 0, first.output
    for host in hosts:
        done = first.result("Copy", host.name)
        assert done.changed
        assert (done.result["executor"]["used"], done.result["executor"]["reason"]) == ("go", DELIVERED)
        assert puts(first.output, host) == 1
        assert len(engine_of(host)) == 1
        assert_equal(host)
    second = bed.play(sync(), inventory, forks=20, verbosity=3, timeout=600)
    assert second.code == 0, second.output
    assert " PUT " not in second.output
    assert executions(second.output) == 20
    for host in hosts:
        done = second.result("Copy", host.name)
        assert not done.changed
        assert done.result["executor"]["used"] == "go"
        assert executions(second.output, host) == 1
    print({host.name: executions(first.output, host) for host in hosts})


@pytest.mark.parametrize(
    ("user", "become_user", "pipelining"),
    [
        ("root", None, False),
        ("deploy", "root", True),
        ("deploy", "root", False),
        ("admin", "root", True),
        ("admin", "root", False),
        ("deploy", "app", True),
        ("deploy", "app", False),
        ("guest", None, True),
        ("guest", None, False),
    ],
)
def test_each_way_to_become_a_user(bed: Bed, user: str, become_user: str | None, pipelining: bool) -> None:
    host = bed.host(f"ways-{user}-{become_user}-{pipelining}")
    worker = become_user or user
    make_tree(host, owner=worker)
    host.run(f"mkdir -p {DESTINATION} && chown {worker}: {DESTINATION}")
    inventory = bed.inventory(
        [host], user=user, become=become_user is not None, become_user=become_user, pipelining=pipelining
    )
    played = bed.play(sync(), inventory, verbosity=3)
    assert played.code == 0, played.output
    done = played.result("Copy")
    assert done.result["executor"]["reason"] == DELIVERED
    assert_equal(host)
    path = done.result["executor"]["path"]
    assert host.run(f"stat -c %U {path}").stdout.strip() == worker
    again = bed.play(sync(), inventory, verbosity=3)
    assert (again.result("Copy").changed, puts(again.output, host)) == (False, 0)
    assert again.result("Copy").result["executor"]["path"] == path
    left = host.run("find /tmp /var/tmp /home /root -path '*ansible-tmp*' -o -name '*payload*'").stdout
    assert left == ""


def test_an_unprivileged_user_without_access_lists_gets_it_by_pipelining(bed: Bed) -> None:
    host = bed.host("ways-without-acl", acl=False)
    make_tree(host, owner="app")
    host.run(f"mkdir -p {DESTINATION} && chown app: {DESTINATION}")
    played = bed.play(sync(), bed.inventory([host], become=True, become_user="app"))
    assert played.code == 0, played.output
    assert played.result("Copy").result["executor"]["used"] == "go"


def test_through_a_jump_host(bed: Bed) -> None:
    host = bed.host("inner", behind="bastion")
    make_tree(host)
    played = bed.play(sync(), bed.inventory([host], become=True))
    assert played.code == 0, played.output
    assert played.result("Copy").result["executor"]["reason"] == DELIVERED
    assert_equal(host)


def test_by_the_connection_of_docker(bed: Bed) -> None:
    host = bed.host("docker")
    make_tree(host)
    inventory = bed.inventory([host], user="root", connection="docker")
    played = bed.play(sync(), inventory)
    assert played.code == 0, played.output
    assert played.result("Copy").result["executor"]["reason"] == DELIVERED
    assert_equal(host)
    assert not bed.play(sync(), inventory).result("Copy").changed


def test_delegated_tasks_and_those_that_run_once(bed: Bed) -> None:
    hosts = bed.hosts(["delegated1", "delegated2", "delegated3"])
    make_tree(hosts[0])
    task = "      delegate_to: delegated1\n      run_once: true\n"
    played = bed.play(sync(task=task), bed.inventory(hosts, become=True))
    assert played.code == 0, played.output
    assert played.result("Copy").result["executor"]["reason"] == DELIVERED
    assert_equal(hosts[0])
    assert engine_of(hosts[0]) and not engine_of(hosts[1]) and not engine_of(hosts[2])


def test_many_tasks_at_once_on_one_host_transfer_it_once(bed: Bed) -> None:
    host, *others = bed.hosts([f"crowd{number}" for number in range(8)])
    make_tree(host)
    task = "      delegate_to: crowd0\n"
    playbook = sync(destination="/srv/of-{{ inventory_hostname }}", task=task)
    inventory = bed.inventory([host, *others], user="root")
    played = bed.play(playbook, inventory, forks=8, verbosity=3)
    assert played.code == 0, played.output
    assert {done.result["executor"]["used"] for done in played.of("Copy").values()} == {"go"}
    assert puts(played.output, host) == 1
    assert len(engine_of(host)) == 1
    for other in (host, *others):
        assert_equal(host, SOURCE, f"/srv/of-{other.name}")


def test_bringing_it_keeps_other_tasks_no_longer_than_it_takes(bed: Bed) -> None:
    """The job of the task that brings it takes a while; another task on the same host is done long before."""
    host, other = bed.hosts(["bringing", "quick"])
    make_tree(host, 300)
    options = {"destination": "/srv/of-{{ inventory_hostname }}", "bandwidth_limit": "{{ limit[inventory_hostname] }}"}
    limits = "      delegate_to: bringing\n      vars: {limit: {bringing: 150KB/s, quick: 1GB/s}}\n"
    played = bed.play(sync(**options, task=limits), bed.inventory([host, other], user="root"), verbosity=3)
    assert played.code == 0, played.output
    assert puts(played.output, host) == 1
    done = played.of("Copy")
    assert done["quick"].ended < done["bringing"].ended - 5
    assert {one.result["executor"]["used"] for one in done.values()} == {"go"}


def test_check_mode_brings_nothing(bed: Bed) -> None:
    host = bed.host("checked")
    make_tree(host)
    before = host.changes()
    inventory = bed.inventory([host], user="root")
    played = bed.play(sync(), inventory, check=True)
    assert played.code == 0, played.output
    done = played.result("Copy")
    assert done.changed
    assert done.result["executor"]["used"] == "python"
    assert done.result["executor"]["reason"] == "the engine is not on this host yet, and check mode brings nothing"
    assert "WARNING" not in played.output
    assert bed.play(sync(executor="go"), inventory, check=True).code == 0
    traces = set(host.changes()) - set(before)
    assert not [path for path in traces if "migration" in path or path.startswith("/srv")]
    bed.play(sync(), inventory)
    make_tree(host)
    checked = bed.play(sync(), inventory, check=True).result("Copy")
    assert (checked.changed, checked.result["executor"]["used"]) == (True, "go")


def test_an_engine_that_was_tampered_with_is_replaced_and_not_run(bed: Bed) -> None:
    host = bed.host("tampered")
    make_tree(host)
    inventory = bed.inventory([host], user="root")
    assert bed.play(sync(), inventory).code == 0
    (path,) = engine_of(host)
    host.write(path, b"#!/bin/sh\ntouch /root/it-was-run\n")
    make_tree(host)
    played = bed.play(sync(), inventory, verbosity=3)
    assert played.code == 0, played.output
    assert played.result("Copy").result["executor"]["used"] == "go"
    assert puts(played.output, host) == 1
    assert host.run("ls /root/it-was-run", check=False).returncode != 0
    built = (ENGINES / "migration-engine-linux-amd64").read_bytes()
    assert hashlib.sha256(host.read(path)).hexdigest() == hashlib.sha256(built).hexdigest()
    assert_equal(host)


def test_an_engine_in_a_directory_that_others_can_write_is_not_run(bed: Bed) -> None:
    host = bed.host("open-door")
    make_tree(host)
    inventory = bed.inventory([host], user="root")
    assert bed.play(sync(), inventory).code == 0
    host.run(f"chmod 0777 {ENGINE}")
    make_tree(host)
    played = bed.play(sync(), inventory)
    assert played.code == 0, played.output
    executor = played.result("Copy").result["executor"]
    assert (executor["used"], executor["path"].startswith("/var/tmp/migration-assistant-0/")) == ("go", True)


def test_a_platform_without_a_build_gets_the_fallback_and_one_warning(bed: Bed) -> None:
    hosts = bed.hosts(["odd1", "odd2", "odd3"])
    for host in hosts:
        make_tree(host)
        host.write("/usr/local/bin/python-32", b'#!/bin/sh\nexec setarch linux32 /usr/bin/python3 "$@"\n')
        host.run("chmod 755 /usr/local/bin/python-32")
    inventory = bed.inventory(hosts, user="root", ansible_python_interpreter="/usr/local/bin/python-32")
    played = bed.play(sync(), inventory)
    assert played.code == 0, played.output
    reason = "the controller has no engine built for linux-i686"
    for host in hosts:
        executor = played.result("Copy", host.name).result["executor"]
        assert (executor["used"], reason in executor["reason"]) == ("python", True)
        assert_equal(host)
        assert not engine_of(host)
    assert re.sub(r"\s+", " ", played.output).count("[WARNING]: the Python fallback does the work") == 1
    refused = bed.play(sync(executor="go"), inventory)
    assert reason in refused.result("Copy", "odd1").result["msg"]


@pytest.mark.parametrize(
    ("user", "noexec", "place"),
    [
        ("guest", ("/home",), "/var/tmp/migration-assistant-"),
        ("guest", ("/tmp", "/home"), "/var/tmp/migration-assistant-"),
        ("root", ("/tmp", "/var/lib"), "/var/tmp/migration-assistant-0"),
        ("guest", ("/tmp", "/home", "/var/tmp", "/dev/shm"), None),
    ],
)
def test_where_programs_cannot_be_started(bed: Bed, user: str, noexec: tuple[str, ...], place: str | None) -> None:
    host = bed.host(f"noexec-{user}-{len(noexec)}-{bool(place)}", noexec=noexec)
    make_tree(host, owner=user)
    host.run(f"mkdir -p {DESTINATION} && chown {user}: {DESTINATION}")
    inventory = bed.inventory([host], user=user)
    for _again in range(2):
        played = bed.play(sync(), inventory)
        assert played.code == 0, played.output
        executor = played.result("Copy").result["executor"]
        if place:
            assert (executor["used"], executor["path"].startswith(place)) == ("go", True)
        else:
            assert executor["used"] == "python"
            assert "Permission denied" in executor["reason"]
    assert_equal(host)


def test_async_tasks_have_it_as_well(bed: Bed) -> None:
    host = bed.host("async")
    make_tree(host)
    inventory = bed.inventory([host], become=True)
    fetch = """\
      register: started
    - name: Fetch
      ansible.builtin.async_status: {jid: "{{ started.ansible_job_id }}"}
      register: ended
      until: ended is finished
      retries: 60
      delay: 0.5
"""
    played = bed.play(sync(task=f"      async: 60\n      poll: 0\n{fetch}"), inventory)
    assert played.code == 0, played.output
    assert played.result("Fetch").result["executor"]["reason"] == DELIVERED
    assert_equal(host)
    make_tree(host)
    polled = bed.play(sync(task="      async: 60\n      poll: 1\n"), inventory)
    assert polled.code == 0, polled.output
    done = polled.result("Copy")
    assert (done.changed, done.result["executor"]["used"], "_job" in done.result) == (True, "go", False)
    assert_equal(host)


ROLE = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Role
      ansible.builtin.import_role: {name: migration.assistant.engine}
      vars: %s
"""


def test_the_role_puts_it_on_a_host_and_takes_everything_away(bed: Bed) -> None:
    host = bed.host("role")
    make_tree(host)
    inventory = bed.inventory([host], become=True)
    before = host.run("find / -xdev -newer /etc/hostname -not -path '/proc/*' | sort").stdout
    present, absent = ROLE % "{engine_required: true}", ROLE % "{engine_state: absent}"

    def changed(playbook: str, check: bool = False) -> int:
        played = bed.play(playbook, inventory, check=check)
        assert played.code == 0, played.output
        return played.stats["role"]["changed"]

    assert (changed(present, True), engine_of(host)) == (1, [])
    assert (changed(present), len(engine_of(host))) == (1, 1)
    assert (changed(present, True), changed(present)) == (0, 0)
    played = bed.play(sync(), bed.inventory([host], user="guest"))
    assert played.result("Copy").status == "failed", "a guest may not write there"
    guest = played.result("Copy").result
    assert "is owned" in guest["msg"] or "cannot" in guest["msg"]
    assert bed.play(sync(), inventory).code == 0
    host.run(f"mkdir -p {STATE}/changes && touch {STATE}/changes/x.jsonl")
    assert (changed(absent, True), bool(engine_of(host))) == (1, True)
    assert changed(absent) == 1
    assert (changed(absent, True), changed(absent)) == (0, 0)
    assert host.run(f"ls -d {STATE} /var/tmp/migration-assistant* /tmp/migration*", check=False).stdout == ""
    after = host.run("find / -xdev -newer /etc/hostname -not -path '/proc/*' | sort").stdout
    new = set(after.split("\n")) - set(before.split("\n"))
    assert not [path for path in new if "migration" in path]


def test_the_controllers_own_directories_and_a_named_engine(bed: Bed) -> None:
    host = bed.host("named")
    make_tree(host)
    inventory = bed.inventory([host], user="root")
    path = str(ENGINES / "migration-engine-linux-amd64")
    named = bed.play(sync(go_binary_path=path), inventory, verbosity=2)
    assert named.code == 0, named.output
    assert named.result("Copy").result["executor"]["used"] == "go"
    other = str(ENGINES / "migration-engine-darwin-arm64")
    wrong = bed.play(sync(go_binary_path=other, executor="go", destination="/srv/other"), inventory)
    assert wrong.code == 0, "the usual build takes the place of one for another platform"
    info = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Info
      migration.assistant.engine_info:
"""
    found = bed.play(info, inventory).result("Info").result
    assert (found["executor"]["reason"], found["engine"]["executor"]) == (DELIVERED, "go")
    cold = bed.play(info, bed.inventory([bed.host("named-cold")])).result("Info").result
    assert (cold["executor"]["used"], cold["executor"]["path"], cold["engine"]) == ("go", None, {})
    assert "brought when needed" in cold["executor"]["reason"]
