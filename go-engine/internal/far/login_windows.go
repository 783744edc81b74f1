// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"errors"
	"io"
	"os"
)

type attempt struct{}

func (l *Login) begin() (*attempt, error) {
	if l == nil {
		return nil, nil
	}
	return nil, errors.New("this platform logs in by key only")
}

func (a *attempt) environment() []string { return nil }

func (a *attempt) serve(*os.Process) {}

func (a *attempt) explain(string) error { return nil }

func (a *attempt) close() {}

// Askpass has nobody to ask.
func Askpass(string, string, io.Writer) error {
	return errors.New("this platform logs in by key only")
}
