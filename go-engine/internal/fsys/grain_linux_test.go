// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !portable

package fsys

import "testing"

func TestADeviceTellsItsFileSystem(t *testing.T) {
	proc, err := OpenRoot("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	var stat Stat
	if err := proc.Stat(&stat); err != nil {
		t.Fatal(err)
	}
	if found := fileSystemOf(stat.Identity().Device); found != "proc" {
		t.Errorf("/proc is in a file system of the type %q", found)
	}
}
