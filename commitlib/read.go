package commitlib

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// ReadWatermark returns a log's committed watermark in a loaded table: all its events up to there are in the table. It
// is a cumulative ack. Errors: ErrNotFirn, ErrWatermarksLost, ErrBelowTrace and ErrReplaced stop shipping to the table
// until its operator has looked (Advice says how); any other is the store's and worth another try.
// It reads the store only for a log whose watermark was spilled.
func ReadWatermark(ctx context.Context, store objstore.Store, t *catalog.Table, log uuid.UUID) (Seq, error) {
	w, err := readWatermark(ctx, store, t, log)
	if err != nil {
		return 0, fmt.Errorf("read watermark of log %s in %s: %w", log, t.Ident, err)
	}
	return w, nil
}

func readWatermark(ctx context.Context, store objstore.Store, t *catalog.Table, log uuid.UUID) (Seq, error) {
	marks, err := ParseWatermarks(t.Metadata.Properties)
	if err != nil {
		return 0, err
	}
	if err := marks.checkLineage(readLineage(t.Metadata)); err != nil {
		return 0, err
	}
	last := marks.Logs[log].Last
	if marks.needsSpilled(log) && !safeguard.Off(safeguard.SpilledLookup) {
		file, err := readSpilled(ctx, store, t, marks.Spilled)
		if err != nil {
			return 0, err
		}
		last = file.Logs[log].Last
	}
	name := log.String()
	for _, s := range t.Metadata.Snapshots {
		if !strings.Contains(s.Summary[PropRanges], name) {
			continue // most snapshots name other logs: spare the parse
		}
		ranges, err := ParseRanges(s)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrWatermarksLost, err)
		}
		for _, r := range ranges[log] {
			if r[1] > last {
				return 0, belowTrace(log, last, r[1])
			}
		}
	}
	return last, nil
}

func belowTrace(log uuid.UUID, last, trace Seq) error {
	return fmt.Errorf("%w: log %s stands at %d, a retained snapshot holds up to %d", ErrBelowTrace, log, last, trace)
}
