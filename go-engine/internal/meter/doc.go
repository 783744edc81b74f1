// SPDX-License-Identifier: GPL-3.0-or-later

// Package meter counts what a job does: for progress and samples while it runs, and for the performance figures at
// its end, together with the memory and processor time that the process used.
package meter
