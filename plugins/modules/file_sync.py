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
  - Makes the contents of O(destination) equal the contents of O(source). Both are on the managed host, or one of them
    is on the controller or on another host that is reached by ssh.
  - >-
    Files, directories, symbolic links, hard links, sparse files, fifos, sockets and devices, with modes,
    owners, times to the nanosecond, extended attributes and ACLs.
  - >-
    Every file is written under a temporary name and renamed when it is complete. Both trees are walked by
    directory descriptors, so that a symbolic link planted inside them never leads outside.
  - The work is done by the Go engine, or by the Python fallback with the same result.
  - >-
    Between two hosts an engine works on each. They talk over several ssh connections at once; directories are listed
    and small files are sent ahead of need, large files come in chunks by several connections. Every content is checked
    on arrival by its CRC-32, from the read at the source to the write at the destination.
  - >-
    Of a file of 4 MiB or more that replaces another, blocks that are the same in both are not sent. They are compared
    where they are: what a database, a disk image or a log has changed is found, and what has moved in a file is not.
    C(bytes_reused) in RV(statistics) tells how much was taken over.
  - >-
    Where one of the two hosts cannot have the engine, the Python fallback works on both, over one connection and with
    the same result. The other host needs Python 3.8 or later for that, and nothing is put on it.
