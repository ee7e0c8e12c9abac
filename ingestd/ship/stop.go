package ship

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// Reason says, in a stable word, why shipping of a table stopped.
type Reason string

// The reasons. Each is a condition outside this process that is looked at again now and then, and on Resume: when it is
// gone, shipping goes on.
const (
	Rejected       Reason = "rejected"          // a committer left a note: the request can never succeed
	WatermarkBack  Reason = "watermark-back"    // the table counts less than it did
	WatermarkAhead Reason = "watermark-ahead"   // the table counts more than this directory ever had
	WatermarksLost Reason = "watermarks-lost"   // the table's own record is gone or unreadable
	TableMissing   Reason = "table-missing"     // the catalog knows no such table
	TableReplaced  Reason = "table-replaced"    // the name belongs to another table now
	TableUnfit     Reason = "table-unfit"       // marker, columns or partitioning are not ones that Firn writes
	Misplaced      Reason = "table-misplaced"   // the table's root lies outside the object store that this daemon writes to
	Unshippable    Reason = "event-unshippable" // a single event does not fit a commit request
)

// Stop says why a track stands still, and what its operator can do. It is an error.
type Stop struct {
	Reason  Reason
	Err     error
	Choices []string
	Since   time.Time
}

func (e *Stop) Error() string {
	return fmt.Sprintf("shipping stopped (%s): %v; choices: %s", e.Reason, e.Err, strings.Join(e.Choices, "; or "))
}

func (e *Stop) Unwrap() error { return e.Err }

// The choices that several reasons share. Discard is always the last resort, and always names what it costs.
const (
	choiceResume  = "put it right and resume the table"
	choiceDiscard = "give up this log's uncommitted events: discard, naming their number"
)

// stopped turns an error that trying again cannot mend into a Stop; others are returned as they are.
func stopped(err error) error {
	stop := func(r Reason, choices ...string) error {
		return &Stop{Reason: r, Err: err, Choices: append(choices, choiceDiscard)}
	}
	advised := func(r Reason) error {
		return stop(r, commitlib.Advice(err)+"; then resume the table")
	}
	var unfit *registry.RejectedError
	switch {
	case err == nil || errors.As(err, new(*Stop)):
		return err
	case errors.Is(err, commitlib.ErrNotFirn):
		return advised(TableUnfit)
	case errors.Is(err, commitlib.ErrWatermarksLost):
		return advised(WatermarksLost)
	case errors.Is(err, commitlib.ErrBelowTrace):
		return advised(WatermarkBack)
	case errors.Is(err, commitlib.ErrReplaced):
		return advised(TableReplaced)
	case errors.Is(err, registry.ErrReplaced):
		return stop(TableReplaced, "bring the old table back under its name and resume",
			"resume (or PUT the table) to let new events go to the new table, while these wait")
	case errors.As(err, &unfit):
		return stop(TableUnfit, choiceResume)
	case errors.Is(err, catalog.ErrNoTable):
		return stop(TableMissing, "restore the table and resume it",
			"move what is left in its folder away, and PUT the table to make it anew for new events, while these wait")
	case errors.Is(err, eventlog.ErrWatermarkAhead):
		return &Stop{Reason: WatermarkAhead, Err: err, Choices: []string{
			"this directory is an older copy: if it was restored on purpose and the original is gone for good, restart if this log is still the open one, then resume the table, which takes the table's count as it is",
			"else stop this copy and run the original",
			"if no directory was ever copied or restored, the count was raised by hand: with the table's committers stopped, set this log's in the " +
				"property " + commitlib.PropWatermarks + " back to that of the newest metadata file from before, and resume the table"}}
	}
	return err
}

// setBack is the stop of a log of which the table counts less than was read back before, and no snapshot tells. Commits
// of other logs may have gone on meanwhile, so that no earlier value of the property is right as a whole: the choice
// says what is missing.
func setBack(log uuid.UUID, was eventlog.Seq, err error) *Stop {
	return &Stop{Reason: WatermarkBack, Err: err, Choices: []string{
		fmt.Sprintf("with the table's committers stopped, put \"%s\":[%d,0] into \"logs\" of its property %s, or a higher count of this log "+
			"that an earlier metadata file has, and lower no other log; then resume the table", log, was, commitlib.PropWatermarks),
		choiceDiscard}}
}
