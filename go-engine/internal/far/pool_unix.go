// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package far

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// mostSlots is how many connections of one kind are kept at most.
const mostSlots = 64

// slot is the place of one connection in a pool. It belongs to one job at a time.
type slot struct {
	path string
	idle int
	lock *os.File
	kept bool // an earlier job has left its connection
}

// take gives a slot that no other job has; none without a pool, or where that cannot be had.
func (p *Pool) take() *slot {
	if p == nil {
		return nil
	}
	for number := range mostSlots {
		path := filepath.Join(p.Directory, fmt.Sprintf("%s-%d", p.Key, number))
		lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_, err := os.Lstat(path)
			return &slot{path: path, idle: p.Idle, lock: lock, kept: err == nil}
		}
		_ = lock.Close()
	}
	return nil
}

// words makes ssh use the slot's connection, or leave its own there.
func (s *slot) words(command []string) []string {
	if s == nil {
		return command
	}
	words := []string{
		command[0], "-o", "ControlMaster=auto", "-o", "ControlPath=" + s.path,
		"-o", fmt.Sprintf("ControlPersist=%d", s.idle),
	}
	return append(words, command[1:]...)
}

// discard ends the connection that was kept.
func (s *slot) discard(ssh string) {
	s.kept = false
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = exec.CommandContext(ctx, ssh, "-O", "exit", "-o", "ControlPath="+s.path, "kept").Run()
	_ = os.Remove(s.path)
}

// release leaves the slot to others.
func (s *slot) release() {
	if s != nil {
		_ = s.lock.Close()
	}
}
