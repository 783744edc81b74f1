# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules mean what they mean to rsync itself, asked on the same trees."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._fallback.filters import Filters, check_filter
from ansible_collections.migration.assistant.plugins.module_utils._files import filters
from ansible_collections.migration.assistant.plugins.module_utils._files.preflight import FileSyncError

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

FILES = (
    "foo",
    "bar",
    "foo.o",
    "foobar",
    "a/foo",
    "a/foo.o",
    "a/b/foo",
    "a/b/bar/foo",
    "a/b/bar/x-y",
    "a/bar/foo/deep",
    "b/foo/one",
    "b/foo/two/three",
    "b/bar.d/foo.o",
    "A/B",
    "cache/keep/file",
    "cache/drop/file",
    "logs/app.log",
    "logs/app.log.1",
    "logs/2026/app.log",
    "odd/with space",
    "odd/star*name",
    "odd/back\\slash",
    "odd/[bracket]",
    "odd/new\nline",
    "odd/-dash",
    "odd/tab\there",
    ".hidden/file",
    ".profile",
)

RULES: t.Tuple[t.Tuple[str, ...], ...] = (
    ("- foo",),
    ("- foo/",),
    ("- /foo",),
    ("- /a/foo",),
    ("- a/foo",),
    ("- b/bar/foo",),
    ("- *.o",),
    ("- /*.o",),
    ("- fo?",),
    ("- foo*",),
    ("- *",),
    ("- */",),
    ("- /*/",),
    ("- */foo",),
    ("- /*/foo",),
    ("- */*/foo",),
    ("- **",),
    ("- **/foo",),
    ("- **foo",),
    ("- **/foo/",),
    ("- /**/foo",),
    ("- a/**",),
    ("- /a/**",),
    ("- a/**/foo",),
    ("- /a**foo",),
    ("- a**foo",),
    ("- foo/***",),
    ("- /b/foo/***",),
    ("- b/***",),
    ("- ***",),
    ("- /***",),
    ("- foo***",),
    ("- **/***",),
    ("- b**/***",),
    ("- foo/**",),
    ("- [a-c]ar",),
    ("- [!f]*",),
    ("- [^f]*",),
    ("- [[:upper:]]",),
    ("- *[[:digit:]]",),
    ("- *[[:space:]]*",),
    ("- *[[:cntrl:]]*",),
    ("- *[[:punct:]]*",),
    ("- [b-a]*",),
    ("- a[/x]foo",),
    ("- a[.-0]foo",),
    ("- a?foo",),
    ("- []x-]*",),
    ("- [\\[]*",),
    ("- star\\*name",),
    ("- star\\*nam?",),
    ("- star[*]name",),
    ("- back\\slash",),
    ("- back\\\\slas?",),
    ("- back\\slas?",),
    ("- with space",),
    ("- with*",),
    ("- new*line",),
    ("- **line",),
    ("-_foo",),
    ("-  foo",),
    ("- foo ",),
    ("- .*",),
    ("exclude foo",),
    ("exclude_foo",),
    ("hide foo", "protect bar"),
    ("H *.o",),
    ("P *.o",),
    ("protect,_*.o",),
    ("R foo", "P foo*"),
    ("risk foo", "- foo"),
    ("S foo", "- foo"),
    ("show foo", "H foo*"),
    ("+ */", "+ *.o", "- *"),
    ("+ /cache/", "+ /cache/keep/***", "- /cache/*"),
    ("+ keep/", "- cache/*"),
    ("- *.log", "+ app.log"),
    ("+ app.log", "- *.log*"),
    ("include /a/", "exclude /a/*", "- /b"),
    ("- foo", "!", "- bar"),
    ("- foo", "clear", "- bar"),
    ("# a comment", "", "- bar\n"),
    ("-/ /*",),
)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> t.Tuple[Path, Path]:
    """A tree, and an empty directory."""
    base = tmp_path_factory.mktemp("filters")
    for name in FILES:
        path = base / "full" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (base / "empty").mkdir()
    return base / "full", base / "empty"


def rsync(rules: t.Sequence[str], *arguments: str) -> t.Set[str]:
    """Paths that rsync transfers and deletes."""
    command = ["rsync", "-r8", "--out-format=%o%n", "--delete"]
    for rule in rules:
        if rule.strip() and not rule.startswith("#"):
            command.append("--filter=" + rule.rstrip("\n"))
    # A filter may leave a directory that is not empty: rsync says so, and goes on.
    done = subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = set()
    for line in os.fsdecode(done.stdout).splitlines():
        path = re.sub(r"\\#(\d{3})", lambda match: chr(int(match.group(1), 8)), line)
        for operation in ("send", "del."):
            if path.startswith(operation):
                found.add(path[len(operation) :].rstrip("/"))
    return found - {".", ""}


def compiled(rules: t.Sequence[str], source: Path, destination: Path) -> Filters:
    parsed = filters.parse(rules, str(source), str(destination))
    return Filters([check_filter(rule, "rule") for rule in parsed])


def transferred(rules: Filters, root: Path, below: str = "") -> t.Set[str]:
    found = set()
    for entry in os.scandir(root / below):
        path = below + entry.name
        if rules.hides(path, entry.is_dir()):
            continue
        found.add(path)
        if entry.is_dir():
            found |= transferred(rules, root, path + "/")
    return found


