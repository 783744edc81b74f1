// SPDX-License-Identifier: GPL-3.0-or-later

package files

import (
	"time"

	"migration.assistant/engine/internal/fsys"
)

// sameTime tells whether an entry of the destination has the source's time of modification, as far as its file system
// can hold that. Where it cannot hold all of it, that is told once.
func (p *policy) sameTime(source, existing *fsys.Stat) bool {
	wanted, there := source.Modified(), existing.Modified()
	if wanted == there {
		return true
	}
	// Most times that differ do so by more than any file system cuts off.
	if wanted.Before(there) || wanted.Seconds-there.Seconds >= int64(fsys.CoarsestGrain/time.Second) {
		return false
	}
	grain := p.grain(existing)
	if wanted.In(grain) != there {
		return false
	}
	message := "the destination's file system keeps times in steps of " + grain.String() + "; no finer ones are compared"
	p.warnOnce("timestamps_not_preserved", message, "")
	return true
}

// grain gives the step in which the file system of an entry keeps times.
func (p *policy) grain(existing *fsys.Stat) time.Duration {
	device := existing.Identity().Device
	p.mutex.Lock()
	grain, known := p.grains[device]
	if !known {
		grain = fsys.GrainOf(device)
		p.grains[device] = grain
	}
	p.mutex.Unlock()
	if grain < time.Second && existing.KeepsSeconds() {
		return time.Second
	}
	return grain
}

// setModified gives an entry the source's time. The first that is no whole second is read back, so that of a new tree
// too it is told what its file system cannot hold.
func (p *policy) setModified(handle fsys.Handle, source *fsys.Stat) error {
	modified := source.Modified()
	if err := handle.SetModified(modified); err != nil {
		return unable("set the times", err)
	}
	if modified.Nanoseconds == 0 || p.tried.Swap(true) {
		return nil
	}
	var held fsys.Stat
	err := handle.Stat(&held)
	if err == nil {
		p.sameTime(source, &held)
	}
	return unable("set the times", err)
}

// backdate gives a file, whose source went on changing, the time of before, so that the next run copies it again. Where
// the file system cannot tell that from the time of now, it gets an earlier one.
func (p *policy) backdate(handle fsys.Handle, before, now *fsys.Stat) error {
	modified := before.Modified()
	if err := handle.SetModified(modified); err != nil {
		return unable("set the times", err)
	}
	var held fsys.Stat
	if err := handle.Stat(&held); err != nil {
		return unable("set the times", err)
	}
	if !p.timestamps || !p.sameTime(now, &held) {
		return nil
	}
	modified.Seconds -= int64(fsys.CoarsestGrain / time.Second)
	return unable("set the times", handle.SetModified(modified))
}
