// SPDX-License-Identifier: GPL-3.0-or-later

package tarball

import (
	"archive/tar"
	"bytes"
	"maps"
	"testing"

	"migration.assistant/engine/internal/fsys"
)

func TestHeadersAreReadByTheStandardLibrary(t *testing.T) {
	for _, modified := range []fsys.Time{{}, {Seconds: 1, Nanoseconds: 5}, {Seconds: -2, Nanoseconds: 5e8}, {Seconds: 1 << 40}, {Seconds: -1}} {
		entry := &Entry{
			Path: "d/\xff", Type: TypeFile, Mode: 0o4755, User: 1 << 31, Group: 7, Modified: modified,
			Attributes: fsys.Attributes{"user.a=%b": "\x00\n="},
		}
		header, err := tar.NewReader(bytes.NewReader(append(entry.Header(), End...))).Next()
		if err != nil {
			t.Fatal(err)
		}
		attributes, err := AttributesOf(header.PAXRecords)
		if err != nil || !maps.Equal(attributes, entry.Attributes) {
			t.Errorf("attributes: %v, %v", attributes, err)
		}
		read := fsys.Time{Seconds: header.ModTime.Unix(), Nanoseconds: int64(header.ModTime.Nanosecond())}
		if header.Name != entry.Path || header.Uid != 1<<31 || header.Mode != 0o4755 || read != modified {
			t.Errorf("%q %d %o %v", header.Name, header.Uid, header.Mode, read)
		}
	}
}

func TestAccessLists(t *testing.T) {
	const text = "user::rw-,user:1234:r--,group::r-x,mask::rwx,other::---"
	value, err := aclValue("other::---\nuser::rw-\nuser:daemon:r--:1234\ngroup::r-x\nmask::rwx\n")
	if err != nil {
		t.Fatal(err)
	}
	if found, known := aclText(value); !known || found != text {
		t.Errorf("%q", found)
	}
	for _, wrong := range []string{"user", "nobody::rwx", "user:daemon:rwx"} {
		if _, err := aclValue(wrong); err == nil {
			t.Errorf("%q was read", wrong)
		}
	}
}
