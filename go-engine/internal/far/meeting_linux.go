// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"crypto/rand"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// meetingPlace gives the address of a socket that leaves nothing in the file system, whatever becomes of the process.
func meetingPlace() (address string, leave func(), err error) {
	return "@migration-assistant-" + rand.Text(), func() {}, nil
}

// isTrusted tells whether the process at the other end of a socket is this user's, since anybody can come to that place.
func isTrusted(socket *net.UnixConn) bool {
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	trusted := false
	err = raw.Control(func(descriptor uintptr) {
		peer, err := unix.GetsockoptUcred(int(descriptor), unix.SOL_SOCKET, unix.SO_PEERCRED)
		trusted = err == nil && int(peer.Uid) == os.Geteuid()
	})
	return err == nil && trusted
}
