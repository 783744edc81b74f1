// SPDX-License-Identifier: GPL-3.0-or-later

// Package fsys wraps the system calls of file work: everything goes by a held descriptor and at most one name, and
// never follows a symbolic link. It uses descriptors and not os.File, which costs about ten more system calls for
// each small file.
package fsys
