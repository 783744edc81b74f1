#!/usr/bin/python
# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_archive
short_description: Pack a tree into a tar archive, or unpack one
version_added: 0.1.0
description:
  - >-
    With O(state=packed) the tree O(source) is packed into the archive O(destination), in the PAX format that GNU tar,
    bsdtar and Python read. Entries are sorted by name, so that the same tree always gives the same tar stream.
  - >-
    With O(state=unpacked) the entries of the archive O(source) are made in the directory O(destination), whatever tool
    made it: POSIX (USTAR and PAX) and GNU formats are read. What else is in the directory stays.
  - >-
    Files, directories, symbolic links, hard links, sparse files, fifos and devices, with modes, owners by number, times
    to the nanosecond, extended attributes and ACLs.
  - The work is done by the Go engine, or by the Python fallback with the same result.
notes:
  - >-
    An archive is up to date if it holds the entries that the tree has now, with the same metadata, sizes and times.
    To find that out it is decompressed, but no file of the tree is read, unless O(compare=checksum). Another O(level)
    alone does not make it be written anew; an archive of another tool is replaced.
  - >-
    The archive is written under a temporary name and renamed when it is complete. If any entry cannot be read, the task
    fails, lists all such entries in RV(notices), and leaves the archive that is there.
  - >-
    A file of up to 1 MiB that changes while it is packed is read once more. Of a larger one the archive holds as much
    as it had at first: what is appended meanwhile is not in it, and where the file became shorter zeros fill it up.
    Each such file is listed in RV(notices) as V(source_changed), and stands in the archive with the time that it had
    before, so that the next run packs the tree anew. What is replaced by something of another kind is packed as that.
  - >-
    An archive is read to its end before anything is unpacked. It is refused, and nothing is touched, if it is
    truncated or corrupt, holds more than O(max_unpacked_size), has an entry twice, or one with an absolute path, with
    C(..), below a symbolic link or file of the archive, or a hard link to anything but a file before it. Symbolic links
    in O(destination) are never followed.
  - Set-user-ID and set-group-ID bits and capabilities are unpacked by root only, and only together with the owner.
  - >-
    Sockets cannot be packed, and are listed in RV(notices); so are entries of types that are not known, and further
    names of symbolic links and special files, each of which is packed on its own. Names of users
    and groups are neither packed nor heeded. Temporary files of this collection, and the archive itself, where it lies
    in the tree, are left out.
  - >-
    For V(zstd), V(lz4) and V(brotli) the Python fallback needs the Python library C(zstandard), C(lz4) or C(brotli), or
    the command of the format's name, on the host. Check mode brings no engine to a host, and so may need them where a
    run does not.
  - >-
    What is known of an entry stays in memory until all are unpacked. The engine also keeps up to 128 MiB of contents
    there, a quarter of O(memory_limit) at most; what is beyond that is decompressed twice.
author:
  - migration.assistant contributors (!UNKNOWN)
