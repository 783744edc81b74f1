# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux contexts: carried to a host that runs SELinux, and told about where they are not.

The kernel of the tests need not have SELinux: root may set the attribute all the same, and in a mount namespace of its
own an executor finds what a host that runs SELinux has in /sys/fs.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_SIDES, Executor, Run, run, serving
from .test_file_sync_between_hosts_rsync import REMOTE_SHELL
from .test_file_sync_safety import Namespace, namespace
from .trees import rsync_differences, settle, snapshot, write

__all__ = ["namespace"]  # a fixture

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files a context")

LABEL = "security.selinux"
CONTENT = b"system_u:object_r:httpd_sys_content_t:s0\0"
CACHE = b"system_u:object_r:httpd_cache_t:s0\0"
OTHER = b"unconfined_u:object_r:user_home_t:s0\0"

WAYS = (*EXECUTORS, *FAR_SIDES)
ways = pytest.mark.parametrize("executor", WAYS)
Pair = t.Tuple[Path, Path]


@pytest.fixture
def selinux(namespace: Namespace) -> Namespace:
    """Where SELinux runs."""
    namespace.call("mount", "-t", "tmpfs", "tmpfs", "/sys/fs")
    namespace.call("sh", "-c", "mkdir /sys/fs/selinux; echo 1 > /sys/fs/selinux/enforce; touch /sys/fs/selinux/context")
    return namespace


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return build(tmp_path)


def build(root: Path) -> Pair:
    """A source with contexts, and a destination that has some of its entries with others."""
    source, destination = root / "source", root / "destination"
    for name in ("same", "other", "new", "none"):
        write(source / name)
        if name != "new":
            write(destination / name)
    write(source / "sub" / "file")
    write(source / "fresh" / "file")
    (destination / "sub").mkdir()
    os.mkfifo(source / "fifo")
    (source / "link").symlink_to("same")
    for path in (source, *source.rglob("*")):
        if path.name not in ("none", "link"):
            give(path, CACHE if path.name == "sub" else CONTENT)
    os.setxattr(source / "new", "user.note", b"carried in any case")
    for name in ("none", "other", "sub"):
        give(destination / name, OTHER)
    give(destination / "same", CONTENT)
    settle(source)
    settle(destination)
    return source, destination


def give(path: Path, context: bytes) -> None:
    os.setxattr(path, LABEL, context)


def contexts(root: Path) -> dict[str, bytes | None]:
    found = {}
    for path in (root, *sorted(root.rglob("*"))):
        names = os.listxattr(path, follow_symlinks=False)
        found[str(path.relative_to(root))] = os.getxattr(path, LABEL, follow_symlinks=False) if LABEL in names else None
    return found


def four_ways(executor: Executor, pair: Pair, prefix: t.Sequence[str] = (), **more: t.Any) -> tuple[Run, list[Run]]:
    """Check, run, check, run: the first run, and all of them."""
    wanted = {"source": str(pair[0]), "destination": str(pair[1]), **more}
    before = snapshot(pair[1])
    check = run(executor, "file_sync", wanted, prefix=prefix, dry_run=True)
    assert snapshot(pair[1]) == before, "a dry run wrote"
    seen = [
        check,
        *(run(executor, "file_sync", wanted, prefix=prefix, dry_run=dry_run) for dry_run in (False, True, False)),
    ]
    for done in seen:
        assert done.terminal["event"] == "result", done.terminal
    assert sorted(map(str, check.changes)) == sorted(map(str, seen[1].changes))
    assert [done.changes for done in seen[2:]] == [[], []]
    assert seen[3].terminal["changed"] is False
    return seen[1], seen


def notices(done: Run) -> list[tuple[str, str, str]]:
    return sorted((event["code"], event.get("path", ""), event["message"]) for event in done.warnings)


NOT_RUNNING = (
    "selinux_not_preserved",
    "",
    "SELinux contexts are not preserved: the destination's host does not run SELinux",
)


def test_contexts_are_carried_where_both_sides_have_them(selinux: Namespace, tmp_path: Path) -> None:
    alike = []
    for executor in WAYS:
        root = tmp_path / executor
        pair = build(root)
        done, seen = four_ways(executor, pair, selinux.prefix)
        assert notices(done) == []
        expected = {**contexts(pair[0]), "none": OTHER}
        assert contexts(pair[1]) == expected
        changed = {event["path"]: event for event in done.changes}
        assert changed["other"]["before"] == changed["other"]["after"] == {"xattrs": [LABEL]}
        assert not {"same", "none"} & set(changed)
        os.removexattr(pair[1] / "none", LABEL)
        assert rsync_differences(*pair) == ""
        alike.append([each.comparable({root: "ROOT"}) for each in seen])
    assert all(each == alike[0] for each in alike)


@ways
def test_without_selinux_at_the_destination_one_notice_says_so(executor: Executor, pair: Pair) -> None:
    before = contexts(pair[1])
    done, _seen = four_ways(executor, pair)
    assert notices(done) == [NOT_RUNNING]
    after = contexts(pair[1])
    assert {name: after[name] for name in before} == before
    assert {after[name] for name in set(after) - set(before)} == {None}
    assert os.getxattr(pair[1] / "new", "user.note") == b"carried in any case"


@ways
def test_a_host_on_which_selinux_can_only_be_looked_at_does_not_run_it(
    executor: Executor, selinux: Namespace, pair: Pair
) -> None:
    selinux.call("mount", "-o", "remount,ro", "/sys/fs")
    done, _seen = four_ways(executor, pair, selinux.prefix)
    assert notices(done) == [NOT_RUNNING]


