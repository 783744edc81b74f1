// SPDX-License-Identifier: GPL-3.0-or-later

package tcp

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"migration.assistant/engine/internal/wire"
)

func listening(t *testing.T) Endpoint {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, accepted) }()
		}
	}()
	return Endpoint{Name: "there", Addresses: []string{"127.0.0.1"}, Port: listener.Addr().(*net.TCPAddr).Port, KeepAlive: true}
}

func option(t *testing.T, socket *Socket, level, name int) (value int) {
	err := socket.Use(func(descriptor int) (err error) {
		value, err = unix.GetsockoptInt(descriptor, level, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestASizeBelowTheKernelsOwnTuningIsNotSet(t *testing.T) {
	plain, err := Open(context.Background(), listening(t), Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	socket, err := Open(context.Background(), listening(t), Wanted{ReceiveBuffer: 64 << 10, SendBuffer: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	settings := socket.Settings()
	if len(settings) != 2 {
		t.Fatalf("there are %d settings", len(settings))
	}
	for _, setting := range settings {
		if setting.Status != wire.KeptHigher || setting.Before != setting.After || setting.After.(int) <= setting.Wanted.(int) {
			t.Errorf("%+v", setting)
		}
	}
	for _, name := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		if kept, usual := option(t, socket, unix.SOL_SOCKET, name), option(t, plain, unix.SOL_SOCKET, name); kept < usual {
			t.Errorf("a buffer has %d bytes instead of %d", kept, usual)
		}
	}
}

func TestASizeThatIsForcedIsWhatTheSocketHas(t *testing.T) {
	socket, err := Open(context.Background(), listening(t), Wanted{ReceiveBuffer: 64 << 10, SendBuffer: 48 << 10, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, setting := range socket.Settings() {
		if setting.Status != wire.OK || setting.After != setting.Wanted || setting.Before == setting.After {
			t.Errorf("%+v", setting)
		}
	}
	if size := option(t, socket, unix.SOL_SOCKET, unix.SO_RCVBUF); size != 128<<10 {
		t.Errorf("the receive buffer has %d bytes", size)
	}
	if size := option(t, socket, unix.SOL_SOCKET, unix.SO_SNDBUF); size != 96<<10 {
		t.Errorf("the send buffer has %d bytes", size)
	}
	if option(t, socket, unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 1 {
		t.Error("TCP does not ask whether the other host is there")
	}
}

func TestDelayIsToldAsTheSocketHasIt(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		socket, err := Open(context.Background(), listening(t), Wanted{NoDelay: &wanted})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		// As ssh does it once it has the socket.
		if err := socket.Use(func(descriptor int) error {
			return unix.SetsockoptInt(descriptor, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}); err != nil {
			t.Fatal(err)
		}
		status := map[bool]string{true: wire.OK, false: wire.Unsupported}[wanted]
		if settings := socket.Settings(); len(settings) != 1 || settings[0].Status != status || settings[0].After != true {
			t.Errorf("%+v", settings)
		}
	}
}

func TestTheKernelTellsWhatAConnectionDoes(t *testing.T) {
	socket, err := Open(context.Background(), listening(t), Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	before, err := socket.Info()
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Use(func(descriptor int) error {
		_, err := unix.Write(descriptor, make([]byte, 10_000))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		info, err := socket.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Acknowledged-before.Acknowledged >= 10_000 {
			if info.RoundTrip <= 0 || info.LeastRoundTrip <= 0 || info.Segments == 0 || info.LeastRoundTrip > info.RoundTrip {
				t.Errorf("%+v", info)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d bytes were acknowledged", info.Acknowledged)
		}
	}
}

func TestAllAddressesAreTried(t *testing.T) {
	endpoint := listening(t)
	endpoint.Addresses = []string{"::1", "127.0.0.1"}
	socket, err := Open(context.Background(), endpoint, Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	socket.Close()
	if _, err := socket.Info(); err == nil {
		t.Error("it is still open")
	}
	endpoint.Addresses, endpoint.Port = []string{"127.0.0.1"}, 1
	_, err = Open(context.Background(), endpoint, Wanted{})
	if err == nil || !strings.HasPrefix(err.Error(), "connect to host there port 1: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
