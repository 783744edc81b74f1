// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package far

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// meet opens the socket to which the processes of further connections come. It gives no address where that cannot be
// had: then there is one connection.
func (p *Peer) meet() (address string, closeMeeting func()) {
	address, leave, err := meetingPlace()
	if err != nil {
		return "", func() {}
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		leave()
		return "", func() {}
	}
	go func() {
		for {
			connection, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			if !isTrusted(connection) {
				_ = connection.Close()
				continue
			}
			go p.takeOver(connection)
		}
	}()
	return address, func() {
		_ = listener.Close()
		leave()
	}
}

// takeOver receives the two descriptors of a connection. The process that had them lives until its socket is closed,
// since with it the connection would end.
func (p *Peer) takeOver(socket *net.UnixConn) {
	space := make([]byte, syscall.CmsgSpace(2*4))
	_, length, _, _, err := socket.ReadMsgUnix(make([]byte, 1), space)
	if err != nil {
		_ = socket.Close()
		return
	}
	files := receivedFiles(space[:length])
	if len(files) != 2 {
		for _, file := range files {
			_ = file.Close()
		}
		_ = socket.Close()
		return
	}
	input, output := files[0], files[1]
	close := closing(input, output, socket)
	if err := sendGreeting(output, greeting{}); err != nil {
		_ = close()
		return
	}
	if p.add(pipe{Reader: input, Writer: output, close: close}, false) != nil {
		_ = close()
	}
}

func receivedFiles(space []byte) []*os.File {
	messages, err := syscall.ParseSocketControlMessage(space)
	if err != nil {
		return nil
	}
	var files []*os.File
	for index := range messages {
		descriptors, err := syscall.ParseUnixRights(&messages[index])
		if err != nil {
			continue
		}
		for _, descriptor := range descriptors {
			syscall.CloseOnExec(descriptor)
			files = append(files, os.NewFile(uintptr(descriptor), "connection"))
		}
	}
	return files
}

// join gives this process's connection to the one that serves, and waits until that is done with it.
func join(meeting string, input, output *os.File) error {
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: meeting, Net: "unix"})
	if err != nil {
		return errors.New("the engine that serves this job is gone")
	}
	defer socket.Close()
	rights := syscall.UnixRights(int(input.Fd()), int(output.Fd()))
	if _, _, err := socket.WriteMsgUnix([]byte{0}, rights, nil); err != nil {
		return err
	}
	_, _ = socket.Read(make([]byte, 1))
	return nil
}
