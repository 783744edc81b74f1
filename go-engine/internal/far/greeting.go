// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Transport is the version of what the two ends say to each other.
const Transport = 2

// mostNoise bounds what a login may print before the engine speaks, such as the message of the day.
const mostNoise = 64 << 10

// Roles that the near end gives to the far one.
const (
	roleServe = "serve" // it offers streams
	roleJoin  = "join"  // its connection is given to the one that serves
)

// greeting is the first line of each end; the far end answers that of the near one.
type greeting struct {
	Transport int    `json:"migration_engine"` // must stay the first: readers know the line by it
	Version   string `json:"version"`
	Role      string `json:"role,omitempty"`
	Meeting   string `json:"meeting,omitempty"` // the socket by which further connections find the one that serves
	Machine   string `json:"machine,omitempty"`
	// Silence is after how many seconds without a word from this end the other may take it for gone; 0 for never.
	Silence float64 `json:"silence,omitempty"`
	// Window is how many bytes may be under way in one stream; 0 for the usual number.
	Window int64  `json:"window,omitempty"`
	Error  string `json:"error,omitempty"`
}

var greetingStart = []byte(`{"migration_engine":`)

func sendGreeting(to io.Writer, said greeting) error {
	said.Transport = Transport
	said.Machine = Machine()
	line, err := json.Marshal(said)
	if err != nil {
		return err
	}
	_, err = to.Write(append(line, '\n'))
	return err
}

// readGreeting reads the first line of the other end, and passes over what a shell, a login or a password that nobody
// asked for put before it.
func readGreeting(from *bufio.Reader) (greeting, error) {
	var said greeting
	for noise := 0; noise < mostNoise; {
		line, err := from.ReadSlice('\n')
		if start := bytes.Index(line, greetingStart); start >= 0 && err == nil {
			if err := json.Unmarshal(line[start:], &said); err != nil {
				return said, fmt.Errorf("the engine's greeting cannot be read: %w", err)
			}
			if said.Transport != Transport {
				return said, fmt.Errorf("the other engine speaks version %d of the transport, this one version %d", said.Transport, Transport)
			}
			return said, nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return said, err
		}
		noise += len(line)
	}
	return said, fmt.Errorf("there is no engine: it said something else for %d bytes; is something printed at login?", mostNoise)
}
