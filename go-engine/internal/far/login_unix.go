// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package far

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
)

// attempt answers the questions of one ssh, which starts the engine for each: as its program to ask for passwords.
type attempt struct {
	login    *Login
	listener *net.UnixListener
	leave    func()
	process  *os.Process

	mutex    sync.Mutex
	answered bool
	gaveUp   error
	waiting  []net.Conn
}

// begin opens the place to which one ssh's questions come. There is none without a password.
func (l *Login) begin() (*attempt, error) {
	if l == nil {
		return nil, nil
	}
	address, leave, err := meetingPlace()
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		leave()
		return nil, err
	}
	return &attempt{login: l, listener: listener, leave: leave}, nil
}

// environment is what the attempt's ssh is started with; nil for that of this process.
func (a *attempt) environment() []string {
	if a == nil {
		return nil
	}
	engine, err := os.Executable()
	if err != nil {
		engine = os.Args[0]
	}
	return append(os.Environ(),
		"SSH_ASKPASS="+engine, "SSH_ASKPASS_REQUIRE=force", AskpassVariable+"="+a.listener.Addr().String())
}

// serve answers the questions of a process, which leads a group of its own.
func (a *attempt) serve(process *os.Process) {
	if a == nil {
		return
	}
	a.process = process
	go func() {
		for {
			connection, err := a.listener.AcceptUnix()
			if err != nil {
				return
			}
			go a.answer(connection)
		}
	}()
}

func (a *attempt) answer(connection *net.UnixConn) {
	if !isTrusted(connection) {
		_ = connection.Close()
		return
	}
	question, err := io.ReadAll(io.LimitReader(connection, mostNoise))
	if err != nil || isDeclined(string(question)) {
		_ = connection.Close()
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.gaveUp == nil && !a.answered && a.login.isAsked(string(question)) {
		a.answered = true
		_, _ = io.WriteString(connection, a.login.Password+"\n")
		_ = connection.Close()
		return
	}
	// Whoever asks gets no answer as long as it can still send one on.
	a.waiting = append(a.waiting, connection)
	if a.gaveUp != nil {
		return
	}
	a.gaveUp = a.login.unexpected(string(question))
	if a.login.isAsked(string(question)) {
		a.gaveUp = a.login.refused()
	}
	_ = syscall.Kill(-a.process.Pid, syscall.SIGKILL)
}

// explain tells why the login failed, nil if it did not. said: what ssh said last.
func (a *attempt) explain(said string) error {
	if a == nil {
		return nil
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.gaveUp == nil && a.answered && strings.Contains(said, "Permission denied") {
		return a.login.refused()
	}
	return a.gaveUp
}

// close is called when ssh has ended.
func (a *attempt) close() {
	if a == nil {
		return
	}
	_ = a.listener.Close()
	a.leave()
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for _, connection := range a.waiting {
		_ = connection.Close()
	}
}

// Askpass is what the engine does when ssh starts it with a question: it prints the answer. Its error says nothing that
// a user would see.
func Askpass(address, question string, output io.Writer) error {
	if os.Getenv("SSH_ASKPASS_PROMPT") != "" {
		return errors.New("this is not a question for a password")
	}
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return err
	}
	defer socket.Close()
	if _, err := io.WriteString(socket, question); err != nil {
		return err
	}
	if err := socket.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(socket)
	if err == nil && len(answer) == 0 {
		err = errors.New("there is no answer")
	}
	if err != nil {
		return err
	}
	_, err = output.Write(answer)
	return err
}
