// SPDX-License-Identifier: GPL-3.0-or-later

// Package fsys is the driver of file work. Everything goes by a held directory and one name in it, and never follows a
// symbolic link, so that a tree that others change meanwhile cannot lead outside itself.
//
// There are three drivers of one interface, chosen when the engine is built:
//
//   - Linux: raw descriptors and not os.File, which costs about ten more system calls for each small file.
//   - Windows: handles that are opened relative to their directory by the native calls, which take a name as it is;
//     the calls above them rewrite names and know devices and streams in them.
//   - any other system, and Linux with -tags portable: os.Root.
//
// The constants whose names begin with Keeps say what a driver can keep of an entry.
package fsys
