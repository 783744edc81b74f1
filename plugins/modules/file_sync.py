#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_sync
short_description: Make a destination tree equal a source tree
version_added: 0.1.0
description:
  - Makes the contents of O(destination) equal the contents of O(source), on the host that runs the module.
  - >-
    Files, directories, symbolic links, hard links, sparse files, fifos, sockets and devices, with modes,
    owners, times to the nanosecond, extended attributes and ACLs.
  - >-
    Every file is written under a temporary name and renamed when it is complete. Both trees are walked by
    directory descriptors, so that a symbolic link planted inside them never leads outside.
  - The work is done by the Go engine, or by the Python fallback with the same result.
notes:
  - A trailing slash means nothing. The contents of the one directory become the contents of the other.
  - Entries that cannot be carried over are listed in RV(notices).
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.files
  - migration.assistant.executor
  - migration.assistant.executor.job
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  source:
    description: Directory to copy from.
    type: path
    required: true
  destination:
    description: Directory to copy to. It and its missing parents are created.
    type: path
    required: true
  method:
    description:
      - How the data of files is moved.
      - V(direct_copy) copies each file as one stream.
      - >-
        V(chunked_transfer), also called V(concurrent_chunks), copies O(parallel_chunks) ranges of O(chunk_size)
        of a large file at the same time.
      - V(auto) means V(direct_copy) here, since both sides are on one host.
    type: str
    choices: [auto, direct_copy, chunked_transfer, concurrent_chunks]
    default: auto
  compare:
    description:
      - When a file counts as unchanged.
      - V(quick) compares size and modification time. V(checksum) compares the contents.
    type: str
    choices: [quick, checksum]
    default: quick
  verify:
    description: Read every copied file back and compare it with its source.
    type: bool
    default: false
  delete:
    description:
      - Delete what the source lacks.
      - Nothing is deleted when any part of the source could not be read, or any other error happened.
    type: bool
    default: false
  max_delete:
    description: Delete nothing, and fail, if more entries than this would be deleted.
    type: int
  filters:
    description:
      - Rules in rsync's notation, such as V(- *.tmp) or V(+ /keep/***). The first one that matches decides.
      - >-
        Without O(delete) excluded entries stay in the destination, and with it too, unless a rule such as
        V(hide *.tmp) leaves them unprotected.
    type: list
    elements: str
    default: []
  preserve:
    description: What is carried over beside the contents.
    type: dict
    default: {}
    suboptions:
      permissions:
        description: Modes.
        type: bool
        default: true
      timestamps:
        description: Modification times, in nanoseconds.
        type: bool
        default: true
      owner:
        description: Owners, by number. Needs root; otherwise left out, with a notice.
        type: bool
        default: true
      group:
        description: Groups, by number.
        type: bool
        default: true
      hard_links:
        description: Hard links between files of the tree.
        type: bool
        default: true
      xattrs:
        description: Extended attributes, POSIX ACLs and file capabilities among them.
        type: bool
        default: true
      specials:
        description: Fifos, sockets and, as root, devices. Otherwise they are listed only.
        type: bool
        default: true
  parallel_files:
    description: Files that are copied at the same time.
    type: int
    default: 8
  parallel_chunks:
    description: Ranges of one large file that are copied at the same time by V(chunked_transfer).
    type: int
    default: 4
  chunk_size:
    description: Size of such a range, such as V(50MB). Units are powers of 1024. At least V(64KB).
    type: str
    default: 50MB
  buffer_size:
    description: Bytes that are read and written at once, such as V(64KB). At least V(4KB).
    type: str
    default: 256KB
  bandwidth_limit:
    description: Most bytes per second over all files, such as V(50MB/s). No limit by default.
    type: str
"""

EXAMPLES = r"""
- name: Copy a site to its new place, and check every byte
  migration.assistant.file_sync:
    source: /srv/old/www
    destination: /srv/www
    verify: true

- name: Make the copy equal, deleting at most a hundred entries
  migration.assistant.file_sync:
    source: /srv/old/www
    destination: /srv/www
    delete: true
    max_delete: 100
    filters:
      - "- /cache/***"
      - "- *.tmp"

- name: See what would change
  migration.assistant.file_sync:
    source: /srv/old/www
    destination: /srv/www
    compare: checksum
  check_mode: true
  diff: true
"""

RETURN = r"""
source:
  description: The directory that was copied from.
  returned: always
  type: str
destination:
  description: The directory that was copied to.
  returned: always
  type: str
executor:
  description: Which executor ran.
  returned: always
  type: dict
  sample: {used: go, version: 0.1.0, path: /opt/migration-engine, reason: the controller's build}
method:
  description: The method and why it was chosen.
  returned: always
  type: dict
  sample: {chosen: direct_copy, reason: both sides are on this host}
statistics:
  description: Counts of what the source holds and of what was done, sizes in bytes.
  returned: always
  type: dict
  sample: {files_total: 3000, bytes_total: 52428800, files_copied: 12, bytes_copied: 40960, deleted: 0, changes: 12}
performance:
  description: >-
    Performance facts: C(transfer_rate_mbps) in MB/s of 1048576 bytes, C(memory_usage_bytes) the peak of the
    executor, C(cpu_usage_percent) of one processor, C(duration_seconds).
  returned: always
  type: dict
samples:
  description: The same in the course of time.
  returned: always
  type: list
  elements: dict
alerts:
  description: Thresholds of O(alerts) that were crossed.
  returned: always
  type: list
  elements: dict
changes:
  description: The first hundred changed items, with what differed before and after.
  returned: always
  type: list
  elements: dict
  sample: [{action: update, kind: file, path: index.html, before: {size: 10}, after: {size: 12}}]
changes_count:
  description: Number of all changed items.
  returned: always
  type: int
changes_file:
  description: File on the host with all changed items, one JSON object per line, if there are more than a hundred.
  returned: always
  type: str
notices:
  description: What could not be carried over, or was peculiar; the first hundred.
  returned: always
  type: list
  elements: dict
notices_count:
  description: Number of all notices.
  returned: always
  type: int
error_code:
  description: What kind of failure it was, such as V(max_delete_exceeded).
  returned: failure of the job
  type: str
resumable:
  description: Whether a rerun goes on from what is done.
  returned: failure of the job
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _job_module
from ansible_collections.migration.assistant.plugins.module_utils._files import sync


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(_job_module.job_argument_spec(), **sync.ARGUMENT_SPEC),
        supports_check_mode=True,
    )
    _job_module.check_alerts(module)
    try:
        parameters, method = sync.plan(module.params)
    except sync.FileSyncError as exc:
        module.fail_json(msg=str(exc))
    facts = {"source": parameters["source"], "destination": parameters["destination"], "method": method}
    outcome = _job_module.run_job(module, "file_sync", parameters, **facts)
    module.exit_json(**facts, **_job_module.as_result(module, outcome))


if __name__ == "__main__":
    main()
