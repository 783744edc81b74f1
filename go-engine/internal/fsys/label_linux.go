// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const selinux = "/sys/fs/selinux"

// KeepsLabels tells whether this host runs SELinux. Where what stands for it can only be read, as in a container, files
// cannot be given contexts.
func KeepsLabels() bool {
	if _, err := os.Stat(selinux + "/enforce"); err != nil {
		return false
	}
	var mounted unix.Statfs_t
	return unix.Statfs(selinux, &mounted) == nil && mounted.Flags&unix.ST_RDONLY == 0
}

// KnowsLabel tells whether the policy of this host knows an SELinux context. Where it cannot be asked it is taken to.
func KnowsLabel(label string) bool {
	asked, err := os.OpenFile(selinux+"/context", os.O_WRONLY, 0)
	if err != nil {
		return true
	}
	defer asked.Close()
	_, err = asked.WriteString(strings.TrimSuffix(label, "\x00") + "\x00")
	return err == nil
}
