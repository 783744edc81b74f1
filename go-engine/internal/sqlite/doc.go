// SPDX-License-Identifier: GPL-3.0-or-later

// Package sqlite makes a SQLite database equal another one, by the SQL that the plan carries: on one connection the
// destination is main and the source is attached as src, read-only, so that no value leaves SQLite.
//
// A new database is built in a partial file beside its name, chunk by chunk, and renamed when it is complete; the
// partial file's own ledger lets a later run go on. An existing one is compared row by row and repaired in one
// transaction.
package sqlite
