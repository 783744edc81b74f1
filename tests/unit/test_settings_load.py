# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.migration.assistant.plugins.module_utils._settings import (
    SettingsError,
    load_file,
    load_text,
)


def test_a_section_that_stands_twice_is_merged_at_every_level() -> None:
    loaded = load_text(
        "network_optimization:\n"
        "  keep_alive: true\n"
        "  compression: {enabled: true}\n"
        "performance: {}\n"
        "network_optimization:\n"
        "  max_bandwidth: 50\n"
        "  compression: {level: 6}\n",
        "config.yml",
    )
    assert loaded.tree == {
        "network_optimization": {
            "keep_alive": True,
            "compression": {"enabled": True, "level": 6},
            "max_bandwidth": 50,
        },
        "performance": {},
    }
    assert loaded.notes == []


def test_of_a_value_that_stands_twice_the_last_counts_with_a_note() -> None:
    loaded = load_text("a:\n  b: 1\n  c: same\na:\n  b: 2\n  c: same\n", "config.yml")
    assert loaded.tree == {"a": {"b": 2, "c": "same"}}
    assert loaded.notes == ["a.b stands in lines 2, 5 of config.yml; the last one counts"]


def test_a_note_does_not_show_the_value() -> None:
    assert "hunter2" not in load_text("password: hunter2\npassword: hunter3\n", "config.yml").notes[0]


def test_anchors_and_merge_keys_keep_their_meaning() -> None:
    loaded = load_text(
        "base: &base {level: 6, nested: {x: 1}}\nother:\n  <<: *base\n  level: 9\n  nested: {y: 2}\nagain: *base\n", "c"
    )
    assert loaded.tree["other"] == {"level": 9, "nested": {"y": 2}}
    assert loaded.tree["again"] == {"level": 6, "nested": {"x": 1}}
    assert loaded.notes == []


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
def test_a_file_without_contents_is_an_empty_configuration(content: str) -> None:
    assert load_text(content, "config.yml").tree == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: [1\nc: 2\n", "config.yml, line 3, column 2: not valid YAML"),
        ("a: 1\n\tb: 2\n", "config.yml, line 2, column 1: not valid YAML"),
        ("- a\n- b\n", "config.yml, line 1: must be a mapping of sections such as 'performance:'"),
        ("a: 1\n---\nb: 2\n", "config.yml, line 2, column 1: not valid YAML"),
        ("a: 1\nb: !vault x\n", "config.yml, line 2, column 4: not valid YAML: !vault is not supported inside"),
        ("a: 1\nb: !!python/object:os.system x\n", "config.yml, line 2, column 4: not valid YAML"),
        ("a: 1\n5: 2\n", "config.yml, line 2: the key 5 must be a text; put it in quotes"),
        ("a: 1\n? [x]\n: 2\n", "config.yml, line 2: a sequence cannot stand here"),
        ("a: 1\nb: &b [*b]\n", "config.yml, line 2: an alias contains itself"),
        ("a: 1\nb: *missing\n", "config.yml, line 2, column 4: not valid YAML"),
        ("a: 1\nb: 2024-99-99\n", "config.yml, line 2: not valid YAML"),
        ("a: 1\nb: \x07\n", "config.yml, line 2: not valid YAML"),
        ("a: 1\nb: {<<: 5}\n", "config.yml, line 2: << must name a mapping"),
    ],
)
def test_what_is_no_configuration_is_one_error_with_its_line(content: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_text(content, "config.yml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_aliases_that_grow_without_bound_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(SettingsError, match=r"^config.yml: not usable: more than \d+ values$"):
        load_text("\n".join(lines), "config.yml")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^config.yml: not usable: nested too deeply$"):
        load_text("[" * 5000, "config.yml")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(b"\xef\xbb\xbfperformance: {use_go_engine: true}\n")
    assert load_file(str(path)).tree == {"performance": {"use_go_engine": True}}
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(SettingsError, match=r"^config.yml, line 2: not valid UTF-8$"):
        load_file(str(path), "config.yml")
    with pytest.raises(SettingsError, match=r"^nowhere.yml: unable to read the configuration: No such file"):
        load_file(str(tmp_path / "nowhere.yml"), "nowhere.yml")


_VALUES: st.SearchStrategy[t.Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_yaml_without_repetitions_means_what_yaml_says(tree: dict[str, t.Any]) -> None:
    loaded = load_text(yaml.safe_dump(tree), "config.yml")
    assert loaded.tree == tree
    assert loaded.notes == []


@given(st.text(alphabet=st.sampled_from("ab: -\n[]{}&*!<?|>'\"#,\t%@0.~é")))
def test_any_text_is_read_or_refused_in_one_line(content: str) -> None:
    try:
        assert isinstance(load_text(content, "config.yml").tree, dict)
    except SettingsError as exc:
        assert str(exc).startswith("config.yml") and len(str(exc).splitlines()) == 1
