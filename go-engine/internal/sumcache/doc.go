// SPDX-License-Identifier: GPL-3.0-or-later

// Package sumcache remembers checksums of files from one job to the next, in one file for each user and host that the
// Python fallback shares.
//
// An entry is of a file as it was: of its device and inode, its size, and its times of modification and of change. The
// last cannot be set by anybody, so that a file that was written has another one, whatever else was put back. It is
// as coarse as the system's clock ticks: a file that was changed a moment before it was read may be changed once more
// without a trace, and is not remembered. Times may lag behind what is written after a crash, and numbers of devices
// belong to other disks then, so that all is forgotten when the system starts anew.
//
// The file is a table of fixed size, all numbers little-endian, in pages of 4096 bytes. The first is the header: the
// text of magic, the number of the other pages (8 bytes), the boot (36 bytes of text, filled up with zeros), zeros, and
// at its end the seal of all that, 8 bytes. A seal is how the SHA-256 of what lies before it begins.
//
// The other pages hold 42 entries each, of 96 bytes: device, inode, algorithm (8 bytes of text), size, modification and
// change (nanoseconds since 1970), when it was stored (seconds since 1970), checksum (32 bytes, filled up with zeros),
// and the seal. Four inodes in a row share a page, so that a small tree takes few of them. A free entry is zeros. Where
// a page is full, one that is too old goes, or any.
//
// There are no locks between processes: an entry is read and written at once, and one that was torn has no seal that
// fits. Of two that write to one place the last counts; then the other file is read once more some day.
package sumcache
