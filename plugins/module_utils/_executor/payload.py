# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: may change at any time.

"""The Python fallback for another host, which needs nothing but a Python: it comes in by the connection, and is never
written to a disk there."""

from __future__ import annotations

import json
import os
import pkgutil
import shlex
import typing as t
import zipimport
import zlib

from .. import _fallback
from .._version import PROTOCOL, VERSION

# What the modules are called there.
_PACKAGE = "migration_assistant"
# Pythons of hosts that say nothing of theirs.
_PYTHONS = ("python3", "/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3")

# Starts the fallback whose modules come in by standard input, after a line that announces how long they are.
_FROM_MEMORY = """
import importlib.abc, importlib.util, json, os, sys, zlib
if sys.version_info < (3, 8):
    sys.exit("its Python is %d.%d, and 3.8 is the least" % sys.version_info[:2])
line = b""
while not (line.startswith(b"migration-fallback-follows ") and line.endswith(b"\\n")):
    line = b"" if line.endswith(b"\\n") else line
    byte = os.read(0, 1)
    if not byte:
        sys.exit("no fallback came in")
    line += byte
left, packed = int(line.split()[1]), b""
while left > len(packed):
    block = os.read(0, left - len(packed))
    if not block:
        sys.exit("the fallback came in by half")
    packed += block
modules = json.loads(zlib.decompress(packed))
class Modules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in modules:
            return importlib.util.spec_from_loader(name, self, is_package=modules[name][0])
    def exec_module(self, module):
        exec(compile(modules[module.__name__][1], module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Modules())
importlib.import_module(sys.argv[1]).main()
"""


def payload() -> bytes:
    """The line that announces the modules, and the modules."""
    modules = {
        _PACKAGE: (True, ""),
        _PACKAGE + "._version": (False, "VERSION = %r\nPROTOCOL = %r\n" % (VERSION, PROTOCOL)),
        **_modules(_fallback.__path__, "", _PACKAGE + "._fallback"),
    }
    packed = zlib.compress(json.dumps(modules).encode("ascii"), 6)
    return b"migration-fallback-follows %d\n" % len(packed) + packed


def command(python: t.Optional[str] = None) -> str:
    """The command that starts what payload gives; python: the Python to use, one that is found by default."""
    from .._fallback.far import serve

    main = _PACKAGE + serve.__name__[serve.__name__.rindex("._fallback") :]
    start = "-c %s %s" % (shlex.quote(_FROM_MEMORY), main)
    if python is not None:
        return "%s %s" % (python, start)
    search = 'for p in %s; do command -v "$p" >/dev/null 2>&1 && exec "$p" %s; done' % (" ".join(_PYTHONS), start)
    return "sh -c %s" % shlex.quote("%s; echo 'it has no Python' >&2; exit 127" % search)


def _modules(paths: t.Iterable[str], folder: str, package: str) -> t.Dict[str, t.Tuple[bool, str]]:
    """A package of the fallback's and all modules in it: whether each is a package, and its source."""
    found = {package: (True, "")}
    for _finder, name, is_package in pkgutil.iter_modules(paths):
        full = "%s.%s" % (package, name)
        if is_package:
            below = [os.path.join(path, name) for path in paths]
            found.update(_modules(below, folder + name + "/", full))
        else:
            found[full] = (False, _source(folder + name + ".py"))
    return found


def _source(path: str) -> str:
    """The text of a module of the fallback, which may lie in an archive: in the one that __path__ names now, since
    Ansible takes that away from which it was imported."""
    for folder in _fallback.__path__:
        full = os.path.join(folder, path)
        archive = pkgutil.get_importer(folder)
        if isinstance(archive, zipimport.zipimporter):
            return archive.get_data(full).decode("utf-8")
        if os.path.isfile(full):
            with open(full, encoding="utf-8") as stream:
                return stream.read()
    raise FileNotFoundError(path)
