// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"strings"

	"migration.assistant/engine/internal/fsys"
)

// routeLevels bounds how many directories are kept open on the way to the one in hand.
const routeLevels = 32

// route opens directories of the destination one after the other. Those on the way to the one in hand stay open, since
// the next is seldom far.
type route struct {
	root  fsys.Directory
	enter func(parent fsys.Directory, name, path string) (fsys.Directory, error)
	// arrive is called for each directory that was asked for and is open now.
	arrive func(d *directory) error
	levels []level // each in the one before it
}

type level struct {
	*directory
	arrived bool
}

// open gives the directory at the path; it belongs to the route unless it is held.
func (r *route) open(path string) (*directory, error) {
	for len(r.levels) > 0 && !isAbove(r.levels[len(r.levels)-1].path, path) {
		r.leave(len(r.levels) - 1)
	}
	if len(r.levels) == 0 {
		root, err := r.root.Duplicate()
		if err != nil {
			return nil, unable("open the destination's directory", err)
		}
		r.add("", root)
	}
	for {
		last := &r.levels[len(r.levels)-1]
		if last.path == path {
			if !last.arrived {
				if err := r.arrive(last.directory); err != nil {
					return nil, err
				}
				last.arrived = true
			}
			return last.directory, nil
		}
		rest := strings.TrimPrefix(path[len(last.path):], "/")
		name, _, _ := strings.Cut(rest, "/")
		below := path[:len(path)-len(rest)+len(name)]
		opened, err := r.enter(last.destination, name, below)
		if err != nil {
			return nil, unable("open the destination's directory", err)
		}
		r.add(below, opened)
	}
}

func isAbove(above, path string) bool {
	return above == "" || path == above || strings.HasPrefix(path, above) && path[len(above)] == '/'
}

func (r *route) add(path string, opened fsys.Directory) {
	d := &directory{path: path, destination: opened}
	d.pending.Store(1)
	if len(r.levels) == routeLevels {
		r.leave(0)
	}
	r.levels = append(r.levels, level{directory: d})
}

func (r *route) leave(level int) {
	r.levels[level].letGo()
	r.levels = append(r.levels[:level], r.levels[level+1:]...)
}

func (r *route) close() {
	for len(r.levels) > 0 {
		r.leave(len(r.levels) - 1)
	}
}

// hold keeps an open directory open until letGo.
func (d *directory) hold() *directory {
	d.pending.Add(1)
	return d
}

func (d *directory) letGo() {
	if d.pending.Add(-1) == 0 {
		d.destination.Close()
	}
}
