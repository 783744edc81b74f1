// SPDX-License-Identifier: GPL-3.0-or-later

//go:build unix

package sqlite

import (
	"errors"
	"fmt"

	"migration.assistant/engine/internal/failpoint"
	"migration.assistant/engine/internal/wire"
)

// verifyRows compares all tables of both databases at the level that the job asks for; rows are the source's counts.
func (j *job) verifyRows(c *connection, rows []int64) error {
	if j.verify == "none" {
		return nil
	}
	// What is compared shall come from the file, and not from this connection's memory.
	if err := c.query("PRAGMA shrink_memory"); err != nil {
		return err
	}
	for index := range j.tables {
		t := &j.tables[index]
		if t.count == "" {
			continue
		}
		j.step("verify", t.name)
		if err := j.verifyTable(c, t, rows[index]); err != nil {
			return err
		}
		j.count.RowsVerified += rows[index]
	}
	if err := j.checkStructure(c); err != nil {
		return err
	}
	failpoint.Hit("database.verified")
	return nil
}

func (j *job) verifyTable(c *connection, t *table, rows int64) error {
	if j.verify == "counts" {
		var found int64
		if err := c.scan(t.countWritten, &found); err != nil {
			return err
		}
		if found != rows {
			return mismatch(t, "%d rows instead of %d", found, rows)
		}
		return nil
	}
	found, err := c.compare(t)
	if err != nil {
		return err
	}
	if found.any() {
		return mismatch(t, "%d missing, %d differing, %d surplus rows", found.inserted, found.updated, found.deleted)
	}
	if t.sequenceValues == "" {
		return nil
	}
	here, there, err := c.sequences(t)
	if err == nil && !same(here, there) {
		err = mismatch(t, "another AUTOINCREMENT counter")
	}
	return err
}

func mismatch(t *table, format string, arguments ...any) error {
	return wire.Fail(wire.VerificationFailed, "%s: "+format, append([]any{t.name}, arguments...)...).At(wire.Path(t.name))
}

func (j *job) checkStructure(c *connection) error {
	pragma := map[string]string{"quick": "quick_check", "full": "integrity_check"}[j.integrity]
	if pragma == "" {
		return nil
	}
	j.step("verify", "")
	answer, err := firstAnswer(c, "PRAGMA main."+pragma)
	if err != nil {
		return err
	}
	if answer != "ok" {
		original, err := firstAnswer(c, "PRAGMA src."+pragma)
		if err != nil {
			return err
		}
		if original == "ok" {
			return wire.Fail(wire.VerificationFailed, "the destination's structure is not sound: %s", answer)
		}
		j.Warning("source_not_sound", "the source has the same fault as the destination: "+answer, "")
	}
	return j.checkForeignKeys(c)
}

func (j *job) checkForeignKeys(c *connection) error {
	here, err := c.countRows("PRAGMA main.foreign_key_check")
	var there int64
	if err == nil && here > 0 {
		there, err = c.countRows("PRAGMA src.foreign_key_check")
	}
	if err != nil {
		if j.ctx.Err() != nil || resultCode(err) != 1 {
			return err
		}
		j.Warning("foreign_keys_unchecked", "the foreign keys cannot be checked: "+err.Error(), "")
		return nil
	}
	if j.count.ForeignKeyViolations = here; here > 0 {
		j.Warning("foreign_key_violations",
			fmt.Sprintf("%d rows break foreign keys; in the source it is %d", here, there), "")
	}
	return nil
}

func firstAnswer(c *connection, pragma string) (string, error) {
	rows, err := c.conn.QueryContext(c.ctx, pragma)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var answer string
	if rows.Next() {
		err = rows.Scan(&answer)
	}
	return answer, errors.Join(err, rows.Err())
}
