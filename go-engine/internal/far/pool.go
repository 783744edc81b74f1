// SPDX-License-Identifier: GPL-3.0-or-later

package far

import "time"

// Pool is where ssh connections are kept for a following job. Its processes of ssh are nobody's children, and end when
// nothing has used them for the idle time.
type Pool struct {
	// Directory is one that nobody else can enter.
	Directory string
	// Key stands for all that decides which connection it is.
	Key string
	// Idle is how many seconds a connection is kept for.
	Idle int
}

// keptPatience is how long a connection of an earlier job may take to answer: its host may be gone without a word.
const keptPatience = 10 * time.Second

// patience bounds the first answer by a connection that was kept.
func (s *slot) patience(timeout time.Duration) time.Duration {
	if s == nil || !s.kept || (timeout > 0 && timeout < keptPatience) {
		return timeout
	}
	return keptPatience
}
