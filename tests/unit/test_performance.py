# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thresholds of alerts."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.migration.assistant.plugins.module_utils._performance import alerts

MEASURED = {
    "bytes_transferred": 4 << 20,
    "duration_seconds": 4.0,
    "transfer_rate_mbps": 1.0,
    "memory_usage_bytes": 64 << 20,
    "cpu_usage_percent": 40.0,
    "retry_count": 5,
}


def crossed(thresholds: t.Dict[str, t.Any], **facts: t.Any) -> t.List[str]:
    return [alert["alert"] for alert in alerts(dict(MEASURED, **facts), [], thresholds)]


def test_a_threshold_is_crossed_on_one_side_only() -> None:
    assert crossed({"low_transfer_rate": "1.5MB/s"}) == ["low_transfer_rate"]
    assert crossed({"low_transfer_rate": "0.5MB/s"}) == []
    assert crossed({"high_memory_usage": "0.001%"}) == ["high_memory_usage"]
    assert crossed({"high_memory_usage": "99%"}) == []
    assert crossed({"high_cpu_usage": "90%"}) == []
    assert crossed({"high_cpu_usage": "90%"}, cpu_usage_percent=95.0 * (os.cpu_count() or 1)) == ["high_cpu_usage"]
    assert crossed({"connection_failures": 5}) == ["connection_failures"]
    assert crossed({"connection_failures": 6}) == []


def test_a_short_or_empty_transfer_has_no_rate() -> None:
    assert crossed({"low_transfer_rate": "1.5MB/s"}, duration_seconds=0.5) == []
    assert crossed({"low_transfer_rate": "1.5MB/s"}, bytes_transferred=0, transfer_rate_mbps=0) == []


def test_the_busiest_sample_counts() -> None:
    samples = [{"cpu_usage_percent": load * (os.cpu_count() or 1)} for load in (10.0, 97.0, 20.0)]
    (alert,) = alerts(MEASURED, samples, {"high_cpu_usage": "90%"})
    assert alert["value"] == pytest.approx(97.0)
    assert "97 %" in alert["message"]


@pytest.mark.parametrize("name", ["low_transfer_rate", "high_memory_usage", "high_cpu_usage", "connection_failures"])
def test_an_unreadable_threshold_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"alerts\." + name):
        alerts({}, [], {name: "much"})
