// SPDX-License-Identifier: GPL-3.0-or-later

// Package manifest reads and writes lists of checksums in the format of sha256sum, which b3sum and xxhsum share: a
// line for each file, with its checksum in hexadecimal digits, two spaces, and its path. A line whose path has a
// backslash, a line feed or a carriage return begins with a backslash, and its path has \\, \n and \r for them.
package manifest
