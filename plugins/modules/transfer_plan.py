#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: transfer_plan
short_description: Measure a source tree and tell which transfer method fits
version_added: 0.1.0
description:
  - Counts the files of a tree and their sizes, and names the transfer method that fits, with the reason.
  - Reads metadata only, opens no file, changes nothing.
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
    support: none
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  source:
    description: Directory to measure.
    type: path
    required: true
  filters:
    description: Rules in rsync's notation, as in M(migration.assistant.file_sync).
    type: list
    elements: str
    default: []
  follow_symlinks:
    description: Measure what symbolic links lead to, as O(migration.assistant.file_sync#module:follow_symlinks) copies.
    type: bool
    default: false
  scope:
    description:
      - Where the destination is.
      - V(local) on the same host, V(remote) on another host, V(cloud) both sides in object stores.
    type: str
    choices: [local, remote, cloud]
    default: local
  large_file_average:
    description: Average file size above which large files are moved in chunks.
    type: str
    default: 100MB
  many_files:
    description: Number of files above which many small files are moved as one archive stream.
    type: int
    default: 10000
  parallel_files:
    description: Directories that are read at the same time.
    type: int
    default: 8
"""

EXAMPLES = r"""
- name: Which method fits this site on its way to another host
  migration.assistant.transfer_plan:
    source: /srv/www
    scope: remote
  register: plan

- name: Move it so
  migration.assistant.file_sync: "{{ plan.method.parameters | combine(where) }}"
  vars:
    where:
      source: /srv/www
      destination: ssh://backup@new.example.com/srv/www
      method: "{{ plan.method.chosen }}"
"""

RETURN = r"""
method:
  description: >-
    The method that fits, why, and the options of M(migration.assistant.file_sync) that go with it, unless both sides
    are object stores.
  returned: success
  type: dict
  sample:
    chosen: hybrid_sync
    reason: "3000 files of 16.2 KB on average: neither large nor many"
    parameters: {parallel_files: 8}
statistics:
  description: Counts of entries by kind, sizes in bytes, and how the sizes are spread.
  returned: success
  type: dict
  sample: {files_total: 3000, bytes_total: 49807360, largest_file: 5242880}
executor:
  description: Which executor measured.
  returned: always
  type: dict
performance:
  description: Performance facts of the measuring itself.
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
notices:
  description: Entries that could not be read.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _job_module, _job_options
from ansible_collections.migration.assistant.plugins.module_utils._files import method, sync
from ansible_collections.migration.assistant.plugins.module_utils._job_result import as_result


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            _job_options.job_argument_spec(),
            source=dict(type="path", required=True),
            filters=dict(type="list", elements="str", default=[]),
            follow_symlinks=dict(type="bool", default=False),
            scope=dict(type="str", choices=["local", "remote", "cloud"], default="local"),
            large_file_average=dict(type="str", default="100MB"),
            many_files=dict(type="int", default=10000),
            parallel_files=dict(type="int", default=8),
        ),
        supports_check_mode=True,
    )
    _job_module.run(module, work)


def work(run: _job_module.Run) -> None:
    params = run.params
    try:
        thresholds = method.Thresholds.parse(params["large_file_average"], params["many_files"])
        parameters = sync.measuring(params)
    except sync.FileSyncError as exc:
        run.fail(str(exc))
    outcome = run.job("file_statistics", parameters, source=params["source"])
    result = as_result(run.module, outcome)
    run.end(
        changed=False,
        method=method.choose_method(outcome.statistics, thresholds, params["scope"]),
        **{name: result[name] for name in ("statistics", "executor", "performance", "samples", "alerts", "notices")},
    )


if __name__ == "__main__":
    main()
