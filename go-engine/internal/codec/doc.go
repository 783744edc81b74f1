// SPDX-License-Identifier: GPL-3.0-or-later

// Package codec names the compressions of archives: it writes and reads their streams, and tells them apart by their
// first bytes.
package codec
