# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._files.method import (
    Thresholds,
    choose_method,
    is_in_chunks,
    method_of,
)
from ansible_collections.migration.assistant.plugins.module_utils._files.preflight import FileSyncError

MB = 1024 * 1024


def figures(files: int, average: int) -> t.Dict[str, int]:
    return {"files_total": files, "bytes_total": files * average}


@pytest.mark.parametrize(
    ("scope", "files", "average", "chosen"),
    [
        ("local", 0, 0, "direct_copy"),
        ("local", 5, 1024, "direct_copy"),
        ("local", 50000, 1024, "direct_copy"),
        ("local", 5, 100 * MB, "direct_copy"),
        ("local", 5, 100 * MB + 1, "chunked_transfer"),
        ("remote", 0, 0, "hybrid_sync"),
        ("remote", 10000, 1024, "hybrid_sync"),
        ("remote", 10001, 1024, "archive_transfer"),
        ("remote", 10001, 200 * MB, "chunked_transfer"),
        ("remote", 5, 200 * MB, "chunked_transfer"),
        ("cloud", 5, 200 * MB, "cloud_to_cloud"),
        ("cloud", 20000, 10, "cloud_to_cloud"),
    ],
)
def test_method_by_figures(scope: str, files: int, average: int, chosen: str) -> None:
    choice = choose_method(figures(files, average), Thresholds(), scope)
    assert choice["chosen"] == chosen
    assert set(choice) == {"chosen", "reason", "parameters"}


def test_reason_names_the_figures() -> None:
    choice = choose_method(figures(3000, 16 * 1024), Thresholds(), "remote")
    assert "3000 files of 16" in choice["reason"]
    assert choice["parameters"] == {"parallel_files": 8}


def test_thresholds_can_be_moved() -> None:
    thresholds = Thresholds.parse("1MB", 100)
    assert thresholds == (MB, 100)
    assert choose_method(figures(5, 2 * MB), thresholds, "local")["chosen"] == "chunked_transfer"
    assert choose_method(figures(101, 10), thresholds, "remote")["chosen"] == "archive_transfer"


def test_a_choice_can_be_changed_without_changing_the_next() -> None:
    choose_method(figures(1, 1), Thresholds(), "remote")["parameters"]["parallel_files"] = 99
    assert choose_method(figures(1, 1), Thresholds(), "remote")["parameters"]["parallel_files"] == 8


@pytest.mark.parametrize(("large", "many"), [("huge", 1), ("1MB", "lots"), ("0", 1), ("1MB", 0)])
def test_unreadable_thresholds(large: str, many: t.Any) -> None:
    with pytest.raises(FileSyncError, match="large_file_average|many_files"):
        Thresholds.parse(large, many)


def test_unknown_scope() -> None:
    with pytest.raises(FileSyncError, match="local, remote or cloud"):
        choose_method(figures(1, 1), Thresholds(), "elsewhere")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("auto", "direct_copy"),
        ("direct_copy", "direct_copy"),
        ("chunked_transfer", "chunked_transfer"),
        ("concurrent_chunks", "chunked_transfer"),
    ],
)
def test_method_on_one_host(wanted: str, chosen: str) -> None:
    assert method_of(wanted, "local")["chosen"] == chosen


@pytest.mark.parametrize("wanted", ["archive_transfer", "hybrid_sync"])
def test_method_that_needs_a_wire(wanted: str) -> None:
    message = f"method: '{wanted}': it is for two hosts, and both directories are on one; give auto"
    with pytest.raises(FileSyncError, match=message):
        method_of(wanted, "local")
    assert method_of(wanted, "remote")["chosen"] == wanted


def test_method_between_two_hosts() -> None:
    assert method_of("auto", "remote")["chosen"] == "hybrid_sync"


@pytest.mark.parametrize(
    ("method", "large_file_method", "in_chunks"),
    [
        ("direct_copy", "auto", False),
        ("archive_transfer", "auto", False),
        ("chunked_transfer", "auto", True),
        ("hybrid_sync", "auto", True),
        ("direct_copy", "chunked_transfer", True),
        ("archive_transfer", "concurrent_chunks", True),
        ("hybrid_sync", "direct_copy", False),
        ("chunked_transfer", "direct_copy", False),
    ],
)
def test_large_files_go_in_chunks_by_the_method_or_as_said(
    method: str, large_file_method: str, in_chunks: bool
) -> None:
    assert is_in_chunks(method, large_file_method) == in_chunks
