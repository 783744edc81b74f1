// SPDX-License-Identifier: GPL-3.0-or-later

// Package server says what a database server is to the operations: connections that run SQL and stream rows, and errors
// that tell whether another try can help. The drivers implement it.
package server
