// SPDX-License-Identifier: GPL-3.0-or-later

package fsys

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// Reparse points that stand for what Unix has. A tag with nameSurrogate leads to another entry; what has any other
// tag is as good as an ordinary entry, which some service keeps elsewhere.
const (
	nameSurrogate         = 0x20000000
	tagSocket             = 0x80000023
	tagFifo               = 0x80000024
	tagCharacterDevice    = 0x80000025
	tagBlockDevice        = 0x80000026
	fileAttributeTagInfo  = 9
	ticksPerSecond        = 10_000_000
	secondsFrom1601To1970 = 11_644_473_600
)

// Lstat reads what the name is now.
func (d Directory) Lstat(name string, stat *Stat) error {
	handle, err := openAt(d.handle, name, windows.FILE_READ_ATTRIBUTES, windows.FILE_OPEN, windows.FILE_OPEN_REPARSE_POINT)
	if err != nil {
		return err
	}
	defer closeHandle(handle)
	return stat.take(handle)
}

// Stat reads what the directory is.
func (d Directory) Stat(stat *Stat) error { return stat.take(d.handle) }

// Stat reads what the file is.
func (f File) Stat(stat *Stat) error { return stat.take(f.handle) }

// take reads what is behind a handle.
func (s *Stat) take(handle windows.Handle) error {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return err
	}
	var tag struct{ attributes, tag uint32 }
	if info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		err := windows.GetFileInformationByHandleEx(handle, fileAttributeTagInfo,
			(*byte)(unsafe.Pointer(&tag)), uint32(unsafe.Sizeof(tag)))
		if err != nil {
			return err
		}
	}
	*s = Stat{
		mode:     uint32(typeOf(info.FileAttributes, tag.tag)) | permissionsOf(info.FileAttributes),
		size:     int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow),
		modified: timeOf(info.LastWriteTime),
		changed:  changeTime(handle),
		links:    uint64(info.NumberOfLinks),
		sparse:   info.FileAttributes&windows.FILE_ATTRIBUTE_SPARSE_FILE != 0,
		detail:   uint64(info.FileAttributes),
		identity: Identity{
			Device: uint64(info.VolumeSerialNumber),
			Number: uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
		},
	}
	return nil
}

// changeTime reads the time of the last change of any kind, which is not among those that programs usually set. FAT has
// none.
func changeTime(handle windows.Handle) Time {
	var basic struct {
		created, accessed, modified, changed windows.Filetime
		attributes, _                        uint32
	}
	err := windows.GetFileInformationByHandleEx(handle, windows.FileBasicInfo,
		(*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic)))
	if err != nil || basic.changed == (windows.Filetime{}) {
		return Time{}
	}
	return timeOf(basic.changed)
}

// attributes are what Windows says of the entry.
func (s *Stat) attributes() uint32 { return uint32(s.detail) }

// typeOf gives the type for the attributes of an entry, and the tag of a reparse point.
func typeOf(attributes, tag uint32) Type {
	if attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		switch {
		case tag == windows.IO_REPARSE_TAG_SYMLINK:
			return TypeSymlink
		case tag&nameSurrogate != 0:
			return TypeOther
		case tag == tagSocket:
			return TypeSocket
		case tag == tagFifo:
			return TypeFifo
		case tag == tagCharacterDevice:
			return TypeCharacterDevice
		case tag == tagBlockDevice:
			return TypeBlockDevice
		}
	}
	if attributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		return TypeDirectory
	}
	return TypeRegular
}

// permissionsOf gives the permission bits that stand for the read-only attribute.
func permissionsOf(attributes uint32) uint32 {
	permissions := uint32(0o666)
	if attributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		permissions = 0o777
	}
	if attributes&windows.FILE_ATTRIBUTE_READONLY != 0 {
		permissions &^= 0o222
	}
	return permissions
}

// timeOf reads a time in units of 100 ns since 1601.
func timeOf(filetime windows.Filetime) Time {
	ticks := int64(filetime.HighDateTime)<<32 | int64(filetime.LowDateTime)
	return Time{
		Seconds:     ticks/ticksPerSecond - secondsFrom1601To1970,
		Nanoseconds: ticks % ticksPerSecond * 100,
	}
}

func (t Time) filetime() windows.Filetime {
	ticks := (t.Seconds+secondsFrom1601To1970)*ticksPerSecond + t.Nanoseconds/100
	return windows.Filetime{LowDateTime: uint32(ticks), HighDateTime: uint32(ticks >> 32)}
}

// There are no device nodes.
func deviceNumbers(uint64) (major, minor uint32) { return 0, 0 }

// detailOf gives the attributes of an entry that comes from elsewhere.
func detailOf(details *Details) uint64 {
	attributes := uint64(windows.FILE_ATTRIBUTE_NORMAL)
	if details.Type == TypeDirectory {
		attributes = windows.FILE_ATTRIBUTE_DIRECTORY
	}
	if details.Permissions&0o222 == 0 {
		attributes |= windows.FILE_ATTRIBUTE_READONLY
	}
	return attributes
}
