# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""checksum_cache: what is remembered need not be read, and is never believed of a file that was changed."""

from __future__ import annotations

import os
import stat
import time
import typing as t
from pathlib import Path

import pytest

from .executors import EXECUTORS, FAR_FALLBACKS, FAR_SIDES, Executor, Run, command, environment, job, run, serving
from .trees import write

executors = pytest.mark.parametrize("executor", EXECUTORS)
# A user without rights, where the tests may become one: root's cache has a fixed place.
USER = 54321 if os.geteuid() == 0 else None
FILES = 30
# Both ways of comparing contents.
BY_CONTENTS: list[dict[str, t.Any]] = [{}, {"compare": "quick", "preserve": {"timestamps": False}}]


class Bench:
    """A tree that has been left alone for long enough, and a cache for the user that works on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.tree = place / "tree"
        self.copy = place / "copy"
        self.home = place / "home"
        self.home.mkdir()
        for number in range(FILES):
            write(self.tree / f"{number % 3}" / f"{number}", b"%d" % number * 1000)
        if USER is not None:
            for folder in (place, self.home):
                os.chown(folder, USER, USER)

    @property
    def cache(self) -> Path:
        return self.home / "migration-assistant" / "checksums" / "cache"

    def run(
        self,
        executor: Executor,
        operation: str,
        wanted: dict[str, t.Any],
        cache: dict[str, int] | None = None,
        home: Path | None = None,
        **options: t.Any,
    ) -> Run:
        parameters = {**wanted, "checksum_cache": {"max_size": 1 << 20} if cache is None else cache}
        env = {"XDG_CACHE_HOME": str(home or self.home)}
        done = run(executor, operation, parameters, env=env, user=USER, **options)
        assert done.terminal["event"] == "result", (done.terminal, done.stderr)
        return done

    def create(self, executor: Executor, name: str = "sums", **options: t.Any) -> Run:
        wanted = {"action": "create", "source": str(self.tree), "manifest": str(self.place / name)}
        return self.run(executor, "file_checksum", {**wanted, **options.pop("more", {})}, **options)

    def verify(self, executor: Executor) -> Run:
        wanted = {"action": "verify", "source": str(self.tree), "manifest": str(self.place / "sums")}
        return self.run(executor, "file_checksum", wanted)

    def sync(self, executor: Executor, more: t.Mapping[str, t.Any] | None = None, **options: t.Any) -> Run:
        wanted = {"source": str(self.tree), "destination": str(self.copy), "compare": "checksum", **(more or {})}
        wanted["preserve"] = {"owner": False, "group": False, **wanted.get("preserve", {})}
        return self.run(executor, "file_sync", wanted, **options)


def trusted(path: Path) -> bool:
    """Whether the file system is one whose times of change are trusted, by what the system calls it."""
    found, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split(" ")
        if Path(fields[4]) in (path, *path.parents) and len(fields[4]) >= len(found):
            found, kind = fields[4], fields[fields.index("-") + 1]
    return kind in ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    if not trusted(tmp_path):
        pytest.skip("the file system of temporary files is not one whose times of change are trusted")
    made = Bench(tmp_path)
    leave_alone()
    return made


def leave_alone() -> None:
    """Let the files come of age; the times that tests wait for are those of the file system."""
    time.sleep(2.1)


def hashed(done: Run) -> tuple[int, int]:
    """How many files were read, and how many were known."""
    assert done.statistics["bytes_hashed"] == done.terminal["performance"]["bytes_transferred"]
    assert (done.statistics["files_hashed"] == 0) == (done.statistics["bytes_hashed"] == 0)
    return done.statistics["files_hashed"], done.statistics["checksums_cached"]


def spoil(path: Path, content: bytes = b"x") -> None:
    """Change a file, and put its size and times back, as far as that can be done."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@executors
