# Copyright (c) 2026, migration.assistant contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Regular files: compare, copy, verify."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Iterator, Optional, Sequence, Tuple

from . import partial, tree, xattrs
from ._errors import ItemError, JobError
from .copy import is_sparse
from .inodes import Inode, inode_of
from .items import Handler, Item, put_in_place, read_old_target
from .origin import SourceFile
from .session import step
from .tree import text
from .workers import Worker

# From which size on a file from another host is compared with the one that it replaces, block by block.
_DELTA_FROM = 4 << 20


class Files(Handler):
    """Makes regular files equal. A new content is complete before it gets its name."""

    def synchronize(self, worker: Worker, item: Item) -> Optional[Inode]:
        """Make one file equal; gives what that of Handlers does."""
        self.context.meter.begin()
        try:
            existing, inodes = item.existing, self.session.inodes
            if (
                existing is not None
                and not inodes.is_anothers(existing, item.entry)
                and self.has_content(item, existing)
            ):
                differences = self.differences(item, existing)
                if not differences.after and not differences.before:
                    worker.counters.files_unchanged += 1
                    worker.tally.bytes_passed += item.info.st_size
                    return inode_of(existing)
                if inodes.is_own(existing, item.entry):
                    self.update_metadata(worker, item, existing, differences)
                    worker.tally.bytes_passed += item.info.st_size
                    return inode_of(existing)
            return self._copy(worker, item)
        finally:
            self.context.meter.end()

    def is_newer(self, item: Item) -> bool:
        """Whether the destination's file stays as it is, since it is newer than the source."""
        existing = item.existing
        if not self.session.update or existing is None or not stat.S_ISREG(existing.st_mode):
            return False
        return existing.st_mtime_ns > item.info.st_mtime_ns

    def keeps_newer(self, worker: Worker, item: Item) -> bool:
        """``is_newer`` for the file in hand, which is done then."""
        if not self.is_newer(item):
            return False
        worker.counters.files_newer += 1
        worker.tally.bytes_passed += item.info.st_size
        return True

    def to_be_copied(self, items: Sequence[Item]) -> Iterator[Tuple[str, os.stat_result]]:
        """Those that are files which a run will read, as far as that can be known before."""
        if self.session.dry_run or self.session.by_content:
            return
        for item in items:
            if not stat.S_ISREG(item.info.st_mode) or self.is_newer(item):
                continue
            if item.existing is None or not self.has_content(item, item.existing):
                yield item.name, item.info

    def has_content(self, item: Item, existing: os.stat_result) -> bool:
        """Whether the destination is a file whose content is up to date, by the job's way of comparing."""
        if item.up_to_date is None:
            item.up_to_date = self._compare_content(item, existing)
        return item.up_to_date

    def _compare_content(self, item: Item, existing: os.stat_result) -> bool:
        if not stat.S_ISREG(existing.st_mode) or existing.st_size != item.info.st_size:
            return False
        if not self.session.by_content:
            return self.metadata.same_time(item.info, existing)
        source = self._open_source(item, unread=True)
        try:
            destination = self._open_destination(item, existing)
            try:
                if self.session.checksums is not None:
                    return source.same_checksum(destination, existing.st_size, self.session.checksums)
                return source.same_content(destination, existing.st_size, self.context.check)
            finally:
                os.close(destination)
        finally:
            source.close()

    @staticmethod
    def _open_source(item: Item, unread: bool = False) -> SourceFile:
        """Open the source, and take over what it is by now."""
        try:
            source = item.place.source.open_file(item.name, item.info, unread)
        except OSError as error:
            raise step("read the source", error) from error
        info = source.info()
        if not tree.same_entry(info, item.info):
            source.close()
            raise tree.replaced("source")
        item.info = info
        return source

    def _open_destination(self, item: Item, existing: os.stat_result) -> int:
        try:
            return tree.open_existing_file(item.destination, item.name, existing)
        except OSError as error:
            raise step("read the destination", error) from error

    def _copy(self, worker: Worker, item: Item) -> Optional[Inode]:
        read_old_target(item)
        if self.session.dry_run:
            worker.tally.bytes_passed += item.info.st_size
        else:
            worker.tally.bytes_total += item.info.st_size
        inode: Optional[Inode] = None
        resumed = item.reused = 0
        # A dry run opens the source too, since a user other than root may not be allowed to.
        if not (self.session.dry_run and self.metadata.root):
            source = self._open_source(item, unread=self.session.dry_run)
            try:
                if not self.session.dry_run:
                    inode, resumed = self._copy_open(worker, item, source)
            except OSError as error:
                raise step("write the destination", error, item.info.st_size) from error
            finally:
                source.close()
        if self.session.dry_run:
            if self._is_resumable(item):
                resumed = self._resumed_bytes(item)
            self.note_need(worker, item, self._content_need(item, resumed))
        worker.tally.files_copied += 1
        worker.counters.files_copied += 1
        worker.counters.bytes_copied += item.info.st_size - resumed - item.reused
        worker.counters.bytes_reused += item.reused
        if resumed:
            worker.counters.files_resumed += 1
            worker.counters.bytes_resumed += resumed
        self.report_made(item)
        self.session.flusher.copied()
        return inode

    def _is_resumable(self, item: Item) -> bool:
        """Whether what is copied of a file is recorded, for a run that is stopped. Without a time of change the next
        run could not tell whether the source is still the same."""
        return self.session.resume and item.info.st_size > self.session.chunk_size and item.info.st_ctime_ns != 0

    def _resumed_bytes(self, item: Item) -> int:
        """How much of the file an earlier run has copied."""
        stem = partial.stem_of(item.name)
        if self.session.partials.claim(item.place.path, stem)[0]:
            with contextlib.suppress(partial.Unusable):
                found = partial.Partial.go_on(item.destination, stem, item.info)
                found.close()
                return found.resumed
        return 0

    def _open_partial(self, worker: Worker, item: Item) -> Optional[partial.Partial]:
        """Go on with what an earlier run left of the file, or begin anew; None for a file that cannot have one."""
        if not self._is_resumable(item):
            return None
        stem = partial.stem_of(item.name)
        left, free = self.session.partials.claim(item.place.path, stem)
        if not free:
            return None
        if left:
            with contextlib.suppress(partial.Unusable):
                found = partial.Partial.go_on(item.destination, stem, item.info)
                worker.tally.bytes_passed += found.resumed
                worker.tally.bytes_total -= found.resumed
                return found
            partial.remove(item.destination, stem)
        return partial.Partial.begin(item.destination, stem, item.info)

    @staticmethod
    def _content_need(item: Item, there: int) -> int:
        """What the content takes besides that of the file that it replaces. Of one with holes nobody knows before."""
        if is_sparse(item.info):
            return 0
        replaced = item.existing.st_size if item.existing is not None and stat.S_ISREG(item.existing.st_mode) else 0
        return item.info.st_size - there - replaced

    def _copy_open(self, worker: Worker, item: Item, source: SourceFile) -> Tuple[Optional[Inode], int]:
        """Copy by way of a temporary file. Give the new inode where another name may have to be linked to it, and how
        much of it an earlier run had copied."""
        unfinished = self._open_partial(worker, item)
        if unfinished is None:
            temporary = worker.temporary_name()
            target = tree.create_file(item.destination, temporary, readable=self.session.verify)
            return self._copy_to(worker, item, source, target, temporary, None), 0
        try:
            inode = self._copy_to(worker, item, source, os.dup(unfinished.content), unfinished.name, unfinished)
            unfinished.finish()
        finally:
            unfinished.close()
        return inode, unfinished.resumed

    def _copy_to(
        self,
        worker: Worker,
        item: Item,
        source: SourceFile,
        target: int,
        temporary: str,
        unfinished: Optional[partial.Partial],
    ) -> Optional[Inode]:
        """Fill the open file ``target`` and give it its name; it is closed at the end."""
        inode: Optional[Inode] = None
        try:
            try:
                self._fill(worker, item, source, target, unfinished)
                if self.session.verify:
                    self._verify(worker, item, source, target)
                self._finish(item, source, target)
                self.session.flusher.file(target)
                if item.info.st_nlink > 1:
                    made = os.fstat(target)
                    inode = inode_of(made)
            finally:
                os.close(target)
            put_in_place(self.session, item, temporary)
        except BaseException as error:
            # What is written stays for the next run if it is the job that was stopped, and not the file that failed.
            if unfinished is None:
                tree.discard(item.destination, temporary)
            elif not (isinstance(error, JobError) and unfinished.done):
                unfinished.discard()
            raise
        return inode

    def _fill(
        self, worker: Worker, item: Item, source: SourceFile, target: int, unfinished: Optional[partial.Partial]
    ) -> None:
        """Copy the content; once more if the source changed meanwhile."""
        with self._earlier(item, source) as earlier:
            self._fill_from(worker, item, source, target, unfinished, earlier)

    @contextlib.contextmanager
    def _earlier(self, item: Item, source: SourceFile) -> Iterator[Optional[int]]:
        """The file that is replaced, open, if it is worth a look for what need not be sent."""
        existing = item.existing
        if (
            source.descriptor is not None
            or existing is None
            or not stat.S_ISREG(existing.st_mode)
            or min(existing.st_size, item.info.st_size) < _DELTA_FROM
            or is_sparse(item.info)
        ):
            yield None
            return
        descriptor = self._open_destination(item, existing)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _fill_from(
        self,
        worker: Worker,
        item: Item,
        source: SourceFile,
        target: int,
        unfinished: Optional[partial.Partial],
        earlier: Optional[int],
    ) -> None:
        copy = self.session.copier.copy
        item.reused = copy(worker, source, target, item.info, unfinished, earlier)
        if self._is_unchanged(item, source):
            return
        worker.tally.retries += 1
        item.info = source.info()
        source.restart()
        os.lseek(target, 0, os.SEEK_SET)
        if unfinished is not None:
            unfinished.restart(item.info)
        os.ftruncate(target, 0)
        item.reused = copy(worker, source, target, item.info, unfinished, earlier)
        if not self._is_unchanged(item, source):
            item.torn = True
            self.context.warning("source_changed", "the file changed twice while it was copied", text(item.path))

    @staticmethod
    def _is_unchanged(item: Item, source: SourceFile) -> bool:
        now = source.info()
        return now.st_mtime_ns == item.info.st_mtime_ns and now.st_size == item.info.st_size

    def _verify(self, worker: Worker, item: Item, source: SourceFile, target: int) -> None:
        if not source.same_content(target, item.info.st_size, self.context.check):
            raise ItemError("verification_failed", "the copy differs from its source")
        worker.counters.files_verified += 1

    def _finish(self, item: Item, source: SourceFile, target: int) -> None:
        """Give the new file its owner, mode, attributes and times."""
        metadata = self.metadata
        user, group = metadata.new_owner(item.info)
        if user != -1 or group != -1:
            os.fchown(target, user, group)
        mode = metadata.mode(item.info, item.existing)
        os.fchmod(target, mode)
        if metadata.xattrs:
            wanted = metadata.wanted_xattrs(source.xattrs(metadata.root), item.path)
            # A new file has none, unless its directory hands its access control list on.
            current = xattrs.read_open(target, metadata.root) if item.place.inherits_acl else {}
            metadata.write_xattrs(target, mode, wanted, current, item.path)
        if metadata.timestamps:
            metadata.set_time(target, item.info, item.info.st_atime_ns)
        if item.torn:
            metadata.backdate(target, item.info, source.info())
