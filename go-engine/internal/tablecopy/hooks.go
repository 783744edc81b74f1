// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"sync"
)

// rehookFailed is the code for what was taken away for a repair, and did not come back.
const rehookFailed = "rehook_failed"

// hooks are what stands in the way of repairs, such as foreign keys: it is taken away before the first repair of a table,
// and comes back when all tables are repaired. What two tables have in common is one.
type hooks struct {
	mutex sync.Mutex
	away  map[stepName]bool
	of    []*table // that were repaired, in this order
}

type stepName struct{ kind, name string }

// unhookTable takes away what is in the way of repairs of a table, once.
func (j *job) unhookTable(ctx context.Context, p *pair, t *table) error {
	h := &j.hooks
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if t.unhooked {
		return nil
	}
	if h.away == nil {
		h.away = map[stepName]bool{}
	}
	// Before it is done: what was begun may be done, whatever is answered.
	h.of = append(h.of, t)
	for _, s := range t.unhook {
		if name := (stepName{s.kind, s.name}); !h.away[name] {
			if err := j.runStep(ctx, p.destination, "prepare", s); err != nil {
				return err
			}
			h.away[name] = true
		}
	}
	t.unhooked = true
	return nil
}

// rehookAll brings back what was taken away; failure is that of the job so far, which does not keep it from that.
func (j *job) rehookAll(ctx context.Context, failure error) error {
	for _, stage := range j.hooks.stages() {
		if ctx.Err() != nil {
			j.notBack(stage, "the job was stopped")
			continue
		}
		err := j.runAtOnce(ctx, stage)
		if err == nil {
			continue
		}
		if failure == nil {
			return err
		}
		j.notBack(stage, err.Error())
	}
	return failure
}

func (j *job) notBack(stage []step, why string) {
	for _, s := range stage {
		j.Warning(rehookFailed, s.kind+" "+s.name+" may be missing until the next run: "+why, "")
	}
}

// stages merges those of all tables that were unhooked.
func (h *hooks) stages() [][]step {
	var merged [][]step
	known := map[stepName]bool{}
	for _, t := range h.of {
		for number, stage := range t.rehook {
			for len(merged) <= number {
				merged = append(merged, nil)
			}
			for _, s := range stage {
				if name := (stepName{s.kind, s.name}); !known[name] {
					known[name] = true
					merged[number] = append(merged[number], s)
				}
			}
		}
	}
	return merged
}
