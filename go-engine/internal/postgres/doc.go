// SPDX-License-Identifier: GPL-3.0-or-later

// Package postgres is the driver for PostgreSQL. It speaks the simple protocol, in which all values are text, and COPY,
// whose bytes it hands on as they are; it knows no types.
package postgres
