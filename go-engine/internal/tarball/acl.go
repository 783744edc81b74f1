// SPDX-License-Identifier: GPL-3.0-or-later

package tarball

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"migration.assistant/engine/internal/fsys"
)

// Access control lists are extended attributes to Linux, and text in archives, as GNU tar and star write it.
var accessLists = map[string]string{
	fsys.AccessACL:             "SCHILY.acl.access",
	"system.posix_acl_default": "SCHILY.acl.default",
}

// aclTag is what an entry of a list is for.
type aclTag struct {
	number uint16
	name   string
	named  bool // it is for the one user or group of a number
}

// The tags as Linux has them.
var aclTags = []aclTag{
	{0x01, "user", false}, {0x02, "user", true}, {0x04, "group", false}, {0x08, "group", true}, {0x10, "mask", false}, {0x20, "other", false},
}

const (
	aclVersion = 2
	aclNobody  = 0xffffffff
	plainSize  = 4 + 3*8 // of a list of three entries
)

// aclText gives a list as text, with numbers for users and groups. What is no list is left as it is.
func aclText(value string) (string, bool) {
	data := []byte(value)
	if len(data) < 4 || (len(data)-4)%8 != 0 || binary.LittleEndian.Uint32(data) != aclVersion {
		return "", false
	}
	var parts []string
	for data = data[4:]; len(data) > 0; data = data[8:] {
		tag, bits, id := binary.LittleEndian.Uint16(data), binary.LittleEndian.Uint16(data[2:]), binary.LittleEndian.Uint32(data[4:])
		found := slices.IndexFunc(aclTags, func(known aclTag) bool { return known.number == tag })
		if found < 0 {
			return "", false
		}
		qualifier := ""
		if aclTags[found].named {
			qualifier = strconv.FormatUint(uint64(id), 10)
		}
		letters := []byte("---")
		for index, letter := range []byte("rwx") {
			if bits&(4>>index) != 0 {
				letters[index] = letter
			}
		}
		parts = append(parts, aclTags[found].name+":"+qualifier+":"+string(letters))
	}
	return strings.Join(parts, ","), true
}

// aclValue is the reverse of aclText. GNU tar writes names, and the numbers behind them.
func aclValue(text string) (string, error) {
	type line struct {
		tag, bits uint16
		id        uint32
	}
	var lines []line
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		fields := strings.Split(strings.TrimSpace(part), ":")
		if len(fields) < 3 {
			return "", fmt.Errorf("%q is no entry of an access control list", part)
		}
		qualifier := fields[1]
		if len(fields) > 3 {
			qualifier = fields[3]
		}
		made := line{id: aclNobody}
		for _, known := range aclTags {
			if known.name == fields[0] && known.named == (fields[1] != "") {
				made.tag = known.number
			}
		}
		if fields[1] != "" {
			id, err := strconv.ParseUint(qualifier, 10, 32)
			if err != nil {
				return "", fmt.Errorf("the access control list names %q without a number", fields[1])
			}
			made.id = uint32(id)
		}
		for index, letter := range "rwx" {
			if strings.ContainsRune(fields[2], letter) {
				made.bits |= 4 >> index
			}
		}
		if made.tag == 0 {
			return "", fmt.Errorf("%q is no entry of an access control list", part)
		}
		lines = append(lines, made)
	}
	slices.SortStableFunc(lines, func(one, other line) int {
		if one.tag != other.tag {
			return int(one.tag) - int(other.tag)
		}
		return int(int64(one.id) - int64(other.id))
	})
	data := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, each := range lines {
		data = binary.LittleEndian.AppendUint16(data, each.tag)
		data = binary.LittleEndian.AppendUint16(data, each.bits)
		data = binary.LittleEndian.AppendUint32(data, each.id)
	}
	return string(data), nil
}

// recordOf gives the record that holds an extended attribute.
func recordOf(name, value string) (string, string) {
	if record, is := accessLists[name]; is {
		if text, known := aclText(value); known {
			return record, text
		}
	}
	return AttributePrefix + escaper.Replace(name), value
}

// labelRecord is where GNU tar has the SELinux context, without the null byte at its end.
const labelRecord = "RHT.security.selinux"

// AttributesOf gives the extended attributes that records hold.
func AttributesOf(records map[string]string) (fsys.Attributes, error) {
	attributes := fsys.Attributes{}
	if label := records[labelRecord]; label != "" {
		attributes[fsys.Label] = label + "\x00"
	}
	for name, value := range records {
		if rest, is := strings.CutPrefix(name, AttributePrefix); is {
			attributes[unescaper.Replace(rest)] = value
		}
	}
	for name, record := range accessLists {
		if text := records[record]; text != "" {
			value, err := aclValue(text)
			if err != nil {
				return nil, err
			}
			// A list of user, group and other alone says no more than the mode, and Linux keeps none.
			if len(value) > plainSize || name == fsys.DefaultACL {
				attributes[name] = value
			}
		}
	}
	return attributes, nil
}

// AccessPermissions gives the mode of an entry that has an access control list among its attributes. On Linux the list
// says it, with its mask for the group; bsdtar writes the group's own bits.
func AccessPermissions(attributes fsys.Attributes, mode uint32) uint32 {
	value := []byte(attributes[fsys.AccessACL])
	if len(value) <= plainSize {
		return mode
	}
	group, mask, masked := mode>>3&7, uint32(0), false
	user, other := mode>>6&7, mode&7
	for data := value[4:]; len(data) >= 8; data = data[8:] {
		bits := uint32(binary.LittleEndian.Uint16(data[2:])) & 7
		switch binary.LittleEndian.Uint16(data) {
		case 0x01:
			user = bits
		case 0x04:
			group = bits
		case 0x10:
			mask, masked = bits, true
		case 0x20:
			other = bits
		}
	}
	if masked {
		group = mask
	}
	return mode&^0o777 | user<<6 | group<<3 | other
}
