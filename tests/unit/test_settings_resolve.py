# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.migration.assistant.plugins.module_utils import _settings
from ansible_collections.migration.assistant.plugins.module_utils._settings import (
    precedence,
    schema,
    sections_migration,
)

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "examples" / "guide.yml"


@pytest.fixture(scope="module")
def guide() -> _settings.Settings:
    loaded = _settings.load_file(str(GUIDE))
    return _settings.read(loaded.tree, loaded.notes)


def leaves(node: t.Any, path: str = "") -> t.Iterator[str]:
    if isinstance(node, dict):
        for name, item in node.items():
            yield from leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path


def test_the_guide_is_accepted_whole(guide: _settings.Settings) -> None:
    names = re.findall(r"^(\w+):$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names.count("network_optimization") == 2
    assert set(names) == set(_settings.SECTIONS) - {"migration"} == set(guide.sections)
    assert guide.sections["network_optimization"]["tcp_window_size"] == "64KB"
    assert guide.sections["network_optimization"]["max_bandwidth"] == 50
    assert guide.notes == ()


def test_each_key_of_the_guide_is_consumed_or_listed_as_not_yet_used(guide: _settings.Settings) -> None:
    given = set(leaves(_settings.load_file(str(GUIDE)).tree))
    consumed = {path for path, leaf in guide.leaves.items() if leaf.key.consumer}
    assert len(given) > 150
    assert consumed | set(guide.not_yet_used) == given
    assert not consumed & set(guide.not_yet_used)


def test_what_the_guide_yields(guide: _settings.Settings) -> None:
    assert _settings.module_defaults(guide, "file_sync") == {
        "executor": "auto",
        "go_binary_path": "./bin/migration-engine",
        "fallback_to_python": True,
        "method": "direct_copy",
        "large_file_method": "chunked_transfer",
        "chunk_size": "100MB",
        "resume": True,
        "parallel_files": 8,
        "parallel_chunks": 4,
        "buffer_size": "64KB",
        "bandwidth_limit": "50MB/s",
        "max_connections": 8,
        "connection_pooling": True,
        "connect_timeout": 30,
        "read_timeout": 300,
        "keep_alive_interval": 60,
        "compression": "gzip",
        "compression_level": 6,
        "stream_buffer_size": "10MB",
        "stream_buffers": 10,
        "ssh_options": {"Compression": "yes", "CompressionLevel": 6},
        "checksum_algorithm": "sha256",
        "checksum_cache": {"enabled": True, "max_size": "1GB", "max_age": 3600},
        "tcp_window_size": "64KB",
        "tcp_receive_buffer": "32KB",
        "tcp_send_buffer": "32KB",
        "tcp_no_delay": True,
        "adaptive_bandwidth": True,
        "bandwidth_test_interval": 300,
        "sync_frequency": 1000,
        "direct_io": False,
        "follow_symlinks": False,
        "auto_adjust_parallelism": True,
        "performance_threshold": "1MB/s",
        "memory_limit": "4GB",
        "gc_threshold": "80%",
        "preserve": {"permissions": True, "timestamps": True, "specials": True},
        "sample_interval": 5,
        "alerts": {
            "low_transfer_rate": "1MB/s",
            "high_memory_usage": "80%",
            "high_cpu_usage": "90%",
            "connection_failures": 5,
        },
    }
    assert _settings.module_defaults(guide, "database_migrate")["chunk_rows"] == 10000
    manifests = _settings.module_defaults(guide, "file_checksum")
    assert (manifests["parallel_files"], manifests["memory_limit"]) == (8, "1GB")
    assert _settings.module_defaults(guide, "transfer_plan")["parallel_files"] == 8


def test_what_gives_way_is_told(guide: _settings.Settings) -> None:
    assert _settings.superseded(guide) == [
        "go_operations.file_copy.method gives way to transfer_methods.local_to_local.method",
        "go_operations.file_copy.chunk_size gives way to transfer_methods.large_files.chunk_size",
        "parallel_optimization.chunk_size gives way to transfer_methods.large_files.chunk_size",
        "parallel_optimization.max_connections gives way to network_optimization.concurrent_connections",
        "memory_optimization.max_memory_usage gives way to go_operations.checksum_calculation.memory_limit"
        " for file_checksum",
        "database_optimization.parallel_processing.chunk_size gives way to migration_methods.large_database.chunk_size",
    ]


def test_an_option_tells_where_it_comes_from(guide: _settings.Settings) -> None:
    options = _settings.resolve(guide, "file_sync", task_options={"parallel_files": 2, "method": None})
    assert options["chunk_size"] == ("100MB", "configuration: transfer_methods.large_files.chunk_size")
    assert options["parallel_files"] == (2, "task option")
    assert options["method"] == ("direct_copy", "configuration: transfer_methods.local_to_local.method")
    assert _settings.resolve(_settings.read({}), "file_sync")["chunk_size"] == ("50MB", "default")


def test_task_option_before_configuration_before_environment_before_default() -> None:
    silent, saying = _settings.read({}), _settings.read({"performance": {"use_go_engine": True}})
    environment = {"MIGRATION_USE_GO_ENGINE": "false"}
    for module in _settings.MODULES:
        assert _settings.resolve(silent, module)["executor"] == ("auto", "default")
        assert _settings.resolve(silent, module, environment)["executor"] == (
            "python",
            "environment: MIGRATION_USE_GO_ENGINE",
        )
        assert _settings.resolve(saying, module, environment)["executor"].value == "auto"
        assert _settings.resolve(saying, module, environment, {"executor": "go"})["executor"] == ("go", "task option")
        assert _settings.module_defaults(silent, module) == {}
        assert _settings.module_defaults(silent, module, environment) == {"executor": "python"}


def test_an_environment_that_is_no_boolean_is_refused() -> None:
    with pytest.raises(ValueError, match="^MIGRATION_USE_GO_ENGINE: 'maybe' is not a boolean; give true or false$"):
        _settings.resolve(_settings.read({}), "file_sync", {"MIGRATION_USE_GO_ENGINE": "maybe"})


@pytest.mark.parametrize(
    ("sections", "option", "value"),
    [
        ({"performance": {"use_go_engine": False}}, "executor", "python"),
        (
            {"performance": {"use_go_engine": False}, "transfer_methods": {"local_to_local": {"use_go_engine": True}}},
            "executor",
            "auto",
        ),
        ({"monitoring": {"metrics": {"enabled": False, "collection_interval": 5}}}, "sample_interval", 0),
        ({"monitoring": {"metrics": {"enabled": True, "collection_interval": "2m"}}}, "sample_interval", 120),
        (
            {"memory_optimization": {"streaming": {"enabled": False, "buffer_size": "10MB"}}},
            "stream_buffer_size",
            "256KB",
        ),
        ({"monitoring": {"metrics": {"collection_interval": 0.5}}}, "sample_interval", 0.5),
        (
            {"filesystem_optimization": {"io_optimization": {"read_buffer_size": "8KB", "write_buffer_size": "1MB"}}},
            "buffer_size",
            "1MB",
        ),
        ({"filesystem_optimization": {"io_optimization": {"read_buffer_size": "8KB"}}}, "buffer_size", "8KB"),
        ({"network_optimization": {"max_bandwidth": 50}}, "bandwidth_limit", "50MB/s"),
        ({"network_optimization": {"max_bandwidth": "400Mbit/s"}}, "bandwidth_limit", "50000000B/s"),
        ({"network_optimization": {"max_bandwidth": 0}}, "bandwidth_limit", "0B/s"),
        (
            {"filesystem_optimization": {"file_handling": {"preserve_permissions": False}}},
            "preserve.permissions",
            False,
        ),
        ({"monitoring": {"alerts": {"high_cpu_usage": 90}}}, "alerts.high_cpu_usage", "90%"),
        (
            {
                "network_optimization": {"concurrent_connections": 8},
                "parallel_optimization": {"max_connections": 10},
            },
            "max_connections",
            8,
        ),
        ({"parallel_optimization": {"connection_timeout": "1m"}}, "connect_timeout", 60),
        ({"parallel_optimization": {"read_timeout": 300}}, "read_timeout", 300),
        ({"network_optimization": {"keep_alive": True}}, "keep_alive_interval", 15),
        ({"network_optimization": {"keep_alive": False}}, "keep_alive_interval", 0),
        ({"network_optimization": {"tcp_optimization": {"keep_alive_interval": 60}}}, "keep_alive_interval", 60),
        (
            {
                "network_optimization": {
                    "keep_alive": False,
                    "tcp_optimization": {"keep_alive": True, "keep_alive_interval": 60},
                }
            },
            "keep_alive_interval",
            60,
        ),
        (
            {"transfer_methods": {"server_to_server": {"ssh_options": {"Compression": "yes", "CompressionLevel": 6}}}},
            "ssh_options",
            {"Compression": "yes", "CompressionLevel": 6},
        ),
        ({"transfer_methods": {"server_to_server": {"compression": False}}}, "compression", "none"),
        ({"transfer_methods": {"server_to_server": {"compression": True}}}, "compression", "auto"),
        ({"network_optimization": {"compression": {"enabled": False, "algorithm": "lz4"}}}, "compression", "none"),
        ({"network_optimization": {"compression": {"enabled": True, "algorithm": "lz4"}}}, "compression", "lz4"),
        (
            {
                "network_optimization": {"compression": {"enabled": False, "algorithm": "lz4"}},
                "transfer_methods": {"server_to_server": {"compression": True}},
            },
            "compression",
            "lz4",
        ),
        ({"network_optimization": {"compression": {"algorithm": "gzip", "level": 6}}}, "compression_level", 6),
        ({"network_optimization": {"compression": {"level": 6}}}, "compression_level", None),
        ({"go_operations": {"compression": {"algorithm": "zstd", "level": 9}}}, "compression", "zstd"),
        ({"go_operations": {"compression": {"algorithm": "zstd", "level": 9}}}, "compression_level", 9),
        ({"go_operations": {"compression": {"level": 9}}}, "compression_level", None),
        (
            {
                "network_optimization": {"compression": {"algorithm": "lz4"}},
                "go_operations": {"compression": {"algorithm": "zstd", "level": 9}},
            },
            "compression",
            "lz4",
        ),
        (
            {
                "network_optimization": {"compression": {"algorithm": "lz4"}},
                "go_operations": {"compression": {"algorithm": "zstd", "level": 9}},
            },
            "compression_level",
            None,
        ),
        (
            {
                "network_optimization": {"compression": {"enabled": False}},
                "go_operations": {"compression": {"algorithm": "zstd", "level": 9}},
            },
            "compression",
            "none",
        ),
        ({"memory_optimization": {"max_memory_usage": "1GB", "memory_monitoring": True}}, "memory_limit", "1GB"),
        ({"memory_optimization": {"max_memory_usage": "1GB", "memory_monitoring": False}}, "memory_limit", "0"),
        (
            {"network_optimization": {"compression": {"enabled": False, "algorithm": "gzip", "level": 6}}},
            "compression_level",
            None,
        ),
    ],
)
def test_a_key_arrives_in_the_option_that_it_feeds(sections: dict[str, t.Any], option: str, value: t.Any) -> None:
    assert _settings.resolve(_settings.read(sections), "file_sync")[option].value == value


def given_at(path: str, value: t.Any) -> dict[str, t.Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return t.cast("dict[str, t.Any]", value)


# Options whose places are not alike.
SPECIAL = (
    "sample_interval",
    "executor",
    "keep_alive_interval",
    ".compression",
    ".compression_level",
    ".memory_limit",
    ".stream_buffer_size",
)
SAMPLES = {"size": ("1MB", "2MB"), "count": (5, 6), "choice": ("direct_copy", "chunked_transfer")}


@pytest.mark.parametrize(
    ("option", "specific", "general"),
    [
        (option, specific[0], general[0])
        for option, places in precedence.PLACES.items()
        if not option.endswith(SPECIAL)
        for specific, general in itertools.combinations(places, 2)
    ],
)
def test_the_more_specific_place_wins(option: str, specific: str, general: str) -> None:
    module, name = option.split(".", 1)
    for one, other in itertools.permutations(SAMPLES[schema.keys()[specific].kind]):
        text = yaml.safe_dump(given_at(specific, one)) + yaml.safe_dump(given_at(general, other))
        settings = _settings.read(_settings.load_text(text, "config.yml").tree)
        assert _settings.resolve(settings, module)[name] == (one, f"configuration: {specific}")


def test_the_table_of_figures_and_the_schema_agree() -> None:
    fed: dict[str, set[str]] = {}
    for path, key in schema.keys().items():
        for option in key.consumer:
            fed.setdefault(option, set()).add(path)
    in_several_places = {option: paths for option, paths in fed.items() if len(paths) > 1}
    tables = {option: set(itertools.chain(*places)) for option, places in precedence.PLACES.items()}
    assert tables == in_several_places


def test_every_place_of_a_figure_is_a_key() -> None:
    for figure in precedence.FIGURES:
        assert set(itertools.chain(*figure.places)) <= set(schema.keys()), figure.name


def test_defaults_are_those_of_the_modules() -> None:
    for module in _settings.MODULES:
        path = ROOT / "plugins" / "modules" / f"{module}.py"
        if not path.exists():
            continue
        options = documented_options(path)
        for name, resolved in _settings.resolve(_settings.read({}), module).items():
            option: dict[str, t.Any] = {"suboptions": options}
            for part in name.split("."):
                option = option["suboptions"][part]
            if "default" in option:
                assert option["default"] == ({} if resolved.value is None else resolved.value), f"{module}: {name}"
            else:
                assert resolved.value in (None, "auto"), f"{module}: {name}"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("file_sync", sections_migration.FILE_SYNC_OPTIONS),
        ("database_migrate", sections_migration.DATABASE_MIGRATE_OPTIONS),
    ],
)
def test_items_of_the_migration_take_the_options_of_the_module(module: str, names: frozenset[str]) -> None:
    path = ROOT / "plugins" / "modules" / f"{module}.py"
    if path.exists():
        assert set(documented_options(path)) == names


