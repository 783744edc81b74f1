# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees that go from one host to another by ssh: pushed, pulled, and between two managed hosts."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from hosts import LOGIN_KEY

from .bed import Bed
from .hosts import Host
from .playbooks import Played
from .scenes import DESTINATION, SOURCE, copied, job_processes, make_tree, sync, until

# What a tree can hold that rsync -aHAX carries: links, holes, attributes, specials, names that are no text.
_MIXED = r"""
set -e
rm -rf "$1"; mkdir -p "$1"; cd "$1"
mkdir -p sub/empty many
for number in $(seq 120); do head -c $((number * 90)) /dev/urandom > many/file$number; done
head -c 3000000 /dev/urandom > large
for number in $(seq 20000); do echo "line $number of a text that is easily compressed"; done > text
ln large sub/hard; ln -s ../text sub/link; ln -s nowhere dangling; mkfifo fifo
truncate -s 5M holes; echo middle | dd of=holes bs=1M seek=2 conv=notrunc status=none; truncate -s 9M holes
mknod null c 1 3
setfattr -n user.colour -v blue text; setfacl -m u:daemon:rw text; setfacl -d -m u:daemon:rx sub
setcap cap_net_raw+ep many/file1 2>/dev/null || true
touch "$(printf 'not-utf8-\377')" "$(printf 'new\nline')" "$(printf '%0255d' 1)" ./-dash " "
chmod 4755 many/file2; chmod 0 many/file3; chown 12345:54321 many/file4; chmod 2770 sub
touch -d '1999-01-02 03:04:05.123456789' text sub many
"""


def make_mixed(path: Path | str, host: Host | None = None) -> None:
    if host is not None:
        host.run(f"set -- {path}\n{_MIXED}")
        return
    subprocess.run(["bash", "-c", _MIXED, "bash", str(path)], check=True)


