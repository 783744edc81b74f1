// SPDX-License-Identifier: GPL-3.0-or-later

// Package filters decides which entries of a tree are left out: the first rule that matches an entry's path decides
// whether the source's entry is hidden from the transfer, and whether the destination's is protected from deletion.
package filters
