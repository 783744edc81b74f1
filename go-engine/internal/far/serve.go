// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"bufio"
	"io"
	"os"
	"time"
)

// Serve is the far end: it answers the near one over input and output, and calls work with it. The connection ends when
// work has returned. A further connection of a near end is given to the process that serves it.
func Serve(version string, input, output *os.File, work func(near *Peer)) error {
	from := bufio.NewReaderSize(input, 256<<10)
	said, err := readGreeting(from)
	if err != nil {
		return sendGreeting(output, greeting{Version: version, Error: err.Error()})
	}
	if said.Version != version {
		return sendGreeting(output, greeting{Version: version, Error: "its engine is of version " + version + ", not " + said.Version})
	}
	if said.Role == roleJoin {
		if err := join(said.Meeting, input, output); err != nil {
			return sendGreeting(output, greeting{Version: version, Error: err.Error()})
		}
		return nil
	}
	near := &Peer{Machine: said.Machine, silence: seconds(said.Silence), window: said.Window, obeys: true}
	meeting, closeMeeting := near.meet()
	defer closeMeeting()
	if err := sendGreeting(output, greeting{Version: version, Meeting: meeting}); err != nil {
		return err
	}
	if err := near.add(pipe{Reader: from, Writer: output, close: closing(input, output)}, false); err != nil {
		return err
	}
	work(near)
	near.leave()
	return nil
}

// leave ends all connections of a process that is about to end: a read of standard input cannot be interrupted, so that
// it is not waited for long.
func (p *Peer) leave() {
	left := make(chan struct{})
	go func() {
		p.close()
		close(left)
	}()
	select {
	case <-left:
	case <-time.After(time.Second):
	}
}

// closing gives a function that closes both files.
func closing(files ...io.Closer) func() error {
	return func() error {
		var first error
		for _, file := range files {
			if err := file.Close(); err != nil && first == nil {
				first = err
			}
		}
		return first
	}
}
