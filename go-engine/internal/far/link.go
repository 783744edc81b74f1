// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"migration.assistant/engine/internal/tcp"
)

// link is one running command.
type link struct {
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
	reading *os.File // what output reads
	errors  tail
	login   *attempt
	ended   chan struct{}
	closing sync.Once
	greeted atomic.Bool
	proxy   *proxy // makes ssh's connection; nil where ssh does that itself
}

// stderrPatience is how long the command's standard error may outlast it: a process of ssh that keeps the connection for
// a following job may hold it open.
const stderrPatience = time.Second

// endPatience is how long a command that is to end may take for it.
const endPatience = 3 * time.Second

// startLink starts a command; login, and socket for what is asked of the connection that it makes, may be nil.
func startLink(command []string, login *Login, socket *Socket) (*link, error) {
	l := &link{ended: make(chan struct{})}
	if hasProxy && socket.isNeeded() && socket.Unavailable == "" {
		proxy, err := openProxy(socket)
		if err != nil {
			return nil, err
		}
		l.proxy, command = proxy, withProxy(command, proxy.command)
	}
	asked, err := login.begin()
	if err == nil {
		l.login, l.command = asked, exec.Command(command[0], command[1:]...)
		err = l.start()
	}
	if err != nil {
		l.closeHelpers()
		return nil, err
	}
	return l, nil
}

func (l *link) start() error {
	detach(l.command)
	l.command.Env = l.login.environment()
	l.command.Stderr = &l.errors
	l.command.WaitDelay = stderrPatience
	input, err := l.command.StdinPipe()
	if err != nil {
		return err
	}
	// A pipe of our own: the command's Wait closes its own as soon as it ends, with what nobody has read.
	output, write, err := os.Pipe()
	if err != nil {
		return err
	}
	l.command.Stdout = write
	l.input, l.output, l.reading = input, bufio.NewReaderSize(output, 256<<10), output
	if err := l.command.Start(); err != nil {
		_ = output.Close()
		_ = write.Close()
		return fmt.Errorf("unable to start %s: %w", l.command.Args[0], plain(err))
	}
	_ = write.Close()
	l.login.serve(l.command.Process)
	go func() {
		_ = l.command.Wait()
		l.closeHelpers()
		close(l.ended)
	}()
	return nil
}

// closeHelpers ends what answered the command's questions, and what made its connection.
func (l *link) closeHelpers() {
	l.login.close()
	if l.proxy != nil {
		l.proxy.close()
	}
}

// socket gives the connection that ssh uses; nil where that is not known here.
func (l *link) socket() *tcp.Socket {
	if l.proxy == nil {
		return nil
	}
	return l.proxy.socket()
}

// plain leaves out what the message tells already.
func plain(err error) error {
	var missing *exec.Error
	if errors.As(err, &missing) {
		return missing.Err
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// greet says who this is, and waits for the answer.
func (l *link) greet(ctx context.Context, options Options, said greeting) (greeting, error) {
	type reply struct {
		greeting
		err error
	}
	replies := make(chan reply, 1)
	go func() {
		var failed error
		if options.Password != "" {
			_, failed = io.WriteString(l.input, options.Password+"\n")
		}
		if failed == nil && options.Prelude != "" {
			failed = l.sendPrelude(options.Prelude)
		}
		if failed == nil {
			failed = sendGreeting(l.input, said)
		}
		answer, err := readGreeting(l.output)
		if err == nil && answer.Error != "" {
			err = errors.New(answer.Error)
		} else if err == nil {
			err = failed
		}
		replies <- reply{answer, err}
	}()
	timeout := make(<-chan time.Time)
	if options.Timeout > 0 {
		timeout = time.After(options.Timeout)
	}
	select {
	case answer := <-replies:
		if answer.err == io.EOF {
			return answer.greeting, l.explain(ctx)
		}
		l.greeted.Store(answer.err == nil)
		return answer.greeting, answer.err
	case <-timeout:
		return greeting{}, fmt.Errorf("no answer in %g seconds", options.Timeout.Seconds())
	case <-ctx.Done():
		return greeting{}, context.Cause(ctx)
	}
}

// sendPrelude sends a file after the line that announces it.
func (l *link) sendPrelude(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.WriteString(l.input, "migration-engine-follows\n"); err != nil {
		return err
	}
	_, err = io.Copy(l.input, file)
	return err
}

// explain words why the command ended without an answer. One that has only closed its output is ended.
func (l *link) explain(ctx context.Context) error {
	select {
	case <-l.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(endPatience):
		_ = l.command.Process.Kill()
		<-l.ended
	}
	if l.proxy != nil && l.proxy.failure() != nil {
		return l.proxy.failure() // ssh says only that it was given no connection
	}
	said := l.errors.lastLine()
	if err := l.login.explain(said); err != nil {
		return err
	}
	if said != "" {
		return errors.New(said)
	}
	return fmt.Errorf("%s ended with code %d and without a word", l.command.Path, l.command.ProcessState.ExitCode())
}

func (l *link) pipe() io.ReadWriteCloser {
	return pipe{Reader: l.output, Writer: l.input, close: l.close}
}

// close tells the command that it is to end, and stops reading from one that does not: who reads must not wait for a
// host that has fallen silent.
func (l *link) close() error {
	go func() {
		select {
		case <-l.ended:
		case <-time.After(endPatience):
		}
		_ = l.reading.Close()
	}()
	return l.input.Close()
}

// end closes the command's input, and ends the command if that does not. One that is still on the way is ended at once.
func (l *link) end() {
	l.closing.Do(func() {
		_ = l.input.Close()
		patience := endPatience
		if !l.greeted.Load() {
			patience = 0
		}
		select {
		case <-l.ended:
		case <-time.After(patience):
			_ = l.command.Process.Kill()
			<-l.ended
		}
	})
}

// tail keeps the end of what a command says on its standard error.
type tail struct {
	mutex sync.Mutex
	kept  []byte
}

const longestTail = 8 << 10

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.kept = append(t.kept, data...)
	if extra := len(t.kept) - longestTail; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(data), nil
}

// lastLine gives the line that tells most of what was said.
func (t *tail) lastLine() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return telling(string(t.kept))
}
