// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// digestsOf reads "key=hash key=hash …".
func digestsOf(list string) (rows [][][]byte) {
	for _, pair := range strings.Fields(list) {
		key, hash, _ := strings.Cut(pair, "=")
		rows = append(rows, [][]byte{[]byte(key), []byte(hash)})
	}
	return rows
}

func differenceOf(t *testing.T, source, destination string, most int64) *difference {
	t.Helper()
	rows := rowDigests{}
	for _, row := range digestsOf(source) {
		if err := rows.add(row); err != nil {
			t.Fatal(err)
		}
	}
	d := &difference{}
	look := d.match(rows, most)
	for _, row := range digestsOf(destination) {
		if err := look(row); err != nil {
			t.Fatal(err)
		}
	}
	d.missing(rows, most)
	slices.Sort(d.remove)
	slices.Sort(d.write)
	return d
}

func TestKeysThatDiffer(t *testing.T) {
	for _, example := range []struct {
		source, destination, remove, write, counts string
	}{
		{"", "", "", "", "0 0 0"},
		{"1=aaaa 2=bbbb", "2=bbbb 1=aaaa", "", "", "0 0 0"},
		{"1=aaaa 2=bbbb 3=cccc", "2=xxxx 4=dddd 1=aaaa", "2 4", "2 3", "1 1 1"},
		{"1=aaaa", "", "", "1", "1 0 0"},
		{"", "1=aaaa 2=bbbb", "1 2", "", "0 0 2"},
		// The destination has a key more than once.
		{"1=aaaa", "1=aaaa 1=aaaa", "1", "1", "0 0 1"},
		{"1=aaaa", "1=xxxx 1=aaaa 1=yyyy", "1", "1", "0 1 2"},
	} {
		d := differenceOf(t, example.source, example.destination, 100)
		counts := fmt.Sprint(d.rows.inserted, d.rows.updated, d.rows.deleted)
		remove, write := strings.Join(d.remove, " "), strings.Join(d.write, " ")
		if counts != example.counts || remove != example.remove || write != example.write || d.whole {
			t.Errorf("%+v: %s, remove %s, write %s", example, counts, remove, write)
		}
	}
}

func TestManyDifferencesAreOnlyCounted(t *testing.T) {
	for _, example := range []struct{ source, destination, counts string }{
		{"1=aaaa 2=bbbb 3=cccc", "", "3 0 0"},
		{"", "1=aaaa 2=bbbb 3=cccc", "0 0 3"},
		{"1=aaaa 2=bbbb", "1=xxxx 3=cccc", "1 1 1"},
	} {
		d := differenceOf(t, example.source, example.destination, 2)
		counts := fmt.Sprint(d.rows.inserted, d.rows.updated, d.rows.deleted)
		if !d.whole || counts != example.counts || d.remove != nil || d.write != nil {
			t.Errorf("%+v: %+v", example, d)
		}
	}
}

func TestARowsDigestHasTwoColumns(t *testing.T) {
	if err := (rowDigests{}).add([][]byte{nil}); err == nil {
		t.Error("one column is taken")
	}
	if err := (&difference{}).match(rowDigests{}, 1)([][]byte{nil, nil, nil}); err == nil {
		t.Error("three columns are taken")
	}
}
