# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wine, to run the Windows build of the engine: a Debian package and a prefix of our own.

`wine.py PROGRAM ARGUMENT…` runs a Windows program in the prefix, as `go test -exec` wants it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from environment import (
    BUILD,
    SetupError,
    digest,
    ensure_system_packages,
    has_stamp,
    last_words,
    run_logged,
    say,
)

WINE = Path("/usr/lib/wine/wine64")
PREFIX = BUILD / "wine" / "prefix"
_LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")
_LINKER = "x86_64-w64-mingw32-ld"
_PACKAGES = {str(WINE): "wine64", _LINKER: "binutils-mingw-w64-x86-64"}

# The Go runtime takes its random numbers from this library, which Wine has since version 9 alone.
_LIBRARY = "bcryptprimitives.dll"
_EXPORTS = f"LIBRARY {_LIBRARY}\nEXPORTS\n  ProcessPrng = advapi32.SystemFunction036\n"


def wine_environment() -> dict[str, str]:
    return {"WINEPREFIX": str(PREFIX), "WINEDEBUG": "-all"}


def wine_is_possible() -> bool:
    return sys.platform == "linux" and os.uname().machine == "x86_64"


def ensure_wine() -> None:
    """Install Wine and make the prefix, once."""
    ensure_system_packages(_PACKAGES)
    stamp_path = PREFIX / ".made"
    stamp = digest(_EXPORTS, WINE.stat().st_mtime_ns)
    if has_stamp(stamp_path, stamp):
        return
    say("setup: making a Wine prefix in build/wine (a few seconds, 90 MB)")
    shutil.rmtree(PREFIX, ignore_errors=True)
    PREFIX.mkdir(parents=True)
    # Without the browser and the .NET that Wine would offer to download.
    env = {**os.environ, **wine_environment(), "WINEDLLOVERRIDES": "mscoree=;mshtml="}
    env.pop("DISPLAY", None)
    if not run_logged([WINE, "wineboot", "--init"], "wine", env=env):
        raise SetupError(f"unable to make a Wine prefix: {last_words('wine')}")
    system = PREFIX / "drive_c" / "windows" / "system32"
    for copy in system.iterdir():  # of 600 MB, which links do as well
        if copy.is_file() and (_LIBRARIES / copy.name).is_file():
            copy.unlink()
            copy.symlink_to(_LIBRARIES / copy.name)
    exports = PREFIX / "exports.def"
    exports.write_text(_EXPORTS, encoding="ascii")
    library = system / _LIBRARY
    if not library.exists() and not run_logged([_LINKER, "-shared", "-e", "0", "-o", library, exports], "wine"):
        raise SetupError(f"unable to link {_LIBRARY}: {last_words('wine')}")
    stamp_path.write_text(stamp, encoding="utf-8")


if __name__ == "__main__":
    os.execve(WINE, [str(WINE), *sys.argv[1:]], {**os.environ, **wine_environment()})
