// SPDX-License-Identifier: GPL-3.0-or-later

package far

import "errors"

// Login is the password by which ssh gets in to the other host, and how ssh asks for it.
type Login struct {
	Password string
	// Name is whose it is, as user@host.
	Name string
	// Starts are how ssh's questions of this very host begin, and Word is what one for a password has in it: a host on
	// the way, or a second factor, must not be told.
	Starts []string
	Word   string
}

// AskpassVariable names the place where the engine, when ssh starts it to ask for a password, finds the one that has it.
const AskpassVariable = "MIGRATION_ENGINE_ASKPASS"

// Refusal is why a login ended that must not be tried again: accounts are locked by that.
type Refusal string

// Error implements error.
func (r Refusal) Error() string { return string(r) }

// IsRefusal tells whether an error is one, or comes from one.
func IsRefusal(err error) bool {
	var refusal Refusal
	return errors.As(err, &refusal)
}
