// Copyright (c) 2026, migration.assistant contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//go:build ignore

// A link with a delay, a rate and a loss of packets between two network namespaces, for kernels without netem: two TUN
// devices, and this program, which carries each packet from one to the other when its time has come. TCP is the
// kernel's own on both sides. link.py builds and starts it: delay_link NEAR FAR RTT_MS RATE_MBIT LOSS MTU; it says
// "ready" once both ends are up, and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	setInterface = 0x400454CA // TUNSETIFF
	tunWithout   = 0x1001     // IFF_TUN, IFF_NO_PI
)

var addresses = [2]string{"10.79.0.1", "10.79.0.2"}

// packet is one on its way.
type packet struct {
	due  time.Time
	data []byte
}

func main() {
	namespaces := os.Args[1:3]
	delay := time.Duration(number(3) / 2 * float64(time.Millisecond))
	perByte := 8 / (number(4) * 1e6) * float64(time.Second)
	loss, mtu := number(5), int(number(6))
	var ends [2]*os.File
	for side := range ends {
		ends[side] = openEnd(namespaces[side], fmt.Sprintf("link%d-%d", side, os.Getpid()), addresses[side], addresses[1-side], mtu)
	}
	// What a router's queue holds: twice what is under way.
	most := 1000 + int(2*float64(delay)/perByte)/mtu
	go carry(ends[0], ends[1], delay, perByte, loss, mtu, most)
	go carry(ends[1], ends[0], delay, perByte, loss, mtu, most)
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// openEnd makes a TUN device and puts it into a namespace.
func openEnd(namespace, name, address, peer string, mtu int) *os.File {
	descriptor, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	check(err)
	var request [40]byte
	copy(request[:15], name)
	*(*uint16)(unsafe.Pointer(&request[16])) = tunWithout
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(descriptor), setInterface, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		check(errno)
	}
	ip("link", "set", name, "netns", namespace)
	ip("-n", namespace, "link", "set", "lo", "up")
	ip("-n", namespace, "addr", "add", address+"/32", "peer", peer, "dev", name)
	ip("-n", namespace, "link", "set", name, "mtu", strconv.Itoa(mtu), "txqueuelen", "20000", "up")
	return os.NewFile(uintptr(descriptor), name)
}

func carry(from, to *os.File, delay time.Duration, perByte, loss float64, mtu, most int) {
	queue := make(chan packet, most)
	go func() {
		for next := range queue {
			time.Sleep(time.Until(next.due))
			_, _ = to.Write(next.data) // an end that is down loses it
		}
	}()
	free := time.Now()
	buffer := make([]byte, mtu+100)
	for {
		length, err := from.Read(buffer)
		if err != nil {
			return
		}
		if rand.Float64() < loss {
			continue
		}
		now := time.Now()
		sent := free
		if sent.Before(now) {
			sent = now
		}
		sent = sent.Add(time.Duration(float64(length) * perByte))
		select {
		case queue <- packet{sent.Add(delay), append([]byte(nil), buffer[:length]...)}:
			free = sent
		default: // the queue is full
		}
	}
}

func number(index int) float64 {
	value, err := strconv.ParseFloat(os.Args[index], 64)
	check(err)
	return value
}

func ip(words ...string) {
	command := exec.Command("ip", words...)
	command.Stderr = os.Stderr
	check(command.Run())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "delay_link:", err)
		os.Exit(1)
	}
}
