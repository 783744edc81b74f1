# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts and the lines that the playbook ends with."""

from __future__ import annotations

import typing as t

from ansible_collections.migration.assistant.plugins.plugin_utils.report import job_lines, run_facts, summary

FILES: dict[str, t.Any] = {
    "source": "/old",
    "destination": "/new",
    "changed": True,
    "executor": {"used": "go", "version": "0.1.0", "reason": "the controller's build"},
    "statistics": {"files_total": 3, "bytes_total": 2048, "files_copied": 2, "bytes_copied": 1024, "files_verified": 2},
    "performance": {"duration_seconds": 0.5, "transfer_rate_mbps": 12.25},
    "alerts": [{"message": "too slow"}],
    "notices_count": 1,
    "invocation": {"module_args": {"secret": "never"}},
}
DATABASE: dict[str, t.Any] = {
    "source": "/old.db",
    "destination": "/new.db",
    "changed": True,
    "executor": {"used": "python", "version": "0.1.0", "reason": "MIGRATION_USE_GO_ENGINE is false"},
    "statistics": {"rows_total": 10, "tables": 2, "rows_inserted": 4, "rows_deleted": 1},
    "performance": {"duration_seconds": 2, "rows_per_second": 5},
    "verified": {"level": "full", "rows": 10},
}


def test_the_facts_hold_what_was_measured_and_nothing_else() -> None:
    facts = run_facts({"web": [FILES], "idle": []}, {"web": [], "db": [DATABASE]})
    assert list(facts["hosts"]) == ["db", "web"]
    assert facts["hosts"]["web"]["files"][0]["statistics"] == FILES["statistics"]
    assert "never" not in str(facts)


def test_the_summary_says_what_moved_how_fast_and_verified_how() -> None:
    assert summary(run_facts({"web": [FILES]}, {"db": [DATABASE]})) == [
        "db: database /old.db -> /new.db",
        "  10 rows in 2 tables: 4 inserted, 1 deleted in 2 s (5 rows/s); verified: full, 10 rows",
        "  by the Python fallback 0.1.0 (MIGRATION_USE_GO_ENGINE is false)",
        "web: files /old -> /new",
        "  3 files, 2.0 KB: 2 copied in 0.5 s (12.2 MB/s); 2 read back and compared",
        "  by the Go engine 0.1.0 (the controller's build)",
        "  ALERT: too slow",
        "  1 notices, see the facts",
    ]


def test_files_that_were_left_alone_are_told() -> None:
    item = dict(FILES, statistics=dict(FILES["statistics"], files_newer=1), alerts=[], notices_count=0)
    told = summary(run_facts({"a": [item, dict(item, changed=False)]}, {}))
    assert told[1].endswith(
        ": 2 copied in 0.5 s (12.2 MB/s), 1 newer at the destination and left alone; 2 read back and compared"
    )
    assert ": 1 newer at the destination, the rest already equal, nothing changed" in told[4]


def test_what_changes_without_a_copy_is_told() -> None:
    counts = {"files_total": 3, "bytes_total": 2048, "metadata_updated": 2, "symlinks_created": 1}
    told = summary(run_facts({"a": [dict(FILES, statistics=counts, alerts=[], notices_count=0)]}, {}))
    assert ": 0 copied in 0.5 s, 1 directories, links or special files made, metadata of 2 changed" in told[1]


def test_an_unchanged_run_says_so() -> None:
    unchanged = [dict(item, changed=False, alerts=[], notices_count=0) for item in (FILES, DATABASE)]
    lines = summary(run_facts({"a": unchanged[:1]}, {"a": unchanged[1:]}))
    assert lines[1] == "  3 files, 2.0 KB: already equal, nothing changed (compared in 0.5 s)"
    assert lines[4] == "  10 rows in 2 tables: already equal, nothing changed (compared in 2 s)"


def test_check_mode_says_that_nothing_was_written() -> None:
    lines = summary(run_facts({"a": [FILES]}, {"a": [DATABASE]}, True))
    assert lines[0] == "Check mode: this is what a run would do; nothing was written."
    assert lines[2] == "  3 files, 2.0 KB: 2 copied"
    assert lines[7] == "  10 rows in 2 tables: 4 inserted, 1 deleted"


def test_nothing_to_move() -> None:
    assert summary(run_facts({}, {})) == ["Nothing was to be moved."]


def test_a_line_for_each_job() -> None:
    job = {
        "id": "3f2a",
        "state": "running",
        "module": "migration.assistant.file_sync",
        "source": "/srv/a",
        "destination": "/srv/b",
        "started_by": "alice@controller",
        "heard_seconds_ago": 1.7,
        "progress": {"phase": "copy", "items_done": 3, "items_total": 9, "bytes_done": 0, "bytes_total": 0},
        "cancelled": "",
    }
    assert job_lines([job]) == [
        "3f2a running: file_sync /srv/a -> /srv/b; copying, 3 so far;"
        " started by alice@controller, who was last heard 2 s ago"
    ]
    ended = dict(job, state="finished", destination=None, cancelled="enough")
    assert job_lines([ended]) == [
        "3f2a finished: file_sync /srv/a; started by alice@controller, who was last heard 2 s ago;"
        " asked to stop: enough"
    ]
    assert job_lines([]) == ["no jobs"]


def test_what_failed_is_told_by_its_reason_and_by_what_its_task_gave() -> None:
    early = {"failed": True, "msg": "source: there is no such file", "file_migration_item": {"source": "/a"}}
    secret = {"source": {"database": "shop", "password": "never"}, "destination": {"url": "sqlite:///x"}}
    late = {"failed": True, "msg": "the disk is full", "changed": True, "invocation": {"module_args": secret}}
    facts = run_facts({"web": [early]}, {"web": [late]})
    assert summary(facts) == [
        "web: files /a -> ?",
        "  FAILED: source: there is no such file",
        "web: database shop -> ?",
        "  FAILED: the disk is full",
    ]
    assert "never" not in str(facts)
