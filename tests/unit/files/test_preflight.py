# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._files import preflight
from ansible_collections.migration.assistant.plugins.module_utils._files.preflight import (
    FileSyncError,
    check_paths,
    check_source,
)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


def refusal(source: object, destination: object) -> FileSyncError:
    with pytest.raises(FileSyncError) as caught:
        check_paths(str(source), str(destination))
    return caught.value


def test_paths_come_back_as_given(source: Path, tmp_path: Path) -> None:
    absent = str(tmp_path / "new" / "destination")
    assert check_paths(str(source), absent) == (str(source), absent)
    assert not os.path.exists(absent)
    (tmp_path / "there").mkdir()
    assert check_paths("%s/" % source, str(tmp_path / "there")) == ("%s/" % source, str(tmp_path / "there"))


def test_symbolic_links_to_directories_are_followed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "source-link").symlink_to(source)
    check_paths(str(tmp_path / "source-link"), str(tmp_path / "link"))


def test_missing_source(tmp_path: Path) -> None:
    error = refusal(tmp_path / "absent", tmp_path / "destination")
    assert (error.option, error.value) == ("source", str(tmp_path / "absent"))
    assert "does not exist" in str(error) and "source" in str(error)


def test_source_that_is_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert "leads nowhere" in str(refusal(tmp_path / "link", tmp_path / "destination"))


def test_source_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not a directory" in str(refusal(tmp_path / "file", tmp_path / "destination"))


def test_destination_that_is_a_dangling_link(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert "not a directory" in str(refusal(source, tmp_path / "link"))


def test_destination_that_is_a_file_or_below_one(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(source, tmp_path / "file").option == "destination"
    assert "%s is not a directory" % (tmp_path / "file") in str(refusal(source, tmp_path / "file" / "below"))


@pytest.mark.parametrize("spelling", ["source", "source/.", "link", "other/../source"])
def test_same_directory(spelling: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("source")
    (tmp_path / "other").mkdir()
    error = refusal(source, "%s/%s" % (tmp_path, spelling))
    assert error.option == "destination"
    assert "the source itself" in str(error)


def test_destination_inside_the_source(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("source")
    for destination in (source / "below", source / "not" / "there", tmp_path / "link" / "below"):
        error = refusal(source, destination)
        assert error.option == "destination"
        assert "inside the source" in str(error)


def test_destination_inside_the_source_but_in_another_file_system(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = source / "mounted"
    mounted.mkdir()
    destination = str(mounted / "new")
    assert refusal(source, destination).option == "destination"
    with pytest.raises(FileSyncError):
        check_paths(str(source), destination, one_file_system=True)
    # What a mount looks like.
    identity = preflight._identity
    elsewhere = {str(mounted): (-1, 1)}
    monkeypatch.setattr(preflight, "_identity", lambda path: elsewhere.get(path) or identity(path))
    assert refusal(source, destination).option == "destination"
    assert check_paths(str(source), destination, one_file_system=True) == (str(source), destination)


def test_source_inside_the_destination(source: Path, tmp_path: Path) -> None:
    error = refusal(source, tmp_path)
    assert error.option == "source"
    assert "inside the destination" in str(error)


def test_names_that_only_begin_alike_do_not_overlap(source: Path, tmp_path: Path) -> None:
    check_paths(str(source), str(tmp_path / "source2"))
    check_paths(str(source), str(tmp_path / "sour"))


@pytest.mark.parametrize(("source", "destination"), [("relative", "/tmp/x"), ("", "/tmp/x"), ("/tmp", "relative")])
def test_relative_paths(source: str, destination: str) -> None:
    assert "absolute" in str(refusal(source, destination))


@root_only
@pytest.mark.parametrize(
    ("mode", "destination", "part"),
    [
        (0o555, "locked", "cannot be written"),
        (0o555, "locked/new/deep", "cannot be created"),
        (0o755, "locked", None),
    ],
)
def test_unwritable_destination(
    mode: int, destination: str, part: t.Optional[str], source: Path, tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir()
    os.chown(tmp_path / "locked", 65534, 65534)
    (tmp_path / "locked").chmod(mode)
    said = as_nobody(check_paths, source, tmp_path / destination)
    assert said == "" if part is None else part in said


@root_only
def test_unreadable_source(source: Path, tmp_path: Path) -> None:
    source.chmod(0o700)
    assert "cannot be read" in as_nobody(check_paths, source, tmp_path / "destination")


def test_check_source_gives_the_path(source: Path) -> None:
    assert check_source(str(source)) == str(source)


def as_nobody(function: t.Callable[[str, str], object], source: Path, destination: Path) -> str:
    """What the refusal says to another user, empty if there is none."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            function(str(source), str(destination))
        except FileSyncError as error:
            os.write(writer, str(error).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def test_runs_without_ansible() -> None:
    name = check_paths.__module__
    code = "import sys; import %s; assert not [m for m in sys.modules if m == 'ansible']" % name
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
