// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"context"
	"io"
	"math"
	"runtime/debug"
	"slices"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/wire"
)

// unpackJob is one unpacking at work. It reads the archive twice: first to the end, so that nothing is touched if it
// cannot be accepted, comparing it with what is there; then, if files are to be written, once more for their content.
type unpackJob struct {
	*syncJob
	archive *archiveParameters
	source  *filePlace
	worker  *worker
	entries []*unpacked
	byPath  map[string]*unpacked
	absent  map[string]bool // directories that are to be made
	size    int64           // of all files
	keep    int64           // how much of their contents may stay in memory
	route   *route          // to the directory in hand
	told    directory       // the one of the entry that is told
	cleaned map[string]bool // directories in which nothing is left of a killed run
	shared  []*unpacked     // entries that have an inode with several names
}

// unpackStatistics are those of unpacking; sizes in bytes.
type unpackStatistics struct {
	FilesTotal         int64 `json:"files_total"`
	DirectoriesTotal   int64 `json:"directories_total"`
	SymlinksTotal      int64 `json:"symlinks_total"`
	SpecialsTotal      int64 `json:"specials_total"`
	HardLinks          int64 `json:"hard_links"`
	BytesTotal         int64 `json:"bytes_total"`
	FilesWritten       int64 `json:"files_written"`
	BytesWritten       int64 `json:"bytes_written"`
	FilesUnchanged     int64 `json:"files_unchanged"`
	DirectoriesCreated int64 `json:"directories_created"`
	SymlinksCreated    int64 `json:"symlinks_created"`
	HardLinksCreated   int64 `json:"hard_links_created"`
	SpecialsCreated    int64 `json:"specials_created"`
	MetadataUpdated    int64 `json:"metadata_updated"`
	Skipped            int64 `json:"skipped"`
	Changes            int64 `json:"changes"`
}

// unpack makes all entries of an archive in the destination; what else is there stays.
func unpack(ctx context.Context, session *operations.Session, parameters *archiveParameters) (any, error) {
	fsys.RaiseDescriptorLimit()
	source, err := openFilePlace("archive", parameters.source, true)
	if err != nil {
		return nil, err
	}
	defer source.close()
	frequency := int64(0)
	if parameters.fsync {
		frequency = math.MaxInt64 // once, at the end
	}
	job := &syncJob{
		Session: session,
		parameters: &syncParameters{
			destination: parameters.destination, preserve: parameters.preserve,
			syncFrequency: frequency, bufferSize: parameters.bufferSize,
		},
		ctx:     ctx,
		touched: map[string]touched{},
		roots:   &roots{locked: true, ctx: ctx, firstMode: closedMode},
	}
	defer context.AfterFunc(ctx, func() { job.stopped.Store(true) })()
	u := &unpackJob{syncJob: job, archive: parameters, source: source, byPath: map[string]*unpacked{}, absent: map[string]bool{}, cleaned: map[string]bool{}, keep: keptContents()}
	defer job.roots.close()
	if err := u.openDestination(true); err != nil {
		return nil, err
	}
	if !job.roots.created && !session.DryRun {
		job.roots.destination.Close()
		job.roots.destination = fsys.Directory{}
		if err := u.openDestination(false); err != nil {
			return nil, err
		}
	}
	job.policy = newPolicy(session, parameters.preserve)
	job.flusher = newFlusher(job.parameters, session.DryRun)
	defer func() { job.flusher.close() }()
	u.worker = job.newWorker()
	err = u.run()
	return u.statistics(), err
}

// keptContents gives how much of an archive's contents may stay in memory between the two readings.
func keptContents() int64 { return min(128<<20, debug.SetMemoryLimit(-1)/4) }

func (u *unpackJob) openDestination(dryRun bool) error {
	return u.roots.openDestination(u.archive.destination, dryRun, func(string) error { return nil })
}

