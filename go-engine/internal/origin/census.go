// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"context"
	"fmt"
	"time"

	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
)

// Census is how much there is in a tree: its entries, and the bytes of its files. What cannot be read is left out.
type Census struct{ Items, Bytes int64 }

// Count counts what is in an open directory and below it, without what the filters hide. closed tells which directories
// to leave alone, nil for none. It is given up when the context ends.
func Count(ctx context.Context, root fsys.Directory, list *filters.List, closed func(*fsys.Stat) bool) (Census, error) {
	c := &counting{ctx: ctx, filters: list, closed: closed}
	if root.Follows() {
		c.within = map[fsys.Identity]bool{}
	}
	// Opened anew: a duplicate would share its place in the listing with others.
	opened, err := root.OpenDirectory(".")
	if err != nil {
		return Census{}, err
	}
	c.count(opened, "")
	return c.census, ctx.Err()
}

type counting struct {
	ctx     context.Context
	filters *filters.List
	closed  func(*fsys.Stat) bool
	lister  fsys.Lister
	census  Census
	within  map[fsys.Identity]bool // the directories that are being counted, where symbolic links may lead back to them
}

// count counts what is in an open directory and below it, and closes it.
func (c *counting) count(directory fsys.Directory, path string) {
	defer directory.Close()
	if c.within != nil {
		var stat fsys.Stat
		if directory.Stat(&stat) != nil || c.within[stat.Identity()] {
			return
		}
		c.within[stat.Identity()] = true
		defer delete(c.within, stat.Identity())
	}
	entries, err := c.lister.List(directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if c.ctx.Err() != nil {
			return
		}
		c.countEntry(directory, join(path, entry.Name), entry)
	}
}

func (c *counting) countEntry(directory fsys.Directory, path string, entry fsys.Entry) {
	var stat fsys.Stat
	if entry.Type == 0 || entry.Type == fsys.TypeRegular {
		if directory.Lstat(entry.Name, &stat) != nil {
			return
		}
		entry.Type = stat.Type()
	}
	if c.filters.Hides(path, entry.Type == fsys.TypeDirectory) {
		return
	}
	c.census.Items++
	switch entry.Type {
	case fsys.TypeRegular:
		c.census.Bytes += stat.Size()
	case fsys.TypeDirectory:
		if below, err := directory.OpenDirectory(entry.Name); err == nil {
			if c.closed != nil && (below.Stat(&stat) != nil || c.closed(&stat)) {
				below.Close()
				return
			}
			c.count(below, path)
		}
	}
}

// OutsideOf tells which directories are in another file system than this one.
func OutsideOf(root fsys.Directory) func(*fsys.Stat) bool {
	var own fsys.Stat
	if root.Stat(&own) != nil {
		return nil
	}
	return func(stat *fsys.Stat) bool { return stat.Identity().Device != own.Identity().Device }
}

// What a census of another host consists of: signs that it is under way, and the figures.
const (
	censusGoesOn = 'w'
	censusDone   = 'n'
	censusSign   = time.Second
)

// census counts the tree, and stops when nobody reads the answer any more.
func (a *answerer) census() error {
	encoded, err := a.from.Text(longestPath)
	if err != nil {
		return err
	}
	inOneFileSystem, err := a.from.ReadByte()
	if err != nil {
		return err
	}
	list, err := filters.Decode(encoded)
	if err != nil {
		return sendFailure(a.to, err)
	}
	if a.offer != nil {
		list = a.offer.Filters
	}
	var closed func(*fsys.Stat) bool
	if inOneFileSystem == 1 {
		closed = OutsideOf(a.root)
	}
	if err := a.to.Byte(answerGood); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	counted := make(chan Census, 1)
	go func() {
		census, _ := Count(ctx, a.root, list, closed)
		counted <- census
	}()
	for {
		select {
		case census := <-counted:
			if err := a.to.Byte(censusDone); err != nil {
				return err
			}
			if err := a.to.Uint(uint64(census.Items)); err != nil {
				return err
			}
			return a.to.Uint(uint64(census.Bytes))
		case <-time.After(censusSign):
			err := a.to.Byte(censusGoesOn)
			if err == nil {
				err = a.to.Flush()
			}
			if err != nil {
				cancel()
				<-counted
				return err
			}
		}
	}
}

// Census counts a tree on another host, as Count does here.
func (t *Tree) Census(ctx context.Context, list *filters.List, inOneFileSystem bool) (Census, error) {
	s, err := t.stream()
	if err != nil {
		return Census{}, err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	bit := byte(0)
	if inOneFileSystem {
		bit = 1
	}
	for _, send := range []func() error{
		func() error { return s.to.Byte(askCensus) },
		func() error { return s.to.Text("") },
		func() error { return s.to.Text(list.Encoded()) },
		func() error { return s.to.Byte(bit) },
		s.to.Flush,
	} {
		if err := send(); err != nil {
			return Census{}, lost(err)
		}
	}
	if err := s.answer(); err != nil {
		return Census{}, err
	}
	for {
		switch sign, err := s.from.ReadByte(); {
		case err != nil:
			return Census{}, lost(err)
		case sign == censusDone:
			items, err := s.from.Uint()
			if err != nil {
				return Census{}, lost(err)
			}
			bytes, err := s.from.Uint()
			return Census{int64(items), int64(bytes)}, lost(err)
		case sign != censusGoesOn:
			return Census{}, lost(fmt.Errorf("the other engine sent the unknown sign %d", sign))
		}
	}
}
