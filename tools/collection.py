# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection and use it as a stranger would: installed into an empty path, away from the clone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from counts import Counts
from engine import find_go, this_platform
from environment import BUILD, ROOT, VENV, say, version
from package import SOURCE_ARCHIVE, build_package

WORK = BUILD / "collection-test"
INSTALLED = WORK / "collections"
NAME = "migration.assistant"
MOST_BYTES = 2_000_000
# What users of an installed collection need, and the files that describe it.
EXPECTED = {
    *("FILES.json", "MANIFEST.json", "CHANGELOG.rst", "CONTRIBUTING.md", "LICENSE", "README.md"),
    *("changelogs", "docs", "meta", "playbooks", "plugins", "roles"),
}
_ENGINE_PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.import_role": {"name": f"{NAME}.engine"},
                "vars": {"engine_build_from_source": True, "engine_required": True},
            },
            {f"{NAME}.engine_info": {}, "register": "found"},
            {"ansible.builtin.assert": {"that": ["found.executor.used == 'go'", "found.engine.executor == 'go'"]}},
        ],
    }
]
_IMPORT = """\
import importlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
names = [".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob("plugins/**/*.py"))
         if path.name != "__main__.py"]
for name in names:
    importlib.import_module(name.removesuffix(".__init__"))
print(len(names), "files imported")
"""


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "elsewhere").mkdir(parents=True)
    total = Counts()
    for check in (same_version, build, install, imports, documentation, playbook, engine_from_sources):
        total += attempt(check)
        if total.failed:
            break
    say(str(total))
    sys.exit(1 if total.failed else 0)


def attempt(check: Callable[[], str]) -> Counts:
    """Run one check; it gives a line to show, or raises."""
    try:
        say(f"{check.__name__}: {check()}")
    except (AssertionError, subprocess.CalledProcessError) as exc:
        say(f"{check.__name__}: FAILED: {exc}")
        return Counts(failed=1)
    return Counts(passed=1)


def same_version() -> str:
    stated = re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    number = version()[0]
    assert stated and stated.group(1) == number, f"galaxy.yml and _version.py ({number}) differ"
    return number


def build() -> str:
    archive = build_package(WORK / "export", WORK)
    with tarfile.open(archive) as content:
        names = content.getnames()
    unwanted = {name.split("/")[0] for name in names} - EXPECTED
    assert not unwanted, f"the archive has {', '.join(sorted(unwanted))}, which build_ignore should keep out"
    assert str(SOURCE_ARCHIVE) in names, f"the archive lacks {SOURCE_ARCHIVE}"
    engines = [name for name in names if Path(name).name.startswith("migration-engine-")]
    assert not engines, f"the archive has built engines: {', '.join(engines)}"
    size = archive.stat().st_size
    assert size < MOST_BYTES, f"the archive has {size} bytes, more than {MOST_BYTES}"
    return f"{len(names)} entries, {size} bytes"


def install() -> str:
    ansible(
        "ansible-galaxy", "collection", "install", "--offline", str(_archive()), "--collections-path", str(INSTALLED)
    )
    return str(INSTALLED.relative_to(ROOT))


def imports() -> str:
    command: list[str | Path] = [VENV / "bin" / "python", "-c", _IMPORT, INSTALLED]
    env = {**os.environ, "PYTHONPATH": str(INSTALLED)}
    return run(command, env).strip().splitlines()[-1]


def documentation() -> str:
    modules = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
    names = [f"{NAME}.{module}" for module in modules]
    documented = json.loads(ansible("ansible-doc", "--json", *names))
    for name in names:
        found = documented.get(name, {})
        for part in ("doc", "examples", "return"):
            assert found.get(part), f"{name} has no {part}"
    groups = _action_groups()
    assert set(groups) == set(modules), f"meta/runtime.yml lists {sorted(groups)}, plugins/modules has {modules}"
    return f"{len(names)} modules"


def playbook() -> str:
    output = WORK / "output"
    said = ansible("ansible-playbook", f"{NAME}.migrate", "-e", json.dumps({"migration_output": str(output)}))
    assert (output / "demo" / "destination").is_dir(), f"nothing was migrated to {output}: {said}"
    return next(line for line in reversed(said.splitlines()) if "ok=" in line)


def engine_from_sources() -> str:
    """The installed collection has no engine, but the sources of one; the role builds it, and modules find it."""
    play = WORK / "engine.yml"
    play.write_text(json.dumps(_ENGINE_PLAY), encoding="utf-8")
    variables = {"engine_build_go": find_go(), "engine_build_platforms": [this_platform()]}
    arguments = ("ansible-playbook", str(play), "-e", json.dumps(variables))
    ansible(*arguments)
    said = ansible(*arguments)
    recap = next(line for line in reversed(said.splitlines()) if "ok=" in line)
    assert "changed=0 " in recap, f"the second run changed something: {said}"
    return f"built by the role for {this_platform()}"


def ansible(*command: str) -> str:
    """Run a command of ansible that sees nothing but the installed collection."""
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED),
        "ANSIBLE_HOME": str(WORK / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
    return run([VENV / "bin" / command[0], *command[1:]], env)


def run(command: Sequence[str | Path], env: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=WORK / "elsewhere", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        say(done.stdout + done.stderr)
        raise subprocess.CalledProcessError(done.returncode, [str(part) for part in command])
    return done.stdout


def _archive() -> Path:
    return WORK / f"{NAME.replace('.', '-')}-{version()[0]}.tar.gz"


def _action_groups() -> set[str]:
    """Short names of the modules in the group that is meant to have all of them."""
    text = (ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8")
    return set(re.findall(r"^    - ([a-z_]+)$", text, re.MULTILINE))


if __name__ == "__main__":
    main()
