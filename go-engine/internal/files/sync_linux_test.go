// SPDX-License-Identifier: GPL-3.0-or-later

package files_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"migration.assistant/engine/internal/fsys"
)

// makeVariety fills a directory with one of everything.
func makeVariety(t *testing.T, root string) {
	t.Helper()
	in := func(path string) string { return filepath.Join(root, path) }
	for _, directory := range []string{"empty", "deep/er/and/deeper", "closed", "sticky", "many"} {
		must(t, os.MkdirAll(in(directory), 0o755))
	}
	for path, content := range map[string]string{
		"file": "content", "empty-file": "", "deep/er/file": "x", "closed/file": "secret",
		"bytes-\xff\xfe": "not UTF-8", "ünï": "UTF-8", "new\nline": "n", "-dash": "d", "100%s": "p",
		strings.Repeat("n", 255): "long name", "large": strings.Repeat("0123456789abcdef", 300_000),
	} {
		must(t, os.WriteFile(in(path), []byte(content), 0o640))
	}
	for number := range 300 {
		must(t, os.WriteFile(in(fmt.Sprintf("many/%d", number)), bytes.Repeat([]byte{byte(number)}, number*37), 0o600))
	}
	must(t, os.Chmod(in("file"), os.ModeSetuid|0o755))
	must(t, os.Chmod(in("closed"), 0o500))
	must(t, os.Chmod(in("sticky"), os.ModeSticky|os.ModeSetgid|0o777))
	must(t, os.Symlink("file", in("link")))
	must(t, os.Symlink("/nowhere/\xff", in("dangling")))
	must(t, os.Symlink("..", in("deep/up")))
	must(t, os.Link(in("large"), in("deep/large-too")))
	must(t, os.Link(in("large"), in("zlarge")))
	if fsys.KeepsSpecials {
		must(t, unix.Mkfifo(in("fifo"), 0o620))
		must(t, unix.Mknod(in("socket"), unix.S_IFSOCK|0o700, 0))
	}
	makeSparse(t, in("sparse"), 3<<20)
	makeSparse(t, in("hole"), 0)
	_ = unix.Setxattr(in("file"), "user.note", []byte("hello"), 0)
	_ = unix.Setxattr(in("deep"), "user.note", []byte{0, 1, 2}, 0)
	if os.Geteuid() == 0 {
		if fsys.KeepsSpecials {
			must(t, unix.Mknod(in("device"), unix.S_IFCHR|0o660, int(unix.Mkdev(1, 3))))
		}
		must(t, os.Chown(in("deep/er/file"), 1234, 5678))
		must(t, os.Lchown(in("link"), 1234, 5678))
		must(t, os.Chown(in("empty"), 1234, 5678))
		must(t, os.Chown(in("empty-file"), 0, 5678))
		must(t, os.Chmod(in("empty-file"), os.ModeSetuid|os.ModeSetgid|0o711))
		_ = unix.Setxattr(in("empty-file"), "trusted.note", []byte("root's"), 0)
	}
	setACLs(in("many/7"), in("deep/er"))
	age(t, root)
	setModified(t, in("file"), 1_700_000_000_123_456_789)
	setModified(t, in("ünï"), -1_000_000_001)
}

// makeSparse makes a file of 8 MiB with 4 KiB of data at the offset, none for 0.
func makeSparse(t *testing.T, path string, offset int64) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	must(t, file.Truncate(8<<20))
	if offset > 0 {
		_, err = file.WriteAt(bytes.Repeat([]byte("data"), 1024), offset)
		must(t, err)
	}
}

// setACLs gives the paths an access control list, and a directory a default one, where the file system has them.
func setACLs(paths ...string) {
	// Version 2; user::rw- user:1234:r-- group::r-- mask::rw- other::---.
	list := []byte{2, 0, 0, 0}
	for _, entry := range [][4]uint32{{1, 6, ^uint32(0)}, {2, 4, 1234}, {4, 4, ^uint32(0)}, {0x10, 6, ^uint32(0)}, {0x20, 0, ^uint32(0)}} {
		list = append(list, byte(entry[0]), 0, byte(entry[1]), 0,
			byte(entry[2]), byte(entry[2]>>8), byte(entry[2]>>16), byte(entry[2]>>24))
	}
	for _, path := range paths {
		_ = unix.Setxattr(path, "system.posix_acl_access", list, 0)
		_ = unix.Setxattr(path, "system.posix_acl_default", list, 0)
	}
}

