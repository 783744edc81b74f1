// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package far

import (
	"fmt"
	"slices"
	"strings"
)

func (l *Login) refused() Refusal {
	return Refusal("the login password of " + l.Name + " was refused")
}

// isAsked tells whether a question is for the password.
func (l *Login) isAsked(question string) bool {
	for _, start := range l.Starts {
		if strings.HasPrefix(question, start) && strings.Contains(question[len(start):], l.Word) {
			return true
		}
	}
	return false
}

// declined are the beginnings of what isDeclined finds.
var declined = []string{
	"Enter passphrase for ", "Enter PIN for ", "The authenticity of host ", "Are you sure you want to continue connecting",
	"Please type 'yes'", "Accept updated hostkeys?",
}

// isDeclined tells whether a question is one that ssh does without: for the passphrase of a key, and for trust in a host
// that is unknown. An empty answer to any other would be sent to a server, and count as a wrong one there.
func isDeclined(question string) bool {
	return slices.ContainsFunc(declined, func(start string) bool { return strings.HasPrefix(question, start) })
}

// unexpected is the refusal of a question that has no answer here.
func (l *Login) unexpected(question string) Refusal {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(question, "?")), " ")
	return Refusal(fmt.Sprintf("ssh asks for more than the login password of %s: %.200s", l.Name, line))
}