extends_documentation_fragment:
  - migration.assistant.attributes
  - migration.assistant.attributes.files
  - migration.assistant.executor
  - migration.assistant.executor.job
  - migration.assistant.executor.writing_job
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
    description:
      - With O(state=packed) the directory to pack.
      - With O(state=unpacked) the archive, a regular file. Its name is not followed if it is a symbolic link.
    type: path
    required: true
  destination:
    description:
      - With O(state=packed) the archive, a regular file. Its directory must exist.
      - With O(state=unpacked) the directory to unpack in. It and its missing parents are created.
    type: path
    required: true
  state:
    description: Whether the tree is to be in the archive, or what is in the archive in the tree.
    type: str
    choices: [packed, unpacked]
    required: true
  format:
    description:
      - How the archive is compressed. V(tar) is not at all.
      - >-
        V(auto) goes by the ending of O(destination) to pack, which must be C(.tar), C(.tar.gz), C(.tgz), C(.tar.zst),
        C(.tzst), C(.tar.lz4) or C(.tar.br). To unpack it goes by the first bytes of O(source); only V(brotli), which
        has no mark, is told by C(.tar.br).
    type: str
    choices: [auto, tar, gzip, zstd, lz4, brotli]
    default: auto
  level:
    description:
      - >-
        How hard to compress. 1 to 9 for V(gzip), by default 6; 1 to 19 for V(zstd), by default 3; 1 to 9 for V(lz4), by
        default 1; 0 to 11 for V(brotli), by default 5. Only with O(state=packed).
      - The engine has four strengths of V(zstd), and takes the one next to the level.
    type: int
  parallel:
    description:
      - >-
        With O(state=packed) threads that compress, from 1 to 1024. The tree is read in order; the engine reads small
        files ahead by as many threads, up to 16, and the fallback by one.
      - With O(state=unpacked) files that the engine writes at once. The fallback writes one after the other.
      - >-
        V(gzip), V(zstd) and V(lz4) are compressed by blocks, which give one stream as any tool reads it. V(brotli)
        always takes one thread; so does the fallback for V(lz4).
    type: int
    default: 4
  compare:
    description:
      - When a file counts as unchanged.
      - V(quick) compares size and modification time. V(checksum) compares the contents.
      - Without the suboption V(timestamps) of O(preserve) contents are compared in any case.
    type: str
    choices: [quick, checksum]
    default: quick
  filters:
    description:
      - Rules in rsync's notation, as in M(migration.assistant.file_sync). What they exclude is not packed.
      - Only with O(state=packed).
    type: list
    elements: str
    default: []
  one_file_system:
    description:
      - Leave out what is mounted in the tree. The directory itself is packed, and listed in RV(notices).
      - Only of use with O(state=packed).
    type: bool
    default: false
  on_vanished:
    description:
      - What it means that an entry of O(source) vanishes after it was listed and before it was packed.
      - >-
        V(warn) lists it in RV(notices) and goes on. V(fail) counts it as an entry that cannot be read.
      - Only of use with O(state=packed).
    type: str
    choices: [warn, fail]
    default: warn
  preserve:
    description:
      - What is packed or unpacked beside the contents.
      - >-
        What is not packed stands in the archive as owner and group 0, mode C(0644) or C(0755), and time 0. With that,
        trees that differ in nothing else give the same archive.
    type: dict
    default: {}
    suboptions:
      permissions:
        description: Modes.
        type: bool
        default: true
      timestamps:
        description:
          - Modification times, in nanoseconds.
          - >-
            Where the file system of the destination keeps longer steps, such as the seconds of ext3 or the two seconds
            of vfat, times are compared as it holds them, and a notice says so.
        type: bool
        default: true
      owner:
        description: Owners, by number. To unpack them needs root; otherwise they are left out, with a notice.
        type: bool
        default: true
      group:
        description: Groups, by number.
        type: bool
        default: true
      hard_links:
        description: Pack a file with several names once. To unpack, hard links are always made.
        type: bool
        default: true
      xattrs:
        description: Extended attributes, POSIX ACLs and file capabilities among them.
        type: bool
        default: true
      selinux:
        description:
          - SELinux contexts, which are extended attributes too, with O(preserve.xattrs) and as root.
          - >-
            They are set where the host that unpacks runs SELinux. Where it does not, or does not know or refuses a
            context, a notice says so.
        type: bool
        default: true
      specials:
        description: Fifos and devices. Otherwise they are listed only.
        type: bool
        default: true
      devices:
        description: Make the devices of an archive, as root. Otherwise they are listed only.
        type: bool
        default: false
  mode:
    description:
      - >-
        Mode of the archive, octal digits that begin with 0, such as V('0640'). Without it a new archive gets C(0600),
        since it may hold what others must not read, and one that is replaced keeps its mode.
      - Only with O(state=packed).
    type: raw
  allow_outside_links:
    description:
      - Unpack symbolic links that may lead out of O(destination). Otherwise an archive with any is refused.
      - >-
        That is, links to absolute paths, to further up than the tree, or with C(..) behind another name. They are
        dangerous to whoever follows them later; unpacking itself never does.
    type: bool
    default: false
  max_unpacked_size:
    description:
      - >-
        Refuse archives that hold more, such as V(500GB). It counts what comes out of the
        compression, and the sizes of all files.
      - Only of use with O(state=unpacked).
    type: str
    default: 100GB
  fsync:
    description:
      - Wait for the disk before the archive gets its name, or after everything is unpacked.
    type: bool
    default: false
  buffer_size:
    description: Bytes that are read at once, such as V(64KB). From V(4KB) to V(1GB).
    type: str
    default: 256KB
