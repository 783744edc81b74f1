// SPDX-License-Identifier: GPL-3.0-or-later

// Package tarball writes the headers of tar archives in the PAX format. The standard library reads such archives; it
// cannot write sparse files, and does not promise the same bytes for the same tree, which both executors give.
package tarball
