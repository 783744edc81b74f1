// SPDX-License-Identifier: GPL-3.0-or-later

package origin

import (
	"encoding/binary"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"

	"migration.assistant/engine/internal/far"
	"migration.assistant/engine/internal/fsys"
)

// owner is a user or group of a host.
type owner struct {
	group bool
	id    uint32
}

// namer sends owners. Each that a stream has not told yet comes with its name, if names are wanted.
type namer struct {
	wanted bool
	told   map[owner]bool
}

func (n *namer) send(to *far.Writer, one owner) error {
	number := uint64(one.id) << 1
	if !n.wanted || n.told[one] {
		return to.Uint(number)
	}
	if n.told == nil {
		n.told = map[owner]bool{}
	}
	n.told[one] = true
	if err := to.Uint(number | 1); err != nil {
		return err
	}
	return to.Text(nameOf(one))
}

// sendLists tells the owners that access control lists are for, so that their numbers in them can be read.
func (n *namer) sendLists(to *far.Writer, attributes fsys.Attributes) error {
	if !n.wanted {
		return nil
	}
	var named []owner
	for name, value := range attributes {
		if isACL(name) {
			eachOwner([]byte(value), func(one owner) uint32 {
				named = append(named, one)
				return one.id
			})
		}
	}
	if err := to.Uint(uint64(len(named))); err != nil {
		return err
	}
	for _, one := range named {
		kind := byte(0)
		if one.group {
			kind = 1
		}
		if err := to.Byte(kind); err != nil {
			return err
		}
		if err := n.send(to, one); err != nil {
			return err
		}
	}
	return nil
}

// owners gives what an owner of the other host is here: the one of the same name, or of the same number where there is
// none. With numeric it is always the number.
type owners struct {
	numeric bool
	mutex   sync.Mutex
	here    map[owner]uint32
}

func (o *owners) read(from *far.Reader, group bool) (uint32, error) {
	number, err := from.Uint()
	if err != nil {
		return 0, err
	}
	one := owner{group, uint32(number >> 1)}
	if number&1 == 1 {
		name, err := from.Text(longestName)
		if err != nil {
			return 0, err
		}
		o.learn(one, name)
	}
	return o.find(one), nil
}

// readLists reads what sendLists told, and makes the lists those of the owners of this host.
func (o *owners) readLists(from *far.Reader, attributes fsys.Attributes) error {
	if o.numeric {
		return nil
	}
	count, err := from.Uint()
	if err != nil {
		return err
	}
	for range count {
		kind, err := from.ReadByte()
		if err != nil {
			return err
		}
		if _, err := o.read(from, kind == 1); err != nil {
			return err
		}
	}
	if count == 0 {
		return nil
	}
	for name, value := range attributes {
		if isACL(name) {
			list := []byte(value)
			eachOwner(list, o.find)
			attributes[name] = string(list)
		}
	}
	return nil
}

func (o *owners) learn(one owner, name string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if _, known := o.here[one]; known || o.numeric {
		return
	}
	if o.here == nil {
		o.here = map[owner]uint32{}
	}
	o.here[one] = one.id
	if id, found := idOf(one.group, name); found {
		o.here[one] = id
	}
}

func (o *owners) find(one owner) uint32 {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if id, known := o.here[one]; known {
		return id
	}
	return one.id
}

func isACL(name string) bool { return strings.HasPrefix(name, "system.posix_acl_") }

// eachOwner puts what change gives in the place of each user and group that a list, as Linux has it, is for.
func eachOwner(list []byte, change func(owner) uint32) {
	const header, size, forUser, forGroup = 4, 8, 0x02, 0x08
	if len(list) < header || (len(list)-header)%size != 0 {
		return
	}
	for entry := list[header:]; len(entry) > 0; entry = entry[size:] {
		if tag := binary.LittleEndian.Uint16(entry); tag == forUser || tag == forGroup {
			number := entry[4:size]
			binary.LittleEndian.PutUint32(number, change(owner{tag == forGroup, binary.LittleEndian.Uint32(number)}))
		}
	}
}

// nameOf gives the name of an owner of this host, "" for one without.
func nameOf(one owner) string {
	id := strconv.FormatUint(uint64(one.id), 10)
	if one.group {
		if found, err := user.LookupGroupId(id); err == nil {
			return found.Name
		}
		return firstField(getent("group", id))
	}
	if found, err := user.LookupId(id); err == nil {
		return found.Username
	}
	return firstField(getent("passwd", id))
}

// idOf gives the number that an owner of that name has on this host.
func idOf(group bool, name string) (uint32, bool) {
	if name == "" {
		return 0, false
	}
	id := ""
	if group {
		if found, err := user.LookupGroup(name); err == nil {
			id = found.Gid
		} else {
			id = thirdField(getent("group", name))
		}
	} else if found, err := user.Lookup(name); err == nil {
		id = found.Uid
	} else {
		id = thirdField(getent("passwd", name))
	}
	number, err := strconv.ParseUint(id, 10, 32)
	return uint32(number), err == nil
}

// getent asks what the files of users and groups may not know, such as a directory service; "" where there is none.
func getent(database, key string) string {
	command, err := exec.LookPath("getent")
	if err != nil || strings.HasPrefix(key, "-") {
		return ""
	}
	line, err := exec.Command(command, database, key).Output()
	if err != nil {
		return ""
	}
	return string(line)
}

func firstField(line string) string {
	name, _, _ := strings.Cut(line, ":")
	return strings.TrimSpace(name)
}

func thirdField(line string) string {
	fields := strings.Split(line, ":")
	if len(fields) < 3 {
		return ""
	}
	return strings.TrimSpace(fields[2])
}