"""

EXAMPLES = r"""
- name: Pack a site
  migration.assistant.file_archive:
    source: /srv/www
    destination: /var/backups/www.tar.zst
    state: packed
    filters:
      - "- /cache/***"

- name: Pack it for the slowest of lines
  migration.assistant.file_archive:
    source: /srv/www
    destination: /var/backups/www.tar.br
    state: packed
    level: 11
    mode: "0640"

- name: Unpack it on the new host
  migration.assistant.file_archive:
    source: /var/backups/www.tar.zst
    destination: /srv/www
    state: unpacked
    max_unpacked_size: 500GB
"""

RETURN = r"""
source:
  description: The tree that was packed, or the archive that was unpacked.
  returned: always
  type: str
destination:
  description: The archive, or the directory that it was unpacked in.
  returned: always
  type: str
statistics:
  description: >-
    Counts of what the tree or the archive holds, and of what was done, sizes in bytes. C(unpacked_size) is the size of
    the tar stream.
  returned: success, and failure of the job
  type: dict
  sample: {files_total: 3000, directories_total: 200, bytes_total: 52428800, unpacked_size: 55296000, skipped: 0}
executor:
  description: Which executor ran.
  returned: always
  type: dict
  sample: {used: go, version: 0.1.0, path: /opt/migration-engine, reason: the controller's build}
performance:
  description: >-
    Performance facts: C(bytes_transferred) are the bytes of files that were packed or written, and
    C(transfer_rate_mbps) is in MB/s of 1048576 bytes,
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
  description: >-
    With O(state=packed) the archive, if it was written, with the number of its files and the size of what is in it.
    With O(state=unpacked) the first hundred changed entries, with what differed before and after.
  returned: always
  type: list
  elements: dict
  sample:
    - action: create
      kind: file
      path: /var/backups/www.tar.zst
      after: {files: 3000, unpacked_size: 55296000, mode: "0600"}
changes_count:
  description: Number of all changes.
  returned: always
  type: int
changes_file:
  description: File on the host with all changes, one JSON object per line, if there are more than a hundred.
  returned: always
  type: str
notices:
  description: What could not be packed or unpacked, or changed meanwhile; the first hundred.
  returned: always
  type: list
  elements: dict
notices_count:
  description: Number of all notices.
  returned: always
  type: int
error_code:
  description: What kind of failure it was, such as V(archive_invalid), V(archive_unsafe) or V(archive_too_large).
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
from ansible_collections.migration.assistant.plugins.module_utils._files import archive, sync


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(_job_options.writing_job_argument_spec(), **archive.ARGUMENT_SPEC),
        supports_check_mode=True,
    )
    _job_module.run(module, work)


def work(run: _job_module.Run) -> None:
    try:
        parameters = archive.plan(run.params)
    except sync.FileSyncError as exc:
        run.fail(str(exc))
    facts = {"source": parameters["source"], "destination": parameters["destination"]}
    outcome = run.job("file_archive", parameters, writes=[parameters["destination"]], **facts)
    run.exit(outcome, **facts)


if __name__ == "__main__":
    main()