@pytest.mark.parametrize("algorithm", ["sha256", "blake3", "xxh3"])
def test_a_second_manifest_reads_nothing(executor: Executor, algorithm: str, bench: Bench) -> None:
    more = {"algorithm": algorithm}
    assert hashed(bench.create(executor, "first", more=more)) == (FILES, 0)
    assert hashed(bench.create(executor, "second", more=more)) == (0, FILES)
    assert (bench.place / "second").read_bytes() == (bench.place / "first").read_bytes()
    assert stat.S_IMODE(bench.cache.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(bench.cache.stat().st_mode) == 0o600
    # Who does not want it reads all.
    assert hashed(bench.create(executor, "third", more=more, cache={})) == (FILES, 0)


def test_both_executors_share_one_cache(bench: Bench) -> None:
    made = {}
    for first, second, cache in (("go", "python", 1 << 20), ("python", "go", 1 << 21)):
        bench.cache.unlink(missing_ok=True)
        assert hashed(bench.create(t.cast(Executor, first), cache={"max_size": cache})) == (FILES, 0)
        made[first] = bench.cache.stat().st_size
        assert hashed(bench.create(t.cast(Executor, second), "other", cache={"max_size": cache})) == (0, FILES)
        assert (bench.place / "other").read_bytes() == (bench.place / "sums").read_bytes()
    assert made == {"go": 1 << 20, "python": 1 << 21}
    # Of another size, it is taken over by either.
    for executor, cache in (("go", 1 << 20), ("python", 1 << 19), ("go", 1 << 22)):
        done = bench.create(t.cast(Executor, executor), "other", cache={"max_size": cache})
        assert hashed(done) == (0, FILES)
        assert bench.cache.stat().st_size == cache


@executors
def test_a_file_that_was_changed_is_read_whatever_was_put_back(executor: Executor, bench: Bench) -> None:
    bench.create(executor)
    before = (bench.place / "sums").read_bytes()
    spoil(bench.tree / "0" / "3")
    assert hashed(bench.create(executor)) == (1, FILES - 1)
    assert (bench.place / "sums").read_bytes() != before
    leave_alone()
    bench.create(executor)
    assert hashed(bench.create(executor)) == (0, FILES)
    # One of the same content that has taken the place of another is another file.
    content = (bench.tree / "1" / "1").read_bytes()
    write(bench.tree / "new", content)
    os.replace(bench.tree / "new", bench.tree / "1" / "1")
    assert hashed(bench.create(executor)) == (1, FILES - 1)


@executors
def test_what_is_written_through_a_memory_map_is_noticed(executor: Executor, bench: Bench) -> None:
    """A page that is written already changes no times when it is written once more; the cache sees to that."""
    import mmap

    with (bench.tree / "0" / "0").open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        mapped[0:1] = b"a"
        leave_alone()
        assert hashed(bench.create(executor)) == (FILES, 0)
        mapped[0:1] = b"b"
        before = (bench.place / "sums").read_bytes()
        assert hashed(bench.create(executor)) == (1, FILES - 1)
        assert (bench.place / "sums").read_bytes() != before


@executors
def test_verifying_reads_all(executor: Executor, bench: Bench) -> None:
    bench.create(executor)
    assert hashed(bench.verify(executor)) == (FILES, 0)


@executors
def test_old_entries_do_not_count(executor: Executor, bench: Bench) -> None:
    assert hashed(bench.create(executor)) == (FILES, 0)
    leave_alone()
    assert hashed(bench.create(executor, cache={"max_size": 1 << 20, "max_age": 1000})) == (0, FILES)
    assert hashed(bench.create(executor, cache={"max_size": 1 << 20, "max_age": 1})) == (FILES, 0)


@executors
def test_the_size_is_kept_to(executor: Executor, bench: Bench) -> None:
    for number in range(500):
        write(bench.tree / "many" / f"{number}", b"%d" % number)
    leave_alone()
    bench.create(executor, cache={"max_size": 16384})
    assert bench.cache.stat().st_size <= 16384
    read, known = hashed(bench.create(executor, "again", cache={"max_size": 16384}))
    assert read + known == FILES + 500
    assert 0 < known <= 16384 // 96
    assert (bench.place / "again").read_bytes() == (bench.place / "sums").read_bytes()


def damage(path: Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    if kind == "header":
        content[100] ^= 1
    elif kind == "cut":
        del content[-1:]
    else:
        content[:] = b"damaged" * 1000
    path.write_bytes(content)


@executors
@pytest.mark.parametrize("kind", ["header", "cut", "other"])
def test_a_damaged_cache_is_thrown_away(executor: Executor, kind: str, bench: Bench) -> None:
    bench.create(executor)
    damage(bench.cache, kind)
    done = bench.create(executor)
    assert hashed(done) == (FILES, 0)
    assert [event["code"] for event in done.warnings] == ["checksum_cache"]
    assert "thrown away" in done.warnings[0]["message"]
    again = bench.create(executor)
    assert (hashed(again), again.warnings) == ((0, FILES), [])


@executors
def test_damaged_entries_are_not_used(executor: Executor, bench: Bench) -> None:
    bench.create(executor)
    content = bytearray(bench.cache.read_bytes())
    for start in range(4096, len(content), 4096):
        for entry in range(start, start + 42 * 96, 96):
            content[entry + 60] ^= 1  # in the checksum
    bench.cache.write_bytes(content)
    before = (bench.place / "sums").read_bytes()
    done = bench.create(executor)
    assert hashed(done) == (FILES, 0)
    assert [event["message"] for event in done.warnings] == [
        f"{FILES} damaged entries of the checksum cache were not used"
    ]
    assert (bench.place / "sums").read_bytes() == before
    assert hashed(bench.create(executor)) == (0, FILES)


@executors
def test_what_was_remembered_before_the_system_started_does_not_count(executor: Executor, bench: Bench) -> None:
    import hashlib

    bench.create(executor)
    with bench.cache.open("r+b") as stream:
        header = bytearray(stream.read(4096))
        header[40:44] = b"0000"
        header[-8:] = hashlib.sha256(header[:-8]).digest()[:8]
        stream.seek(0)
        stream.write(header)
    done = bench.create(executor)
    assert (hashed(done), done.warnings) == ((FILES, 0), [])


@executors
@pytest.mark.parametrize("hostile", ["file", "directory", "above", "link", "linked directory", "owner"])
def test_what_others_could_have_written_is_not_used(executor: Executor, hostile: str, bench: Bench) -> None:
    bench.create(executor)
    directory = bench.cache.parent
    if hostile == "owner" and USER is None:
        pytest.skip("needs root to give files away")
    above = directory.parent
    paths = {"directory": directory, "linked directory": directory, "above": above, "owner": above}
    path = paths.get(hostile, bench.cache)
    if hostile in ("link", "linked directory"):
        path.rename(bench.home / "moved")
        path.symlink_to(bench.home / "moved")
        os.chown(path, USER or -1, -1, follow_symlinks=False)
    elif hostile == "owner":
        os.chown(path, 12345, -1)
    else:
        path.chmod(path.stat().st_mode | 0o022)
    before = bench.cache.read_bytes()
    done = bench.create(executor)
    assert hashed(done) == (FILES, 0)
    assert [event["code"] for event in done.warnings] == ["checksum_cache"]
    assert done.warnings[0]["message"].startswith(f"checksums are not remembered: {path} ")
    assert bench.cache.read_bytes() == before


@executors
def test_check_mode_reads_it_and_writes_nothing(executor: Executor, bench: Bench) -> None:
    assert hashed(bench.create(executor, dry_run=True)) == (FILES, 0)
    assert not bench.cache.parent.exists()
    bench.create(executor)
    before = bench.cache.read_bytes()
    write(bench.tree / "new")
    leave_alone()
    assert hashed(bench.create(executor, dry_run=True)) == (1, FILES)
    assert bench.cache.read_bytes() == before


@executors
def test_concurrent_jobs_do_not_disturb_each_other(executor: Executor, bench: Bench) -> None:
    import subprocess

    for number in range(300):
        write(bench.tree / "many" / f"{number}", b"%d" % number)
    leave_alone()
    wanted = {"action": "create", "source": str(bench.tree), "checksum_cache": {"max_size": 65536}}
    setpriv = [] if USER is None else ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    caps = [] if USER is None else ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    jobs = []
    for number in range(6):
        who: Executor = EXECUTORS[number % 2]
        started = subprocess.Popen(
            [*setpriv, *caps, *command(who)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(XDG_CACHE_HOME=str(bench.home)),
        )
        assert started.stdin is not None
        sizes = {"max_size": 65536 if number < 4 else 131072}  # the last make it anew
        parameters = {**wanted, "manifest": str(bench.place / f"sums-{number}"), "checksum_cache": sizes}
        started.stdin.write(job("file_checksum", parameters))
        started.stdin.close()
        jobs.append(started)
    for started in jobs:
        assert started.stdout is not None
        output = started.stdout.read()
        started.stdout.close()
        assert started.wait() == 0
        assert b"thrown away" not in output
    assert len({(bench.place / f"sums-{number}").read_bytes() for number in range(6)}) == 1
    done = bench.create(executor)
    assert done.warnings == []
    assert (bench.place / "sums").read_bytes() == (bench.place / "sums-0").read_bytes()


@pytest.mark.parametrize("more", BY_CONTENTS)
@executors
def test_a_sync_by_contents_reads_them_once(executor: Executor, more: dict[str, t.Any], bench: Bench) -> None:
    assert bench.sync(executor, more).statistics["files_copied"] == FILES
    leave_alone()
    known = []
    for _each in range(2):
        done = bench.sync(executor, more)
        assert done.changes == []
        known.append(done.statistics["checksums_cached"])
    assert known == [0, 2 * FILES]
    spoil(bench.copy / "0" / "0")
    check, done = bench.sync(executor, more, dry_run=True), bench.sync(executor, more)
    for each in (check, done):
        assert [event["path"] for event in each.changes] == ["0/0"]
        assert each.statistics["checksums_cached"] == 2 * FILES - 1
    assert (bench.copy / "0" / "0").read_bytes() == (bench.tree / "0" / "0").read_bytes()


@executors
def test_verifying_a_sync_reads_what_is_remembered(executor: Executor, bench: Bench) -> None:
    bench.create(executor)
    done = bench.sync(executor, {"verify": True})
    assert done.statistics["files_verified"] == FILES
    assert done.statistics["checksums_cached"] == 0


@pytest.mark.parametrize("compared", BY_CONTENTS)
@pytest.mark.parametrize("executor", list(FAR_SIDES))
def test_each_host_has_a_cache_of_its_own(executor: Executor, compared: dict[str, t.Any], bench: Bench) -> None:
    there = bench.place / "there"
    there.mkdir()
    os.chown(there, USER or -1, USER or -1)
    far = {"command": ["env", f"XDG_CACHE_HOME={there}", *serving(executor)], "name": "there"}
    more = {**compared, "far": far, "checksum_algorithm": "sha256" if executor in FAR_FALLBACKS else "xxh3"}
    assert bench.sync(executor, more).statistics["files_copied"] == FILES
    leave_alone()
    known = [bench.sync(executor, more).statistics["checksums_cached"] for _each in range(2)]
    assert known == [0, 2 * FILES]
    for home in (bench.home, there):
        assert (home / "migration-assistant" / "checksums" / "cache").stat().st_size == 1 << 20
    spoil(bench.tree / "0" / "0")
    check, done = bench.sync(executor, more, dry_run=True), bench.sync(executor, more)
    for each in (check, done):
        assert [event["path"] for event in each.changes] == ["0/0"]
        assert each.statistics["checksums_cached"] == 2 * FILES - 1
    assert (bench.copy / "0" / "0").read_bytes() == (bench.tree / "0" / "0").read_bytes()
    # One that cannot be used is told, wherever it is.
    for home, host in ((there, "the source's host"), (bench.home, "the source's host")):
        (home / "migration-assistant" / "checksums").chmod(0o777)
        told = bench.sync(executor, more)
        side = "source" if (home == there) == (FAR_SIDES[executor] == "source") else "destination"
        assert [event["code"] for event in told.warnings] == ["checksum_cache"]
        assert (host in told.warnings[0]["message"]) == (side == "source")
        (home / "migration-assistant" / "checksums").chmod(0o700)
