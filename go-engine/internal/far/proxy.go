// SPDX-License-Identifier: GPL-3.0-or-later

package far

import (
	"slices"
	"strings"
	"sync"
	"time"

	"migration.assistant/engine/internal/tcp"
	"migration.assistant/engine/internal/wire"
)

// Socket says what is asked of the connections that ssh uses. It is for one job, whatever the number of tries.
type Socket struct {
	tcp.Wanted
	Endpoint tcp.Endpoint
	// Unavailable tells why ssh's connection is not for this end to make; empty where it is.
	Unavailable string
	// Interval is how often the rate is adapted to the network; 0 for never.
	Interval time.Duration
	// Limit is the most bytes per second in any case; 0 for no limit.
	Limit int64

	told sync.Once
}

func (s *Socket) isNeeded() bool { return s != nil && (!s.IsNothing() || s.Interval > 0) }

// Report is where is told what becomes of what was asked for.
type Report interface {
	Setting(setting wire.Setting)
	Warning(code, message string, path wire.Path)
}

// tell reports the settings of the first connection, once.
func (s *Socket) tell(report Report, opened *tcp.Socket) {
	s.told.Do(func() {
		settings := s.Unsupported(s.reason(opened))
		if opened != nil {
			settings = opened.Settings()
		}
		for _, setting := range settings {
			report.Setting(setting)
			if setting.Status != wire.OK {
				report.Warning("connection_setting", setting.ID+" is "+setting.Status+": "+setting.Reason, "")
			}
		}
		if s.Interval > 0 && opened == nil {
			report.Warning("bandwidth_not_adapted", "the bandwidth is not adapted to the network: "+s.reason(opened), "")
		}
	})
}

// reason tells why there is no socket.
func (s *Socket) reason(opened *tcp.Socket) string {
	switch {
	case opened != nil:
		return ""
	case s.Unavailable != "":
		return s.Unavailable
	case !hasProxy:
		return tcp.ErrUnsupported.Error()
	}
	return "ssh has not asked for a connection: it shares an earlier one"
}

// withProxy gives the command of ssh with the words that let it get its connection from a command of ours.
func withProxy(command []string, proxy string) []string {
	return slices.Insert(slices.Clone(command), 1, "-o", "ProxyCommand="+proxy, "-o", "ProxyUseFdpass=yes")
}

// proxyWord quotes a word of a ProxyCommand: for a shell, and for ssh, to which a percent sign means something.
func proxyWord(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`", "%", "%%").Replace(word) + `"`
}
