// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/wire"
)

// setting is a number in the database's header, such as user_version.
type setting struct {
	name        string
	here, there int64
}

// update makes an existing destination equal the source, in place and in one transaction.
type update struct {
	*job
	c         *connection
	rows      []int64
	differing map[int]differences
	sequences map[int][2]any
	changed   []setting
}

// update tells whether the destination differs and is to be built anew.
func (j *job) update() (build bool, err error) {
	if _, err := os.Stat(j.destination); errors.Is(err, fs.ErrNotExist) {
		return false, wire.Fail(wire.SourceChanged, "the destination %s has vanished; run again", j.destination)
	}
	mode, transaction := "rw", "IMMEDIATE"
	if j.DryRun || j.replace {
		mode, transaction = "ro", "DEFERRED"
	}
	c, err := connect(j.ctx, uri(j.destination, mode))
	if err != nil {
		return false, err
	}
	defer c.close()
	if err := c.query("PRAGMA main.cache_size = -64000"); err != nil {
		return false, err
	}
	if err := c.attach(j.parameters); err != nil {
		return false, err
	}
	if _, err := c.exec("BEGIN " + transaction); err != nil {
		return false, err
	}
	u := &update{job: j, c: c, rows: make([]int64, len(j.tables)),
		differing: map[int]differences{}, sequences: map[int][2]any{}}
	committed, build, err := u.run()
	if !committed {
		c.rollback()
	}
	return build, err
}

func (u *update) run() (committed, build bool, err error) {
	if err := u.compareAll(); err != nil {
		return false, false, err
	}
	if !u.differs() {
		if u.verify != "none" {
			u.count.RowsVerified = u.count.RowsTotal
		}
		return false, false, nil
	}
	if u.replace {
		u.count = statistics{Tables: u.count.Tables}
		u.Meter.ItemsDone.Store(0)
		return false, true, nil
	}
	if err := u.refuse(); err != nil {
		return false, false, err
	}
	if !u.DryRun {
		if err := u.apply(); err != nil {
			return false, false, err
		}
	}
	u.report()
	return !u.DryRun, false, nil
}

func (u *update) compareAll() error {
	if err := u.c.checkSource(u.parameters); err != nil {
		return err
	}
	var version int64
	if err := u.c.scan("PRAGMA main.schema_version", &version); err != nil {
		return err
	}
	if version != u.destinationSchemaVersion {
		return wire.Fail(wire.SourceChanged,
			"the destination's schema was changed after it was planned for; run again")
	}
	for index := range u.tables {
		if err := u.compareTable(index); err != nil {
			return err
		}
	}
	for _, name := range u.settings {
		found := setting{name: name}
		if err := u.c.scan("PRAGMA main."+name, &found.here); err != nil {
			return err
		}
		if err := u.c.scan("PRAGMA src."+name, &found.there); err != nil {
			return err
		}
		if found.here != found.there {
			u.changed = append(u.changed, found)
		}
	}
	return nil
}

func (u *update) compareTable(index int) error {
	t := &u.tables[index]
	if t.count == "" {
		return nil
	}
	u.step("compare", t.name)
	if err := u.c.scan(t.count, &u.rows[index]); err != nil {
		return err
	}
	u.count.RowsTotal += u.rows[index]
	u.Meter.ItemsTotal.Store(u.count.RowsTotal)
	if t.action == "compare" {
		found, err := u.c.compare(t)
		if err != nil {
			return err
		}
		if found.any() {
			u.differing[index] = found
		}
		if t.sequenceValues != "" {
			here, there, err := u.c.sequences(t)
			if err != nil {
				return err
			}
			if !same(here, there) {
				u.sequences[index] = [2]any{here, there}
			}
		}
	}
	u.Meter.ItemsDone.Add(u.rows[index])
	return nil
}

func (u *update) differs() bool {
	if len(u.differing)+len(u.sequences)+len(u.changed)+len(u.removed) > 0 {
		return true
	}
	for index := range u.tables {
		if u.tables[index].isNew() {
			return true
		}
	}
	for _, o := range u.objects {
		if o.action == "create" || o.action == "update" {
			return true
		}
	}
	return false
}

// refuse guards, with if_exists: fail, what this collection did not write.
func (u *update) refuse() error {
	refusal := ""
	if len(u.changed) > 0 {
		refusal = u.settingsRefusal
	}
	for index := range u.tables {
		_, rows := u.differing[index]
		_, sequence := u.sequences[index]
		if text := u.tables[index].refusal; text != "" && (rows || sequence) {
			refusal = text
		}
	}
	if refusal == "" {
		return nil
	}
	return wire.Fail(destinationExists, "%s", refusal)
}

func (u *update) apply() error {
	touched := map[string]bool{}
	for index := range u.tables {
		_, differs := u.differing[index]
		if differs || u.tables[index].isNew() {
			touched[u.tables[index].name] = true
		}
	}
	if err := u.clearWay(touched); err != nil {
		return err
	}
	if err := u.writeRows(); err != nil {
		return err
	}
	for index := range u.objects {
		if o := &u.objects[index]; o.madeAgain(touched) {
			u.step("schema", o.name)
			if _, err := u.c.exec(o.create); err != nil {
				return err
			}
		}
	}
	if err := u.writeSettings(touched); err != nil {
		return err
	}
	if err := u.verifyRows(u.c, u.rows); err != nil {
		return err
	}
	if err := u.writeRecord(u.destination); err != nil {
		return err
	}
	failpoint.Hit("database.before_commit")
	_, err := u.c.exec("COMMIT")
	failpoint.Hit("database.committed")
	return err
}

