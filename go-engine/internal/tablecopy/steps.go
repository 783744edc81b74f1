// SPDX-License-Identifier: GPL-3.0-or-later

package tablecopy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/wire"
)

// endTable does what is left when all chunks of a table are done, as pieces of work of their own.
func (j *job) endTable(c *crew, t *table) {
	c.push(func(ctx context.Context, p *pair) error {
		err := j.completeTable(ctx, p, t)
		if err = j.tableFailed(ctx, t, err); err != nil || j.hasFailed(t) {
			return err
		}
		j.queueStages(c, t, t.finish)
		return nil
	})
}

func (j *job) completeTable(ctx context.Context, p *pair, t *table) error {
	defer j.tellRows(t)
	if j.hasFailed(t) {
		return nil
	}
	if err := j.repairDeferred(ctx, p, t); err != nil {
		return err
	}
	if j.correct(t); j.DryRun {
		return nil
	}
	if len(t.complete) > 0 {
		if err := j.persistOnce(ctx, p.destination, t.complete); err != nil {
			return err
		}
	}
	failpoint.Hit("table_copy.table_complete")
	return nil
}

// queueStages hands out the steps of the first stage; the last of them to end hands out the next one's.
func (j *job) queueStages(c *crew, t *table, stages [][]step) {
	for len(stages) > 0 && len(stages[0]) == 0 {
		stages = stages[1:]
	}
	if len(stages) == 0 {
		return
	}
	var left atomic.Int64
	left.Store(int64(len(stages[0])))
	for _, s := range stages[0] {
		c.push(func(ctx context.Context, p *pair) error {
			err := j.tableFailed(ctx, t, j.runStep(ctx, p.destination, "finish", s))
			if err == nil && left.Add(-1) == 0 && !j.hasFailed(t) {
				j.queueStages(c, t, stages[1:])
			}
			return err
		})
	}
}

// runInOrder runs steps one after the other.
func (j *job) runInOrder(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := j.runStep(ctx, j.control.destination, "prepare", s); err != nil {
			return err
		}
	}
	return nil
}

// runAtOnce runs steps at the same time, as far as there are workers, all of them to their ends; it gives the error of the
// first one in their order.
func (j *job) runAtOnce(ctx context.Context, steps []step) error {
	failures := make([]error, len(steps))
	err := j.work(ctx, func(_ context.Context, c *crew) error {
		for index, s := range steps {
			c.push(func(ctx context.Context, p *pair) error {
				err := j.runStep(ctx, p.destination, "finish", s)
				var known *problem
				if ctx.Err() == nil && !(errors.As(err, &known) && known.fatal) {
					failures[index], err = err, nil
				}
				return err
			})
		}
		return nil
	})
	for _, failure := range failures {
		if err == nil {
			err = failure
		}
	}
	return err
}

// runStep runs a step, and tells it.
func (j *job) runStep(ctx context.Context, l *link, phase string, s step) error {
	j.Meter.SetPhase(phase)
	j.Meter.SetCurrent(wire.Path(s.name))
	if !j.DryRun {
		if err := j.carryOut(ctx, l, s); err != nil {
			return s.failed(err)
		}
	}
	if s.action == "none" {
		return nil
	}
	figure := map[string]*int64{
		"table": &j.count.TablesCreated, "index": &j.count.IndexesCreated, "constraint": &j.count.ConstraintsCreated,
		"foreign_key": &j.count.ConstraintsCreated,
		"trigger":     &j.count.TriggersCreated, "view": &j.count.ViewsCreated,
	}[s.kind]
	if figure != nil && s.action == "create" {
		j.counted(figure, 1)
	}
	j.Change(s.action, s.kind, wire.Path(s.name), nil, nil)
	return nil
}

func (j *job) carryOut(ctx context.Context, l *link, s step) error {
	switch {
	case len(s.sql) == 0:
		return nil
	case s.transaction:
		return j.persistOnce(ctx, l, s.sql)
	}
	for _, statement := range s.sql {
		err := j.persist(ctx, func(int) error {
			// Connect first: what is lost then has run nothing.
			if _, err := l.get(ctx); err != nil {
				return err
			}
			_, err := l.exec(ctx, statement)
			return onceOnly(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// persistOnce runs statements in one transaction. It is not tried again where it may have been committed.
func (j *job) persistOnce(ctx context.Context, l *link, statements []string) error {
	return j.persist(ctx, func(int) error {
		err := l.transaction(ctx, func() error { return l.run(ctx, statements) })
		var known *problem
		if errors.As(err, &known) && known.uncertain {
			return onceOnly(err)
		}
		return err
	})
}

// onceOnly keeps what was cut off from being tried again, since nobody knows whether it was done.
func onceOnly(err error) error {
	var known *problem
	if errors.As(err, &known) && known.lost != nil {
		known.again = false
		known.Message += "; it is not known whether the last statement was done"
	}
	return err
}

// failed says which step an error is of.
func (s step) failed(err error) error {
	var known *problem
	if errors.As(err, &known) && known.Code != wire.Unreachable {
		known.Message = fmt.Sprintf("%s %s: %s", s.kind, s.name, known.Message)
	}
	return err
}
