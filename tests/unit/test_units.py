# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.migration.assistant.plugins.module_utils import _units

Parser = t.Callable[[t.Any, str], float]
PARSERS: tuple[Parser, ...] = (
    _units.parse_size,
    _units.parse_rate,
    _units.parse_percentage,
    _units.parse_duration,
    _units.parse_count,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50MB", 52428800),
        ("64KB", 65536),
        ("64kb", 65536),
        ("1.5 GiB", 1610612736),
        ("2G", 2147483648),
        ("0", 0),
        ("12B", 12),
        (" 10485760 ", 10485760),
        (10485760, 10485760),
        (10485760.0, 10485760),
        ("0.3KB", 307),
        ("1TB", 1099511627776),
    ],
)
def test_sizes(text: t.Any, size: t.Any) -> None:
    assert _units.parse_size(text, "chunk_size") == size


@pytest.mark.parametrize(
    "value",
    [
        "50 parsecs",
        "",
        "MB",
        "-1",
        "-5MB",
        "1.5",
        "1.5B",
        "5MBs",
        "1e3",
        "٥MB",
        "50MB/s",
        "1 2",
        True,
        None,
        1.5,
        -1,
        [],
        {},
    ]
    + [float("nan"), float("inf"), "9" * 40],
)
def test_what_is_no_size_is_refused_in_one_line(value: t.Any) -> None:
    with pytest.raises(ValueError) as caught:
        _units.parse_size(value, "chunk_size")
    message = str(caught.value)
    assert message.startswith("chunk_size: ") and "\n" not in message and len(message) < 200


def test_the_message_names_option_value_and_what_is_allowed() -> None:
    with pytest.raises(ValueError) as caught:
        _units.parse_size("50 parsecs", "chunk_size")
    assert str(caught.value) == (
        "chunk_size: '50 parsecs' is not a size; give bytes or a number with B, KB, MB, GB, TB, such as 50MB"
    )


def test_bounds_are_named_in_the_units_of_the_option() -> None:
    with pytest.raises(ValueError, match=r"^chunk_size: '1KB' is too small; the least is 64KB$"):
        _units.parse_size("1KB", "chunk_size", minimum=65536)
    with pytest.raises(ValueError, match=r"^packet: '2GB' is too great; the most is 1GB$"):
        _units.parse_size("2GB", "packet", maximum=_units.GB)
    with pytest.raises(ValueError, match=r"^chunk_size: '9999999TB' is too great"):
        _units.parse_size("9999999TB", "chunk_size")
    with pytest.raises(ValueError, match=r"^workers: 0 is too small; the least is 1$"):
        _units.parse_count(0, "workers", minimum=1)
    with pytest.raises(ValueError, match=r"^interval: 0 is too small; the least is 1 s$"):
        _units.parse_duration(0, "interval", minimum=1)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("10MB/s", 10485760),
        ("10 MiB / s", 10485760),
        ("400Mbit/s", 50000000),
        ("1 Gbit/s", 125000000),
        ("8kbit", 1000),
        ("100B/s", 100),
        ("0", 0),
        (4096, 4096),
        ("0.5MB/s", 524288),
    ],
)
def test_rates(value: t.Any, rate: t.Any) -> None:
    assert _units.parse_rate(value, "bandwidth_limit") == rate


@pytest.mark.parametrize(("value", "rate"), [(50, 52428800), ("50", 52428800), (0.5, 524288), ("10KB/s", 10240)])
def test_a_bare_rate_has_the_unit_of_its_option(value: t.Any, rate: t.Any) -> None:
    assert _units.parse_rate(value, "max_bandwidth", bare="MB") == rate


@pytest.mark.parametrize("value", ["10MB", "10MB/h", "fast", "10Mb/s", "1k", True, -1, ""])
def test_what_is_no_rate_is_refused(value: t.Any) -> None:
    with pytest.raises(ValueError, match=r"^bandwidth_limit: .*Mbit/s"):
        _units.parse_rate(value, "bandwidth_limit")


@pytest.mark.parametrize(("value", "percentage"), [("80%", 80), ("80 %", 80), ("80", 80), (80, 80), ("0.5%", 0.5)])
def test_percentages(value: t.Any, percentage: t.Any) -> None:
    assert _units.parse_percentage(value, "high_memory_usage") == percentage


