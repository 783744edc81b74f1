# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the Go engine for one or more platforms: build_engine.py SOURCES OUTPUT [--platform GOOS-GOARCH]…

SOURCES is the directory go-engine of a clone, or the archive of it that an installed collection carries. OUTPUT gets
the engines, each also compressed by gzip, and manifest.json, which names version, protocol, and of each platform
file, sha256 and size. What is up to date is not built again; what belongs to other sources is removed.

Builds are reproducible: the same sources and the same Go give the same bytes. Go fetches the modules that go.sum
pins, by the proxy that it is configured with; another Go toolchain is never fetched.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import typing as t
from pathlib import Path

PLATFORMS = tuple(f"{system}-{machine}" for system in ("linux", "darwin", "windows") for machine in ("amd64", "arm64"))
MOST_BYTES = 30 << 20
MOST_COMPRESSED_BYTES = 8 << 20
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_VERSION_FILE = Path("plugins", "module_utils", "_version.py")


class BuildError(Exception):
    """An engine cannot be built; the message says which and why."""


class Version(t.NamedTuple):
    """Version of the collection and number of its protocol."""

    number: str
    protocol: int


def main() -> None:
    arguments = parse_arguments()
    try:
        with unpacked(arguments.sources) as sources:
            built = build(sources, arguments.output, arguments.platform or [this_platform()], arguments.go)
    except BuildError as exc:
        sys.exit(f"error: {exc}")
    print(f"built: {' '.join(built)}" if built else "up to date")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--platform", action="append", choices=[*PLATFORMS, "all"])
    parser.add_argument("--go", default="go", help="the Go to build with")
    arguments = parser.parse_args()
    if "all" in (arguments.platform or ()):
        arguments.platform = list(PLATFORMS)
    return arguments


def this_platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"


@contextlib.contextmanager
def unpacked(sources: Path) -> t.Iterator[Path]:
    """The directory of the sources, for as long as it is needed."""
    if not sources.is_file():
        if not (sources / "go.mod").is_file():
            raise BuildError(f"the engine's sources are not at {sources}")
        yield sources
        return
    with tempfile.TemporaryDirectory(prefix="migration-engine-") as folder:
        with tarfile.open(sources) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(folder)
        yield Path(folder) / "go-engine"


def build(sources: Path, output: Path, platforms: t.Sequence[str], go: str) -> list[str]:
    """Build what is not up to date; gives the platforms that were built. Raises BuildError."""
    version = collection_version(sources)
    stamp = source_stamp(sources, version, go)
    output.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(output, version, stamp)
    entries = manifest["platforms"]
    todo = [target for target in platforms if target not in entries]
    if not todo:
        return []
    # An engine of other sources must not be used in the meantime, nor if a build fails.
    write_manifest(output, manifest)
    remove_others(output, entries)
    for target in todo:
        entries[target] = {**build_one(sources, output, target, version, go), "stamp": stamp}
        write_manifest(output, manifest)
    return todo


def build_one(sources: Path, output: Path, target: str, version: Version, go: str) -> dict[str, t.Any]:
    """Build the engine for a platform; gives its entry in the manifest."""
    path = output / file_name(target)
    fresh = output / f"{path.name}.new"
    compile_engine(sources, fresh, target, version, go)
    fresh.replace(path)
    content = path.read_bytes()
    packed = gzip.compress(content, 9, mtime=0)
    compressed = output / f"{path.name}.gz"
    compressed.write_bytes(packed)
    for size, most in ((len(content), MOST_BYTES), (len(packed), MOST_COMPRESSED_BYTES)):
        if size > most:
            raise BuildError(f"the engine for {target} has {size} bytes, more than {most}")
    return {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "compressed": compressed.name,
        "compressed_size": len(packed),
    }


def compile_engine(sources: Path, path: Path, target: str, version: Version, go: str, tags: str = "") -> None:
    """Compile the static binary. Raises BuildError with the compiler's last words."""
    system, architecture = target.split("-")
    flags = f"-s -w -buildid= -X main.version={version.number}"
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-tags", tags, "-o", str(path)]
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOOS": system,
        "GOARCH": architecture,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    try:
        done = subprocess.run(
            [*command, "./cmd/migration-engine"],
            cwd=sources,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as exc:
        raise BuildError(f"unable to start {go}: {exc.strerror}") from exc
    sys.stderr.write(done.stdout)
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BuildError(f"unable to build the engine for {target}: {lines[-1]}")


def collection_version(sources: Path) -> Version:
    """The version that the sources belong to: of the clone around them, or of the collection around this script."""
    for root in (sources.parent, Path(__file__).resolve().parents[3]):
        if (root / _VERSION_FILE).is_file():
            text = (root / _VERSION_FILE).read_text(encoding="utf-8")
            found = dict(re.findall(r'^(VERSION|PROTOCOL)\b[^=]*= *"?([^"\s]+)"?', text, re.MULTILINE))
            return Version(found["VERSION"], int(found["PROTOCOL"]))
    raise BuildError("the collection's version cannot be found")


def source_stamp(sources: Path, version: Version, go: str) -> str:
    """One hash over all that goes into the binary: names and contents of the sources, version, Go."""
    try:
        done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise BuildError(f"unable to start {go}, which is needed to build the engine: {exc}") from exc
    total = hashlib.sha256(f"{version.number} {version.protocol} {done.stdout}".encode())
    for path in source_files(sources):
        total.update(f"{path.relative_to(sources)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def source_files(sources: Path) -> list[Path]:
    """Everything that goes into the binary."""
    return [
        path
        for path in sorted(sources.rglob("*"))
        if path.is_file() and not path.name.endswith("_test.go") and "testdata" not in path.parts
    ]


def file_name(target: str) -> str:
    return f"migration-engine-{target}{'.exe' if target.startswith('windows') else ''}"


def read_manifest(output: Path, version: Version, stamp: str) -> dict[str, t.Any]:
    """The manifest with those engines that are still of these sources and there."""
    manifest: dict[str, t.Any] = {"version": version.number, "protocol": version.protocol, "platforms": {}}
    try:
        found = json.loads((output / "manifest.json").read_text(encoding="utf-8"))["platforms"]
    except (OSError, ValueError, KeyError):
        return manifest
    for target, entry in found.items():
        names = [entry.get("file", ""), entry.get("compressed", "")]
        if entry.get("stamp") == stamp and all(name and (output / name).is_file() for name in names):
            manifest["platforms"][target] = entry
    return manifest


def write_manifest(output: Path, manifest: t.Mapping[str, t.Any]) -> None:
    fresh = output / "manifest.json.new"
    fresh.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(output / "manifest.json")


def remove_others(output: Path, entries: t.Mapping[str, t.Mapping[str, str]]) -> None:
    """Remove engines that the manifest does not know."""
    kept = {entry[name] for entry in entries.values() for name in ("file", "compressed")}
    for path in output.glob("migration-engine-*"):
        if path.name not in kept:
            path.unlink()


if __name__ == "__main__":
    main()
