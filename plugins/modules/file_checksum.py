#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_checksum
short_description: Write the checksums of a tree to a manifest, or verify a tree by one
version_added: 0.1.0
description:
  - Computes the checksum of every regular file of a tree, several files at a time.
  - >-
    With O(state=present) it writes them to a manifest, which the command-line tools C(sha256sum), C(b3sum) and
    C(xxhsum) can check too, in the directory O(path). With O(state=verified) it compares the tree with a manifest,
    and fails if they differ.
  - >-
    A manifest is a line for each file, sorted by name, with the checksum and the path relative to O(path).
    Symbolic links and special files are not listed; nor are the manifest itself and the temporary files of this
    collection, where they lie in the tree.
  - The work is done by the Go engine, or by the Python fallback with the same result.
notes:
  - O(checksum_cache) counts for O(state=present). O(state=verified) reads all files, whatever is remembered.
  - >-
    The manifest is written under a temporary name and renamed when it is complete. If any file cannot be read, the task
    fails, lists all such files in RV(notices), and leaves the manifest that is there.
  - >-
    Names with a backslash, a line feed or a carriage return are written as C(sha256sum) writes them. Not every release
    of C(b3sum) and C(xxhsum) can read these lines, and C(b3sum) reads no names that are not UTF-8; this module reads
    all of them.
  - A new manifest gets the mode that the umask allows; one that is replaced keeps its mode.
  - >-
    The Python fallback needs the Python library C(blake3) or C(xxhash) on the host for these algorithms. Check mode
    brings no engine to a host, and so may need them where a run does not.
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.files
  - migration.assistant.checksum_cache
  - migration.assistant.executor
  - migration.assistant.executor.job
  - migration.assistant.executor.writing_job
attributes:
  check_mode:
    support: full
  diff_mode:
    support: partial
    details: Shows the number of files and the size of the manifest.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  path:
    description: Directory whose files are read.
    type: path
    required: true
  manifest:
    description:
      - File on the host that lists the checksums. It must be a regular file, and its directory must exist.
      - Its name is not followed if it is a symbolic link.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that the manifest is there, and lists what O(path) holds now.
      - V(verified) makes sure that O(path) holds what the manifest lists. It changes nothing.
    type: str
    choices: [present, verified]
    default: present
  algorithm:
    description:
      - Kind of the checksums. V(xxh3) is the one of 128 bits, as of C(xxh128sum); it is no protection against intent.
      - Without it, V(sha256) with O(state=present). With O(state=verified) it is found out from the manifest.
    type: str
    choices: [sha256, blake3, xxh3]
  unexpected:
    description: Whether files that the manifest does not list make O(state=verified) fail, or are only reported.
    type: str
    choices: [fail, report]
    default: fail
  filters:
    description:
      - Rules in rsync's notation, as in M(migration.assistant.file_sync).
      - What they exclude is neither listed nor verified.
    type: list
    elements: str
    default: []
  parallel_files:
    description: Files that are read at the same time.
    type: int
    default: 8
  buffer_size:
    description: Bytes that are read at once, such as V(64KB). From V(4KB) to V(1GB).
    type: str
    default: 256KB
"""

EXAMPLES = r"""
- name: Note what the site holds
  migration.assistant.file_checksum:
    path: /srv/www
    manifest: /var/lib/site/www.sha256
    filters:
      - "- /cache/***"

- name: See whether it still does
  migration.assistant.file_checksum:
    path: /srv/www
    manifest: /var/lib/site/www.sha256
    state: verified
    filters:
      - "- /cache/***"

- name: See whether a copy is whole, whatever else there is
  migration.assistant.file_checksum:
    path: /srv/copy
    manifest: /srv/copy/SHA256SUMS
    state: verified
    unexpected: report
"""

RETURN = r"""
path:
  description: The directory whose files were read.
  returned: always
  type: str
manifest:
  description: The file that lists the checksums.
  returned: always
  type: str
differences:
  description: >-
    The first hundred differences between the tree and the manifest. C(difference) is V(missing) for a file that is
    listed and not there, V(mismatched) for one that is there with another content, and V(unexpected) for one that is
    not listed.
  returned: with O(state=verified)
  type: list
  elements: dict
  sample:
    - difference: mismatched
      path: index.html
      expected: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
      found: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
differences_count:
  description: Number of all differences.
  returned: with O(state=verified)
  type: int
differences_file:
  description: File on the host with all differences, one JSON object per line, if there are more than a hundred.
  returned: when there are differences
  type: str
statistics:
  description: >-
    The algorithm, and counts of what there is and of what was read, sizes in bytes. With O(state=verified) also of the
    files that are listed, and of each kind of difference.
  returned: success, and failure of the job
  type: dict
  sample:
    {algorithm: sha256, files_total: 3000, files_hashed: 2990, bytes_hashed: 52428800, checksums_cached: 10, skipped: 2}
executor:
  description: Which executor ran.
  returned: always
  type: dict
  sample: {used: go, version: 0.1.0, path: /opt/migration-engine, reason: the controller's build}
performance:
  description: >-
    Performance facts: C(bytes_transferred) are the bytes read, C(transfer_rate_mbps) is in MB/s of 1048576 bytes,
    C(memory_usage_bytes) the peak of the executor, C(cpu_usage_percent) of one processor, C(duration_seconds).
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
  description: The manifest, if it was written, with its size and the number of its files before and after.
  returned: always
  type: list
  elements: dict
  sample: [{action: create, kind: file, path: /var/lib/site/www.sha256, after: {files: 3000, size: 312000}}]
changes_count:
  description: Number of changes.
  returned: always
  type: int
changes_file:
  description: Always none; there is only one change.
  returned: always
  type: str
notices:
  description: Files that could not be read, or changed meanwhile; the first hundred.
  returned: always
  type: list
  elements: dict
notices_count:
  description: Number of all notices.
  returned: always
  type: int
error_code:
  description: What kind of failure it was, such as V(verification_failed) or V(manifest_invalid).
  returned: failure of the job
  type: str
earlier_run:
  description: >-
    What an earlier run with the same options did after its controller was gone. That is part of C(changed);
    everything else in the result is of this run.
  returned: when there was one whose result nobody has seen
  type: dict
  sample: {id: 3f2a9c1d, changed: true, changes_count: 1, statistics: {}, performance: {}}
resumable:
  description: Whether a rerun may succeed once the cause of the failure is gone.
  returned: failure of the job
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _job_module, _job_options
from ansible_collections.migration.assistant.plugins.module_utils._files import checksum, sync


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(_job_options.writing_job_argument_spec(), **checksum.ARGUMENT_SPEC),
        supports_check_mode=True,
    )
    _job_module.run(module, work)


def work(run: _job_module.Run) -> None:
    try:
        parameters = checksum.plan(run.params)
    except sync.FileSyncError as exc:
        run.fail(str(exc))
    facts = {"path": parameters["source"], "manifest": parameters["manifest"]}
    verify = parameters["action"] == "verify"
    outcome = run.job("file_checksum", parameters, writes=[] if verify else [parameters["manifest"]], **facts)
    none = {"differences": [], "differences_count": 0} if verify and not outcome.differences else {}
    run.exit(outcome, **facts, **none)


if __name__ == "__main__":
    main()