// clearWay drops what goes or is made again, and creates the new tables.
func (u *update) clearWay(touched map[string]bool) error {
	for _, item := range u.removed {
		if err := u.c.run(item.sql); err != nil {
			return err
		}
	}
	for index := range u.objects {
		if o := &u.objects[index]; o.madeAgain(touched) {
			if _, err := u.c.exec(o.drop); err != nil {
				return err
			}
		}
	}
	for index := range u.tables {
		if t := &u.tables[index]; t.action == "rebuild" {
			if err := u.c.run(t.drop); err != nil {
				return err
			}
		}
	}
	for index := range u.tables {
		if t := &u.tables[index]; t.isNew() {
			if err := u.c.run(t.create); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRows takes differing rows away first and then brings them back, so that unique values may change places.
func (u *update) writeRows() error {
	for index := range u.tables {
		if _, differs := u.differing[index]; differs {
			u.step("load", u.tables[index].name)
			if _, err := u.c.exec(u.tables[index].remove); err != nil {
				return err
			}
		}
	}
	failpoint.Hit("database.rows_removed")
	for index := range u.tables {
		t := &u.tables[index]
		u.step("load", t.name)
		_, differs := u.differing[index]
		var err error
		switch {
		case differs:
			_, err = u.c.exec(t.insert)
		case t.isNew() && t.next != "":
			_, err = u.c.exec(t.first, -1)
		case t.isNew() && t.first != "":
			_, err = u.c.exec(t.first)
		}
		if err != nil {
			return err
		}
	}
	failpoint.Hit("database.rows_written")
	return nil
}

func (u *update) writeSettings(touched map[string]bool) error {
	anyNew := len(u.removed) > 0
	for index := range u.tables {
		t := &u.tables[index]
		anyNew = anyNew || t.isNew()
		if _, differs := u.sequences[index]; differs || touched[t.name] {
			if err := u.c.run(t.sequence); err != nil {
				return err
			}
		}
	}
	for _, found := range u.changed {
		if err := u.c.copySetting(found.name); err != nil {
			return err
		}
	}
	if anyNew {
		return u.c.run(u.touchSchema)
	}
	return nil
}

func (u *update) report() {
	for _, item := range u.removed {
		u.Change("delete", item.kind, wire.Path(item.name), nil, nil)
	}
	for index := range u.tables {
		t := &u.tables[index]
		found, differs := u.differing[index]
		switch {
		case t.isNew():
			action := map[string]string{"create": "create", "rebuild": "update"}[t.action]
			u.createdTable(t, u.rows[index], action)
			if t.count == "" {
				continue
			}
			u.copied(differences{inserted: u.rows[index]})
		case differs:
			u.copied(found)
			var after wire.Attributes
			after.Integer("inserted", found.inserted)
			after.Integer("updated", found.updated)
			after.Integer("deleted", found.deleted)
			u.Change("update", "rows", wire.Path(t.name), nil, &after)
		default:
			continue
		}
		u.count.Chunks++
	}
	for index := range u.objects {
		switch o := &u.objects[index]; o.action {
		case "create":
			u.createdObject(o)
		case "update":
			u.Change("update", o.kind, wire.Path(o.name), nil, nil)
		}
	}
	for index := range u.tables {
		if values, differs := u.sequences[index]; differs {
			u.changedSetting("sqlite_sequence."+u.tables[index].name, values[0], values[1])
		}
	}
	for _, found := range u.changed {
		u.changedSetting(found.name, found.here, found.there)
	}
}

func (u *update) changedSetting(name string, here, there any) {
	var before, after wire.Attributes
	value(&before, here)
	value(&after, there)
	u.Change("update", "setting", wire.Path(name), &before, &after)
}

// same compares two values of a counter, which may be of any type.
func same(here, there any) bool {
	return fmt.Sprintf("%T %v", here, here) == fmt.Sprintf("%T %v", there, there)
}

func value(to *wire.Attributes, of any) {
	switch of := of.(type) {
	case nil:
		to.Raw("value", []byte("null"))
	case int64:
		to.Integer("value", of)
	default:
		to.Text("value", fmt.Sprint(of))
	}
}

func (c *connection) copySetting(name string) error {
	var number int64
	if err := c.scan("PRAGMA src."+name, &number); err != nil {
		return err
	}
	return c.query(fmt.Sprintf("PRAGMA main.%s = %d", name, number))
}

func (t *table) isNew() bool { return t.action == "create" || t.action == "rebuild" }

// madeAgain tells whether the object is created in this run. Triggers must not see the rows that are written here.
func (o *object) madeAgain(touched map[string]bool) bool {
	if o.action == "keep" {
		return o.kind == "trigger" && touched[o.table]
	}
	return true
}
