// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import "golang.org/x/sys/unix"

func bootSession() string {
	session, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return session
}
