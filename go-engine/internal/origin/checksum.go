// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"sync"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/sumcache"
)

// Checksum is that of a file. Cached says that it was remembered from earlier; Notice is what another host has to tell
// of its cache, "" for nothing.
type Checksum struct {
	Sum    string
	Cached bool
	Notice string
}

// ChecksumOf gives the checksum of the first size bytes of an open file, or of fewer if it has fewer. A cache, which may
// be nil, knows it from earlier or learns it. step may be nil.
func ChecksumOf(
	file fsys.File, size int64, algorithm *digest.Algorithm, cache *sumcache.Cache, buffer []byte, step fsys.Step,
) (Checksum, error) {
	var reading sumcache.Reading
	if cache != nil {
		var stat fsys.Stat
		if err := file.Stat(&stat); err != nil {
			return Checksum{}, err
		}
		if stat.Size() == size {
			if known := cache.Find(algorithm, file, &stat); known != nil {
				return Checksum{Sum: string(known), Cached: true}, nil
			}
			reading = cache.Begin(algorithm, file, &stat)
		}
	}
	sum := algorithm.New()
	for offset := int64(0); offset < size; {
		length, err := file.ReadAt(buffer[:min(size-offset, int64(len(buffer)))], offset)
		if err != nil {
			return Checksum{}, err
		}
		if length == 0 {
			break
		}
		_, _ = sum.Write(buffer[:length]) // which never fails
		offset += int64(length)
		if step != nil {
			if err := step(int64(length)); err != nil {
				return Checksum{}, err
			}
		}
	}
	found := sum.Sum(nil)
	reading.Keep(file, found)
	return Checksum{Sum: string(found)}, nil
}

// checksum answers for a file; remembered says that it need not be read.
func (a *answerer) checksum(file fsys.File, size int64, remembered bool) error {
	var cache *sumcache.Cache
	notice := ""
	if remembered {
		cache, notice = a.cache.open()
	}
	found, failed := ChecksumOf(file, size, a.algorithm, cache, a.space(), nil)
	if failed != nil {
		return sendFailure(a.to, failed)
	}
	cached := uint64(0)
	if found.Cached {
		cached = 1
	}
	err := a.to.Byte(answerGood)
	if err == nil {
		err = a.to.Text(found.Sum)
	}
	if err == nil {
		err = a.to.Uint(cached)
	}
	if err == nil {
		err = a.to.Text(notice)
	}
	return err
}

// Checksum gives the checksum of the first size bytes of a file on another host. remembered says that it need not be
// read.
func (f *Fetcher) Checksum(d Directory, name string, size int64, remembered bool) (Checksum, error) {
	entry, path, err := d.entryOf(name)
	if err != nil {
		return Checksum{}, err
	}
	s, err := f.aside()
	if err != nil {
		return Checksum{}, err
	}
	question := byte(askChecksum)
	if remembered {
		question = askKnown
	}
	if err := askAbout(s, question, path, &entry.stat, 0, size); err != nil {
		return Checksum{}, err
	}
	if err := lost(s.to.Flush()); err != nil {
		return Checksum{}, err
	}
	if err := s.answer(); err != nil {
		return Checksum{}, err
	}
	sum, err := s.from.Text(longestName)
	if err != nil {
		return Checksum{}, lost(err)
	}
	cached, err := s.from.Uint()
	if err != nil {
		return Checksum{}, lost(err)
	}
	notice, err := s.from.Text(longestName)
	return Checksum{Sum: sum, Cached: cached == 1, Notice: notice}, lost(err)
}

// serverCache is the cache of a server, which is opened when the first file is asked for that it may know.
type serverCache struct {
	mutex   sync.Mutex
	options sumcache.Options
	opened  bool
	cache   *sumcache.Cache
}

// cacheFor gives the cache for a stream that wants these options. Who was offered a tree gets what goes with that.
func (s *Server) cacheFor(options sumcache.Options) *serverCache {
	if s.offer != nil {
		options = s.offer.Cache
	}
	s.cache.mutex.Lock()
	defer s.cache.mutex.Unlock()
	if !s.cache.opened {
		s.cache.options = options
	}
	return &s.cache
}

// open gives the cache, nil if there is none, and the first time what is to be told of it.
func (c *serverCache) open() (cache *sumcache.Cache, notice string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.opened {
		c.opened = true
		c.cache, notice = sumcache.Open(c.options)
	}
	return c.cache, notice
}

// close closes the cache; what is damaged in it, only a job that runs on this host tells.
func (c *serverCache) close() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_ = c.cache.Close()
	c.cache, c.opened = nil, false
}

func sendOptions(to *far.Writer, options sumcache.Options) error {
	writes := uint64(1)
	if options.ReadOnly {
		writes = 0
	}
	for _, value := range []uint64{uint64(options.MaxSize), uint64(options.MaxAge), writes} {
		if err := to.Uint(value); err != nil {
			return err
		}
	}
	return nil
}

func readOptions(from *far.Reader) (sumcache.Options, error) {
	var values [3]uint64
	for index := range values {
		var err error
		if values[index], err = from.Uint(); err != nil {
			return sumcache.Options{}, err
		}
	}
	return sumcache.Options{MaxSize: int64(values[0]), MaxAge: int64(values[1]), ReadOnly: values[2] == 0}, nil
}
