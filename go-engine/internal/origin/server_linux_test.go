// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"migration.assistant/engine/internal/digest"
	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/filters"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/wire"
)

// direct opens streams to a server of this process.
type direct struct{ server *Server }

func (d direct) Open(far.Kind) (io.ReadWriteCloser, error) {
	near, other := net.Pipe()
	go d.server.Serve(other)
	return near, nil
}

func (d direct) Connections() int { return 1 }

var plain = Wanted{
	Attributes: true, Numeric: true, Compression: far.Compression{Codec: "none"}, Checksums: digest.Named("sha256"),
}

// offered makes a tree with something beside it, and a server that offers the tree without what is hidden.
func offered(t *testing.T) (server *Server, root string) {
	t.Helper()
	above := t.TempDir()
	root = filepath.Join(above, "tree")
	for _, path := range []string{"tree/open/file", "tree/hidden/secret", "tree/open/hidden", "outside/secret"} {
		path = filepath.Join(above, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	job := `{"protocol":1,"id":"x","operation":"x","parameters":{"filters":[{"action":"exclude","regex":"(?:.*/)?hidden"}]}}`
	decoded, err := wire.DecodeJob([]byte(job))
	if err != nil {
		t.Fatal(err)
	}
	list := filters.Read(decoded.Parameters, "filters")
	if err := decoded.Parameters.Err(); err != nil {
		t.Fatal(err)
	}
	return NewServer(&Offer{Root: root, Filters: list}), root
}

func TestLinksAreFollowedOnlyWhereThatIsOffered(t *testing.T) {
	server, root := offered(t)
	wanted := plain
	wanted.Followed = true
	if _, err := OpenFar(direct{server}, root, wanted); err == nil || !strings.Contains(err.Error(), "not followed in this job") {
		t.Errorf("the other end may follow links: %v", err)
	}
}

func TestNothingButTheOfferIsServed(t *testing.T) {
	server, root := offered(t)
	directory, err := OpenFar(direct{server}, root, plain)
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Tree().Close()
	if names, _ := directory.List(nil); len(names) != 1 || names[0].Name != "open" {
		t.Errorf("the root is listed as %v", names)
	}
	below, err := directory.OpenDirectory("open")
	if err != nil {
		t.Fatal(err)
	}
	names, _ := below.List(nil)
	if !slices.ContainsFunc(names, func(entry fsys.Entry) bool { return entry.Name == "file" }) || len(names) != 1 {
		t.Errorf("the directory is listed as %v", names)
	}
	for _, path := range []string{"..", "../outside", "open/../../outside", "open/..", ".", "open//", "hidden", "/etc"} {
		if _, err := directory.OpenBelow(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the directory %s can be listed: %v", path, err)
		}
	}
	for _, path := range []string{"../outside/secret", "open/../../outside/secret", "hidden/secret", "open/hidden"} {
		if err := askForContent(directory, root, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file %s can be read: %v", path, err)
		}
	}
	if err := askForContent(directory, root, "open/file"); err != nil {
		t.Errorf("the file that is offered cannot be read: %v", err)
	}
}

// askForContent asks for a file as an engine would that does not keep to what it was told.
func askForContent(directory Directory, root, path string) error {
	var info fsys.Stat
	parent, err := fsys.OpenRoot(filepath.Dir(filepath.Join(root, path)))
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := parent.Lstat(filepath.Base(path), &info); err != nil {
		return err
	}
	s, err := directory.Tree().stream()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := askAbout(s, askFile, path, &info, 0, -1); err != nil {
		return err
	}
	if err := s.to.Flush(); err != nil {
		return err
	}
	return s.answer()
}

func TestAnotherRootIsRefused(t *testing.T) {
	server, root := offered(t)
	_, err := OpenFar(direct{server}, filepath.Dir(root), plain)
	var failure *wire.Failure
	if !errors.As(err, &failure) || failure.Code != wire.BadJob {
		t.Errorf("the directory above can be opened: %v", err)
	}
}

func TestChecksumsAreOfTheKindThatIsWanted(t *testing.T) {
	server, root := offered(t)
	for _, algorithm := range digest.Algorithms {
		wanted := plain
		wanted.Checksums = algorithm
		directory, err := OpenFar(direct{server}, root, wanted)
		if err != nil {
			t.Fatal(err)
		}
		below, err := directory.OpenDirectory("open")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := below.List(nil); err != nil {
			t.Fatal(err)
		}
		fetcher, err := directory.Tree().Fetcher()
		if err != nil {
			t.Fatal(err)
		}
		found, err := fetcher.Checksum(below, "file", 7, false)
		expected := algorithm.New()
		expected.Write([]byte("content"))
		if err != nil || found.Sum != string(expected.Sum(nil)) {
			t.Errorf("the %s of a file is %x: %v", algorithm.Name, found.Sum, err)
		}
		directory.Tree().Close()
	}
}
