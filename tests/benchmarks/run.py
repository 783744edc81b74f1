# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the executors with other tools: whole processes, in turn, medians of the ratios within each round.

Usage: run.py [--rounds N] [--directory DIR] [--share PART] [SCENARIO ...]

Scenarios: small_files, large_files, mixed, unchanged, checksums, sqlite; archive_pack_small, archive_pack_mixed,
archive_unpack_small and archive_unpack_mixed, each followed by @tar, @gzip, @zstd, @lz4 or @brotli; and between two
hosts push_small, push_large, push_changed, push_text (random words) and push_code, each followed by @lan, @wan or
@lossy for the link, such as push_small@wan (as root). DIR (default /dev/shm) holds the trees; it says which filesystem
is measured. Machines are noisy: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINE = REPOSITORY / "build" / "engine" / "migration-engine-linux-amd64"
FALLBACK = "ansible_collections.migration.assistant.plugins.module_utils._fallback"
COLLECTIONS = str(REPOSITORY / "build" / "collections")
ENVIRONMENT = dict(os.environ, PYTHONPATH=COLLECTIONS)

sys.path[:0] = [COLLECTIONS, str(REPOSITORY / "tools")]
from link import Link  # noqa: E402

from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere  # noqa: E402


@dataclass(frozen=True)
class Contender:
    """A command line (run by a shell only where it needs a pipe) and what it reads on standard input."""

    name: str
    command: t.Sequence[str]
    input: bytes = b""

    def named(self, name: str) -> Contender:
        """The same by another name."""
        return Contender(name, self.command, self.input)


@dataclass(frozen=True)
class Scenario:
    """reset() makes what every run starts from; amount is what one run moves."""

    name: str
    contenders: t.Sequence[Contender]
    reset: t.Callable[[], None]
    amount: str


def executors(operation: str, parameters: t.Mapping[str, t.Any]) -> list[Contender]:
    job = {"protocol": 1, "id": "benchmark", "operation": operation, "parameters": dict(parameters)}
    wire = json.dumps(job).encode("ascii") + b"\n"
    return [
        Contender("engine", [str(ENGINE), "run"], wire),
        Contender("fallback", [sys.executable, "-m", FALLBACK], wire),
    ]


def files(name: str, directory: Path, sizes: t.Sequence[int], fresh: bool = True) -> Scenario:
    source, destination = directory / name / "source", directory / name / "destination"
    content = random.Random(1).randbytes(max(sizes))
    for number, size in enumerate(sizes):
        folder = source / f"{number % max(len(sizes) // 100, 1):03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{number:06d}").write_bytes(content[:size])

    def reset() -> None:
        if fresh:
            shutil.rmtree(destination, ignore_errors=True)
        elif not destination.exists():
            subprocess.run(["cp", "-a", str(source), str(destination)], check=True)

    rivals = [Contender("rsync -a", ["rsync", "-a", f"{source}/", f"{destination}/"])]
    if fresh:
        rivals.append(Contender("cp -a", ["cp", "-a", str(source), str(destination)]))
    else:
        # The engine compares extended attributes too.
        rivals.append(Contender("rsync -aX", ["rsync", "-aX", f"{source}/", f"{destination}/"]))
        plain = {"source": str(source), "destination": str(destination), "preserve": {"xattrs": False}}
        rivals.append(executors("file_sync", plain)[0].named("engine, no xattrs"))
    parameters = {"source": str(source), "destination": str(destination)}
    each = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    amount = f"{len(sizes)} files of {each} bytes, " + ("fresh destination" if fresh else "nothing to do")
    return Scenario(name, [*executors("file_sync", parameters), *rivals], reset, amount)


