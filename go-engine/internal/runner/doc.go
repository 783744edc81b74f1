// SPDX-License-Identifier: GPL-3.0-or-later

// Package runner carries one job out: it says hello, reads the job from standard input, watches for the ends that
// come from outside (signals, lifeline, timeout, a reader that is gone), gives signs of life, and emits exactly one
// terminal event.
package runner
