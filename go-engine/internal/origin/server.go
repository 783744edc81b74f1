// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"io"
	"os"
	"strings"
	"sync"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/sumcache"
	"migration.assistant/engine/internal/wire"
)

// Server answers what is asked of the trees of this host. Each root is opened once, for all streams, which also share
// what is known of how fast the wire is.
type Server struct {
	offer *Offer
	mutex sync.Mutex
	roots map[string]fsys.Directory
	paces map[far.Compression]*far.Pace
	cache serverCache
}

// Offer is all that the other end may see: one tree, without what the filters hide. That end may belong to somebody
// whom this one does not trust with anything else.
type Offer struct {
	Root     string
	Filters  *filters.List
	Followed bool // symbolic links may be what they lead to
	Cache    sumcache.Options
}

// NewServer makes a server. Without an offer the other end may see what this user can: it has logged in as that user.
func NewServer(offer *Offer) *Server {
	return &Server{offer: offer, roots: map[string]fsys.Directory{}, paces: map[far.Compression]*far.Pace{}}
}

// Close closes the roots. No stream may be served any more.
func (s *Server) Close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, root := range s.roots {
		root.Close()
	}
	clear(s.roots)
	s.cache.close()
}

// shows tells whether the other end may see an entry: nothing outside the tree, and nothing that is hidden or lies in
// what is hidden.
func (o *Offer) shows(path string, directory bool) bool {
	if path == "" {
		return true
	}
	for start := 0; ; {
		length := strings.IndexByte(path[start:], '/')
		name, end := path[start:], len(path)
		if length >= 0 {
			name, end = path[start:start+length], start+length
		}
		if name == "" || name == "." || name == ".." {
			return false
		}
		if o != nil && o.Filters.Hides(path[:end], directory || length >= 0) {
			return false
		}
		if length < 0 {
			return true
		}
		start = end + 1
	}
}

// Serve answers on one stream until it ends.
func (s *Server) Serve(stream io.ReadWriteCloser) {
	defer stream.Close()
	a := &answerer{offer: s.offer, from: far.NewReader(stream)}
	defer func() { a.directory.Close() }()
	if a.begin(s, stream) != nil {
		return
	}
	for a.answer() == nil {
	}
}

func (s *Server) root(path string, followed bool, compression far.Compression) (fsys.Directory, *far.Pace, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	pace := s.paces[compression]
	if pace == nil {
		var err error
		if pace, err = far.NewPace(compression); err != nil {
			return fsys.Directory{}, nil, wire.Fail(wire.BadJob, "%w", err)
		}
		s.paces[compression] = pace
	}
	if s.offer != nil && s.offer.Root != path {
		return fsys.Directory{}, nil, wire.Fail(wire.BadJob, "the directory %s is not the source of this job", path)
	}
	if followed && !fsys.FollowsLinks {
		return fsys.Directory{}, nil, wire.Fail(wire.BadJob, "symbolic links cannot be followed on the source's platform")
	}
	if followed && s.offer != nil && !s.offer.Followed {
		return fsys.Directory{}, nil, wire.Fail(wire.BadJob, "symbolic links are not followed in this job")
	}
	root, found := s.roots[path]
	if !found {
		var err error
		if root, err = OpenRoot(path); err != nil {
			return root, pace, err
		}
		s.roots[path] = root
	}
	if followed {
		root = root.Following()
	}
	return root, pace, nil
}

// OpenRoot opens the root of a tree of this host. Its error is a Failure.
func OpenRoot(path string) (fsys.Directory, error) {
	info, err := os.Stat(path)
	switch {
	case fsys.IsNotExist(err) || fsys.IsNotDirectory(err):
		return fsys.Directory{}, wire.Fail(wire.SourceMissing, "the source %s does not exist", path)
	case err != nil:
		return fsys.Directory{}, unableToOpen(path, err)
	case !info.IsDir():
		return fsys.Directory{}, wire.Fail(wire.SourceNotDirectory, "the source %s is not a directory", path)
	}
	opened, err := fsys.OpenRoot(path)
	if err != nil {
		return fsys.Directory{}, unableToOpen(path, err)
	}
	return opened, nil
}

// checkThere tells by a Failure that an open root was deleted, or that its path leads nowhere any more: what is no longer
// found in it must not be taken for what was deleted from it.
func checkThere(path string, root fsys.Directory) error {
	var stat fsys.Stat
	_, err := os.Stat(path)
	if err == nil {
		err = root.Stat(&stat)
	}
	if fsys.IsNotExist(err) || fsys.IsNotDirectory(err) || err == nil && stat.Links() == 0 {
		return wire.Fail(wire.SourceChanged, "the source %s vanished during the run", path)
	}
	return nil
}

// there answers whether there still is a tree.
func (a *answerer) there() error {
	if err := checkThere(a.rootPath, a.root); err != nil {
		return sendFailure(a.to, err)
	}
	return a.to.Byte(answerGood)
}

func unableToOpen(path string, err error) error {
	return wire.Fail(wire.IOError, "unable to open the source %s: %s", path, fsys.Reason(err))
}
