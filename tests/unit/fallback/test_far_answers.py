# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the end that has the source tells the other one, which may belong to somebody who wants to know more."""

from __future__ import annotations

import errno
import os
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback._errors import ItemError, JobError
from ansible_collections.migration.assistant.plugins.module_utils._fallback.far import frames, messages
from ansible_collections.migration.assistant.plugins.module_utils._fallback.far.answers import Offer, Server
from ansible_collections.migration.assistant.plugins.module_utils._fallback.far.questions import Questions
from ansible_collections.migration.assistant.plugins.module_utils._fallback.filters import Filters, check_filter
from ansible_collections.migration.assistant.plugins.module_utils._fallback.tree import Vanished


class Asker:
    """The other end. Its answers are single messages, or the failures that they tell."""

    def __init__(self, offer: t.Optional[Offer]) -> None:
        to_server, from_asker = os.pipe()
        to_asker, from_server = os.pipe()
        self._streams = [os.fdopen(to_asker, "rb"), os.fdopen(to_server, "rb")]
        self._ended = [threading.Event(), threading.Event()]
        self.frames = frames.Frames(self._streams[0], from_asker)
        self.questions = Questions(self.frames, lambda: None)
        self.frames.start(self.questions.handlers(), self._ended[0].set)
        serving = frames.Frames(self._streams[1], from_server)
        server = Server(serving, offer)

        def end() -> None:
            server.end()
            self._ended[1].set()

        def serve() -> None:
            server.serve()
            serving.close(1)

        serving.start({frames.QUESTION: server.ask}, end)
        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.frames.close(1)
        self.thread.join(5)
        assert not self.thread.is_alive()
        for ended, stream in zip(self._ended, self._streams):
            assert ended.wait(5)
            stream.close()

    def ask(self, **question: t.Any) -> t.Dict[str, t.Any]:
        answer = self.questions.ask(question)
        told: t.Dict[str, t.Any] = {}
        while True:
            kind, payload = answer.take()
            if kind == frames.DATA:
                told["data"] = told.get("data", b"") + payload[8:]
                continue
            message = messages.decode(payload)
            messages.raise_failure(message)
            told.update(message)
            if kind == frames.END:
                return told

    def root(self, path: Path, **more: t.Any) -> t.Dict[str, t.Any]:
        wanted = {"xattrs": False, "labels": False, "names": False, "follow": False, "compression": "auto", "level": 0}
        wanted["filters"] = []
        return self.ask(ask="root", path=str(path), one_file_system=False, **{**wanted, **more})

    def names(self, path: str) -> t.Set[str]:
        return {entry["name"] for entry in self.ask(ask="list", path=path)["entries"]}

    def content(self, path: str, of: Path) -> t.Any:
        info = of.stat()
        return self.ask(ask="file", path=path, identity=[info.st_dev, info.st_ino], range=[0, 100])["data"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path in ("shown/file", "hidden/file", "file", "file.hidden"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"content of " + path.encode())
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (root / "out").symlink_to(tmp_path / "outside")
    return root


@pytest.fixture
def asker(tree: Path) -> t.Iterator[Asker]:
    rules = [{"action": "hide", "regex": "hidden|.*\\.hidden"}]
    made = Asker(Offer(str(tree), Filters([check_filter(rule, "filters") for rule in rules]), follow=False, cache=None))
    yield made
    made.close()


def test_what_is_offered_is_told(asker: Asker, tree: Path) -> None:
    asker.root(tree)
    assert asker.names("") == {"shown", "file", "out"}
    assert asker.names("shown") == {"file"}
    assert asker.content("shown/file", tree / "shown" / "file") == b"content of shown/file"


def test_a_listing_ahead_of_need_has_no_more_than_so_many_bytes(asker: Asker, tree: Path) -> None:
    """As many as it may have of short names, but not with what is escaped."""
    for path, name in {"short": "%d", "long": "\udcff" * 240 + "%d"}.items():
        (tree / path).mkdir()
        for number in range(1000):
            (tree / path / (name % number)).touch()
    asker.root(tree)
    assert len(asker.ask(ask="list", path="short", most=1000)["entries"]) == 1000
    with pytest.raises(OSError, match=r"\[Errno %d\]" % errno.EFBIG):
        asker.ask(ask="list", path="long", most=1000)
    assert asker.ask(ask="list", path="long")["entries"]


def test_another_tree_is_refused(asker: Asker, tree: Path) -> None:
    for path in (tree.parent, tree / "shown", Path("/")):
        with pytest.raises(JobError, match="is not the source of this job"):
            asker.root(path)
    asker.root(tree)
    with pytest.raises(JobError, match="named already"):
        asker.root(tree)


def test_links_are_followed_only_where_that_is_offered(asker: Asker, tree: Path) -> None:
    with pytest.raises(JobError, match="symbolic links are not followed in this job"):
        asker.root(tree, follow=True)
    asker.root(tree)
    with pytest.raises((Vanished, OSError)):
        asker.names("out")


def test_nothing_is_told_before_there_is_a_root(asker: Asker, tree: Path) -> None:
    with pytest.raises(JobError):
        asker.names("")
    with pytest.raises(JobError):
        asker.content("file", tree / "file")


@pytest.mark.parametrize(
    "path", ["..", "shown/..", "shown/../..", ".", "shown/.", "/", "//etc", "/etc", "shown//", "hidden"]
)
def test_no_path_leads_out_or_to_what_is_hidden(asker: Asker, tree: Path, path: str) -> None:
    asker.root(tree)
    with pytest.raises((Vanished, OSError)):
        asker.names(path)


def test_no_file_outside_or_hidden_is_read(asker: Asker, tree: Path) -> None:
    asker.root(tree)
    secret = tree.parent / "outside" / "secret"
    for path, of in {
        "../outside/secret": secret,
        "out/secret": secret,
        str(secret): secret,
        "hidden/file": tree / "hidden" / "file",
        "file.hidden": tree / "file.hidden",
    }.items():
        with pytest.raises((Vanished, OSError, ItemError)):
            asker.content(path, of)
        with pytest.raises((Vanished, OSError, ItemError)):
            info = of.stat()
            asker.ask(ask="digest", path=path, identity=[info.st_dev, info.st_ino], size=10)


def test_a_link_is_not_gone_through(asker: Asker, tree: Path) -> None:
    asker.root(tree)
    with pytest.raises(OSError, match="[Nn]ot a directory|symbolic links"):
        asker.names("out")


def test_only_the_file_that_was_listed_is_read(asker: Asker, tree: Path) -> None:
    asker.root(tree)
    with pytest.raises(ItemError, match="replaced by something else"):
        asker.content("file", tree / "shown" / "file")


@pytest.mark.parametrize("question", [{}, {"ask": "everything"}, {"ask": "list"}, {"ask": "list", "path": 3}])
def test_what_is_no_question_ends_the_connection(asker: Asker, tree: Path, question: t.Dict[str, t.Any]) -> None:
    asker.root(tree)
    with pytest.raises(frames.ConnectionLost):
        asker.ask(**question)
    asker.thread.join(5)
    assert not asker.thread.is_alive()


def test_without_an_offer_the_login_decides(tree: Path) -> None:
    asker = Asker(None)
    asker.root(tree.parent)
    assert "outside" in asker.names("")
    asker.close()
