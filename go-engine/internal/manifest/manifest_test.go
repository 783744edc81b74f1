// SPDX-License-Identifier: GPL-3.0-or-later

package manifest_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"migration.assistant/engine/internal/manifest"
)

var (
	sizes  = []int{32, 16}
	long   = strings.Repeat("0a", 32)
	short  = strings.Repeat("F0", 16)
	binary = []byte(strings.Repeat("\x00", 32))
)

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	paths := []string{"a", "a b", "-x", "back\\slash", "d/line\nbreak", "return\r", "\xff\xfe", "é", `\n`, " ", "*", "#"}
	slices.Sort(paths)
	var records []manifest.Record
	for _, path := range paths {
		records = append(records, manifest.NewRecord(path, binary))
	}
	var text bytes.Buffer
	if err := manifest.Write(&text, records); err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text.Bytes(), []byte("\n")); lines != len(paths) {
		t.Errorf("%d lines for %d paths", lines, len(paths))
	}
	read, err := manifest.Read(&text, sizes)
	if err != nil || !slices.Equal(read, records) {
		t.Errorf("%q is read, with %v", read, err)
	}
	for index, path := range paths {
		if at, found := manifest.Find(read, path); at != index || !found || read[at].Path() != path {
			t.Errorf("%q is found at %d, %v", path, at, found)
		}
	}
	if _, found := manifest.Find(read, "a "); found {
		t.Error("a path is found that is not there")
	}
}

func TestOtherSpellingsAreRead(t *testing.T) {
	for text, path := range map[string]string{
		long + "  file":                     "file",
		long + " *file\n":                   "file",
		"# a comment\n" + long + "  ./a//b": "a/b",
		short + "  ./a/./b\r\n":             "a/b",
		`\` + long + `  a\\b\nc\rd`:         "a\\b\nc\rd",
		long + `  a\nb`:                     `a\nb`,
		long + "  a\n" + long + "  ./a\n":   "a",
	} {
		records, err := manifest.Read(strings.NewReader(text), sizes)
		if err != nil || len(records) != 1 || records[0].Path() != path {
			t.Errorf("%q gives %q and %v", text, records, err)
		}
	}
}

func TestMalformedLinesAreRefused(t *testing.T) {
	for text, message := range map[string]string{
		"\n":                                  "line 1: it is empty",
		long + "  a\nrubbish\n":               "line 2: it does not begin with a checksum of 64 hexadecimal digits and two spaces",
		long[2:] + "  a":                      "line 1: it does not begin with a checksum of 64 or 32 hexadecimal digits and two spaces",
		long + " a":                           "two spaces",
		long + " ":                            "two spaces",
		long:                                  "two spaces",
		"x" + long[1:] + "  a":                "hexadecimal digits",
		long + "  a\n#\n" + short + "  b":     "line 3: it does not begin with a checksum of 64 hexadecimal",
		`\` + long + `  a\x`:                  `its path has a backslash that begins none of \\, \n and \r`,
		`\` + long + `  a\`:                   `its path has a backslash`,
		long + "  /etc/passwd":                "its path is absolute",
		long + "  ./a/../../b":                "its path has .. in it, which may lead out of the tree",
		long + "  ..":                         "its path has .. in it, which may lead out of the tree",
		long + "  ":                           "its path names no file",
		long + "  ./":                         "its path names no file",
		long + "  a/":                         "its path names no file",
		long + "  a\x00b":                     "its path has a null byte",
		strings.Repeat("a", 1<<20+2) + "\n\n": "line 1: it is longer than 1048576 bytes",
	} {
		_, err := manifest.Read(strings.NewReader(text), sizes)
		var problem *manifest.LineError
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), message) {
			t.Errorf("%.80q gives %v", text, err)
		}
	}
	_, err := manifest.Read(strings.NewReader(long+"  a\n"+strings.Repeat("0b", 32)+"  a\n"), sizes)
	if err == nil || err.Error() != "lists a twice, with different checksums" {
		t.Errorf("two checksums of one file give %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(long + "  ./a\n"))
	f.Add([]byte(`\` + short + `  a\nb`))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := manifest.Read(bytes.NewReader(text), sizes)
		if err != nil {
			return
		}
		var written bytes.Buffer
		if err := manifest.Write(&written, records); err != nil {
			t.Fatal(err)
		}
		if again, err := manifest.Read(&written, sizes); err != nil || !slices.Equal(again, records) {
			t.Errorf("%q gives %q and then %q, %v", text, records, again, err)
		}
	})
}