def test_the_method_for_two_hosts_is_that_of_trees_between_two() -> None:
    sides = {"source": "/srv/a", "destination": "/srv/b"}
    items = [
        sides,
        {**sides, "direction": "push"},
        {**sides, "source": "ssh://host/srv/a"},
        {**sides, "direction": "pull", "method": "hybrid_sync"},
    ]
    sections = {
        "migration": {"files": items},
        "transfer_methods": {"server_to_server": {"method": "ssh_rsync"}, "local_to_local": {"method": "direct_copy"}},
    }
    settings = _settings.read(sections)
    methods = [item.get("method") for item in settings.migration["files"]]
    assert methods == [None, "ssh_rsync", "ssh_rsync", "hybrid_sync"]
    assert _settings.resolve(settings, "file_sync")["method"].value == "direct_copy"
    assert "transfer_methods.server_to_server.method" not in settings.not_yet_used


def documented_options(path: Path) -> dict[str, t.Any]:
    """Options of a module for users, with those of the fragments that it shares with others."""
    fragments = [ROOT / "plugins" / "doc_fragments" / "executor.py"]
    if "  - migration.assistant.checksum_cache\n" in path.read_text(encoding="utf-8"):
        fragments.append(ROOT / "plugins" / "doc_fragments" / "checksum_cache.py")
    options: dict[str, t.Any] = {}
    for source in (*fragments, path):
        texts = re.findall(
            r'^ *(?:DOCUMENTATION|JOB|WRITING_JOB) = r"""(.*?)"""',
            source.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        assert texts
        for text in texts:
            options.update(yaml.safe_load(text)["options"])
    return {name: option for name, option in options.items() if not name.startswith("_")}


def test_limits_are_those_of_the_protocol() -> None:
    job = json.loads((ROOT / "go-engine" / "protocol" / "job.schema.json").read_text(encoding="utf-8"))
    parameters = job["$defs"]["file_sync"]["properties"]
    for path, key in schema.keys().items():
        for consumer in key.consumer:
            module, _dot, option = consumer.partition(".")
            limits = parameters.get(option, {}) if module == "file_sync" else {}
            if "minimum" in limits:
                assert key.minimum == limits["minimum"], path
            if "maximum" in limits:
                assert key.maximum == limits["maximum"], path
