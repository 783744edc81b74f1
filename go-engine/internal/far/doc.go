// SPDX-License-Identifier: GPL-3.0-or-later

// Package far joins this engine with one on another host. A command such as ssh carries the standard streams of
// "migration-engine serve" there; several of them may run at once. Over each go any number of streams, and what is sent
// in them is compressed where that pays, and at a rate that leaves room for others where a task asks for that. What the
// streams say is not this package's business.
package far