def push(kind: str, link: Link, directory: Path, share: float) -> Scenario:
    """To a far host that has nothing yet."""
    source, destination = directory / "source", directory / "destination"
    amount = FILLS[kind](source, share)
    *ssh, host = link.ssh
    # As the module does it.
    words = [*ssh, *elsewhere.fast_ciphers(ssh, host), host, elsewhere.installed(str(ENGINE))]
    far = {"side": "destination", "command": words, "connections": 4}
    parameters = {"source": str(source), "destination": str(destination), "parallel_chunks": 4, "far": far}
    engine = executors("file_sync", parameters)[0]
    shell = " ".join(ssh)
    rivals = [Contender("rsync -a", link.inside(["rsync", "-a", "-e", shell, f"{source}/", f"{host}:{destination}/"]))]
    if kind in ("text", "code"):
        rivals.append(
            Contender("rsync -az", link.inside(["rsync", "-az", "-e", shell, f"{source}/", f"{host}:{destination}/"]))
        )
    contenders = [Contender(engine.name, link.inside(engine.command), engine.input), *rivals]

    def reset() -> None:
        shutil.rmtree(destination, ignore_errors=True)
        if kind == "changed":
            destination.mkdir()
            fill_changed(destination, share, changes=0)

    state = "by ssh" if kind == "changed" else "by ssh to an empty destination"
    return Scenario(f"push_{kind}, {link.name}", contenders, reset, f"{amount}, {state}")


def fill_small(source: Path, share: float) -> str:
    rng = random.Random(4)
    count = round(50_000 * share)
    for number in range(count):
        folder = source / f"{number // 100:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{number:06d}").write_bytes(rng.randbytes(10_000))
    return f"{count} files of 10 000 random bytes"


def fill_large(source: Path, share: float) -> str:
    source.mkdir()
    rng = random.Random(5)
    size = round(1024 * share)
    with open(source / "large", "wb") as stream:
        for _megabyte in range(size):
            stream.write(rng.randbytes(1 << 20))
    return f"one file of {size} MB, random"


def fill_changed(source: Path, share: float, changes: int = 1000) -> str:
    """A file such as a database's, some of whose pages have changed."""
    size = round(1024 * share)
    rng = random.Random(7)
    source.mkdir(exist_ok=True)
    with open(source / "database", "wb") as stream:
        for _piece in range(size):
            stream.write(rng.randbytes(1 << 20))
        for _change in range(changes):
            stream.seek(rng.randrange(size << 8) << 12)
            stream.write(rng.randbytes(4096))
    os.utime(source / "database", (1_700_000_000 + changes, 1_700_000_000 + changes))
    return f"one file of {size} MB, {changes} of its 4 KiB pages changed"


def fill_text(source: Path, share: float) -> str:
    source.mkdir()
    rng = random.Random(6)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _word in range(3000)]
    count = round(100 * share)
    for number in range(count):
        with open(source / f"text-{number}", "w", encoding="ascii") as stream:
            for _paragraph in range(100):
                stream.write(" ".join(rng.choices(words, k=8000)) + "\n")
    return f"{count} files of 5 MB, text"