def assert_same(bed: Bed, one: str, other: str) -> None:
    """Nothing is left to do for rsync. Either may be HOST:PATH."""
    done = subprocess.run(
        ["rsync", "-aHAXni", "--delete", "-e", f"ssh -F {bed.ssh_config}", f"{one}/", f"{other}/"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "", done.stdout


def four_ways(bed: Bed, playbook: str, inventory: Path, executor: str = "go") -> list[Played]:
    """Check, run, check, run."""
    plays = [bed.play(playbook, inventory, check=check) for check in (True, False, True, False)]
    for play in plays:
        assert play.code == 0, play.output
    checked, done, again_checked, again = (play.result("Copy") for play in plays)
    assert (checked.changed, done.changed, again_checked.changed, again.changed) == (True, True, False, False)
    assert _changes(checked) == _changes(done)
    assert done.result["executor"]["used"] == executor
    for result in (again_checked, again):
        assert result.result["performance"]["bytes_transferred"] == 0
        assert result.result["changes_count"] == 0
    return plays


def _changes(result: t.Any) -> list[t.Any]:
    changes = [(change["action"], change["kind"], change["path"]) for change in result.result["changes"]]
    return [result.result["changes_count"], sorted(changes) if len(changes) < 100 else len(changes)]


USERS: dict[str, dict[str, t.Any]] = {
    "root": {"user": "root"},
    "become": {"user": "deploy", "become": True},
    "become-with-password": {"user": "admin", "become": True},
}


# The way is the same for both executors: the longest one shows it for the fallback.
@pytest.mark.parametrize(("executor", "who"), [*(("go", who) for who in USERS), ("python", "become-with-password")])
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_tree_goes_between_controller_and_host(
    bed: Bed, tmp_path: Path, executor: str, direction: str, who: str
) -> None:
    host = bed.host(f"{direction}-{who}")
    host.run("rm -rf /srv/tree")
    here, there = tmp_path / "tree", "/srv/tree"
    make_mixed(here if direction == "push" else there, None if direction == "push" else host)
    source, destination = (str(here), there) if direction == "push" else (there, str(here))
    chosen = {"executor": "python"} if executor == "python" else {}
    playbook = sync(source=source, destination=destination, direction=direction, delete=True, **chosen)
    plays = four_ways(bed, playbook, bed.inventory([host], **USERS[who]), executor)
    ends = [str(here), f"root@{host.address}:{there}"]
    assert_same(bed, *(ends if direction == "push" else reversed(ends)))
    assert plays[1].result("Copy").result["method"]["chosen"] == "hybrid_sync"
    assert host.run(f"find {there} -name '.migration-assistant*'").stdout == ""
    assert job_processes(host) == []


_VERIFIED = """\
- hosts: all
  gather_facts: false
  {become}
  tasks:
    - ansible.builtin.import_role: {{name: migration.assistant.file_migration}}
      vars:
        file_migration_items:
          - source: {source}
            destination: {destination}
            direction: {direction}
            manifest: "{manifest}"
            delete: true
"""


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_the_role_verifies_a_tree_on_the_other_host_by_a_manifest(bed: Bed, tmp_path: Path, direction: str) -> None:
    host = bed.host(f"manifest-{direction}")
    # The same path on both: the manifest has one name, which is no pattern.
    here = there = tmp_path / "tree"
    copy, manifest = tmp_path / "copy", tmp_path / "sums" / "tree[1].sha256"
    make_mixed(here if direction == "push" else there, None if direction == "push" else host)
    host.run(f"mkdir -p {manifest.parent}; chown deploy: {manifest.parent}")
    manifest.parent.mkdir(exist_ok=True)
    playbook = _VERIFIED.format(
        source=here, destination=copy, direction=direction, manifest=manifest, become="become: true"
    )
    inventory = bed.inventory([host], user="deploy", become=True)
    plays = [bed.play(playbook, inventory, check=check) for check in (True, False, True, False)]
    for play in plays:
        assert play.code == 0, play.output
    changed = [[one.task.split(" : ")[-1] for one in play.tasks if one.changed] for play in plays]
    assert len(changed[0]) == 3
    assert changed == [changed[0], changed[0], [], []]
    verified = [any(one.task.endswith(f"Verify {copy}") for one in play.tasks) for play in plays]
    assert verified == [False, True, True, True]
    listed = subprocess.run(["sha256sum", manifest], check=True, capture_output=True, text=True).stdout
    assert host.run(f"sha256sum {manifest}").stdout == listed
    spoil = (
        f"touch -r {copy}/text /tmp/stamp; printf x | dd of={copy}/text conv=notrunc; touch -r /tmp/stamp {copy}/text"
    )
    if direction == "push":
        host.run(spoil)
    else:
        subprocess.run(["sh", "-c", spoil], check=True)
    failed = bed.play(playbook, inventory)
    assert failed.code != 0
    (found,) = (one for one in failed.tasks if one.status == "failed")
    assert found.task.endswith(f"Verify {copy}")
    assert found.result["msg"].endswith(": 0 missing, 1 mismatched, 0 unexpected")


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_every_method_carries_everything(bed: Bed, tmp_path: Path, direction: str) -> None:
    host = bed.host(f"methods-{direction}")
    here, there = tmp_path / "tree", "/srv/tree"
    make_mixed(here if direction == "push" else there, None if direction == "push" else host)
    for method in ("direct_copy", "chunked_transfer", "archive_transfer", "hybrid_sync", "ssh_rsync"):
        source, destination = (str(here), "/srv/copy") if direction == "push" else (there, str(tmp_path / "copy"))
        playbook = sync(
            source=source,
            destination=f"{destination}-{method}",
            direction=direction,
            method=method,
            chunk_size="256KB",
            verify=True,
        )
        ends = [source, f"root@{host.address}:{destination}-{method}"]
        if direction == "pull":
            ends = [f"root@{host.address}:{there}", f"{destination}-{method}"]
        for changed in (True, False):
            played = bed.play(playbook, bed.inventory([host], user="root"))
            assert played.code == 0, played.output
            copied_tree = played.result("Copy")
            assert (copied_tree.changed, copied_tree.result["method"]["chosen"]) == (changed, method)
        assert copied_tree.result["performance"]["bytes_transferred"] == 0
        assert_same(bed, *ends)


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_rsync_does_the_work_as_another_user(bed: Bed, tmp_path: Path, direction: str) -> None:
    host = bed.host(f"{direction}-become")
    here, there = tmp_path / "tree", "/srv/by rsync/it's"
    host.run('rm -rf "/srv/by rsync"')
    make_mixed(here if direction == "push" else '"/srv/by rsync/it\'s"', None if direction == "push" else host)
    source, destination = (str(here), there) if direction == "push" else (there, str(here))
    playbook = sync(source=source, destination=destination, direction=direction, method="ssh_rsync", delete=True)
    plays = four_ways(bed, playbook, bed.inventory([host], **USERS["become"]), "python")
    assert plays[1].result("Copy").result["executor"]["reason"] == "method: ssh_rsync lets rsync do the work"
    assert plays[1].result("Copy").result["statistics"]["files_copied"] > 100
    ends = [str(here), f"root@{host.address}:{there}"]
    assert_same(bed, *(ends if direction == "push" else reversed(ends)))


def test_rsync_cannot_ask_for_a_password_on_the_way(bed: Bed, tmp_path: Path) -> None:
    host = bed.host("push-become-with-password")
    playbook = sync(source=str(tmp_path), destination="/srv/never", direction="push", method="ssh_rsync")
    failed = bed.play(playbook, bed.inventory([host], **USERS["become-with-password"])).result("Copy")
    assert failed.status == "failed"
    assert failed.result["msg"].startswith(
        "method: 'ssh_rsync': rsync can become another user by sudo or doas, and without"
    )


def test_the_password_on_the_way_is_seen_nowhere(bed: Bed, tmp_path: Path) -> None:
    host = bed.host("push-become-with-password")
    make_mixed(tmp_path / "tree")
    playbook = sync(source=str(tmp_path / "tree"), destination="/srv/other", direction="push")
    played = bed.play(playbook, bed.inventory([host], user="admin", become=True), verbosity=4)
    assert played.code == 0, played.output
    assert bed.admin_password not in played.output
    assert bed.admin_password not in host.log()


@pytest.mark.parametrize(
    ("options", "side"),
    [({}, "source"), ({}, "destination"), ({"executor": "python"}, "destination"), ({"method": "ssh_rsync"}, "source")],
    ids=["go from there", "go to there", "python", "rsync"],
)
def test_a_tree_goes_between_two_managed_hosts(bed: Bed, options: dict[str, t.Any], side: str) -> None:
    near, far = bed.hosts([f"near-{side}", f"far-{side}"])
    for host in (near, far):
        host.run(f"rm -rf {SOURCE} {DESTINATION} /var/lib/migration-assistant")
    befriend(bed, near, far)
    make_mixed(SOURCE, far if side == "source" else near)
    url = f"ssh://root@{far.address}:22"
    ends: dict[str, t.Any] = {"source": SOURCE, "destination": DESTINATION, **options}
    ends[side] = url + ends[side]
    inventory = bed.inventory([near], user="root")
    first = bed.play(sync(**ends), inventory)
    assert first.code == 0, first.output
    assert first.result("Copy").changed
    assert first.result("Copy").result["executor"]["used"] == ("python" if options else "go")
    # The engine is on both hosts now, so that check mode can look.
    checked = bed.play(sync(**ends), inventory, check=True)
    assert (checked.code, checked.result("Copy").changed) == (0, False), checked.output
    again = bed.play(sync(**ends), inventory)
    assert (again.code, again.result("Copy").changed) == (0, False), again.output
    hosts = (far, near) if side == "source" else (near, far)
    sums = [
        host.run(f"cd {path} && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum").stdout
        for host, path in zip(hosts, (SOURCE, DESTINATION), strict=True)
    ]
    assert sums[0] == sums[1]
    engines = "find / -xdev -name 'migration-engine-*' -type f"
    assert far.run(engines).stdout.count("\n") == (0 if options else 1)


def befriend(bed: Bed, near: Host, far: Host) -> None:
    """Let root of one host log in to the other."""
    near.run("mkdir -p /root/.ssh && chmod 700 /root/.ssh")
    near.write("/root/.ssh/id_ed25519", LOGIN_KEY.read_bytes())
    near.run("chmod 600 /root/.ssh/id_ed25519")
    near.write("/root/.ssh/known_hosts", bed.known_hosts.read_bytes())


def test_an_unknown_host_key_and_a_refused_login_are_one_clear_line(bed: Bed) -> None:
    near, far = bed.hosts(["near-refused", "far-refused"])
    befriend(bed, near, far)
    make_tree(near)
    near.run("rm /root/.ssh/known_hosts")
    inventory = bed.inventory([near], user="root")
    unknown = bed.play(sync(destination=f"ssh://root@{far.address}{DESTINATION}"), inventory)
    failed = unknown.result("Copy").result
    assert failed["msg"] == f"unable to reach {far.address}: Host key verification failed."
    assert (failed["changed"], failed["error_code"]) == (False, "unreachable")
    near.write("/root/.ssh/known_hosts", bed.known_hosts.read_bytes())
    refused = bed.play(sync(destination=f"ssh://nobody@{far.address}{DESTINATION}"), inventory)
    message = refused.result("Copy").result["msg"]
    assert message.startswith(f"unable to reach {far.address}: ")
    assert "Permission denied" in message
    assert "\n" not in message


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_transfer_that_loses_its_connection_fails_and_a_rerun_goes_on(
    bed: Bed, tmp_path: Path, direction: str
) -> None:
    host = bed.host(f"cut-{direction}")
    files = 600
    there, here = "/srv/tree", tmp_path / "tree"
    make_tree(host, files, path=there)
    if direction == "push":
        subprocess.run(
            ["rsync", "-a", "-e", f"ssh -F {bed.ssh_config}", f"root@{host.address}:{there}", tmp_path], check=True
        )
        there = DESTINATION
    source, destination = (str(here), there) if direction == "push" else (there, str(here))

    def arrived() -> int:
        return copied(host, there) if direction == "push" else sum(1 for _file in here.glob("file*"))

    slow = sync(source=source, destination=destination, direction=direction, bandwidth_limit="100KB/s", retries=0)
    play = bed.start_play(slow, bed.inventory([host], user="root"))
    play.until(lambda: arrived() > 20, "the first files")
    host.cut_connections()
    played = play.wait()
    assert played.code != 0
    failed = played.result("Copy").result
    assert f"the connection to {host.address} was lost" in failed["msg"], failed["msg"]
    assert failed["resumable"]
    until(lambda: not job_processes(host), what="the end of the job on the host")
    before = arrived()
    assert 20 < before < files
    again = bed.play(
        sync(source=source, destination=destination, direction=direction), bed.inventory([host], user="root")
    )
    assert again.code == 0, again.output
    assert again.result("Copy").result["statistics"]["files_copied"] == files - before
    ends = [str(here), f"root@{host.address}:{there}"]
    assert_same(bed, *(ends if direction == "push" else reversed(ends)))


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_host_that_falls_silent_is_lost_after_a_time_and_a_rerun_goes_on_inside_the_file(
    bed: Bed, tmp_path: Path, direction: str
) -> None:
    host = bed.host(f"silent-{direction}")
    here, there = tmp_path / "tree", "/srv/tree"
    command = "set -e; mkdir -p {0}; head -c 20000000 /dev/urandom > {0}/large; touch -d '2001-02-03' {0}/large"
    if direction == "push":
        subprocess.run(["sh", "-c", command.format(here)], check=True)
    else:
        host.run(command.format(there))
    source, destination = (str(here), there) if direction == "push" else (there, str(here))
    options: dict[str, t.Any] = {
        "source": source,
        "destination": destination,
        "direction": direction,
        "chunk_size": "1MB",
        "keep_alive_interval": 2,
        "read_timeout": 4,
        "retries": 0,
    }

    def recorded() -> int:
        record = f"cat {destination}/.migration-assistant-*.done 2>/dev/null | wc -l"
        if direction == "push":
            return int(host.run(record).stdout)
        return int(subprocess.run(["sh", "-c", record], check=True, capture_output=True).stdout)

    inventory = bed.inventory([host], user="root")
    play = bed.start_play(sync(**options, bandwidth_limit="1MB/s"), inventory)
    play.until(lambda: recorded() > 3, "the first ranges")
    host.block()
    try:
        played = play.wait()
    finally:
        host.unblock()
    assert played.code != 0
    failed = played.result("Copy").result
    assert f"the connection to {host.address} was lost: Timeout, server {host.address} not responding" in failed["msg"]
    assert failed["resumable"]
    # What is left of the job on the silent host lets go of the destination as soon as it takes this end for gone.
    again = bed.play(sync(**options, lock_timeout=60), inventory)
    assert again.code == 0, again.output
    statistics = again.result("Copy").result["statistics"]
    assert statistics["files_resumed"] == 1
    assert statistics["bytes_resumed"] >= 3 << 20
    assert statistics["bytes_copied"] == 20_000_000 - statistics["bytes_resumed"]
    ends = [str(here), f"root@{host.address}:{there}"]
    assert_same(bed, *(ends if direction == "push" else reversed(ends)))


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_connection_that_is_lost_is_made_anew(bed: Bed, tmp_path: Path, direction: str) -> None:
    host = bed.host(f"anew-{direction}")
    here, there = tmp_path / "tree", "/srv/tree"
    make_mixed(here if direction == "push" else there, None if direction == "push" else host)
    source, destination = (str(here), there) if direction == "push" else (there, str(here))
    playbook = sync(source=source, destination=destination, direction=direction, bandwidth_limit="400KB/s")
    play = bed.start_play(playbook, bed.inventory([host], user="root"))

    def begun() -> bool:
        if direction == "push":
            return host.run(f"ls {destination}/many 2>/dev/null | wc -l").stdout.strip() not in ("", "0")
        return (here / "many").exists()

    play.until(begun, "the first directory")
    host.cut_connections()
    played = play.wait()
    assert played.code == 0, played.output
    copied_tree = played.result("Copy").result
    assert copied_tree["performance"]["retry_count"] == 1
    [lost] = [notice for notice in copied_tree["notices"] if notice["code"] == "connection_lost"]
    assert lost["message"].startswith(f"the connection to {host.address} was lost")
    assert lost["message"].endswith("; trying again in 1s")
    ends = [str(here), f"root@{host.address}:{there}"]
    assert_same(bed, *(ends if direction == "push" else reversed(ends)))


def test_push_and_pull_need_ssh(bed: Bed, tmp_path: Path) -> None:
    host = bed.host("by-docker")
    playbook = sync(source=str(tmp_path), destination="/srv/copy", direction="push")
    played = bed.play(playbook, bed.inventory([host], user="root", connection="docker"))
    assert "push and pull go by ssh" in played.result("Copy").result["msg"]


@pytest.mark.parametrize(
    "options", [{}, {"executor": "python"}, {"method": "ssh_rsync"}], ids=["go", "python", "rsync"]
)
def test_what_a_host_has_no_room_or_right_for_is_one_clear_line(
    bed: Bed, tmp_path: Path, options: dict[str, t.Any]
) -> None:
    host = bed.host("faulty", options=("--tmpfs=/small:size=1m", "--tmpfs=/fixed:ro"))
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "large").write_bytes(os.urandom(3_000_000))
    host.run("mkdir -p /srv/closed && echo x > /srv/closed/file && echo y > /srv/closed/open")
    host.run("chmod 600 /srv/closed/file; rm -rf /small/*")

    def message(user: str, **more: t.Any) -> str:
        failed = bed.play(sync(delete=True, **more, **options), bed.inventory([host], user=user)).result("Copy")
        assert failed.status == "failed"
        assert "\n" not in failed.result["msg"]
        return str(failed.result["msg"])

    push = {"source": str(tree), "direction": "push"}
    assert message("root", destination="/small/copy", **push).startswith("the destination has no room left")
    # What there is of it is not where it belongs; rsync keeps that in a directory of its own.
    assert host.run("test ! -e /small/copy/large")
    fixed = message("root", destination="/fixed/copy", **push)
    assert "/fixed" in fixed
    assert any(words in fixed for words in ("cannot be written", "Read-only file system"))
    closed = message("deploy", source="/srv/closed", destination=str(tmp_path / "copy"), direction="pull")
    assert closed.startswith("1 entry failed; the first: file: ")
    assert "Permission denied" in closed
    assert (tmp_path / "copy" / "open").read_bytes() == b"y\n"
