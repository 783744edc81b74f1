# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of the playbook did: as facts for machines, and as a few lines for people."""

from __future__ import annotations

import typing as t

from ansible_collections.migration.assistant.plugins.module_utils import _units
from ansible_collections.migration.assistant.plugins.module_utils._version import VERSION
from ansible_collections.migration.assistant.plugins.plugin_utils.progress_line import describe

Mapping = t.Mapping[str, t.Any]

_KEPT = (
    "source",
    "destination",
    "changed",
    "failed",
    "msg",
    "executor",
    "method",
    "statistics",
    "performance",
    "alerts",
    "notices_count",
    "changes_count",
    "changes_file",
    "verified",
    "snapshot",
    "samples",
)
_EXECUTORS = {"go": "Go engine", "python": "Python fallback"}


def run_facts(
    files: t.Mapping[str, t.Sequence[Mapping]],
    databases: t.Mapping[str, t.Sequence[Mapping]],
    check_mode: bool = False,
) -> dict[str, t.Any]:
    """The facts of a run: {version, check_mode, hosts: {HOST: {files: [...], databases: [...]}}}.

    files and databases: per host the registered results of the modules' loops. Hosts without any are left out.
    """
    hosts = {}
    for host in sorted({*files, *databases}):
        moved = {
            "files": [_kept(result) for result in files.get(host) or ()],
            "databases": [_kept(result) for result in databases.get(host) or ()],
        }
        if moved["files"] or moved["databases"]:
            hosts[host] = moved
    return {"version": VERSION, "check_mode": check_mode, "hosts": hosts}


def summary(facts: Mapping) -> list[str]:
    """A few readable lines per host: what moved, how fast, verified how."""
    lines = ["Check mode: this is what a run would do; nothing was written."] if facts["check_mode"] else []
    for host, moved in facts["hosts"].items():
        for item in moved["files"]:
            lines += [f"{host}: files {item['source']} -> {item['destination']}", *_told(_files, item, facts)]
        for item in moved["databases"]:
            lines += [f"{host}: database {item['source']} -> {item['destination']}", *_told(_rows, item, facts)]
    return lines if facts["hosts"] else ["Nothing was to be moved."]


def job_lines(jobs: t.Sequence[Mapping]) -> list[str]:
    """A line for each job that the module job_info lists."""
    return [_job_line(job) for job in jobs] or ["no jobs"]


def _job_line(job: Mapping) -> str:
    kind = str(job.get("module") or "job").rpartition(".")[2]
    where = f"{job['source']} -> {job['destination']}" if job.get("destination") else job.get("source") or ""
    parts = [f"{job['id']} {job['state']}: {kind} {where}".rstrip()]
    if job.get("state") == "running" and job.get("progress"):
        parts.append(describe(job["progress"], 0.0))
    parts.append(f"started by {job.get('started_by')}, who was last heard {job['heard_seconds_ago']:.0f} s ago")
    if job.get("cancelled"):
        parts.append(f"asked to stop: {job['cancelled']}")
    return "; ".join(parts)


def _kept(result: Mapping) -> dict[str, t.Any]:
    """What is kept of a result. One that failed before it knew its sides has those that its task gave."""
    task = (result.get("invocation") or {}).get("module_args") or result.get("file_migration_item") or {}
    sides = {side: _named(task.get(side)) for side in ("source", "destination")}
    return {**sides, **{key: result[key] for key in _KEPT if key in result}}


def _named(side: t.Any) -> str:
    """A side as it is shown: of a database its name, no password."""
    if isinstance(side, t.Mapping):
        side = side.get("database")
    return side if isinstance(side, str) else "?"


def _told(tell: t.Callable[[Mapping, bool], str], item: Mapping, facts: Mapping) -> list[str]:
    """What became of an item. Of one that failed the figures are in the facts."""
    if item.get("failed"):
        return [f"  FAILED: {item.get('msg')}"]
    return [f"  {tell(item, facts['check_mode'])}", *_footnotes(item)]


def _files(item: Mapping, check_mode: bool) -> str:
    counts, speed = item.get("statistics") or {}, item.get("performance") or {}
    held = f"{counts.get('files_total', 0)} files, {_units.format_size(counts.get('bytes_total', 0))}"
    newer = counts.get("files_newer", 0)
    if not item.get("changed"):
        state = f"{newer} newer at the destination, the rest already equal" if newer else "already equal"
        return f"{held}: {state}, nothing changed (compared in {_seconds(speed)})"
    done = f"{held}: {counts.get('files_copied', 0)} copied"
    if not check_mode:
        done += f" in {_seconds(speed)}"
    if counts.get("bytes_copied") and not check_mode:
        done += f" ({speed.get('transfer_rate_mbps', 0):.1f} MB/s)"
    made = sum(counts.get(f"{kind}_created", 0) for kind in ("directories", "symlinks", "hard_links", "specials"))
    if made and not counts.get("files_copied"):
        done += f", {made} directories, links or special files made"
    if counts.get("metadata_updated"):
        done += f", metadata of {counts['metadata_updated']} changed"
    if counts.get("deleted"):
        done += f", {counts['deleted']} entries deleted"
    if newer:
        done += f", {newer} newer at the destination and left alone"
    if check_mode:
        return done
    verified = counts.get("files_verified", 0)
    return done + (f"; {verified} read back and compared" if verified else "; not verified")


def _rows(item: Mapping, check_mode: bool) -> str:
    counts, speed = item.get("statistics") or {}, item.get("performance") or {}
    held = f"{counts.get('rows_total', 0)} rows in {counts.get('tables', 0)} tables"
    if not item.get("changed"):
        return f"{held}: already equal, nothing changed (compared in {_seconds(speed)})"
    written = ", ".join(
        f"{counts[f'rows_{what}']} {what}" for what in ("inserted", "updated", "deleted") if counts.get(f"rows_{what}")
    )
    done = f"{held}: {written or 'no row changed'}"
    if check_mode:
        return done
    done += f" in {_seconds(speed)} ({speed.get('rows_per_second', 0):.0f} rows/s)"
    verified = item.get("verified") or {}
    level = verified.get("level", "none")
    return done + (f"; verified: {level}, {verified.get('rows', 0)} rows" if level != "none" else "; not verified")


def _footnotes(item: Mapping) -> list[str]:
    executor = item.get("executor") or {}
    used = executor.get("used", "")
    notes = [f"  by the {_EXECUTORS.get(used, used)} {executor.get('version', '')} ({executor.get('reason', '')})"]
    notes += [f"  ALERT: {alert['message']}" for alert in item.get("alerts") or ()]
    if item.get("notices_count"):
        notes.append(f"  {item['notices_count']} notices, see the facts")
    return notes


def _seconds(performance: Mapping) -> str:
    return _units.format_duration(performance.get("duration_seconds", 0))
