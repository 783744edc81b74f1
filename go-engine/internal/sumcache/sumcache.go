// SPDX-License-Identifier: GPL-3.0-or-later

package sumcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

const (
	magic      = "migration.assistant checksums 1\n"
	pageSize   = 4096
	entrySize  = 96
	keySize    = 24
	sealSize   = 8
	storedAt   = 48 // where an entry says when it was stored
	sumAt      = 56
	inPage     = pageSize / entrySize
	bootAt     = len(magic) + 8
	bootLength = 36
	mostBytes  = 1 << 50
	// settled is for how long a file must have been left alone before it is read.
	settled = 2 * time.Second
	// stripes is how many pages may be written at the same time.
	stripes = 64
)

// Options say whether checksums are remembered, and how. The zero value is no.
type Options struct {
	MaxSize  int64 // of the file, in bytes; 0 for no cache
	MaxAge   int64 // of an entry, in seconds; 0 for no limit
	ReadOnly bool  // nothing is written
}

// Read reads the options of a job.
func Read(parameters *wire.Object) Options {
	object := parameters.Object("checksum_cache")
	return Options{
		MaxSize: object.Integer("max_size", 0, 0, mostBytes),
		MaxAge:  object.Integer("max_age", 0, 0, math.MaxInt64),
	}
}

// For gives the options for a job that changes something, or only looks.
func (o Options) For(dryRun bool) Options {
	o.ReadOnly = dryRun
	return o
}

// Cache is the open file. A nil one remembers nothing.
type Cache struct {
	file    *os.File
	pages   uint64
	options Options
	damaged atomic.Int64
	locks   [stripes]sync.Mutex
	devices sync.Map // whether the change times of a device's files can be trusted
}

// Find gives the checksum of an open file that is as it was when that was computed, nil for none.
func (c *Cache) Find(algorithm *digest.Algorithm, file fsys.File, stat *fsys.Stat) []byte {
	if c == nil || !c.trusts(file, stat) {
		return nil
	}
	wanted := newEntry(algorithm, stat)
	for try := 0; ; try++ {
		var page [pageSize]byte
		place := c.page(stat.Identity())
		if _, err := c.file.ReadAt(page[:], place); err != nil {
			return nil
		}
		found := at(&page, indexOf(&page, wanted))
		if found == nil || !bytes.Equal(found[keySize:storedAt], wanted[keySize:storedAt]) {
			return nil
		}
		if !isSealed(found) {
			if try == 0 {
				continue // another process may just have been writing it
			}
			c.damaged.Add(1)
			return nil
		}
		if c.isOld(found, time.Now().Unix()) {
			return nil
		}
		return bytes.Clone(found[sumAt : sumAt+algorithm.Size])
	}
}

// Reading is a file whose checksum is being computed, and may be kept. The zero value is none that is.
type Reading struct {
	cache     *Cache
	algorithm *digest.Algorithm
	stat      fsys.Stat
}

// Begin is called before an open file is read. stat is what it is.
func (c *Cache) Begin(algorithm *digest.Algorithm, file fsys.File, stat *fsys.Stat) Reading {
	if c == nil || c.options.ReadOnly || !c.trusts(file, stat) {
		return Reading{}
	}
	changed := stat.Changed()
	if time.Since(time.Unix(changed.Seconds, changed.Nanoseconds)) < settled || file.WriteBack() != nil {
		return Reading{}
	}
	return Reading{c, algorithm, *stat}
}

// Keep remembers the checksum, if the file is still what it was.
func (r *Reading) Keep(file fsys.File, sum []byte) {
	c := r.cache
	var now fsys.Stat
	if c == nil || file.Stat(&now) != nil {
		return
	}
	entry := newEntry(r.algorithm, &r.stat)
	if *entry != *newEntry(r.algorithm, &now) {
		return
	}
	binary.LittleEndian.PutUint64(entry[storedAt:], uint64(time.Now().Unix()))
	copy(entry[sumAt:], sum)
	copy(entry[entrySize-sealSize:], seal(entry[:entrySize-sealSize]))
	place := c.page(now.Identity())
	lock := &c.locks[place/pageSize%stripes]
	lock.Lock()
	defer lock.Unlock()
	// A disk that is full keeps no checksums, and the job is none the worse.
	_ = c.put(place, entry)
}

