package commitlib

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// Marks are the committed watermarks of all logs in one loaded state of a table. Maintenance decides by them what no
// commit can name any more.
type Marks struct {
	marks   *Watermarks
	spilled *spilled
}

// ReadMarks reads all watermarks of a loaded table. Its error is what would stop commits to the table (ErrNotFirn,
// ErrWatermarksLost, ErrBelowTrace, ErrReplaced and the like), since watermarks that no commit may trust prove nothing to
// anyone, or the store's.
func ReadMarks(ctx context.Context, store objstore.Store, t *catalog.Table) (*Marks, error) {
	c := &Committer{store: store}
	p, err := c.inspect(ctx, t, nil, t.LoadedAt)
	if err == nil {
		err = p.stop
	}
	if err == nil {
		err = c.readSpill(ctx, p)
	}
	if err != nil {
		return nil, fmt.Errorf("read watermarks of %s: %w", t.Ident, err)
	}
	return &Marks{p.marks, p.spilled}, nil
}

// Last is a log's committed watermark; 0 where it never committed.
func (m *Marks) Last(log uuid.UUID) Seq {
	if mark, ok := m.marks.Logs[log]; ok || m.spilled == nil {
		return mark.Last
	}
	return m.spilled.Logs[log].Last
}

// File is the location of the file with the spilled watermarks; empty where there is none.
func (m *Marks) File() string {
	if m.marks.Spilled == nil {
		return ""
	}
	return m.marks.Spilled.File
}
