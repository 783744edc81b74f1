# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._files import archive
from ansible_collections.migration.assistant.plugins.module_utils._files.preflight import FileSyncError


@pytest.fixture
def params(tmp_path: Path) -> t.Dict[str, t.Any]:
    """The options of a task, as the argument spec gives them."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "there.tar.br").write_text("")
    defaults = {name: option.get("default") for name, option in archive.ARGUMENT_SPEC.items()}
    paths = {"source": str(tmp_path / "tree"), "destination": str(tmp_path / "out.tar.zst")}
    return dict(defaults, state="packed", **paths)


def test_the_format_comes_from_the_ending(params: t.Dict[str, t.Any], tmp_path: Path) -> None:
    for form, endings in archive.ENDINGS.items():
        for ending in endings:
            plan = archive.plan(dict(params, destination=str(tmp_path / ("out" + ending))))
            assert (plan["action"], plan["format"]) == ("pack", form)
    assert archive.plan(dict(params, destination=str(tmp_path / "out.bin"), format="lz4"))["format"] == "lz4"


def test_unpacking_leaves_the_format_to_the_archive(params: t.Dict[str, t.Any], tmp_path: Path) -> None:
    unpacking = dict(params, state="unpacked", destination=str(tmp_path / "new" / "er"))
    (tmp_path / "there.tar.gz").write_text("")
    assert archive.plan(dict(unpacking, source=str(tmp_path / "there.tar.gz")))["format"] == "auto"
    assert archive.plan(dict(unpacking, source=str(tmp_path / "there.tar.br")))["format"] == "brotli"


def test_a_mode_that_yaml_has_read_as_a_number_is_what_it_stands_for(params: t.Dict[str, t.Any]) -> None:
    assert archive.plan(dict(params, mode=0o640))["mode"] == 0o640


def test_what_a_plan_holds(params: t.Dict[str, t.Any]) -> None:
    plan = archive.plan(dict(params, level=19, mode="0640", preserve={"owner": False, "xattrs": True}))
    assert (plan["level"], plan["mode"], plan["max_unpacked_size"]) == (19, 0o640, 100 << 30)
    assert plan["preserve"]["owner"] is False
    assert plan["preserve"]["timestamps"] is True
    assert plan["preserve"]["devices"] is False
    assert "level" not in archive.plan(params)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"source": "missing"}, "source: '.*missing': the directory does not exist"),
        ({"destination": "out.zip"}, "destination: '.*out.zip': the format cannot be told; give format, or an ending"),
        ({"destination": "missing/out.tar"}, "destination: '.*': .*missing is not a directory"),
        ({"destination": "tree", "format": "tar"}, "destination: '.*tree': it is not a regular file"),
        ({"level": 20}, "level: 20: give a number from 1 to 19 for the format zstd"),
        ({"level": 0, "format": "gzip"}, "level: 0: give a number from 1 to 9 for the format gzip"),
        ({"level": 1, "format": "tar"}, "level: 1: the format tar has no levels"),
        ({"mode": "rw"}, "mode: 'rw': give octal digits"),
        ({"mode": "04755"}, "mode: '04755': give 0000 to 0777"),
        ({"mode": "640"}, "mode: '640': give octal digits that begin with 0"),
        ({"mode": 640}, "mode: 640: give 0000 to 0777"),
        ({"parallel": 0}, "parallel: 0: give a number from 1 to 1024"),
        ({"max_unpacked_size": "lots"}, "max_unpacked_size: "),
        ({"buffer_size": "1KB"}, "buffer_size: '1KB' is too small"),
        ({"filters": ["? what"]}, "filters: "),
        ({"state": "unpacked"}, "source: '.*tree': it is not a regular file"),
        ({"state": "unpacked", "source": "no.tar"}, "source: '.*no.tar': the file does not exist"),
        ({"state": "unpacked", "source": "there.tar.br", "filters": ["- x"]}, "filters: .*only with state: packed"),
        ({"state": "unpacked", "source": "there.tar.br", "level": 1}, "level: 1: only with state: packed"),
        ({"state": "unpacked", "source": "there.tar.br", "mode": "0640"}, "mode: '0640': only with state: packed"),
        (
            {"state": "unpacked", "source": "there.tar.br", "destination": "there.tar.br/below"},
            "destination: .* not a directory",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(
    params: t.Dict[str, t.Any], given: t.Dict[str, t.Any], says: str, tmp_path: Path
) -> None:
    paths: t.Dict[str, t.Any] = {
        name: str(tmp_path / given[name]) for name in ("source", "destination") if name in given
    }
    with pytest.raises(FileSyncError, match=says) as caught:
        archive.plan({**params, **given, **paths})
    assert "\n" not in str(caught.value)
