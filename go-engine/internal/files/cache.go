// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"errors"

	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/operations"
	"migration.assistant/engine/internal/origin"
	"migration.assistant/engine/internal/sumcache"
)

// openCache opens the cache of checksums that a job wants, nil for none; done closes it.
func openCache(session *operations.Session, options sumcache.Options) (cache *sumcache.Cache, done func()) {
	cache, notice := sumcache.Open(options.For(session.DryRun))
	warnOfCache(session, notice)
	return cache, func() { warnOfCache(session, cache.Close()) }
}

func warnOfCache(session *operations.Session, notice string) {
	if notice != "" {
		session.Warning("checksum_cache", notice, "")
	}
}

// sameChecksum compares two open files by their checksums, each of which may be remembered.
func (w *worker) sameChecksum(one, other fsys.File, size int64) (bool, error) {
	first, err := w.checksum(one, size, w.job.cache)
	if err != nil {
		return false, err
	}
	second, err := w.checksum(other, size, w.job.cache)
	return first == second, err
}

// sameAsFar compares a file with its source on another host by their checksums; remembered says that neither need be
// read whose own host remembers it.
func (w *worker) sameAsFar(at *place, to fsys.File, source *fsys.Stat, remembered bool) (bool, error) {
	fetcher, err := w.fetch(at.directory.source.Tree())
	if err != nil {
		return false, err
	}
	expected, err := fetcher.Checksum(at.directory.source, at.name, source.Size(), remembered)
	if errors.Is(err, origin.ErrReplaced) {
		return false, replaced("source")
	}
	if err != nil {
		return false, unableToRead("read the source", err)
	}
	w.countCached(expected)
	if expected.Notice != "" {
		warnOfCache(w.job.Session, "on the source's host: "+expected.Notice)
	}
	var cache *sumcache.Cache
	if remembered {
		cache = w.job.cache
	}
	found, err := w.checksum(to, source.Size(), cache)
	return found == expected.Sum, err
}

// checksum gives the checksum of an open file of that size; of a part of it if it has become longer.
func (w *worker) checksum(file fsys.File, size int64, cache *sumcache.Cache) (string, error) {
	w.needBuffer()
	step := func(int64) error { return w.job.check() }
	found, err := origin.ChecksumOf(file, size, w.job.parameters.algorithm, cache, w.buffer, step)
	w.countCached(found)
	return found.Sum, unable("compare the contents", err)
}

func (w *worker) countCached(found origin.Checksum) {
	if found.Cached {
		w.counters.ChecksumsCached++
	}
}