def deleted(rules: Filters, root: Path, below: str = "") -> t.Set[str]:
    found = set()
    for entry in os.scandir(root / below):
        path = below + entry.name
        if rules.protects(path, entry.is_dir()):
            continue
        if entry.is_dir():
            inside = deleted(rules, root, path + "/")
            found |= inside
            if len([name for name in inside if "/" not in name[len(path) + 1 :]]) < len(os.listdir(root / path)):
                continue
        found.add(path)
    return found


@needs_rsync
@pytest.mark.parametrize("rules", RULES, ids=" ".join)
def test_same_entries_are_transferred(rules: t.Tuple[str, ...], trees: t.Tuple[Path, Path]) -> None:
    full, empty = trees
    assert transferred(compiled(rules, full, empty), full) == rsync(rules, "-n", "%s/" % full, "%s/" % empty)


@needs_rsync
@pytest.mark.parametrize("rules", RULES, ids=" ".join)
def test_same_entries_are_deleted(rules: t.Tuple[str, ...], trees: t.Tuple[Path, Path], tmp_path: Path) -> None:
    full, empty = trees
    victim = shutil.copytree(full, tmp_path / "victim")
    expected = deleted(compiled(rules, empty, victim), victim)
    # Not a dry run: that one does not notice directories that are not empty.
    assert expected == rsync(rules, "%s/" % empty, "%s/" % victim)


@needs_rsync
def test_generated_patterns_match_the_same_entries(trees: t.Tuple[Path, Path]) -> None:
    full, empty = trees
    chance = random.Random(20260101)
    pieces = ["foo", "a", "b", "bar", "/", "/", "*", "**", "***", "?", "[a-c]", "[!a]", ".o", "\\*", "\\o", "o"]
    for _round in range(200):
        pattern = "".join(chance.choice(pieces) for _piece in range(chance.randint(1, 6)))
        # Doubled slashes can match nothing, and are no pattern that anyone means.
        rules = ("- " + re.sub("/+", "/", pattern),)
        assert transferred(compiled(rules, full, empty), full) == rsync(rules, "-n", "%s/" % full, "%s/" % empty), rules


@needs_rsync
@pytest.mark.parametrize("pattern", ["{}/a/foo", "{}/*.o", "{}/a/", "{}/b/**", "{}", "/*/nothing", "{}*/a/foo"])
@pytest.mark.parametrize("action", ["-", "exclude,", "H", "P"])
def test_absolute_patterns(action: str, pattern: str, trees: t.Tuple[Path, Path], tmp_path: Path) -> None:
    full, empty = trees
    victim = shutil.copytree(full, tmp_path / "victim")
    rules = ("%s/ %s" % (action, pattern.format(full)),)
    assert transferred(compiled(rules, full, empty), full) == rsync(rules, "-n", "%s/" % full, "%s/" % empty)
    rules = ("%s/ %s" % (action, pattern.format(victim)),)
    expected = deleted(compiled(rules, empty, victim), victim)
    assert expected == rsync(rules, "%s/" % empty, "%s/" % victim)


def test_shape_of_a_filter() -> None:
    assert filters.parse(["- /cache/"]) == [
        {"action": "exclude", "regex": "cache", "directories_only": True, "rule": "- /cache/"}
    ]


def test_absolute_patterns_without_a_destination() -> None:
    assert [rule["action"] for rule in filters.parse(["-/ /srv/www/cache", "P/ /srv/www/x"], "/srv/www/")] == ["hide"]


def test_two_stars_are_refused_only_where_they_may_mean_a_root() -> None:
    assert filters.parse(["-/ /home/**/cache"], "/srv/www", "/mnt") == []
    with pytest.raises(FileSyncError, match=r"\*\* in the path of a directory itself is not supported"):
        filters.parse(["-/ /srv/**/cache"], "/srv/www", "/mnt")


def test_letters_of_any_alphabet_are_one_character() -> None:
    rules = Filters([check_filter(rule, "rule") for rule in filters.parse(["- gr?n", "- [ä-ü]*"])])
    assert rules.hides("grün", False)
    assert rules.hides("ölung", False)
    assert not rules.hides("grn", False)


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        (". /etc/rules", "rules from files"),
        (": .rsync-filter", "rules from files"),
        ("merge /etc/rules", "rules from files"),
        ("dir-merge .rsync-filter", "rules from files"),
        ("-! */", "modifier '!'"),
        ("-s *.o", "modifier 's'"),
        ("-C", "modifier 'C'"),
        ("-foo", "modifier 'f'"),
        ("*.o", "begin it with"),
        ("exclud foo", "begin it with"),
        ("-", "no pattern"),
        ("- ", "no pattern"),
        ("! foo", "takes no pattern"),
        ("- [a", "no ]"),
        ("- [[:letter:]]", "unknown class"),
        ("- *\\", "backslash"),
        ("- caf\udce9", "UTF-8"),
        ("-/ /srv/*", "no directories are given"),
    ],
)
def test_rules_that_cannot_be_used_are_named(rule: str, part: str) -> None:
    with pytest.raises(FileSyncError) as caught:
        filters.parse(["- fine", rule])
    assert part in str(caught.value)
    assert "filters" in str(caught.value)
    assert repr(rule) in str(caught.value)
