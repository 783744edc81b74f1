// SPDX-License-Identifier: GPL-3.0-or-later

package meter

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// peakMemory reads VmHWM: getrusage's ru_maxrss would count what the process had before its exec.
func peakMemory() int64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, found := bytes.CutPrefix(lines.Bytes(), []byte("VmHWM:")); found {
			kibibytes, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" kB"))), 10, 64)
			return kibibytes << 10
		}
	}
	return 0
}

func residentMemory() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
