# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the engine for every platform, twice: within the limits of size, and the same bytes from another directory."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from counts import Counts
from engine import ENGINES, SOURCES, build_engine, find_go
from environment import BUILD, say


def main() -> None:
    go = find_go()
    total = Counts()
    first = platforms(ENGINES, SOURCES, go)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="engine-again-") as folder:
        elsewhere = Path(folder) / "go-engine"
        shutil.copytree(SOURCES, elsewhere)
        again = platforms(Path(folder) / "engine", elsewhere, go)
    for target in build_engine.PLATFORMS:
        same = first[target]["sha256"] == again[target]["sha256"]
        total += Counts(passed=1) if same else Counts(failed=1)
        sizes = f"{first[target]['size']} bytes, {first[target]['compressed_size']} compressed"
        say(f"{target}: {sizes}, {'built twice alike' if same else 'THE SECOND BUILD DIFFERS'}")
    say(str(total))
    sys.exit(1 if total.failed else 0)


def platforms(output: Path, sources: Path, go: str) -> dict[str, dict[str, int | str]]:
    """The entries of a manifest with all platforms; a size over the limit ends the build with an error."""
    try:
        build_engine.build(sources, output, build_engine.PLATFORMS, go)
    except build_engine.BuildError as exc:
        sys.exit(f"error: {exc}")
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, int | str]] = manifest["platforms"]
    return found


if __name__ == "__main__":
    main()
