// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/windows"
)

// openRoot gives a new directory, which is removed with its entries at the end.
func openRoot(t *testing.T) (Directory, string) {
	t.Helper()
	path, err := os.MkdirTemp("", "fsys")
	if err != nil {
		t.Fatal(err)
	}
	directory, err := OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		removeAll(t, directory)
		directory.Close()
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
	return directory, path
}

func removeAll(t *testing.T, directory Directory) {
	t.Helper()
	for _, name := range list(t, directory) {
		if below, err := directory.OpenDirectory(name); err == nil {
			removeAll(t, below)
			below.Close()
			err = directory.RemoveDirectory(name)
			if err != nil {
				t.Errorf("%q: %v", name, err)
			}
		} else if err := directory.Remove(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func list(t *testing.T, directory Directory) []string {
	t.Helper()
	entries, err := new(Lister).List(directory)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name)
	}
	slices.Sort(names)
	return names
}

func create(t *testing.T, directory Directory, name, content string) {
	t.Helper()
	file, err := directory.CreateFile(name, 0o600, false)
	if err == nil {
		err = file.WriteAt([]byte(content), 0)
		file.Close()
	}
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
}

func read(t *testing.T, directory Directory, name string) string {
	t.Helper()
	file, err := directory.OpenFile(name)
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	defer file.Close()
	buffer := make([]byte, 100)
	length, err := file.readFull(buffer, 0)
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	return string(buffer[:length])
}

// Programs cannot reach such names by ordinary paths, but a tree may hold them, and then so must its copy.
func TestNamesOfDevicesAndWithEndsThatPathsLoseAreOrdinary(t *testing.T) {
	directory, _ := openRoot(t)
	names := []string{"CON", "COM1.txt", "nul", "trail", "trail ", "trail.", "a name", "größe", "価格"}
	for _, name := range names {
		create(t, directory, name, "content of "+name)
	}
	slices.Sort(names)
	if got := list(t, directory); !slices.Equal(got, names) {
		t.Errorf("there is %q", got)
	}
	for _, name := range names {
		if got := read(t, directory, name); got != "content of "+name {
			t.Errorf("%q holds %q", name, got)
		}
	}
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	directory, _ := openRoot(t)
	create(t, directory, "file", "content")
	if err := directory.MakeDirectory("sub", 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"file:stream", "file::$DATA", ":stream", "sub::$INDEX_ALLOCATION", `sub\new`, "sub/new", "..", ".", `\`, "C:",
		"not\xffUTF-8", "null\x00", "sub\\..\\..\\x",
	} {
		if file, err := directory.CreateFile(name, 0, false); err == nil {
			file.Close()
			t.Errorf("%q was made", name)
		}
		if err := directory.MakeDirectory(name, 0); err == nil {
			t.Errorf("%q was made", name)
		}
		for what, err := range map[string]error{
			"renamed": directory.Rename("file", name), "replaced": directory.Replace("file", name),
			"linked": directory.Link("file", directory, name), "removed": directory.Remove(name),
			"read": directory.Lstat(name, &Stat{}),
		} {
			if err == nil {
				t.Errorf("%q was %s", name, what)
			}
		}
	}
	if got := list(t, directory); !slices.Equal(got, []string{"file", "sub"}) || read(t, directory, "file") != "content" {
		t.Errorf("there is %q", got)
	}
}

func TestHalfASurrogatePairIsKept(t *testing.T) {
	const half = "half-\xed\xa0\x80"
	if err := checkName(half); err != nil {
		t.Errorf("it is refused: %v", err)
	}
	encoded := []byte{}
	for _, unit := range append(utf16.Encode([]rune("half-")), 0xd800) {
		encoded = binary.LittleEndian.AppendUint16(encoded, unit)
	}
	if got := decode(encoded); got != half {
		t.Errorf("it is read %q", got)
	}
}

func TestPathsLongerThanOrdinaryOnes(t *testing.T) {
	directory, path := openRoot(t)
	name := strings.Repeat("d", 100)
	current := directory
	for range 6 {
		if err := current.MakeDirectory(name, 0); err != nil {
			t.Fatal(err)
		}
		next, err := current.OpenDirectory(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(next.Close)
		current = next
		path += `\` + name
	}
	create(t, current, "file", "deep")
	again, err := OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := read(t, again, "file"); got != "deep" {
		t.Errorf("it holds %q", got)
	}
	if !IsWritable(path) || IsWritable(path+"-none") {
		t.Error("it is not known what can be written")
	}
}

func TestLongPathsAreWrittenInTheirForm(t *testing.T) {
	long := strings.Repeat("x", 250)
	for path, want := range map[string]string{
		`C:\short`: `C:\short`, `C:\` + long: `\\?\C:\` + long, `\\server\share\` + long: `\\?\UNC\server\share\` + long,
		`\\?\C:\` + long: `\\?\C:\` + long, `\\.\pipe\` + long: `\\.\pipe\` + long,
	} {
		if got := systemPath(path); got != want {
			t.Errorf("%s becomes %s", path, got)
		}
	}
}

func TestAFileThatIsOpenIsReplacedOrStaysWhole(t *testing.T) {
	directory, _ := openRoot(t)
	create(t, directory, "file", "old")
	create(t, directory, "new", "new")
	open, err := directory.OpenFile("file")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	want := "new"
	if err := directory.Replace("new", "file"); err != nil {
		t.Logf("it cannot be replaced here: %v", err)
		want = "old"
	}
	if got := read(t, directory, "file"); got != want {
		t.Errorf("it holds %q", got)
	}
}

func TestNamesThatDifferInCaseAreTheSame(t *testing.T) {
	directory, _ := openRoot(t)
	create(t, directory, "Name", "content")
	if got := read(t, directory, "nAME"); got != "content" {
		t.Errorf("it holds %q", got)
	}
	create(t, directory, "other", "x")
	if err := directory.Rename("other", "NAME"); !IsExist(err) {
		t.Errorf("the error is %v", err)
	}
}

func TestTheTypeFollowsFromAttributesAndTag(t *testing.T) {
	const (
		plain     = windows.FILE_ATTRIBUTE_NORMAL
		directory = windows.FILE_ATTRIBUTE_DIRECTORY
		reparse   = windows.FILE_ATTRIBUTE_REPARSE_POINT
		junction  = 0xA0000003
		deduped   = 0x80000013
		cloud     = 0x9000001A
		symlink   = windows.IO_REPARSE_TAG_SYMLINK
	)
	for _, test := range []struct {
		attributes, tag uint32
		want            Type
	}{
		{plain, 0, TypeRegular}, {plain, symlink, TypeRegular}, {directory, 0, TypeDirectory},
		{reparse, symlink, TypeSymlink}, {reparse | directory, symlink, TypeSymlink},
		{reparse | directory, junction, TypeOther}, {reparse, deduped, TypeRegular},
		{reparse | directory, cloud, TypeDirectory}, {reparse, tagSocket, TypeSocket}, {reparse, tagFifo, TypeFifo},
	} {
		if got := typeOf(test.attributes, test.tag); got != test.want {
			t.Errorf("%x with tag %x is %o", test.attributes, test.tag, got)
		}
	}
}

func TestTimesAreReadAndWritten(t *testing.T) {
	for _, test := range []struct {
		ticks int64
		time  Time
	}{
		{116444736000000000, Time{}}, {116444736000000001, Time{Nanoseconds: 100}}, {1, Time{-11644473600, 100}},
		{133444736001234567, Time{1_700_000_000, 123_456_700}},
	} {
		filetime := windows.Filetime{LowDateTime: uint32(test.ticks), HighDateTime: uint32(test.ticks >> 32)}
		if got := timeOf(filetime); got != test.time || got.filetime() != filetime {
			t.Errorf("%d is %v", test.ticks, got)
		}
	}
}

func TestTheDataOfASymbolicLink(t *testing.T) {
	for target, substitute := range map[string]string{
		`..\there`: `..\there`, `C:\there`: `\??\C:\there`, `\\server\share\x`: `\??\UNC\server\share\x`,
		`\\?\C:\there`: `\??\C:\there`, `\rooted`: `\rooted`, `größe`: `größe`,
	} {
		data, err := formatLink(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseLink(data); err != nil || got != target {
			t.Errorf("%s is read %q, %v", target, got, err)
		}
		// Where nothing is to be printed, what the system follows is read.
		binary.LittleEndian.PutUint16(data[reparseHeader+6:], 0)
		if got, err := parseLink(data); err != nil || nativePrefix+got != nativePrefix+strings.TrimPrefix(substitute, nativePrefix) {
			t.Errorf("%s is followed to %q, %v", target, got, err)
		}
		relative := binary.LittleEndian.Uint32(data[reparseNames-4:]) == reparseRelative
		if relative != (substitute == target) || int(binary.LittleEndian.Uint16(data[4:])) != len(data)-reparseHeader {
			t.Errorf("%s is written %x", target, data)
		}
	}
	data, err := formatLink("target")
	if err != nil {
		t.Fatal(err)
	}
	for length := range len(data) {
		if got, err := parseLink(data[:length]); err == nil {
			t.Errorf("of %d bytes %q is read", length, got)
		}
	}
	if _, err := formatLink(strings.Repeat("x", reparseMost)); err == nil {
		t.Error("a target that is too long was written")
	}
}

func TestASymbolicLinkIsMadeOrRefused(t *testing.T) {
	directory, _ := openRoot(t)
	if err := directory.MakeSymlink("link", "target", &Stat{}); err != nil {
		t.Logf("it cannot be made here: %v", err)
		if got := list(t, directory); len(got) > 0 {
			t.Errorf("%q is left", got)
		}
		return
	}
	var stat Stat
	if err := directory.Lstat("link", &stat); err != nil || !stat.IsSymlink() {
		t.Errorf("it is %+v, %v", stat, err)
	}
}

func TestListingsThatCannotBeAreRefused(t *testing.T) {
	record := func(name string, next, length uint32) []byte {
		encoded := utf16.Encode([]rune(name))
		data := make([]byte, nameOffset)
		for _, unit := range encoded {
			data = binary.LittleEndian.AppendUint16(data, unit)
		}
		binary.LittleEndian.PutUint32(data[nextOffset:], next)
		binary.LittleEndian.PutUint32(data[lengthOffset:], uint32(2*len(encoded))+length)
		return data
	}
	good := append(record(".", nameOffset+2, 0), record("name", 0, 0)...)
	if entries, err := parse(nil, good); err != nil || len(entries) != 1 || entries[0].Name != "name" {
		t.Errorf("read %v, %v", entries, err)
	}
	for what, data := range map[string][]byte{
		"separator": record(`a\b`, 0, 0), "slash": record("a/b", 0, 0), "null": record("a\x00b", 0, 0), "empty": record("", 0, 0),
		"long name": record("name", 0, 2), "next outside": record("name", 1<<20, 0), "short": make([]byte, nameOffset-1),
		"next without room": record("name", nameOffset, 0),
	} {
		if entries, err := parse(nil, data); err == nil {
			t.Errorf("%s: read %v", what, entries)
		}
	}
}
