// SPDX-License-Identifier: GPL-3.0-or-later

// Package files holds the operations on file trees: file_sync makes the contents of one directory equal those of
// another, file_statistics counts what is in one, and file_checksum writes or verifies a manifest of one. Below the two roots it only goes by held directory descriptors and
// single names, so that a symbolic link planted in a tree never leads outside it.
package files
