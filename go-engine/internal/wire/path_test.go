// SPDX-License-Identifier: GPL-3.0-or-later

package wire_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"migration.assistant/engine/internal/wire"
)

func TestPathIsWrittenAsPythonDoes(t *testing.T) {
	for raw, want := range map[string]string{
		"a/b":            `"a/b"`,
		"é":              `"\u00e9"`,
		"\xff":           `"\udcff"`,
		"\xe2\x82":       `"\udce2\udc82"`,
		"\xed\xb3\xbf":   `"\udced\udcb3\udcbf"`,
		"💀":              `"\ud83d\udc80"`,
		"\n\t\"\\":       `"\n\u0009\"\\"`,
		"\x7f\x00":       `"\u007f\u0000"`,
		"\ufffd":         `"\ufffd"`,
		"a\x80b\xc3\xa9": `"a\udc80b\u00e9"`,
	} {
		if got := string(wire.Path(raw).AppendJSON(nil)); got != want {
			t.Errorf("%q is written %s, not %s", raw, got, want)
		}
		var back wire.Path
		if err := json.Unmarshal([]byte(want), &back); err != nil || string(back) != raw {
			t.Errorf("%s is read %q, %v", want, back, err)
		}
	}
}

func TestPathRefusesSurrogatesThatStandForNoByte(t *testing.T) {
	for _, text := range []string{`"\ud800"`, `"\udc7f"`, `"\udd00"`, `"\ud83dx"`, `7`, `null`} {
		var path wire.Path
		if err := json.Unmarshal([]byte(text), &path); err == nil && text != "null" {
			t.Errorf("%s is read %q", text, path)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", "a/b", "é", "\xff\xfe", "\xed\xa0\x80", "💀\x80"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		encoded := wire.Path(raw).AppendJSON(nil)
		for _, c := range encoded {
			if c >= utf8.RuneSelf || c < ' ' {
				t.Fatalf("%q is written with the byte %#x", raw, c)
			}
		}
		var back wire.Path
		if err := json.Unmarshal(encoded, &back); err != nil || string(back) != string(raw) {
			t.Fatalf("%q is written %s and read %q, %v", raw, encoded, back, err)
		}
	})
}
