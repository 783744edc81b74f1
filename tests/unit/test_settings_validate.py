# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.migration.assistant.plugins.module_utils import _settings
from ansible_collections.migration.assistant.plugins.module_utils._settings import schema
from ansible_collections.migration.assistant.plugins.module_utils._settings.model import KINDS


def problems_of(content: str) -> list[str]:
    with pytest.raises(_settings.SettingsError) as caught:
        _settings.read(_settings.load_text(content, "config.yml").tree)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("databse_optimization: {}", "databse_optimization: unknown section; did you mean database_optimization?"),
        (
            "network_optimization: {max_bandwith: 5}",
            "network_optimization.max_bandwith: unknown key; did you mean max_bandwidth?",
        ),
        (
            "performance: {max_bandwidth: 5}",
            "performance.max_bandwidth: unknown key; did you mean network_optimization.max_bandwidth?",
        ),
        ("max_bandwidth: 5", "max_bandwidth: unknown section; did you mean network_optimization.max_bandwidth?"),
        (
            "performance: {colour: red}",
            "performance.colour: unknown key; known keys are fallback_to_python, go_binary_path, use_go_engine",
        ),
        (
            "transfer_methods: {large_files: {chunk_size: 50 parsecs}}",
            "transfer_methods.large_files.chunk_size: '50 parsecs' is not a size; "
            "give bytes or a number with B, KB, MB, GB, TB, such as 50MB",
        ),
        (
            "go_operations: {file_copy: {chunk_size: 1KB}}",
            "go_operations.file_copy.chunk_size: '1KB' is too small; the least is 64KB",
        ),
        (
            "go_operations: {compression: {algorithm: zip}}",
            "go_operations.compression.algorithm: 'zip' is unknown; give one of gzip, zstd, lz4, brotli",
        ),
        (
            "performance: {use_go_engine: maybe}",
            "performance.use_go_engine: 'maybe' is not a boolean; give true or false",
        ),
        (
            "parallel_optimization: {parallel_files: 0}",
            "parallel_optimization.parallel_files: 0 is too small; the least is 1",
        ),
        (
            "parallel_optimization: {parallel_files: [8]}",
            "parallel_optimization.parallel_files: must be one value (whole number, 1 to 1024), not a list",
        ),
        ("monitoring: true", "monitoring: must be a mapping of keys, not a boolean"),
        (
            "docker_optimization: {resources: {cpus: none}}",
            "docker_optimization.resources.cpus: 'none' is not a number above 0",
        ),
        ("docker_optimization: {volumes: {}}", "docker_optimization.volumes: must be a list, not a mapping"),
        (
            "docker_optimization: {volumes: [{type: nfs}]}",
            "docker_optimization.volumes[0].type: 'nfs' is unknown; give one of tmpfs, bind, volume",
        ),
        (
            "docker_optimization: {build_args: {1x: y}}",
            "docker_optimization.build_args: '1x' is not the name of an argument",
        ),
        (
            "benchmarking: {targets: {cpu_usage: < lots}}",
            "benchmarking.targets.cpu_usage: 'lots' is not a percentage; "
            "give a number from 0 to 100 with %, such as 80%; <, <=, > or >= may stand before it",
        ),
        (
            "benchmarking: {scenarios: {mixed_workload: {size_distribution: {small: 80%, medium: 15%, large: 15%}}}}",
            "benchmarking.scenarios.mixed_workload.size_distribution: "
            "small, medium and large are 110% together; give 100%",
        ),
        (
            "migration_methods: {thresholds: {small: 200GB}}",
            "migration_methods.thresholds.small: 200GB is above migration_methods.thresholds.medium, 100GB",
        ),
        (
            "migration: {files: [{source: /a, delte: true, destination: /b}]}",
            "migration.files[0].delte: unknown key; did you mean delete?",
        ),
        ("migration: {files: [{source: /a}]}", "migration.files[0]: destination is missing"),
        ("migration: {before: [5]}", "migration.before[0]: 5 is not a text; give one in quotes"),
        ("migration: {file: []}", "migration.file: unknown key; did you mean files?"),
    ],
)
def test_a_problem_names_the_key_the_value_and_what_is_allowed(content: str, problem: str) -> None:
    assert problems_of(content) == [problem]


