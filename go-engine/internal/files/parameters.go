// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"math"
	"path/filepath"
	"strings"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/sumcache"
	"migration.assistant/engine/internal/wire"
)

// syncParameters are those of file_sync; sizes in bytes. A maxDelete of -1 is no limit.
type syncParameters struct {
	far            farParameters
	source         string
	destination    string
	checksum       bool              // contents are compared
	algorithm      *digest.Algorithm // of the checksums by which contents are compared on two hosts, or with a cache
	cache          sumcache.Options  // for comparing, not for verifying
	verify         bool
	update         bool // files that are newer at the destination stay
	failVanished   bool // an entry that vanishes is a failure
	delete         bool
	maxDelete      int64
	filters        *filters.List
	oneFileSystem  bool // of the source: what is mounted in it is not entered
	followSymlinks bool // of the source: they are what they lead to
	preserve       preserve
	parallelFiles  int
	threshold      int64 // bytes per second below which fewer files are copied at a time; 0 for no adjusting
	parallelChunks int
	chunkSize      int64
	resume         bool // what is copied of files of more than chunkSize is recorded
	bufferSize     int
	bandwidthLimit int64
	syncFrequency  int64 // files after which all is flushed to the disk; 0 for never
	directIO       bool  // past the cache of files
}

// preserve says what of an entry is kept beside its content.
type preserve struct {
	permissions, timestamps, owner, group, hardLinks, xattrs, specials bool
	labels                                                             bool // SELinux contexts, which are attributes
}

func readPreserve(kept *wire.Object) preserve {
	return preserve{
		permissions: kept.Bool("permissions", true),
		timestamps:  kept.Bool("timestamps", true),
		owner:       kept.Bool("owner", true),
		group:       kept.Bool("group", true),
		hardLinks:   kept.Bool("hard_links", true),
		xattrs:      kept.Bool("xattrs", true),
		labels:      kept.Bool("selinux", true),
		specials:    kept.Bool("specials", true),
	}
}

func readSyncParameters(object *wire.Object) (*syncParameters, error) {
	parameters := &syncParameters{
		far:            readFarParameters(object),
		source:         readPath(object, "source"),
		destination:    readPath(object, "destination"),
		checksum:       object.Choice("compare", "quick", "checksum") == "checksum",
		algorithm:      digest.Named(object.Choice("checksum_algorithm", digest.Names()...)),
		update:         object.Bool("update", false),
		verify:         object.Bool("verify", false),
		failVanished:   object.Choice("on_vanished", "warn", "fail") == "fail",
		delete:         object.Bool("delete", false),
		maxDelete:      -1,
		filters:        filters.Read(object, "filters"),
		oneFileSystem:  object.Bool("one_file_system", false),
		followSymlinks: readFollow(object),
		preserve:       readPreserve(object.Object("preserve")),
		parallelFiles:  readParallel(object, "parallel_files", 8),
		threshold:      object.Integer("performance_threshold", 0, 0, math.MaxInt64),
		parallelChunks: readParallel(object, "parallel_chunks", 1),
		chunkSize:      object.Integer("chunk_size", 50<<20, 64<<10, math.MaxInt64),
		resume:         object.Bool("resume", true),
		bufferSize:     int(object.Integer("buffer_size", 256<<10, 4<<10, 1<<30)),
		bandwidthLimit: object.Integer("bandwidth_limit", 0, 0, math.MaxInt64),
		syncFrequency:  object.Integer("sync_frequency", 0, 0, math.MaxInt64),
		directIO:       object.Bool("direct_io", false),
	}
	// Where times are not kept they tell nothing.
	parameters.checksum = parameters.checksum || !parameters.preserve.timestamps
	if parameters.cache = sumcache.Read(object); !parameters.checksum {
		parameters.cache = sumcache.Options{}
	}
	if limit, given := object.OptionalInteger("max_delete", 0); given {
		parameters.maxDelete = limit
	}
	// The chunks of large files have streams beside those of the workers.
	streams := parameters.parallelFiles * (farWorkers + parameters.parallelChunks)
	parameters.far.options.Window = parameters.far.window(streams)
	return parameters, object.Err()
}

// farWorkers is how many workers stand for each file that is copied at the same time where the source is on another
// host: most of them wait for it.
const farWorkers = 4

// workers tells how many workers there are.
func (p *syncParameters) workers() int {
	if p.far.side == "source" {
		return p.parallelFiles * farWorkers
	}
	return p.parallelFiles
}

// statisticsParameters are those of file_statistics.
type statisticsParameters struct {
	source         string
	filters        *filters.List
	followSymlinks bool
	parallelFiles  int
}

func readStatisticsParameters(object *wire.Object) (*statisticsParameters, error) {
	parameters := &statisticsParameters{
		source:         readPath(object, "source"),
		filters:        filters.Read(object, "filters"),
		followSymlinks: readFollow(object),
		parallelFiles:  readParallel(object, "parallel_files", 8),
	}
	return parameters, object.Err()
}

// readFollow reads whether symbolic links of the source are followed: where it is on another host, that one may refuse.
func readFollow(object *wire.Object) bool {
	follow := object.Bool("follow_symlinks", false)
	if follow && !fsys.FollowsLinks {
		object.Report("follow_symlinks", "is not possible on this platform")
	}
	return follow
}

func readParallel(object *wire.Object, name string, fallback int64) int {
	return int(object.Integer(name, fallback, 1, 1024))
}

func readPath(object *wire.Object, name string) string {
	path := string(object.RequiredPath(name))
	switch {
	case path == "":
	case !filepath.IsAbs(path):
		object.Report(name, "must be an absolute path")
	case strings.ContainsRune(path, 0):
		object.Report(name, "must not contain a null byte")
	case fsys.NamesStream(path):
		object.Report(name, "must not name a stream of a file: there is a colon in it")
	}
	return filepath.Clean(path)
}
