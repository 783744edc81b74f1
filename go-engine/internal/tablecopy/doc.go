// SPDX-License-Identifier: GPL-3.0-or-later

// Package tablecopy makes the tables of one database server equal those of another, by the SQL that the plan carries. It
// knows no catalog and no type: rows go in chunks from a connection that reads one snapshot of the source to a
// transaction on the destination, in whatever format the two servers share.
//
// A new table is loaded; each chunk's transaction holds the record that the chunk is done, so that a chunk is there
// exactly once whatever breaks off, and a later run goes on behind it. A table that has rows is compared chunk by chunk,
// by a hash that the servers compute, and what differs is repaired in one transaction each.
package tablecopy
