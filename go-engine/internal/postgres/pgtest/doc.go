// SPDX-License-Identifier: GPL-3.0-or-later

// Package pgtest gives tests a PostgreSQL server of their own, if its programs are on this machine.
package pgtest
