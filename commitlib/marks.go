package commitlib

import (
	"context"
	"errors"
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

// ErrNoCommits is an error of ReadMarks that would stop commits as well: watermarks that no commit may trust prove
// nothing to anyone.
var ErrNoCommits = errors.New("table takes no commits")

// ReadMarks reads all watermarks of a loaded table. Its error is ErrNoCommits, with ErrNotFirn, ErrWatermarksLost,
// ErrBelowTrace, ErrReplaced or what else is wrong, or the store's.
func ReadMarks(ctx context.Context, store objstore.Store, t *catalog.Table) (*Marks, error) {
	c := &Committer{store: store}
	p, err := c.inspect(ctx, t, nil, t.LoadedAt)
	if err == nil && p.stop != nil {
		err = fmt.Errorf("%w: %w", ErrNoCommits, p.stop)
	}
	if err == nil {
		if err = c.readSpill(ctx, p); errors.Is(err, ErrWatermarksLost) {
			err = fmt.Errorf("%w: %w", ErrNoCommits, err)
		}
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
