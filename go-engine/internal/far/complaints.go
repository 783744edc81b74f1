// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"regexp"
	"strings"
)

var (
	// isDecoration finds what ssh says by the way: of a new host key, of a key exchange that is not of the newest, of an
	// option that it no longer has.
	isDecoration = regexp.MustCompile(`^(?:Warning: Permanently added|@@@|\*\* |command-line line .*: Unsupported option ` +
		`|mux_client_request_session: |ControlSocket .* already exists, disabling multiplexing)`)
	// isFollowing finds what follows from what it has said before, such as that a host on the way refused the login.
	isFollowing = regexp.MustCompile(`^(?:Host key verification failed\.|kex_exchange_identification: ` +
		`|ssh_exchange_identification: |banner exchange: |Connection (?:closed|reset) by |stdio forwarding failed)`)
)

// telling gives the last line that tells something: ssh says first what is wrong, and then what follows from it.
func telling(text string) string {
	said, following := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.ToValidUTF8(line, "?"))
		switch {
		case line == "" || isDecoration.MatchString(line):
		case isFollowing.MatchString(line):
			following = line
		default:
			said = line
		}
	}
	if said == "" {
		return following
	}
	return said
}
