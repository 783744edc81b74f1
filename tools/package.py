# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the archive of the collection. It carries the engine's sources, since the built engines are too large."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

from engine import build_engine
from environment import BUILD, ROOT, VENV, say, version
from export import export_collection

SOURCE_ARCHIVE = Path("roles", "engine", "files", "engine-sources.tar.gz")


def main() -> None:
    archive = build_package(BUILD / "package", BUILD)
    say(f"{archive.relative_to(ROOT)}: {archive.stat().st_size} bytes")


def build_package(work: Path, output: Path) -> Path:
    """Export the clone below *work*, and build its archive in *output*."""
    tree = export_collection(work)
    (tree / SOURCE_ARCHIVE).write_bytes(source_archive(tree / "go-engine"))
    command: list[str | Path] = [VENV / "bin" / "ansible-galaxy", "collection", "build", "--force", tree]
    done = subprocess.run([*command, "--output-path", output], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return output / f"migration-assistant-{version()[0]}.tar.gz"


def source_archive(sources: Path) -> bytes:
    """What the engine is built from, as an archive that depends on nothing but the contents."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in build_engine.source_files(sources):
            content = path.read_bytes()
            entry = tarfile.TarInfo(str(Path("go-engine") / path.relative_to(sources)))
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


if __name__ == "__main__":
    main()