@ways
def test_a_source_without_contexts_is_worth_no_notice(executor: Executor, tmp_path: Path) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    write(source / "file")
    write(destination / "other")
    give(destination, OTHER)
    settle(source)
    done, _seen = four_ways(executor, (source, destination))
    assert notices(done) == []
    assert contexts(destination)["."] == OTHER


@ways
def test_contexts_are_left_alone_if_the_job_says_so(executor: Executor, selinux: Namespace, pair: Pair) -> None:
    before = contexts(pair[1])
    done, _seen = four_ways(executor, pair, selinux.prefix, preserve={"selinux": False})
    assert notices(done) == []
    after = contexts(pair[1])
    assert {name: after[name] for name in before} == before
    assert after["new"] is None
    assert os.getxattr(pair[1] / "new", "user.note") == b"carried in any case"


@ways
def test_a_context_that_the_policy_does_not_know_is_listed(executor: Executor, selinux: Namespace, pair: Pair) -> None:
    # Nothing can be written to it, as nothing unknown can to the real one.
    selinux.call("ln", "-sf", "/dev/full", "/sys/fs/selinux/context")
    done, _seen = four_ways(executor, pair, selinux.prefix)
    told = {(code, message) for code, _path, message in notices(done)}
    message = "SELinux contexts that the destination's policy does not know are not preserved: "
    assert told == {("selinux_not_preserved", message + context.rstrip(b"\0").decode()) for context in (CONTENT, CACHE)}
    assert len(done.warnings) == 2
    assert contexts(pair[1])["other"] == OTHER


@ways
def test_a_context_that_is_refused_is_listed_and_no_change(
    executor: Executor, selinux: Namespace, tmp_path: Path
) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    for root in (source, destination):
        write(root / "folder" / "file")
        settle(root)
    for path in (source / "folder" / "file", source / "folder"):
        give(path, CONTENT)
    calls = "setxattr,fsetxattr"
    inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EACCES"]
    powerless = [*selinux.prefix, "strace", "-f", "-qq", "-o", str(tmp_path / "log"), *inject]
    wanted = {"source": str(source), "destination": str(destination)}
    for _run in range(2):
        done = run(executor, "file_sync", wanted, prefix=powerless)
        assert done.terminal["event"] == "result", done.terminal
        message = "the SELinux context was refused: Permission denied"
        assert [(code, path, said.lower()) for code, path, said in notices(done)] == [
            ("selinux_not_preserved", path, message.lower()) for path in ("folder", "folder/file")
        ]
        assert (done.changes, done.terminal["changed"]) == ([], False)
    assert set(contexts(destination).values()) == {None}


@pytest.mark.parametrize("executor", FAR_SIDES)
def test_it_is_the_host_of_the_destination_that_counts(executor: Executor, selinux: Namespace, pair: Pair) -> None:
    far = {"command": [*selinux.prefix, *serving(executor)]}
    done, _seen = four_ways(executor, pair, far=far)
    carried = "push" in executor
    assert notices(done) == ([] if carried else [NOT_RUNNING])
    assert contexts(pair[1])["new"] == (CONTENT if carried else None)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_rsync_carries_them_unless_the_job_says_otherwise(side: str, pair: Pair) -> None:
    far = {"side": side, "name": "there", "ssh": REMOTE_SHELL, "host": "there"}
    wanted: dict[str, t.Any] = {"source": str(pair[0]), "destination": str(pair[1]), "far": far}
    subprocess.run(["setfacl", "-m", "u:1234:r", pair[0] / "new"], check=True)
    settle(pair[0])
    for selinux, context in ((False, None), (True, CONTENT)):
        done = run("python", "ssh_rsync", {**wanted, "preserve": {"selinux": selinux}})
        assert done.terminal["event"] == "result", done.terminal
        assert contexts(pair[1])["new"] == context
        assert os.getxattr(pair[1] / "new", "user.note") == b"carried in any case"
        assert run("python", "ssh_rsync", {**wanted, "preserve": {"selinux": selinux}}).changes == []
    assert rsync_differences(*pair) == ""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_archives_carry_them(executor: Executor, selinux: Namespace, pair: Pair, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    packing = {"action": "pack", "source": str(pair[0]), "destination": str(archive), "format": "tar"}
    assert run(executor, "file_archive", packing).terminal["changed"] is True
    assert run(executor, "file_archive", packing).terminal["changed"] is False
    unpacking: dict[str, t.Any] = {"action": "unpack", "source": str(archive)}
    for prefix, told, context in (((), [NOT_RUNNING], None), (selinux.prefix, [], CONTENT)):
        unpacking["destination"] = str(tmp_path / f"unpacked-{context!r}")
        done = run(executor, "file_archive", unpacking, prefix=prefix)
        assert done.terminal["event"] == "result", done.terminal
        assert notices(done) == told
        assert contexts(Path(unpacking["destination"]))["fresh/file"] == context
        assert run(executor, "file_archive", unpacking, prefix=prefix).terminal["changed"] is False
    without = {"preserve": {"selinux": False}}
    assert run(executor, "file_archive", {**packing, **without}).terminal["changed"] is True
    assert LABEL.encode() not in archive.read_bytes()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_contexts_that_gnu_tar_has_packed_are_unpacked(executor: Executor, selinux: Namespace, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("file")
        member.pax_headers = {"RHT.security.selinux": CONTENT.rstrip(b"\0").decode()}
        tar.addfile(member, io.BytesIO())
    wanted = {"action": "unpack", "source": str(archive), "destination": str(tmp_path / "unpacked")}
    done = run(executor, "file_archive", wanted, prefix=selinux.prefix)
    assert done.terminal["event"] == "result", done.terminal
    assert contexts(tmp_path / "unpacked")["file"] == CONTENT
    assert run(executor, "file_archive", wanted, prefix=selinux.prefix).changes == []
