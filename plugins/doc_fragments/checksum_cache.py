# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The cache of checksums, as every module has it that computes some."""

    DOCUMENTATION = r"""
options:
  checksum_cache:
    description:
      - Checksums of files that are remembered from one task to the next, so that a file need not be read again.
      - >-
        An entry counts only for a file whose device, inode, size, time of modification and time of change are what they
        were, to the nanosecond. The last of them cannot be put back, so that a file that was written is read again. One
        that was changed within the last two seconds is read and not remembered, and when the system starts anew all is
        forgotten. It pays for large files; to look up one of a few kilobytes takes about as long as to read it.
      - >-
        It has an effect on Linux, for files on ext2, ext3, ext4, XFS, Btrfs and F2FS. Others are read each time, since
        a change need not show in their times; on other platforms a notice V(checksum_cache) says so.
      - >-
        The cache is one file on each host for each user, C(checksums/cache) in C(/var/lib/migration-assistant) for root
        and C(~/.cache/migration-assistant) for others, which the engine and the Python fallback share. If others could
        write it, or it is a symbolic link, it is not used, and a notice V(checksum_cache) says so. One that is damaged
        is thrown away with such a notice.
      - Check mode reads it and writes nothing.
    type: dict
    default: {}
    suboptions:
      enabled:
        description: Whether checksums are remembered.
        type: bool
        default: false
      max_size:
        description:
          - Most room that the cache takes, from V(64KB) on. Give about 200 bytes for each file; where there is no more
            room, others go.
          - Another size than that of the cache that is there makes it anew with what fits.
        type: str
        default: 64MB
      max_age:
        description: Seconds for which an entry counts.
        type: float
        default: 604800
"""
