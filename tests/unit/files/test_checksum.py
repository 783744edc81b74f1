# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._files import checksum
from ansible_collections.migration.assistant.plugins.module_utils._files.preflight import FileSyncError


@pytest.fixture
def params(tmp_path: Path) -> t.Dict[str, t.Any]:
    """The options of a task, as the argument spec gives them."""
    (tmp_path / "tree").mkdir()
    defaults = {name: option.get("default") for name, option in checksum.ARGUMENT_SPEC.items()}
    defaults["checksum_cache"] = {"enabled": False, "max_size": "64MB", "max_age": 604800}
    return dict(defaults, path=str(tmp_path / "tree"), manifest=str(tmp_path / "manifest"))


def test_creating_takes_sha256_by_default(params: t.Dict[str, t.Any]) -> None:
    assert checksum.plan(params) == {
        "action": "create",
        "source": params["path"],
        "manifest": params["manifest"],
        "algorithm": "sha256",
        "unexpected": "fail",
        "filters": [],
        "parallel_files": 8,
        "buffer_size": 256 * 1024,
    }
    assert checksum.plan(dict(params, algorithm="xxh3"))["algorithm"] == "xxh3"


def test_what_is_remembered_goes_to_the_job_where_it_is_wanted(params: t.Dict[str, t.Any]) -> None:
    def planned(**options: t.Any) -> t.Any:
        return checksum.plan(dict(params, checksum_cache=options)).get("checksum_cache")

    assert planned() is planned(max_size="1MB") is planned(enabled=False) is None
    assert planned(enabled=True) == {"max_size": 64 << 20, "max_age": 7 * 24 * 3600}
    assert planned(enabled=True, max_size="1MB", max_age=60.0) == {"max_size": 1 << 20, "max_age": 60}


def test_verifying_leaves_the_algorithm_to_the_manifest(params: t.Dict[str, t.Any]) -> None:
    Path(params["manifest"]).write_text("")
    plan = checksum.plan(dict(params, state="verified", unexpected="report", filters=["- *.tmp"]))
    assert (plan["action"], plan["unexpected"], len(plan["filters"])) == ("verify", "report", 1)
    assert "algorithm" not in plan
    assert checksum.plan(dict(params, state="verified", algorithm="blake3"))["algorithm"] == "blake3"


@pytest.mark.parametrize(
    "given, says",
    [
        ({"path": "missing"}, r"path: '.*missing': the directory does not exist"),
        ({"path": "file"}, r"path: '.*file': it is not a directory"),
        ({"manifest": "missing/manifest"}, r"manifest: '.*': .*missing is not a directory"),
        ({"manifest": "file/manifest"}, r"manifest: '.*': .*file is not a directory"),
        ({"manifest": "tree"}, "manifest: '.*tree': it is not a regular file"),
        ({"manifest": "link"}, "manifest: '.*link': it is not a regular file"),
        ({"state": "verified"}, "manifest: '.*manifest': the file does not exist"),
        ({"buffer_size": "1KB"}, "buffer_size: '1KB' is too small"),
        ({"buffer_size": "2GB"}, "buffer_size: '2GB' is too great"),
        ({"parallel_files": 0}, "parallel_files: 0: give a number from 1 to 1024"),
        ({"filters": ["? what"]}, "filters: "),
        ({"checksum_cache": {"max_size": "1KB"}}, "checksum_cache.max_size: '1KB' is too small"),
        ({"checksum_cache": {"max_size": "much"}}, "checksum_cache.max_size: 'much' is not"),
        ({"checksum_cache": {"max_age": 0.5}}, "checksum_cache.max_age: 0.5: give 1 or more seconds"),
    ],
)
def test_what_cannot_be_used_is_refused(
    params: t.Dict[str, t.Any], given: t.Dict[str, t.Any], says: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    paths: t.Dict[str, t.Any] = {name: str(tmp_path / given[name]) for name in ("path", "manifest") if name in given}
    with pytest.raises(FileSyncError, match=says) as caught:
        checksum.plan({**params, **given, **paths})
    assert "\n" not in str(caught.value)


def test_a_relative_manifest_is_refused(params: t.Dict[str, t.Any]) -> None:
    with pytest.raises(FileSyncError, match="manifest: 'manifest': give an absolute path"):
        checksum.plan(dict(params, manifest="manifest"))
