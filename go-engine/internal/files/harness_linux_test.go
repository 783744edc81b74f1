// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"migration.assistant/engine/internal/files"
	"migration.assistant/engine/internal/fsys"
	"migration.assistant/engine/internal/runner"
)

// platformWarnings are the codes by which every job tells what this platform cannot keep.
var platformWarnings []string

func temporaryDirectory(t *testing.T) string {
	t.Helper()
	return t.TempDir()
}

// metadata describes what of an entry is kept besides its content, and gives its identity and number of names.
func metadata(t *testing.T, path string) (described string, file fsys.Identity, links uint64) {
	t.Helper()
	var stat unix.Stat_t
	must(t, unix.Lstat(path, &stat))
	described = fmt.Sprintf("%o %d:%d %d.%09d", stat.Mode, stat.Uid, stat.Gid, stat.Mtim.Sec, stat.Mtim.Nsec)
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFBLK, unix.S_IFCHR:
		described += fmt.Sprint(" ", stat.Rdev)
	case unix.S_IFLNK:
	default:
		described += attributes(path)
	}
	return described, fsys.Identity{Device: stat.Dev, Number: stat.Ino}, uint64(stat.Nlink)
}

func attributes(path string) string {
	names := make([]byte, 4096)
	length, err := unix.Llistxattr(path, names)
	if err != nil || length == 0 {
		return ""
	}
	described := []string{}
	for _, name := range strings.Split(strings.TrimSuffix(string(names[:length]), "\x00"), "\x00") {
		value := make([]byte, 4096)
		size, _ := unix.Lgetxattr(path, name, value)
		described = append(described, fmt.Sprintf(" %s=%x", name, value[:max(size, 0)]))
	}
	slices.Sort(described)
	return strings.Join(described, "")
}

func setModified(t *testing.T, path string, nanoseconds int64) {
	t.Helper()
	times := []unix.Timespec{unix.NsecToTimespec(nanoseconds), unix.NsecToTimespec(nanoseconds)}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW))
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// runLine runs a job that is given as text.
func runLine(t *testing.T, line []byte) *outcome {
	t.Helper()
	var output bytes.Buffer
	runner.Run("0.0.0", files.Operations(), bytes.NewReader(line), &output)
	return readEvents(t, &output)
}