func (u *unpackJob) run() error {
	u.Meter.SetPhase("compare")
	if err := u.plan(); err != nil {
		return err
	}
	if !u.DryRun {
		if u.roots.created {
			if err := u.makeRoot(); err != nil {
				return err
			}
		}
		if err := u.addFlush(); err != nil {
			return err
		}
	}
	if !u.roots.locked {
		u.Warning("lock_unavailable", "the destination cannot be locked; do not run two jobs on it", "")
	}
	u.Meter.SetPhase("copy")
	err := u.carryOut()
	if !u.DryRun {
		u.Meter.SetPhase("finish")
		u.finish()
		u.flushAtEnd()
	}
	if failed := u.state(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	return u.PartialFailure()
}

func (u *unpackJob) makeRoot() (err error) {
	root := u.byPath[""]
	if root == nil {
		return u.openDestination(false)
	}
	if u.roots.firstMode, err = u.firstMode(root); err != nil {
		return err
	}
	if err := u.openDestination(false); err != nil {
		return err
	}
	inherited, err := u.roots.destination.Handle().Attributes()
	if err != nil {
		return unable("read the extended attributes", err)
	}
	_, inherits := inherited[fsys.DefaultACL]
	return u.settleEmpty(u.worker, u.roots.destination, inherits, root, u.roots.firstMode)
}

func (u *unpackJob) addFlush() error {
	var stat fsys.Stat
	if err := u.roots.destination.Stat(&stat); err != nil {
		return unableToOpen("destination", u.archive.destination, err)
	}
	return u.flusher.add(u.roots.destination, &stat)
}

// plan reads the whole archive, and finds out what is to be done.
func (u *unpackJob) plan() error {
	reader, err := openArchive(u.ctx, u.source, u.archive)
	if err != nil {
		return err
	}
	defer reader.close()
	u.route = u.routeToRead()
	defer u.route.close()
	for {
		header, err := reader.next()
		if err == io.EOF {
			u.separate()
			return nil
		}
		if err != nil {
			return err
		}
		entry, err := u.read(header)
		if err != nil {
			return err
		}
		entry.listed = true
		u.Meter.ItemsTotal.Add(1)
		if !entry.ignored {
			u.imply(entry.path)
			if implied := u.byPath[entry.path]; implied != nil {
				// It is made where it was first needed, but with what the archive says of it.
				implied.stat, implied.attributes, implied.implied = entry.stat, entry.attributes, false
				u.compare(implied, nil)
				u.entries = append(u.entries, &unpacked{path: entry.path, listed: true, ignored: true, stat: entry.stat})
				continue
			}
			u.byPath[entry.path] = entry
			u.compare(entry, reader)
		}
		u.entries = append(u.entries, entry)
		if err := u.readContent(entry, reader); err != nil {
			return reader.failure(err)
		}
	}
}

// readContent keeps the content of a small file that is to be written, as far as memory allows: the rest is read again.
// Of others only that of sparse files is looked at, in which the map of the holes may be wrong.
func (u *unpackJob) readContent(entry *unpacked, reader *archiveReader) error {
	size := entry.stat.Size()
	compared := entry.existing != nil && u.archive.checksum // and so read in part
	if !u.DryRun && entry.needsContent() && !compared && size <= u.keep {
		entry.kept = make([]byte, size)
		u.keep -= size
		if _, err := io.ReadFull(reader, entry.kept); err != nil {
			return err
		}
	}
	if entry.sparse {
		_, err := io.Copy(io.Discard, reader)
		return err
	}
	return nil
}

// imply adds the directories above a path that neither the archive nor the destination has.
func (u *unpackJob) imply(path string) {
	above, has := parentOf(path)
	if !has || u.byPath[above] != nil {
		return
	}
	u.imply(above)
	entry := &unpacked{path: above, implied: true}
	details := fsys.Details{Type: fsys.TypeDirectory, Permissions: 0o777 &^ u.policy.umask}
	entry.stat = details.Stat()
	u.byPath[above] = entry
	u.compare(entry, nil)
	u.entries = append(u.entries, entry)
}

// finish gives directories what they lost, or what the archive says of them, those further down first.
func (u *unpackJob) finish() {
	final := map[string]*unpacked{}
	for path := range u.touched {
		final[path] = nil
	}
	for _, entry := range u.entries {
		if entry.stat.IsDirectory() && !entry.ignored && entry.err == nil && entry.todo != nothing {
			final[entry.path] = entry
		}
	}
	paths := make([]string, 0, len(final))
	for path := range final {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	for _, path := range paths {
		err := u.finishDirectory(path, final[path])
		if err != nil && !fsys.IsNotExist(err) && !fsys.IsNotDirectory(err) {
			u.entryFailed(path, unable("set the metadata", err))
		}
	}
	failpoint.Hit("file_archive.finished")
}

func (u *unpackJob) finishDirectory(path string, entry *unpacked) error {
	before, known := u.touched[path]
	if planned := u.byPath[path]; known && (before.lifted || planned != nil && !planned.implied) {
		if err := u.restore(path, before); err != nil {
			return err
		}
	}
	if entry == nil {
		return nil
	}
	opened, err := u.roots.destination.OpenBelow(path, fsys.Directory.OpenDirectory)
	if err != nil {
		return err
	}
	defer opened.Close()
	at := &place{directory: &directory{path: path, inheritsACL: true}}
	if entry.todo == setMetadata {
		return u.policy.apply(opened.Handle(), entry.found, &entry.stat, entry.existing)
	}
	var made fsys.Stat
	if err := opened.Stat(&made); err != nil {
		return err
	}
	if entry.implied {
		return opened.Handle().Chmod(entry.stat.Permissions())
	}
	return u.worker.settle(at, &entry.stat, &made, opened.Handle(), entry)
}

// routeToRead is for comparing.
func (u *unpackJob) routeToRead() *route {
	return &route{
		root:   u.roots.destination,
		enter:  func(parent fsys.Directory, name, _ string) (fsys.Directory, error) { return parent.OpenDirectory(name) },
		arrive: func(*directory) error { return nil },
	}
}

func (u *unpackJob) statistics() *unpackStatistics {
	done := &u.worker.counters
	total := &unpackStatistics{
		FilesWritten: done.FilesCopied, BytesWritten: done.BytesCopied, FilesUnchanged: done.FilesUnchanged,
		DirectoriesCreated: done.DirectoriesCreated, SymlinksCreated: done.SymlinksCreated,
		HardLinksCreated: done.HardLinksCreated, SpecialsCreated: done.SpecialsCreated,
		MetadataUpdated: done.MetadataUpdated, Skipped: done.Skipped, Changes: u.Changes(),
	}
	for _, entry := range u.entries {
		switch {
		case entry.ignored || entry.implied:
		case entry.isLink():
			total.HardLinks++
			total.FilesTotal++
		case entry.stat.IsRegular():
			total.FilesTotal++
			total.BytesTotal += entry.stat.Size()
		case entry.stat.IsDirectory():
			total.DirectoriesTotal++
		case entry.stat.IsSymlink():
			total.SymlinksTotal++
		default:
			total.SpecialsTotal++
		}
	}
	return total
}

// errInTheWay tells that a directory has the name of something else.
var errInTheWay = &entryError{code: wire.IOError, message: "a directory is in the way"}
