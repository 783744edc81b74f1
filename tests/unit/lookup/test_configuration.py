# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

PLAY = """
- hosts: localhost
  gather_facts: false
  vars:
    base: /srv
    vault_password: hunter2
  tasks:
    - ansible.builtin.copy:
        content: "{{ lookup('migration.assistant.configuration', migration_config | default('')) | to_json }}"
        dest: result.json
        mode: "0600"
"""


def _clean(environment: t.Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("ANSIBLE_", "MIGRATION_"))}


class Controller:
    """Runs a play with the lookup in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "play.yml").write_text(PLAY, encoding="utf-8")

    def write(self, name: str, content: str) -> None:
        (self.directory / name).write_text(content, encoding="utf-8")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "play.yml", *arguments],
            cwd=self.directory,
            env={
                **{
                    name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MIGRATION_"))
                },
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
                "ANSIBLE_HOME": str(self.directory / "home"),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "COLUMNS": "1000",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def result(self, *arguments: str, **environment: str) -> dict[str, t.Any]:
        run = self.run(*arguments, **environment)
        assert run.returncode == 0, run.stdout
        return t.cast("dict[str, t.Any]", json.loads((self.directory / "result.json").read_text(encoding="utf-8")))


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def test_a_file_with_templates_and_a_section_that_stands_twice(controller: Controller) -> None:
    controller.write(
        "config.yml",
        "network_optimization: {max_bandwidth: 10, connection_pooling: true}\n"
        "parallel_optimization: {chunk_size: 50MB, parallel_files: '{{ 2 + 2 }}'}\n"
        "transfer_methods: {large_files: {chunk_size: 100MB}}\n"
        "network_optimization: {max_bandwidth: 20}\n"
        "migration:\n"
        "  files: [{source: '{{ base }}/www', destination: /new/www}]\n"
        "  databases: [{source: {engine: sqlite}, destination: {password: '{{ vault_password }}'}}]\n"
        "migration_methods: {medium_database: {compression: true}}\n",
    )
    result = controller.result("-e", "migration_config=config.yml", MIGRATION_USE_GO_ENGINE="false")
    assert result["sections"]["network_optimization"] == {"max_bandwidth": 20, "connection_pooling": True}
    assert result["migration"] == {
        "files": [{"source": "/srv/www", "destination": "/new/www"}],
        "databases": [{"source": {"engine": "sqlite"}, "destination": {"password": "hunter2"}}],
        "uploads": [],
        "before": [],
        "after": [],
    }
    assert result["options"] == {
        "file_sync": {
            "bandwidth_limit": "20MB/s",
            "connection_pooling": True,
            "parallel_files": 4,
            "chunk_size": "100MB",
        },
        "file_checksum": {"parallel_files": 4},
        "database_migrate": {},
        "transfer_plan": {"parallel_files": 4},
    }
    assert result["origins"]["file_sync"]["executor"] == {
        "value": "python",
        "origin": "environment: MIGRATION_USE_GO_ENGINE",
    }
    assert result["origins"]["file_sync"]["chunk_size"]["origin"] == (
        "configuration: transfer_methods.large_files.chunk_size"
    )
    assert result["not_yet_used"] == ["migration_methods.medium_database.compression"]
    assert result["notes"] == [
        "network_optimization.max_bandwidth stands in lines 1, 4 of config.yml; the last one counts",
        "parallel_optimization.chunk_size gives way to transfer_methods.large_files.chunk_size",
    ]


def test_sections_from_variables(controller: Controller) -> None:
    controller.write("config.yml", "performance: {use_go_engine: '{{ 1 == 1 }}'}\nsomething_else: {a: b}\n")
    result = controller.result("-e", "@config.yml", MIGRATION_USE_GO_ENGINE="false")
    assert result["options"]["file_sync"] == {"executor": "auto"}
    assert list(result["sections"]) == ["performance"]


def test_a_file_that_is_encrypted(controller: Controller) -> None:
    controller.write("config.yml", "performance: {fallback_to_python: false}\n")
    controller.write("secret", "correct horse\n")
    subprocess.run(
        [sys.executable, "-m", "ansible", "vault", "encrypt", "--vault-password-file", "secret", "config.yml"],
        cwd=controller.directory,
        check=True,
        capture_output=True,
    )
    result = controller.result("-e", "migration_config=config.yml", "--vault-password-file", "secret")
    assert result["options"]["file_sync"] == {"fallback_to_python": False}


@pytest.mark.parametrize(
    ("content", "arguments", "environment", "message"),
    [
        ("databse_optimization: {}", "migration_config=config.yml", {}, "did you mean database_optimization?"),
        ("databse_optimization: {}", "@config.yml", {}, "databse_optimization: unknown section; did you mean"),
        ("a: [", "migration_config=config.yml", {}, "config.yml, line 1, column 5: not valid YAML"),
        ("{}", "migration_config=none.yml", {}, "none.yml: there is no such configuration file"),
        ("{}", "migration_config=config.yml", {"MIGRATION_USE_GO_ENGINE": "maybe"}, "'maybe' is not a boolean"),
    ],
)
def test_what_cannot_be_used_is_refused(
    controller: Controller, content: str, arguments: str, environment: dict[str, str], message: str
) -> None:
    controller.write("config.yml", content)
    run = controller.run("-e", arguments, **environment)
    assert run.returncode == 2
    assert message in run.stdout
    assert not (controller.directory / "result.json").exists()


def test_values_of_items_are_judged_before_anything_moves(controller: Controller) -> None:
    controller.write(
        "config.yml",
        "go_operations: {compression: {algorithm: zstd, level: 9}}\n"
        "migration:\n"
        "  files:\n"
        "    - {source: /a, destination: /b, chunk_size: huge}\n"
        "    - {source: /a, destination: 'ssh://h/b', compression: none, manifest: /sums}\n"
        "    - {source: /a, destination: /b, method: archive_transfer, timeout: null}\n"
        "    - {source: /a, destination: /b, delete: perhaps}\n"
        "    - {source: /a, destination: /b, alerts: {connection_failures: -1}}\n"
        "    - {source: /a, destination: /b, memory_limit: 1KB}\n"
        "  databases:\n"
        "    - {source: {database: /a}, destination: {database: /b, password: swordfish}, chunk_rows: 0}\n",
    )
    run = controller.run("-e", "migration_config=config.yml")
    assert run.returncode == 2
    for problem in (
        "migration.files[0].chunk_size: 'huge' is not a size; give bytes",
        "migration.files[2].method: 'archive_transfer': it is for two hosts",
        "migration.files[3]: argument 'delete' is of type",
        "migration.files[4].alerts.connection_failures: -1 is below 0; give 0 or more",
        "migration.files[5].memory_limit: '1KB' is too small; the least is 1MB",
        "migration.databases[0].chunk_rows: 0: give 1 or more rows",
    ):
        assert problem in run.stdout
    assert "files[1]" not in run.stdout
    assert "swordfish" not in run.stdout