func TestEverythingIsKept(t *testing.T) {
	for name, more := range map[string]object{
		"default":  {},
		"checksum": {"compare": "checksum", "verify": true},
		"chunks":   {"parallel_chunks": 4, "chunk_size": 65536, "buffer_size": 4096},
		"limited":  {"bandwidth_limit": 1 << 30, "parallel_files": 1},
	} {
		t.Run(name, func(t *testing.T) {
			trees := newTrees(t)
			makeVariety(t, trees.source)
			done := trees.sync(more).expect(true)
			trees.same()
			trees.compareByRsync()
			if more["verify"] == true && done.statistic("files_verified") != done.statistic("files_copied") {
				t.Errorf("verified %d of %d", done.statistic("files_verified"), done.statistic("files_copied"))
			}
			if done.statistic("hard_links_created") != 2 {
				t.Errorf("%d hard links", done.statistic("hard_links_created"))
			}
			trees.sync(more).expect(false)
			for _, path := range []string{"sparse", "hole"} {
				var stat unix.Stat_t
				must(t, unix.Stat(filepath.Join(trees.destination, path), &stat))
				if stat.Blocks*512 > 64<<10 {
					t.Errorf("%s takes %d blocks", path, stat.Blocks)
				}
			}
		})
	}
}

// compareByRsync asks rsync, where it is, whether it would do anything.
func (tr *trees) compareByRsync() {
	tr.t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		return
	}
	output, err := exec.Command("rsync", "-aHAXni", "--delete", tr.source+"/", tr.destination+"/").CombinedOutput()
	if err != nil || len(output) > 0 {
		tr.t.Errorf("rsync says %v: %s", err, output)
	}
}

func TestCheckPredictsTheRun(t *testing.T) {
	trees := newTrees(t)
	makeVariety(t, trees.source)
	created := trees.fourWays(nil).expect(true)
	if change := created.change("."); change["action"] != "create" || change["kind"] != "directory" {
		t.Errorf("the root's change is %v", change)
	}
	if got := fmt.Sprint(created.change("file")["after"]); got != "map[mode:4755 size:7]" {
		t.Errorf("after is %s", got)
	}
	if got := fmt.Sprint(created.change("link")["after"]); got != "map[target:file]" {
		t.Errorf("after is %s", got)
	}

	// Disturb all kinds of things on both sides.
	destination := func(path string) string { return filepath.Join(trees.destination, path) }
	source := func(path string) string { return filepath.Join(trees.source, path) }
	must(t, os.Chmod(destination("file"), 0o600))
	must(t, os.WriteFile(destination("many/5"), []byte("changed"), 0o600))
	must(t, os.Remove(destination("many/6")))
	must(t, os.Remove(destination("link")))
	must(t, os.Symlink("elsewhere", destination("link")))
	must(t, os.Remove(destination("zlarge")))
	must(t, os.WriteFile(destination("zlarge"), []byte("no longer a link"), 0o600))
	must(t, os.RemoveAll(source("deep/er/and")))
	must(t, os.WriteFile(source("deep/er/and"), []byte("was a directory"), 0o600))
	must(t, os.Remove(source("ünï")))
	must(t, os.Mkdir(source("ünï"), 0o711))
	if fsys.KeepsSpecials {
		must(t, os.Remove(destination("fifo")))
		must(t, os.Mkdir(destination("fifo"), 0o711))
		must(t, os.Remove(source("socket")))
		must(t, unix.Mkfifo(source("socket"), 0o600))
	}
	must(t, os.Remove(source("new\nline")))
	_ = unix.Setxattr(destination("many/9"), "user.extra", []byte("x"), 0)
	_ = unix.Removexattr(destination("deep"), "user.note")
	must(t, os.MkdirAll(destination("extra/of/depth"), 0o700))
	must(t, os.WriteFile(destination("extra/of/file"), []byte("size"), 0o600))
	setModified(t, destination("empty"), 5)

	changed := trees.fourWays(object{"delete": true}).expect(true)
	trees.same()
	trees.compareByRsync()
	wanted := []string{
		"metadata file file", "update file many/5", "create file many/6", "update symlink link", "update file zlarge",
		"delete directory deep/er/and/deeper", "update file deep/er/and", "update directory ünï",
		"delete file new\nline", "metadata directory empty", "delete file extra/of/file",
		"delete directory extra/of/depth", "delete directory extra/of", "delete directory extra",
	}
	if fsys.KeepsSpecials {
		wanted = append(wanted, "update fifo fifo", "update fifo socket")
	}
	for _, want := range wanted {
		if !strings.Contains("\n"+strings.Join(changed.changes(), "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("no %q in\n%s", want, strings.Join(changed.changes(), "\n"))
		}
	}
	if got := fmt.Sprint(changed.change("extra/of/file")["before"]); got != "map[size:4]" {
		t.Errorf("before is %s", got)
	}
	if got := fmt.Sprint(changed.change("file")["before"], changed.change("file")["after"]); got != "map[mode:0600] map[mode:4755]" {
		t.Errorf("the change of mode is %s", got)
	}
}

func TestPreserveLeavesOut(t *testing.T) {
	needRoot(t)
	trees := newTrees(t)
	path := trees.write("source/file", "content")
	must(t, os.Chown(path, 1234, 5678))
	must(t, os.Chmod(path, 0o640))
	must(t, os.Link(path, path+"-too"))
	must(t, unix.Mkfifo(filepath.Join(trees.source, "fifo"), 0o600))
	_ = unix.Setxattr(path, "user.note", []byte("x"), 0)
	setModified(t, path, 77)
	done := trees.sync(object{"preserve": object{
		"permissions": false, "timestamps": false, "owner": false, "group": false,
		"hard_links": false, "xattrs": false, "specials": false,
	}}).expect(true, "create directory .", "create file file", "create file file-too")
	if done.statistic("skipped") != 1 || fmt.Sprint(done.warnings()) != "[special_skipped fifo]" {
		t.Errorf("skipped %d, warnings %v", done.statistic("skipped"), done.warnings())
	}
	var stat unix.Stat_t
	must(t, unix.Stat(filepath.Join(trees.destination, "file"), &stat))
	if stat.Uid != 0 || stat.Gid != 0 || stat.Nlink != 1 || stat.Mtim.Sec == 0 || attributes(filepath.Join(trees.destination, "file")) != "" {
		t.Errorf("the file is %+v", stat)
	}
}

func TestAChangeOfOwnerKeepsCapabilities(t *testing.T) {
	needRoot(t)
	trees := newTrees(t)
	path := trees.write("source/file", "content")
	must(t, os.Chmod(path, os.ModeSetuid|0o755))
	capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Setxattr(path, "security.capability", capability, 0); err != nil {
		t.Skipf("no capabilities: %v", err)
	}
	trees.sync(nil).expect(true)
	must(t, os.Chown(path, 1234, 5678))
	must(t, os.Chmod(path, os.ModeSetuid|0o755))
	must(t, unix.Setxattr(path, "security.capability", capability, 0))
	trees.fourWays(nil).expect(true, "metadata file file")
	trees.same()
}

func TestFiltersSeeBytesThatAreNotUTF8(t *testing.T) {
	trees := newTrees(t)
	trees.write("source/a\xff", "x")
	trees.write("source/a\xfe", "x")
	line := []byte(`{"protocol":1,"id":"a","operation":"file_sync","parameters":{"source":"` + trees.source +
		`","destination":"` + trees.destination + `","filters":[{"action":"exclude","regex":"a\udcff"}]}}`)
	runLine(t, line).expect(true, "create directory .", "create file a\xfe")
}

func TestPathsLongerThanTheSystemTakes(t *testing.T) {
	trees := newTrees(t)
	must(t, os.Mkdir(trees.destination, 0o755))
	name := strings.Repeat("d", 200)
	const depth = 40
	makeDeep(t, trees.source, name, depth)
	makeDeep(t, trees.destination, "extra-"+name, depth)
	done := trees.sync(object{"delete": true}).expect(true)
	if done.statistic("directories_created") != depth || done.statistic("files_copied") != 1 || done.statistic("deleted") != depth+1 {
		t.Errorf("the statistics are %v", done.terminal["statistics"])
	}
	trees.sync(object{"delete": true}).expect(false)
	counted := runJob(t, arguments{operation: "file_statistics", parameters: object{"source": trees.destination}}).expect(false)
	if counted.statistic("directories_total") != depth || counted.statistic("files_total") != 1 {
		t.Errorf("counted %v", counted.terminal["statistics"])
	}
}

// makeDeep makes a chain of directories with a file at its end.
func makeDeep(t *testing.T, root, name string, depth int) {
	t.Helper()
	current, err := unix.Open(root, unix.O_DIRECTORY, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(current, name, 0o755))
		next, err := unix.Openat(current, name, unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(current))
		current = next
	}
	fd, err := unix.Openat(current, "file", unix.O_CREAT|unix.O_WRONLY, 0o644)
	must(t, err)
	must(t, unix.Close(fd))
	must(t, unix.Close(current))
}

