# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stranger does: clone, make migrate, again, with a configuration of his own. Too long for make test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty clone of what is committed."""
    place = tmp_path_factory.mktemp("clone") / "assistant"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(place)], check=True)
    return place


def make(clone: Path, *arguments: str, code: int = 0, **environment: str) -> tuple[str, float]:
    """Run make; give what it printed, and how long it took in seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        ["make", *arguments],
        cwd=clone,
        # What this run of the tests was given is not for that one.
        env={**{name: value for name, value in os.environ.items() if name not in ("ARGS", "CONFIG")}, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout[-6000:])
    assert done.returncode == code, done.stdout[-6000:]
    return done.stdout, time.monotonic() - begin


def recap(output: str) -> dict[str, dict[str, int]]:
    lines = re.findall(r"^(\S+)\s+: (ok=.*)$", output, re.MULTILINE)
    return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in lines}


def facts(clone: Path) -> t.Any:
    return json.loads((clone / "build" / "migration-facts.json").read_text())


def equal_trees(source: Path, destination: Path) -> None:
    subprocess.run(["diff", "-r", "--no-dereference", str(source), str(destination)], check=True)
    oracle = ["rsync", "-aHAXni", "--delete", f"{source}/", f"{destination}/"]
    assert subprocess.run(oracle, capture_output=True, text=True, check=True).stdout == ""


def equal_databases(source: Path, destination: Path) -> None:
    dumps = [
        subprocess.run(["sqlite3", str(path), ".dump"], capture_output=True, check=True).stdout
        for path in (source, destination)
    ]
    assert dumps[0] == dumps[1]
    assert len(dumps[0]) > 1000


@pytest.mark.parametrize("switch", ["", "false"], ids=["engine", "fallback"])
def test_the_sample_twice(clone: Path, switch: str) -> None:
    shutil.rmtree(clone / "build" / "demo", ignore_errors=True)
    output, _seconds = make(clone, "migrate", MIGRATION_USE_GO_ENGINE=switch)
    assert recap(output)["localhost"]["changed"] > 0
    sample = clone / "build" / "demo"
    equal_trees(sample / "source" / "site", sample / "destination" / "site")
    equal_databases(sample / "source" / "shop.sqlite3", sample / "destination" / "shop.sqlite3")
    moved = facts(clone)["hosts"]["localhost"]
    used = "python" if switch else "go"
    assert [item["executor"]["used"] for item in moved["files"] + moved["databases"]] == [used, used]
    assert moved["databases"][0]["statistics"]["rows_total"] > 100_000

    output, seconds = make(clone, "migrate", MIGRATION_USE_GO_ENGINE=switch)
    print(f"the second run took {seconds:.1f} s")
    assert all(host["changed"] == 0 and host["failed"] == 0 for host in recap(output).values())
    assert "already equal, nothing changed" in output


def test_the_modules_work_from_the_clone(clone: Path) -> None:
    make(clone, "migrate")
    done = subprocess.run(
        [".venv/bin/ansible", "localhost", "-m", "migration.assistant.transfer_plan", "-a", f"source={clone}/docs"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"files_total"' in done.stdout or "files_total:" in done.stdout, done.stdout + done.stderr


def test_usr_share_and_the_database_of_an_application(clone: Path, tmp_path: Path) -> None:
    make(clone, "migrate")
    (tmp_path / "module.py").write_text("import typing\nx: typing.Dict[str, int] = {}\n")
    subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", "cache", "module.py"], cwd=tmp_path, check=True)
    database = max((tmp_path / "cache").rglob("cache*.db"), key=lambda path: path.stat().st_size)
    configuration = tmp_path / "my.yml"
    configuration.write_text(
        json.dumps(
            {
                "migration": {
                    "files": [{"source": "/usr/share", "destination": str(tmp_path / "share"), "verify": True}],
                    "databases": [
                        {
                            "source": {"engine": "sqlite", "database": str(database)},
                            "destination": {"engine": "sqlite", "database": str(tmp_path / "copy.db")},
                            "verify": "full",
                        }
                    ],
                }
            }
        )
    )
    make(clone, "migrate", f"CONFIG={configuration}")
    equal_trees(Path("/usr/share"), tmp_path / "share")
    equal_databases(database, tmp_path / "copy.db")
    moved = facts(clone)["hosts"]["localhost"]
    assert moved["files"][0]["statistics"]["files_verified"] == moved["files"][0]["statistics"]["files_copied"] > 1000
    assert moved["databases"][0]["verified"]["level"] == "full"
    output, _seconds = make(clone, "migrate", f"CONFIG={configuration}")
    assert recap(output)["localhost"]["changed"] == 0


def test_the_whole_guide_is_accepted_and_a_slip_is_named(clone: Path, tmp_path: Path) -> None:
    output, _seconds = make(clone, "migrate", f"CONFIG={clone}/docs/examples/guide.yml")
    assert "without effect in this version" in output
    slip = tmp_path / "slip.yml"
    slip.write_text("databse_optimization:\n  connection_pool: {size: 5}\n")
    output, _seconds = make(clone, "migrate", f"CONFIG={slip}", code=2)
    assert "did you mean database_optimization" in output


def test_the_installed_collection(clone: Path, tmp_path: Path) -> None:
    make(clone, "migrate")
    ansible = clone / ".venv" / "bin"
    subprocess.run(
        [ansible / "ansible-galaxy", "collection", "build", "--output-path", tmp_path], cwd=clone, check=True
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    assert archive.stat().st_size < 2_000_000
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(tmp_path / "collections"))
    install = [
        str(ansible / "ansible-galaxy"),
        "collection",
        "install",
        "--offline",
        "-p",
        str(tmp_path / "collections"),
    ]
    subprocess.run([*install, str(archive)], cwd=elsewhere, env=environment, check=True)
    done = subprocess.run(
        [ansible / "ansible-playbook", "migration.assistant.migrate"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sample = elsewhere / "build" / "demo"
    equal_trees(sample / "source" / "site", sample / "destination" / "site")
    equal_databases(sample / "source" / "shop.sqlite3", sample / "destination" / "shop.sqlite3")
