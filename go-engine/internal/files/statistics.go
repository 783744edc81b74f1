// SPDX-License-Identifier: GPL-3.0-or-later

package files

import "migration.assistant/engine/internal/fsys"

// counters are what one worker did; they are summed at the end.
type counters struct {
	FilesTotal         int64 `json:"files_total"`
	DirectoriesTotal   int64 `json:"directories_total"`
	SymlinksTotal      int64 `json:"symlinks_total"`
	SpecialsTotal      int64 `json:"specials_total"`
	BytesTotal         int64 `json:"bytes_total"`
	FilesCopied        int64 `json:"files_copied"`
	BytesCopied        int64 `json:"bytes_copied"`
	FilesResumed       int64 `json:"files_resumed"`
	BytesResumed       int64 `json:"bytes_resumed"`
	BytesReused        int64 `json:"bytes_reused"`
	FilesUnchanged     int64 `json:"files_unchanged"`
	FilesNewer         int64 `json:"files_newer"`
	MetadataUpdated    int64 `json:"metadata_updated"`
	DirectoriesCreated int64 `json:"directories_created"`
	SymlinksCreated    int64 `json:"symlinks_created"`
	HardLinksCreated   int64 `json:"hard_links_created"`
	SpecialsCreated    int64 `json:"specials_created"`
	Deleted            int64 `json:"deleted"`
	TemporariesRemoved int64 `json:"temporaries_removed"`
	Skipped            int64 `json:"skipped"`
	FilesVerified      int64 `json:"files_verified"`
	ChecksumsCached    int64 `json:"checksums_cached"`
}

// syncStatistics are the statistics of file_sync.
type syncStatistics struct {
	counters
	Changes int64 `json:"changes"`
}

func (c *counters) add(other *counters) {
	c.FilesTotal += other.FilesTotal
	c.DirectoriesTotal += other.DirectoriesTotal
	c.SymlinksTotal += other.SymlinksTotal
	c.SpecialsTotal += other.SpecialsTotal
	c.BytesTotal += other.BytesTotal
	c.FilesCopied += other.FilesCopied
	c.BytesCopied += other.BytesCopied
	c.FilesResumed += other.FilesResumed
	c.BytesResumed += other.BytesResumed
	c.BytesReused += other.BytesReused
	c.FilesUnchanged += other.FilesUnchanged
	c.FilesNewer += other.FilesNewer
	c.MetadataUpdated += other.MetadataUpdated
	c.DirectoriesCreated += other.DirectoriesCreated
	c.SymlinksCreated += other.SymlinksCreated
	c.HardLinksCreated += other.HardLinksCreated
	c.SpecialsCreated += other.SpecialsCreated
	c.Deleted += other.Deleted
	c.TemporariesRemoved += other.TemporariesRemoved
	c.Skipped += other.Skipped
	c.FilesVerified += other.FilesVerified
	c.ChecksumsCached += other.ChecksumsCached
}

// count counts an entry of the source that is no directory.
func (c *counters) count(stat *fsys.Stat) {
	switch {
	case stat.IsRegular():
		c.FilesTotal++
		c.BytesTotal += stat.Size()
	case stat.IsSymlink():
		c.SymlinksTotal++
	default:
		c.SpecialsTotal++
	}
}