def fill_code(source: Path, share: float) -> str:
    """What people have written: Python's own library, over and over."""
    source.mkdir()
    library = b"".join(path.read_bytes() for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")))
    count, size = round(100 * share), 5 << 20
    for number in range(count):
        begin = number * size % (len(library) - size)
        (source / f"code-{number}").write_bytes(library[begin : begin + size])
    return f"{count} files of 5 MB, source code"


FILLS: dict[str, t.Callable[[Path, float], str]] = {
    "small": fill_small,
    "large": fill_large,
    "text": fill_text,
    "code": fill_code,
    "changed": fill_changed,
}


def mixed_sizes() -> list[int]:
    """About 2 GB: 80 % of the files below 1 MB, 15 % of 1 to 10 MB, 5 % above."""
    rng = random.Random(3)
    ranges = [(1_000, 1_000_000)] * 16 + [(1_000_000, 10_000_000)] * 3 + [(10_000_000, 40_000_000)]
    return [rng.randint(*ranges[number % len(ranges)]) for number in range(780)]


def sqlite(directory: Path) -> Scenario:
    from ansible_collections.migration.assistant.plugins.module_utils._database import sqlite as planner
    from ansible_collections.migration.assistant.plugins.module_utils._database.options import Options

    folder = directory / "sqlite"
    folder.mkdir()
    source, destination = folder / "source.db", folder / "destination.db"
    make_database(source, 1_000_000)

    def reset() -> None:
        for path in folder.glob("*destination.db*"):
            path.unlink()

    sides = [{"engine": "sqlite", "database": str(path)} for path in (source, destination)]
    with planner.plan(sides[0], sides[1], Options(verify="none")) as plan:
        contenders = executors("database_migrate", plan.parameters)
    dump = Contender(".dump | sqlite3", ["sh", "-c", f"sqlite3 {source} .dump | sqlite3 {destination}"])
    return Scenario("sqlite", [*contenders, dump], reset, "1 000 000 rows in 2 tables, 2 indexes, not verified")


def checksums(directory: Path) -> Scenario:
    """A sha256 manifest of files, against as many openssl at once as there are processors, and other algorithms."""
    source, manifest = directory / "source", directory / "manifest"
    source.mkdir()
    content = random.Random(1).randbytes(25 << 20)
    for number in range(40):
        (source / f"file-{number:02d}").write_bytes(content)
    parameters = {"action": "create", "source": str(source), "manifest": str(manifest), "algorithm": "sha256"}
    openssl = f"find {source} -type f -print0 | xargs -0 -n 2 -P {os.cpu_count()} openssl dgst -sha256 > {manifest}"
    contenders = [*executors("file_checksum", parameters), Contender("openssl", ["sh", "-c", openssl])]
    for algorithm in ("blake3", "xxh3"):
        other = executors("file_checksum", {**parameters, "algorithm": algorithm})[0]
        contenders.append(other.named(f"engine, {algorithm}"))
    title = "40 files of 25 MB, sha256; the engine's blake3 and xxh3"
    return Scenario("checksums", contenders, lambda: manifest.unlink(missing_ok=True), title)


# The commands of the rivals; those that are not installed are left out.
COMPRESSORS = {
    "tar": [""],
    "gzip": ["gzip", "pigz"],
    "zstd": ["zstd", "zstd -T0"],
    "lz4": ["lz4"],
    "brotli": ["brotli -q 5"],
}


def archive(deed: str, kind: str, form: str, directory: Path, share: float) -> Scenario:
    """Half of each file can be compressed. All tools keep owners, modes, times, extended attributes and ACLs."""
    source, unpacked, packed = directory / "source", directory / "unpacked", directory / "packed"
    rng = random.Random(8)
    sizes = [10_000] * 15_000 if kind == "small" else mixed_sizes()
    sizes = sizes[: max(round(len(sizes) * share), 1)]
    words = [rng.randbytes(4).hex().encode() for _word in range(3000)]
    text, noise = b" ".join(rng.choices(words, k=max(sizes) // 16)), rng.randbytes(max(sizes))
    for number, size in enumerate(sizes):
        folder = source / f"{number // 100:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        begin = rng.randrange(max(len(text) - size // 2, 1))
        (folder / f"file-{number:06d}").write_bytes(text[begin : begin + size // 2] + noise[: size - size // 2])
    how = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner"]
    commands = [each for each in COMPRESSORS[form] if not each or shutil.which(each.split(" ", maxsplit=1)[0])]

    def tar(name: str, compressor: str, *words: str) -> Contender:
        return Contender(name, ["tar", *how, *(["-I", compressor] if compressor else []), *words])

    packing = [tar(f"tar {each}", each, "-cf", str(packed), "-C", str(source), ".") for each in commands]
    if deed == "pack":
        parameters = {"action": "pack", "source": str(source), "destination": str(packed), "format": form}
        contenders = [*executors("file_archive", parameters), *packing]
    else:
        measure(packing[0])
        parameters = {"action": "unpack", "source": str(packed), "destination": str(unpacked), "format": form}
        unpacking = [tar(f"tar {each}", each, "-xpf", str(packed), "-C", str(unpacked)) for each in commands]
        contenders = [*executors("file_archive", parameters), *unpacking]

    def reset() -> None:
        if deed == "pack":
            packed.unlink(missing_ok=True)
        else:
            shutil.rmtree(unpacked, ignore_errors=True)
            unpacked.mkdir()

    amount = f"{len(sizes)} files, {sum(sizes) / 1e6:.0f} MB"
    return Scenario(f"archive_{deed}_{kind}, {form}", contenders, reset, amount)


def make_database(path: Path, rows: int) -> None:
    rng = random.Random(2)
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT, kind TEXT, amount REAL, note TEXT, payload BLOB);
            CREATE TABLE tags (name TEXT, event INTEGER REFERENCES events (id), weight INTEGER);
            CREATE INDEX events_at ON events (at);
            CREATE INDEX tags_name ON tags (name, event);
            """
        )
        database.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    n,
                    f"2026-{n % 12 + 1:02d}-{n % 28 + 1:02d}",
                    "kind %d" % (n % 7),
                    rng.random(),
                    "note é " * 4,
                    b"x" * 24,
                )
                for n in range(rows // 2)
            ),
        )
        database.executemany(
            "INSERT INTO tags VALUES (?, ?, ?)",
            (("tag %d" % (n % 997), n, None if n % 5 else n) for n in range(rows // 2)),
        )
    database.close()


def measure(contender: Contender) -> float:
    begin = time.perf_counter()
    done = subprocess.run(
        contender.command,
        input=contender.input,
        capture_output=True,
        env=ENVIRONMENT,
        check=False,
    )
    elapsed = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"{contender.name} failed: {(done.stderr or done.stdout[-500:]).decode('utf-8', 'replace')}")
    return elapsed


def compare(scenario: Scenario, rounds: int) -> None:
    seconds: dict[str, list[float]] = {contender.name: [] for contender in scenario.contenders}
    for number in range(rounds + 1):
        # A rotating order, so that no contender always runs after the same one.
        shift = number % len(scenario.contenders)
        for contender in [*scenario.contenders[shift:], *scenario.contenders[:shift]]:
            scenario.reset()
            elapsed = measure(contender)
            if number > 0:  # the first round warms the caches
                seconds[contender.name].append(elapsed)
    print(f"\n{scenario.name}: {scenario.amount}; {rounds} rounds")
    print(f"  {'':<18}{'median s':>10}{'min':>8}{'max':>8}   engine is faster by (median, min-max of the rounds)")
    for name, taken in seconds.items():
        ratios = [other / own for other, own in zip(taken, seconds["engine"])]
        spread = f"{statistics.median(ratios):6.2f}x  ({min(ratios):.2f}-{max(ratios):.2f})" if name != "engine" else ""
        print(f"  {name:<18}{statistics.median(taken):>10.3f}{min(taken):>8.3f}{max(taken):>8.3f}   {spread}")


def version_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--directory", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--share", type=float, default=1, help="part of what is pushed or archived")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    options = parser.parse_args()
    builders: dict[str, t.Callable[[Path], Scenario]] = {
        "small_files": lambda directory: files("small_files", directory, [10 * 1024] * 10_000),
        "large_files": lambda directory: files("large_files", directory, [100 * 1024 * 1024] * 10),
        "mixed": lambda directory: files("mixed", directory, mixed_sizes()),
        "unchanged": lambda directory: files("unchanged", directory, [100] * 100_000, fresh=False),
        "checksums": checksums,
        "sqlite": sqlite,
    }
    links = {"lan": (1, 1000, 0.0), "wan": (50, 400, 0.0), "lossy": (50, 400, 0.005)}
    between = {f"push_{kind}@{name}": (kind, name) for kind in FILLS for name in links}
    archives = {
        f"archive_{deed}_{kind}@{form}": (deed, kind, form)
        for form in COMPRESSORS
        for deed in ("pack", "unpack")
        for kind in ("small", "mixed")
    }
    unknown = set(options.scenarios) - set(builders) - set(between) - set(archives)
    if unknown:
        known = ", ".join([*builders, *archives, *between])
        parser.error(f"unknown scenario {', '.join(sorted(unknown))}; choose from {known}")
    filesystem = version_of("stat", "-f", "-c", "%T", str(options.directory))
    print(f"{os.cpu_count()} processors, Linux {platform.release()}, {filesystem} at {options.directory}")
    print(f"{version_of('rsync', '--version')}; {version_of('cp', '--version')}")
    print(f"{version_of('tar', '--version')}; sqlite3 {version_of('sqlite3', '--version').split()[0]}")
    print(f"Python {platform.python_version()}; engine {json.loads(version_of(str(ENGINE), 'version'))['version']}")
    for name in options.scenarios or builders:
        with tempfile.TemporaryDirectory(prefix="migration-benchmark-", dir=options.directory) as directory:
            if name in between:
                kind, shape = between[name]
                with Link(*links[shape]) as link:
                    compare(push(kind, link, Path(directory), options.share), options.rounds)
            elif name in archives:
                compare(archive(*archives[name], Path(directory), options.share), options.rounds)
            else:
                compare(builders[name](Path(directory)), options.rounds)


if __name__ == "__main__":
    main()
