// SPDX-License-Identifier: GPL-3.0-or-later

// Package origin reads a tree that is to be copied, on this host or on another. What is here is read by package fsys,
// without anything in between; for what is elsewhere there are both ends: the one that asks, ahead of need so that the
// way there and back is not waited for, and the one that answers.
package origin
