// SPDX-License-Identifier: GPL-3.0-or-later

//go:build !windows && (!linux || portable)

package fsys

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lstat reads what the name is now.
func (d Directory) Lstat(name string, stat *Stat) error { return stat.take(d.root.Lstat(name)) }

// Stat reads what the directory is.
func (d Directory) Stat(stat *Stat) error { return stat.take(d.file.Stat()) }

// Stat reads what the file is.
func (f File) Stat(stat *Stat) error { return stat.take(f.file.Stat()) }

// take takes over what package os found.
func (s *Stat) take(info fs.FileInfo, err error) error {
	if err != nil {
		return err
	}
	// The types of the fields differ between systems.
	raw := info.Sys().(*syscall.Stat_t)
	modified := info.ModTime()
	*s = Stat{
		mode:     uint32(raw.Mode),
		size:     raw.Size,
		modified: Time{Seconds: modified.Unix(), Nanoseconds: int64(modified.Nanosecond())},
		changed:  changeTime(raw),
		user:     raw.Uid,
		group:    raw.Gid,
		links:    uint64(raw.Nlink),
		identity: Identity{Device: uint64(raw.Dev), Number: raw.Ino},
		detail:   uint64(raw.Rdev),
		sparse:   int64(raw.Blocks)*512 < raw.Size,
	}
	return nil
}

func deviceNumbers(device uint64) (major, minor uint32) {
	return unix.Major(device), unix.Minor(device)
}

// fileMode gives the mode as package os has it.
func fileMode(mode uint32) fs.FileMode {
	converted := fs.FileMode(mode & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{
		syscall.S_ISUID: fs.ModeSetuid, syscall.S_ISGID: fs.ModeSetgid, syscall.S_ISVTX: fs.ModeSticky,
	} {
		if mode&bit != 0 {
			converted |= flag
		}
	}
	return converted
}

func detailOf(details *Details) uint64 { return unix.Mkdev(details.Major, details.Minor) }