@pytest.mark.parametrize("value", ["101%", "-1%", "%", "80%%", True, "a lot"])
def test_what_is_no_percentage_is_refused(value: t.Any) -> None:
    with pytest.raises(ValueError, match="is not a percentage; give a number from 0 to 100 with %, such as 80%$"):
        _units.parse_percentage(value, "high_memory_usage")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("24h", 86400),
        ("30s", 30),
        (60, 60),
        ("60", 60),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1 h 30 min", 5400),
        ("2d", 172800),
    ],
)
def test_durations(value: t.Any, seconds: t.Any) -> None:
    assert _units.parse_duration(value, "interval") == seconds


@pytest.mark.parametrize("value", ["1h30", "soon", "5 years", "-5s", "", True, None, "h"])
def test_what_is_no_duration_is_refused(value: t.Any) -> None:
    with pytest.raises(ValueError, match="^interval: .* is not a duration; give seconds or a number with"):
        _units.parse_duration(value, "interval")


@pytest.mark.parametrize(("value", "count"), [(8, 8), ("8", 8), (8.0, 8), ("0", 0)])
def test_counts(value: t.Any, count: t.Any) -> None:
    assert _units.parse_count(value, "parallel_files") == count


@pytest.mark.parametrize("value", ["8.5", 8.5, "eight", True, "1_000", "-1", None])
def test_what_is_no_count_is_refused(value: t.Any) -> None:
    with pytest.raises(ValueError, match="^parallel_files: .* is not a whole number; give 1 to 64$"):
        _units.parse_count(value, "parallel_files", minimum=1, maximum=64)


def test_targets() -> None:
    assert _units.parse_target("< 80%", "cpu_usage", _units.parse_percentage) == ("<", 80.0)
    assert _units.parse_target("<=4GB", "memory_usage", _units.parse_size) == ("<=", 4 * _units.GB)
    rate = _units.parse_target("10MB/s", "transfer_rate", _units.parse_rate, operator=">=")
    assert rate == _units.Target(">=", 10485760)
    assert rate.met_by(10485760) and not rate.met_by(10485759)
    assert _units.Target("<", 80.0).met_by(79.9) and not _units.Target("<", 80.0).met_by(80.0)
    with pytest.raises(ValueError, match="^cpu_usage: 'plenty' is not a percentage"):
        _units.parse_target("< plenty", "cpu_usage", _units.parse_percentage)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (16588, "16.2 KB"), (1048575, "1.0 MB"), (1610612736, "1.5 GB")],
)
def test_sizes_for_people(size: t.Any, text: t.Any) -> None:
    assert _units.format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.44, "0.4 s"), (59.96, "1 min"), (75.2, "1 min 15 s"), (7200, "2 h"), (273600, "3 d 4 h")],
)
def test_durations_for_people(seconds: t.Any, text: t.Any) -> None:
    assert _units.format_duration(seconds) == text


@given(st.integers(0, _units.LARGEST))
def test_exact_texts_are_read_back_exactly(number: t.Any) -> None:
    assert _units.parse_size(_units.size_text(number), "x") == number
    assert _units.parse_rate(_units.rate_text(number), "x") == number


@given(st.integers(0, _units.LARGEST // 2))
def test_texts_for_people_are_read_back_closely(number: t.Any) -> None:
    assert abs(_units.parse_size(_units.format_size(number), "x") - number) <= number / 20 + 1
    assert abs(_units.parse_rate(_units.format_rate(number), "x") - number) <= number / 20 + 1


@given(st.floats(0, 10**9))
def test_durations_for_people_are_read_back_closely(seconds: t.Any) -> None:
    assert abs(_units.parse_duration(_units.format_duration(seconds), "x") - seconds) <= 0.51


@given(st.floats(0, 100))
def test_percentages_are_read_back_exactly(percentage: t.Any) -> None:
    if "e" not in repr(percentage):
        assert _units.parse_percentage(_units.percentage_text(percentage), "x") == percentage


@given(
    st.one_of(
        st.text(),
        st.floats(),
        st.integers(),
        st.none(),
        st.booleans(),
        st.from_regex(r"[<>=]?\s*[0-9.]{1,9}\s?[A-Za-z%/]{0,6}"),
    )
)
def test_any_value_is_read_or_refused_in_one_line(value: t.Any) -> None:
    for parse in PARSERS:
        for read in (parse, _target_reader(parse)):
            try:
                assert read(value, "option") >= 0
            except ValueError as exc:
                assert str(exc).startswith("option: ") and len(str(exc).splitlines()) == 1


def _target_reader(parse: Parser) -> Parser:
    return lambda value, option: _units.parse_target(value, option, parse).value