// put writes an entry to its page.
func (c *Cache) put(place int64, entry *[entrySize]byte) error {
	var page [pageSize]byte
	if _, err := c.file.ReadAt(page[:], place); err != nil {
		return err
	}
	index := indexOf(&page, entry)
	if index < 0 {
		index = c.leaving(&page, entry)
	}
	_, err := c.file.WriteAt(entry[:], place+int64(index*entrySize))
	return err
}

// Close closes the file, and gives what is to be told: "" for nothing.
func (c *Cache) Close() string {
	if c == nil {
		return ""
	}
	_ = c.file.Close()
	if count := c.damaged.Load(); count > 0 {
		return fmt.Sprintf("%d damaged entries of the checksum cache were not used", count)
	}
	return ""
}

func (c *Cache) trusts(file fsys.File, stat *fsys.Stat) bool {
	device := stat.Identity().Device
	trusted, known := c.devices.Load(device)
	if !known {
		trusted = file.KeepsChangeTime()
		c.devices.Store(device, trusted)
	}
	return trusted.(bool)
}

// page gives where the page of a file begins.
func (c *Cache) page(identity fsys.Identity) int64 {
	mixed := (identity.Device*0x9e3779b97f4a7c15 + identity.Number>>2) * 0xd6e8feb86659fd93
	number, _ := bits.Mul64(mixed, c.pages)
	return int64(1+number) * pageSize
}

// isOld tells whether an entry does not count by its age; a free one does not either, nor one of the future.
func (c *Cache) isOld(entry []byte, now int64) bool {
	stored := int64(binary.LittleEndian.Uint64(entry[storedAt:]))
	return stored <= 0 || stored > now || c.options.MaxAge > 0 && now-stored > c.options.MaxAge
}

// newEntry makes an entry without its last fields.
func newEntry(algorithm *digest.Algorithm, stat *fsys.Stat) *[entrySize]byte {
	var entry [entrySize]byte
	identity := stat.Identity()
	copy(entry[16:keySize], algorithm.Name)
	binary.LittleEndian.PutUint64(entry[0:], identity.Device)
	binary.LittleEndian.PutUint64(entry[8:], identity.Number)
	binary.LittleEndian.PutUint64(entry[keySize:], uint64(stat.Size()))
	binary.LittleEndian.PutUint64(entry[32:], nanoseconds(stat.Modified()))
	binary.LittleEndian.PutUint64(entry[40:], nanoseconds(stat.Changed()))
	return &entry
}

// nanoseconds gives a time in 64 bits, in which times of distant centuries go round.
func nanoseconds(time fsys.Time) uint64 { return uint64(time.Seconds*1e9 + time.Nanoseconds) }

// indexOf gives the place of the entry of that file and algorithm, -1 for none.
func indexOf(page *[pageSize]byte, wanted *[entrySize]byte) int {
	for index := range inPage {
		if start := index * entrySize; bytes.Equal(page[start:start+keySize], wanted[:keySize]) {
			return index
		}
	}
	return -1
}

// leaving gives the place of the entry that makes room for a new one: a free one, one that is too old, or by chance any.
// The oldest would be the wrong one: of a tree that the cache cannot hold, each would go just before it is asked for.
func (c *Cache) leaving(page *[pageSize]byte, entry *[entrySize]byte) int {
	now := time.Now().Unix()
	for index := range inPage {
		if c.isOld(at(page, index), now) {
			return index
		}
	}
	return int(entry[entrySize-1]) % inPage
}

func at(page *[pageSize]byte, index int) []byte {
	if index < 0 {
		return nil
	}
	return page[index*entrySize : (index+1)*entrySize]
}

func seal(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:sealSize]
}

func isSealed(content []byte) bool {
	end := len(content) - sealSize
	return bytes.Equal(content[end:], seal(content[:end]))
}