func makeFifo(path string) error { return unix.Mkfifo(path, 0o640) }

func TestStatisticsOfOddEntries(t *testing.T) {
	trees := newTrees(t)
	makeSparse(t, filepath.Join(trees.source, "sparse"), 0)
	must(t, os.Symlink("a", filepath.Join(trees.source, "link")))
	must(t, makeFifo(filepath.Join(trees.source, "fifo")))
	done := runJob(t, arguments{operation: "file_statistics", parameters: object{"source": trees.source}}).expect(false)
	for name, want := range map[string]int{"sparse_files": 1, "symlinks_total": 1, "specials_total": 1, "files_total": 1} {
		if got := done.statistic(name); got != want {
			t.Errorf("%s is %d, not %d", name, got, want)
		}
	}
}

func TestSpecialsThatCannotBeKeptAreTold(t *testing.T) {
	if fsys.KeepsSpecials {
		t.Skip("this driver keeps special files")
	}
	trees := newTrees(t)
	must(t, makeFifo(filepath.Join(trees.source, "fifo")))
	done := trees.fourWays(nil).expect(true, "create directory .")
	if done.statistic("skipped") != 1 || fmt.Sprint(done.warnings()) != "[special_skipped fifo]" {
		t.Errorf("skipped %d, warnings %v", done.statistic("skipped"), done.warnings())
	}
}
