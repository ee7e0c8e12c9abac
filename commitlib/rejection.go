package commitlib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/objstore"
)

// Rejection is the note that a committer leaves for a log whose request it rejected: the sender reads it with the
// watermark, stops re-sending, and tells the operator. It informs and decides nothing; a later rejection of the
// same log overwrites it. It holds for the table with that UUID alone: on a table made anew it is an old story.
type Rejection struct {
	Reason    string    `json:"reason"`
	Advice    string    `json:"advice"` // what the operator may do
	TableUUID uuid.UUID `json:"table_uuid"`
	Log       uuid.UUID `json:"log"`
	First     Seq       `json:"first"`
	Last      Seq       `json:"last"`
	At        time.Time `json:"at"`
}

// RejectedNote reads the note for a log of the table whose root has the key tablePrefix; nil where there is none.
func RejectedNote(ctx context.Context, store objstore.Store, tablePrefix string, log uuid.UUID) (*Rejection, error) {
	data, _, err := store.Get(ctx, noteKey(tablePrefix, log))
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read rejection note of log %s: %w", log, err)
	}
	r := new(Rejection)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read rejection note of log %s: %w", log, err)
	}
	return r, nil
}

// ClearRejected removes the note, once the operator has resolved what it says; the sender then sends again.
func ClearRejected(ctx context.Context, store objstore.Store, tablePrefix string, log uuid.UUID) error {
	if err := store.Delete(ctx, noteKey(tablePrefix, log)); err != nil {
		return fmt.Errorf("clear rejection note of log %s: %w", log, err)
	}
	return nil
}

func writeNote(ctx context.Context, store objstore.Store, tablePrefix string, r *Rejection) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode rejection note: %w", err)
	}
	if _, err := store.Put(ctx, noteKey(tablePrefix, r.Log), data, objstore.Condition{}); err != nil {
		return fmt.Errorf("write rejection note of log %s: %w", r.Log, err)
	}
	return nil
}

func noteKey(tablePrefix string, log uuid.UUID) string {
	return tablePrefix + "/" + stateFolder + "/rejected/" + log.String()
}