notes:
  - A trailing slash means nothing. The contents of the one directory become the contents of the other.
  - Entries that cannot be carried over are listed in RV(notices).
  - >-
    With O(direction=push) and O(direction=pull) the module itself runs on the controller, as the user that started the
    play, and RV(executor) and RV(changes_file) are the controller's. What is on the managed host is read and written
    as the user that the task becomes there.
  - >-
    The engine is brought to managed hosts by itself, and to the host of a C(ssh://) URL by the managed host, if both
    are of one platform. In check mode nothing is put on any host: then the engine is sent to the memory of a Linux host
    that lacks it, or the fallback looks.
  - >-
    If a connection is lost it is made anew, see O(retries). When that does not help the task fails with RV(error_code)
    V(unreachable), and a rerun goes on from what has arrived.
  - >-
    In check mode the notice V(room_short) tells by how much the file system of O(destination) is too small, in bytes or
    in files. Files with holes are left out of that, and so is what is mounted in O(destination).
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
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  source:
    description:
      - Directory to copy from.
      - A URL such as V(ssh://user@host:22/srv/www) for one on a host that the managed host can log in to by key.
    type: path
    required: true
  destination:
    description:
      - Directory to copy to. It and its missing parents are created.
      - A URL such as V(ssh://user@host:22/srv/www) for one on a host that the managed host can log in to by key.
    type: path
    required: true
  direction:
    description:
      - Where the two sides are.
      - V(host) sees both from the managed host; either may be a C(ssh://) URL.
      - V(push) copies from the controller to the managed host, V(pull) from the managed host to the controller, with
        the play's own ssh settings (user, port, key or password, arguments, jump hosts) and its C(become). Where the
        managed host is the controller itself (C(connection=local)) they mean V(host).
      - >-
        A login by password (C(ansible_password), C(--ask-pass)) needs OpenSSH 8.5 or later on the controller. The
        password is given once for each connection, and to that host only: hosts on the way are logged in to by key. A
        login that is refused, or asks for more than that, fails the task at once.
    type: str
    choices: [host, push, pull]
    default: host
  max_connections:
    description:
      - ssh connections that are used at the same time between two hosts.
      - >-
        Several are faster than one where the way is long or packets are lost. An ssh server lets ten logins begin at
        once (C(MaxStartups)); if it refuses some of them, the others do the work.
    type: int
    default: 4
  compression:
    description:
      - How contents are compressed between two hosts.
      - V(auto) measures the wire and what compressing takes, and sends each block by S2, by zstd or as it is,
        whichever is the fastest. Any other compresses all that shrinks.
      - Compression by ssh itself is off, whatever the inventory says, unless O(ssh_options) has it.
    type: str
    choices: [auto, none, zstd, gzip, lz4, brotli]
    default: auto
  compression_level:
    description: Level of V(zstd) (1 to 22), V(gzip) and V(lz4) (1 to 9) or V(brotli) (0 to 11). By default the fastest.
    type: int
  stream_buffer_size:
    description:
      - How much of one stream of contents between two hosts may have been sent and not been written yet, such as
        V(10MB). From V(256KB) to V(1GB).
      - >-
        A stream moves so much in one round trip at most: where the way is long and fast, more is faster, and takes more
        memory on the receiving host.
    type: str
    default: 2MB
  stream_buffers:
    description:
      - How many buffers of O(stream_buffer_size) all streams of one job have together, so that their memory has a
        limit. Each stream has V(256KB) at least.
      - >-
        By default each stream has one. There are four of them for each of O(parallel_files), and one for each chunk of
        a large file that is under way. The Python fallback has one stream.
    type: int
  connect_timeout:
    description: Seconds within which the other host must have answered; V(0) for no limit.
    type: float
    default: 30
  read_timeout:
    description:
      - Seconds after which a host that gives no sign of life counts as lost; V(0) for never.
      - It is asked every O(keep_alive_interval) seconds.
    type: float
    default: 60
  keep_alive_interval:
    description:
      - Seconds of silence between two hosts after which ssh asks the other whether it is still there.
      - With V(0) it never asks, so that only TCP finds out, after minutes or hours, and what is between the hosts may
        forget an idle connection.
    type: int
    default: 15
  retries:
    description:
      - How often the connection between two hosts is made anew after it was lost, with growing pauses of 1 to 30
        seconds. What was done stays done, and a large file goes on as O(resume) says.
      - >-
        Each time is listed in RV(notices) as V(connection_lost) and counted in C(retry_count) of RV(performance). With
        V(direction=push), and a C(ssh://) destination, RV(statistics) are those of the last try; RV(changes) are those
        of all. A host that cannot be reached in the first place fails the task at once.
    type: int
    default: 5
  numeric_ids:
    description:
      - >-
        Between two hosts users and groups count as the same by their names, as for C(rsync), in access control lists
        too. One whose name the other host does not know keeps its number. With V(true) all keep their numbers, as a
        tree needs it that is the root of another system.
    type: bool
    default: false
  ssh_options:
    description:
      - Options of C(ssh_config), such as C(Compression), for the connections between two hosts, before all others.
      - >-
        Without C(Ciphers) among them, AES-GCM is preferred among the ciphers that ssh's configuration allows, if the
        processor has instructions for AES, since it takes a third of the time of ssh's first choice.
    type: dict
    default: {}
  connection_pooling:
    description:
      - >-
        Keep the ssh connections between two hosts for a following task with the same connection settings, which then
        need not log in anew. They end 60 seconds after their last use, each a process of ssh that outlives the task.
      - >-
        So long a key or a password that is withdrawn, or given wrongly, still opens that host for the user who runs
        the task, and for nobody else. C(ssh -O exit) with its C(ControlPath) ends one at once; they are in
        C(migration-assistant/ssh) of C($XDG_RUNTIME_DIR), or in C(/tmp/migration-assistant-UID/ssh).
      - Each is used by one task at a time.
      - A connection that turns out to be lost or not to answer is replaced by a new one.
      - O(ssh_options) with C(ControlPath) or C(ControlMaster) of its own takes its place.
      - >-
        Where O(tcp_window_size), O(tcp_receive_buffer), O(tcp_send_buffer), O(tcp_no_delay) or O(adaptive_bandwidth)
        can be had, each connection is made for the task alone, and none is kept; a warning says so.
    type: bool
    default: false
  tcp_window_size:
    description:
      - >-
        Size of both buffers of each TCP connection between two hosts, such as V(16MB), which its window follows. From
        V(4KB) to less than V(1GB).
      - >-
        The kernel tunes them by itself, up to C(net.ipv4.tcp_rmem) and C(net.ipv4.tcp_wmem), and a fixed size switches
        that off. One that is lower is therefore not set, unless O(force_tcp_buffers=true). Without root's rights one
        that is higher may have C(net.core.rmem_max) and C(net.core.wmem_max) at most.
      - >-
        RV(connection_settings) tells what has become of it, and so does a notice V(connection_setting) where that is
        not what was asked for. It concerns the end from which the connections are made.
      - >-
        ssh gets its connections from the executor then. That is not possible where it goes through another host or
        command (C(ProxyJump), C(ProxyCommand)), or where its configuration has C(CanonicalizeHostname) or
        C(BindInterface), and on Linux only.
    type: str
  tcp_receive_buffer:
    description: Size of the buffer for what a connection receives, instead of O(tcp_window_size).
    type: str
  tcp_send_buffer:
    description: Size of the buffer for what a connection sends, instead of O(tcp_window_size).
    type: str
  force_tcp_buffers:
    description: Set these sizes also where the kernel's own tuning goes further. On a long fast link that is slower.
    type: bool
    default: false
  tcp_no_delay:
    description:
      - Send small packets at once, without Nagle's algorithm.
      - ssh always does; V(true) proves it in RV(connection_settings), and V(false) is told to be unsupported there.
    type: bool
  _far_password:
    description: What the action plugin asks its connection for. Not to be given in a task.
    type: str
  _far_login_password:
    description: What the action plugin asks its connection for. Not to be given in a task.
    type: str
  method:
    description:
      - How the data of files is moved.
      - V(direct_copy) copies each file as one stream.
      - >-
        V(chunked_transfer), also called V(concurrent_chunks), copies O(parallel_chunks) ranges of O(chunk_size)
        of a large file at the same time.
      - >-
        Between two hosts small files go in a row whatever the method: many in one stream, without a pause between them.
        V(archive_transfer) compresses all that shrinks, as O(compression=zstd) does unless that says otherwise, and
        sends large files in one piece. V(hybrid_sync) sends large files in chunks, as V(chunked_transfer) does.
      - >-
        V(ssh_rsync), between two hosts that both have rsync, lets that do the work: O(max_connections) of them share
        the directories, and one more then goes over the whole tree; with O(one_file_system) that one does it all.
        RV(changes) does not tell what an entry was before, and O(parallel_files), O(parallel_chunks), O(chunk_size) and
        O(buffer_size) have no effect. A destination on the other host is not locked, so that O(lock_timeout) has no
        effect on it. O(compression=auto) compresses nothing, and V(brotli) cannot be had. C(become) must be by sudo or
        doas, without a password.
      - V(auto) means V(direct_copy) where both sides are on one host, and V(hybrid_sync) between two hosts.
    type: str
    choices: [auto, direct_copy, chunked_transfer, concurrent_chunks, archive_transfer, hybrid_sync, ssh_rsync]
    default: auto
  large_file_method:
    description:
      - How files of more than O(chunk_size) are moved, whatever O(method) means for them.
      - V(direct_copy) copies each as one stream, V(chunked_transfer), also called V(concurrent_chunks), by
        O(parallel_chunks) ranges at the same time. V(auto) leaves it to O(method).
      - Without effect on O(method=ssh_rsync).
    type: str
    choices: [auto, direct_copy, chunked_transfer, concurrent_chunks]
    default: auto
  compare:
    description:
      - When a file counts as unchanged.
      - V(quick) compares size and modification time. V(checksum) compares the contents.
      - Without O(preserve.timestamps) contents are compared in any case.
      - >-
        With O(checksum_cache) V(checksum) needs not read what is remembered, on either host. With O(method=ssh_rsync)
        all is read.
    type: str
    choices: [quick, checksum]
    default: quick
  checksum_algorithm:
    description:
      - >-
        By which checksums O(compare=checksum) and O(verify) compare contents that are on two hosts; each host computes
        its own; and by which on one host with O(checksum_cache). Without that, contents on one host are compared
        themselves, byte by byte. With O(method=ssh_rsync) rsync chooses.
      - >-
        V(blake3) is the fastest where the processors have no instructions for V(sha256). V(xxh3), of 128 bits, is
        faster than both and no cryptographic checksum, it finds damage, and not what somebody made to deceive.
      - >-
        The engine has all of them. The Python fallback needs the Python library C(blake3) or C(xxhash) on both hosts
        for these two; without it the task fails, if it compares contents at all.
    type: str
    choices: [sha256, blake3, xxh3]
    default: sha256
  update:
    description:
      - Leave files alone that are newer in O(destination) than in O(source), whatever they hold, as C(rsync -u) does.
      - >-
        Modification times are compared, before O(compare). It concerns regular files that take the place of regular
        files, and their owners and modes too. C(files_newer) in RV(statistics) counts them; they are no failure, and
        do not keep O(delete) from its work.
    type: bool
    default: false
  verify:
    description: Read every copied file back and compare it with its source. O(checksum_cache) has no part in it.
    type: bool
    default: false
  on_vanished:
    description:
      - What it means that an entry of the source vanishes after it was listed and before it was copied.
      - >-
        V(warn) lists it in RV(notices) and goes on. V(fail) counts it as a failed entry; then the task fails in the
        end, and nothing is deleted.
      - If the source itself vanishes, the task fails in any case, and nothing is deleted.
    type: str
    choices: [warn, fail]
    default: warn
  delete:
    description:
      - Delete what the source lacks.
      - Nothing is deleted when any part of the source could not be read, or any other error happened.
      - >-
        A directory that is a mount point is not deleted, and neither is what is in it. If the source lacks it, that is
        a failure, unless O(filters) protect it.
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
  one_file_system:
    description:
      - Leave out what is mounted in the source, as C(rsync -x) does.
      - >-
        A directory that is in another file system than O(source) itself is made, but nothing in it is copied, and
        nothing in its counterpart is deleted. Each is listed in RV(notices) as V(mount_point_skipped). A bind mount
        of the same file system is not told apart from a directory.
      - O(destination) may then be inside O(source), if it is in another file system.
    type: bool
    default: false
  follow_symlinks:
    description:
      - Copy what a symbolic link of the source leads to, in its place, as C(rsync --copy-links) does.
      - >-
        That may be anything that the user who copies can read, also outside the tree: follow links only where those
        who write in the tree may read all that. Links in the destination are not followed in any case.
      - >-
        A link that leads nowhere, or to a directory that it is in, is left out and listed in RV(notices) as
        V(symlink_dangling) or V(symlink_loop), and what the destination has in its place stays, unless
        O(on_vanished=fail). With O(method=ssh_rsync) such a link is a failure.
      - The source must be on Linux, or O(executor) V(python).
    type: bool
    default: false
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
        description:
          - Modification times, in nanoseconds.
          - >-
            Without them nothing but the contents tells whether a file is up to date, so that V(false) means
            O(compare=checksum): every run reads all files on both sides whose sizes are the same, but for what
            O(checksum_cache) remembers.
          - >-
            Where the file system of the destination keeps longer steps, such as the seconds of ext3 or the two seconds
            of vfat, times are compared as it holds them, and a notice says so.
        type: bool
        default: true
      owner:
        description: Owners; between two hosts see O(numeric_ids). Needs root; otherwise left out, with a notice.
        type: bool
        default: true
      group:
        description: Groups; between two hosts see O(numeric_ids).
        type: bool
        default: true
      hard_links:
        description:
          - Hard links between files of the tree.
          - >-
            A file whose metadata differ is made anew, and not changed in place, if other names that are not its own
            share it in the destination.
        type: bool
        default: true
      xattrs:
        description: Extended attributes, POSIX ACLs and file capabilities among them.
        type: bool
        default: true
      selinux:
        description:
          - >-
            SELinux contexts, which are extended attributes too, with O(preserve.xattrs) and as root. Those of symbolic
            links are what the policy of the destination gives them.
          - >-
            They are compared and set where the destination's host runs SELinux and the source has them. Where that host
            does not run SELinux, or does not know or refuses a context, a notice says so, and the context is left as
            it is there.
          - >-
            Switch it off where the destination has another policy, or shall get the contexts of that by C(restorecon).
          - With O(method=ssh_rsync) they are carried as rsync does it, whether the destination runs SELinux or not.
        type: bool
        default: true
      specials:
        description: Fifos, sockets and, as root, devices. Otherwise they are listed only.
        type: bool
        default: true
  parallel_files:
    description:
      - Files that are copied at the same time.
      - Between two hosts four times as many are under way, most of them to hide how long the way is.
    type: int
    default: 8
  auto_adjust_parallelism:
    description:
      - >-
        Copy fewer files at a time while less than O(performance_threshold) is moved, as long as that makes it no
        slower, and more again above it. O(parallel_files) is the most.
      - Each change is listed in RV(notices) as V(parallelism_adjusted), with the rate that led to it.
      - Without effect on O(method=ssh_rsync).
    type: bool
    default: false
  performance_threshold:
    description:
      - Rate for O(auto_adjust_parallelism), such as V(1MB/s).
      - An entry counts for 64 KB besides its content, since small files are slow for what they are.
    type: str
    default: 1MB/s
  parallel_chunks:
    description:
      - Ranges of one large file that are copied at the same time by V(chunked_transfer) and V(hybrid_sync).
      - All large files together have O(parallel_files) times as many at most.
    type: int
    default: 4
  chunk_size:
    description:
      - Size of such a range, such as V(50MB). Units are powers of 1024. At least V(64KB).
      - Larger files can be gone on with, see O(resume).
    type: str
    default: 50MB
  resume:
    description:
      - Go on inside a file of more than O(chunk_size) where an earlier run of the same task was stopped.
      - >-
        What is written of such a file is recorded beside it, in V(.migration-assistant-*.part) and
        V(.migration-assistant-*.done), every 16 MB at the latest. A run that is cancelled, killed, or loses its
        connection leaves both there; one that ends with the file removes them. They count only for the very same
        source, by size, modification time, change time and inode, and until the system of O(destination) is started
        anew, since what it had not written to its disk would be missing. C(bytes_resumed) in RV(statistics) tells how
        much was there.
      - >-
        The change time tells of what was written under a modification time that was put back. A new mode, owner or hard
        link of the source changes it too, and the file starts over. So does every file of a file system that keeps no
        change time, such as FAT on Windows.
      - >-
        With V(false), and where the file is not to be copied any more, the next run removes what an earlier one left.
    type: bool
    default: true
  buffer_size:
    description: Bytes that are read and written at once, such as V(64KB). At least V(4KB).
    type: str
    default: 256KB
  bandwidth_limit:
    description: Most bytes per second over all files, such as V(50MB/s). No limit by default.
    type: str
  adaptive_bandwidth:
    description:
      - Leave room for others in the network between two hosts.
      - >-
        Soon after the start, and every O(bandwidth_test_interval) seconds, it is measured how long a packet takes there
        and back, and how many are lost. If it takes much longer than at best (by half, and by 50 ms at least), a queue
        of this transfer stands in the network, in which all others wait. Then the rate is lowered, by a fifth of what
        arrives each time, until the queue is gone; so it is when more than 2 % of the packets that are sent are lost,
        as long as that helps. Otherwise it is raised again, by a tenth each time, up to O(bandwidth_limit).
      - >-
        It never falls below an eighth of the best rate so far, or 64 KB/s. What is measured is what goes over the wire,
        compressed. Each change is listed in RV(notices) as V(bandwidth_adjusted).
      - >-
        Where the connections are not the executor's to make, see O(tcp_window_size), and with O(method=ssh_rsync), the
        notice V(bandwidth_not_adapted) says so.
    type: bool
    default: false
  bandwidth_test_interval:
    description: Seconds between two looks at the network for O(adaptive_bandwidth). At least V(1).
    type: float
    default: 300
  sync_frequency:
    description:
      - >-
        Wait for the disk after this many copied files, and once more at the end if anything was changed, so that what
        the task says to be done outlasts a loss of power. V(0) leaves it to the system when it writes to the disk.
      - >-
        On Linux, the file systems of O(destination) are flushed as a whole, with all that others wrote to them. Where
        the system cannot do that, each file is flushed before it gets its name, whatever the number.
    type: int
    default: 0
  direct_io:
    description:
      - Copy files of 1 MiB or more past the system's cache of files, so that what others have in it stays there.
      - >-
        It has an effect on Linux where both directories are on one host. Where a file system cannot do that the notice
        V(direct_io_unavailable) says so, and the files are copied all the same. O(verify) reads through the cache.
    type: bool
    default: false
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

- name: Send a tree from the controller to each host
  migration.assistant.file_sync:
    source: /srv/releases/42
    destination: /srv/www
    direction: push
    delete: true
  become: true

- name: Fetch a tree from another server, which root of this host can log in to
  migration.assistant.file_sync:
    source: ssh://backup@old.example.org/srv/www
    destination: /srv/www
    max_connections: 8

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
  description: >-
    Counts of what the source holds and of what was done, sizes in bytes. C(checksums_cached) are those that were taken
    from O(checksum_cache), of either host.
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
connection_settings:
  description: >-
    What has become of each option of TCP that was asked for, as it was read back: what was C(wanted), what it was
    C(before), which for a buffer is the size up to which the kernel goes by itself, what it is C(after), and C(status):
    V(ok), V(kept_higher), V(clamped) or V(unsupported), with the C(reason). Sizes in bytes. It is no part of
    C(changed).
  returned: between two hosts, when the task asks for one
  type: list
  elements: dict
  sample: [{id: tcp_send_buffer, wanted: 32768, before: 4194304, after: 4194304, status: kept_higher, reason: ""}]
error_code:
  description: What kind of failure it was, such as V(max_delete_exceeded).
  returned: failure of the job
  type: str
earlier_run:
  description: >-
    What an earlier run with the same options did after its controller was gone. That is part of C(changed);
    everything else in the result is of this run.
  returned: when there was one whose result nobody has seen
  type: dict
  sample: {id: 3f2a9c1d, changed: true, changes_count: 120, statistics: {}, performance: {}}
resumable:
  description: Whether a rerun goes on from what is done.
  returned: failure of the job
  type: bool
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.migration.assistant.plugins.module_utils import _job_module, _job_options
from ansible_collections.migration.assistant.plugins.module_utils._executor import elsewhere, payload
from ansible_collections.migration.assistant.plugins.module_utils._files import far, sync


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(_job_options.writing_job_argument_spec(), **sync.ARGUMENT_SPEC),
        supports_check_mode=True,
    )
    _job_module.run(module, work)


def work(run: _job_module.Run) -> None:
    by_rsync = run.params["method"] == "ssh_rsync"
    if by_rsync:
        run.use_python("method: ssh_rsync lets rsync do the work")
    managed = run.controller.far
    try:
        reached = None if managed is None else managed_host(run, managed)
        parameters, method = sync.plan(run.params, reached, lambda url: reach(run, url))
    except sync.FileSyncError as exc:
        run.fail(str(exc))
    without_effect = far.without_effect(run.params, parameters.get("far", {}))
    if without_effect:
        run.module.warn(without_effect)
    facts = {"source": run.params["source"], "destination": run.params["destination"], "method": method}
    elsewhere = parameters.get("far", {}).get("side") == "destination"
    outcome = run.job(
        "ssh_rsync" if by_rsync else "file_sync",
        parameters,
        writes=[] if elsewhere else [parameters["destination"]],
        **facts,
    )
    run.exit(outcome, **facts)


def managed_host(run: _job_module.Run, told: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The managed host, with the same executor as this one. told: what the action plugin has found out."""
    common = {name: told[name] for name in ("name", "asked_by")}
    if run.params["method"] == "ssh_rsync":
        return {**common, "ssh": told["ssh"], "shell": told["shell"]}
    if run.choice.used == "go" and told["engine"] is None:
        run.fall_back("the host %s has no engine: %s" % (told["name"], told["reason"]))
    if run.choice.used == "go":
        return {**common, "command": told["engine"], "prelude": told["prelude"]}
    return {**common, "command": told["fallback"], "prelude": prelude(run, payload.payload())}


def reach(run: _job_module.Run, url: far.Url) -> t.Dict[str, t.Any]:
    """The host of a URL, with the same executor as this host; in check mode nothing is put there."""
    *ssh, host = far.ssh_command(url, run.params)
    if run.params["method"] == "ssh_rsync":
        return {"name": url.host, "ssh": [*ssh, host], "shell": "sh -c"}
    ssh += [*elsewhere.fast_ciphers(ssh, host), host]
    if run.choice.used == "go":
        try:
            kept = far.pool(run.params, ssh)
            command, sent = elsewhere.find(ssh, run.choice.path or "", bring=not run.check_mode, kept=kept)
            return {"command": [*ssh, command], "name": url.host, "prelude": prelude(run, sent)}
        except elsewhere.NoEngine as exc:
            run.fall_back("the host %s has no engine: %s" % (url.host, exc))
        except (elsewhere.Unreachable, OSError) as exc:
            run.fail("unable to reach %s: %s" % (url.host, exc), error_code="unreachable", resumable=True)
    return {"command": [*ssh, payload.command()], "name": url.host, "prelude": prelude(run, payload.payload())}


def prelude(run: _job_module.Run, sent: t.Optional[bytes]) -> t.Optional[str]:
    """A file with what is sent to the other host before anything else, None for nothing."""
    if sent is None:
        return None
    path = os.path.join(run.directory, "prelude")
    with open(path, "wb") as stream:
        stream.write(sent)
    return path


if __name__ == "__main__":
    main()