def test_every_problem_is_listed() -> None:
    assert len(problems_of("performnce: {}\nmonitoring: {metrics: {enabled: 5, colour: red}}")) == 3


@pytest.mark.parametrize(
    "content", ["migration: {databases: ['postgresql://u:hunter2@h/d']}", "migration: {databases: hunter2}"]
)
def test_a_problem_does_not_show_what_may_be_a_secret(content: str) -> None:
    assert "hunter2" not in "".join(problems_of(content))


def test_values_are_read_by_their_kind() -> None:
    read = _settings.read(
        {
            "network_optimization": {"max_bandwidth": 50},
            "monitoring": {"metrics": {"retention_period": "24h"}, "alerts": {"low_transfer_rate": "1MB/s"}},
            "benchmarking": {"targets": {"cpu_usage": "< 80%"}},
            "performance": {"use_go_engine": "no"},
            "parallel_optimization": {"chunk_size": "50MB", "parallel_files": "8"},
        }
    )
    assert {path: leaf.value for path, leaf in read.leaves.items()} == {
        "network_optimization.max_bandwidth": 50 * 1024 * 1024,
        "monitoring.metrics.retention_period": 86400,
        "monitoring.alerts.low_transfer_rate": 1024 * 1024,
        "benchmarking.targets.cpu_usage": {"operator": "<", "value": 80},
        "performance.use_go_engine": False,
        "parallel_optimization.chunk_size": 50 * 1024 * 1024,
        "parallel_optimization.parallel_files": 8,
    }


def test_a_key_without_a_value_counts_as_not_given() -> None:
    read = _settings.read({"performance": None, "monitoring": {"alerts": None}, "migration": {"files": None}})
    assert read.leaves == {}
    assert read.migration == {"files": [], "databases": [], "uploads": [], "before": [], "after": []}
    assert list(read.sections) == ["monitoring"]


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (["databse_optimization"], ["databse_optimization: unknown section; did you mean database_optimization?"]),
        (["Performance"], ["Performance: unknown section; did you mean performance?"]),
        (["migrations"], ["migrations: unknown section; did you mean migration?"]),
        (
            ["performance", "migration_config", "migration_source", "mysql_options", "ansible_host", "monitor", "form"],
            [],
        ),
    ],
)
def test_of_variables_only_slips_of_sections_are_refused(names: list[str], problems: list[str]) -> None:
    assert _settings.misspelt_sections(names) == problems


def test_no_section_is_a_slip_of_another() -> None:
    for name in _settings.SECTIONS:
        assert _settings.misspelt_sections([name]) == []


def test_every_default_is_a_value_of_its_key() -> None:
    for path, key in schema.keys().items():
        if key.default is not None:
            KINDS[key.kind].parse(key.default, path, key)


def test_every_key_and_section_says_what_it_means() -> None:
    for entry in schema.entries():
        assert entry.node.meaning.endswith("."), entry.path


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_NAMES = st.sampled_from([*_settings.SECTIONS, "files", "alerts", "metrics", "volumes", "thresholds"]) | st.text(
    max_size=9
)
_TREES: st.SearchStrategy[t.Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=15
)


@given(st.dictionaries(_NAMES, _TREES, max_size=4))
def test_any_tree_is_accepted_or_refused_with_lines(tree: dict[str, t.Any]) -> None:
    try:
        _settings.read(tree)
    except _settings.SettingsError as exc:
        assert exc.problems


@settings(max_examples=500)
@given(path=st.sampled_from(sorted(schema.keys())), value=_TREES)
def test_any_value_of_any_key_is_accepted_or_refused_in_one_line(path: str, value: t.Any) -> None:
    key = schema.keys()[path]
    try:
        KINDS[key.kind].parse(value, path, key)
    except ValueError as exc:
        assert str(exc).startswith(path + ": ") and len(str(exc).splitlines()) == 1
