// SPDX-License-Identifier: GPL-3.0-or-later

package tcp

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/wire"
)

// buffer is one of the two of a connection.
type buffer struct {
	id            string
	option        int
	optionForced  int    // the same for the privileged, beyond the limit
	tuned, limits string // of sysctl: how far the kernel's own tuning goes, and the limit of what is set
}

var buffers = [2]buffer{
	{receiveBuffer, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, "net.ipv4.tcp_rmem", "net.core.rmem_max"},
	{sendBuffer, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, "net.ipv4.tcp_wmem", "net.core.wmem_max"},
}

// setBuffers sets the wanted sizes where that does no harm, and tells what has become of each.
func setBuffers(descriptor int, wanted Wanted) []wire.Setting {
	var settings []wire.Setting
	for index, size := range [2]int{wanted.ReceiveBuffer, wanted.SendBuffer} {
		if size > 0 {
			settings = append(settings, buffers[index].set(descriptor, size, wanted.Force))
		}
	}
	return settings
}

// set decides by what the kernel gives to a socket that nobody needs. A size that is set switches the kernel's own
// tuning off, once and for all.
func (b *buffer) set(descriptor, wanted int, force bool) wire.Setting {
	tuned := b.mostByTuning()
	setting := wire.Setting{ID: b.id, Wanted: wanted, Status: wire.OK}
	if tuned > 0 {
		setting.Before = tuned
	}
	if wanted < tuned && !force {
		setting.After, setting.Status = tuned, wire.KeptHigher
		setting.Reason = fmt.Sprintf("the kernel's own tuning goes up to %d bytes (%s), and a fixed size switches it off", tuned, b.tuned)
		return setting
	}
	given, err := b.tryOut(wanted)
	switch {
	case err != nil:
	case given < tuned && !force:
		setting.After, setting.Status = tuned, wire.Clamped
		setting.Reason = fmt.Sprintf("a fixed size may have %d bytes at most (%s), and the kernel's own tuning goes up to %d (%s)",
			given, b.limits, tuned, b.tuned)
		return setting
	default:
		given, err = b.apply(descriptor, wanted)
	}
	switch {
	case err != nil:
		setting.Status, setting.Reason = wire.Unsupported, "it cannot be set: "+reason(err)
	case given < wanted:
		setting.After, setting.Status = given, wire.Clamped
		setting.Reason = fmt.Sprintf("a fixed size may have %d bytes at most (%s)", given, b.limits)
	default:
		setting.After = given
	}
	return setting
}

func (b *buffer) tryOut(wanted int) (int, error) {
	descriptor, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(descriptor)
	return b.apply(descriptor, wanted)
}

// apply gives the size that the socket then has. The kernel doubles it for what it needs itself.
func (b *buffer) apply(descriptor, wanted int) (int, error) {
	if unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, b.optionForced, wanted) != nil {
		if err := unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, b.option, wanted); err != nil {
			return 0, err
		}
	}
	given, err := unix.GetsockoptInt(descriptor, unix.SOL_SOCKET, b.option)
	return given / 2, err
}

// mostByTuning gives the size up to which the kernel goes by itself; 0 where it does not tell.
func (b *buffer) mostByTuning() int {
	content, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(b.tuned, ".", "/"))
	fields := strings.Fields(string(content))
	if err != nil || len(fields) != 3 {
		return 0
	}
	most, _ := strconv.Atoi(fields[2])
	return most
}
