package commitlib

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// wire is the JSON form of a request. Within one version it is closed: a member that this build does not know is
// refused, since ignoring it could mean committing something other than what was asked.
// File paths are relative to Location, which keeps a message small and its files inside the table.
type wire struct {
	Version    int                `json:"v"`
	Namespace  string             `json:"namespace"`
	Name       string             `json:"table"`
	TableUUID  uuid.UUID          `json:"table_uuid"`
	Location   string             `json:"location"`
	Log        uuid.UUID          `json:"log"`
	First      Seq                `json:"first"`
	Last       Seq                `json:"last"`
	SchemaID   int                `json:"schema"`
	SchemaHash string             `json:"schema_hash"`
	SpecID     int                `json:"spec"`
	SpecHash   string             `json:"spec_hash"`
	StagedMs   int64              `json:"staged_ms"`
	Files      []iceberg.DataFile `json:"files"`
}

// Encode returns the message body of a valid request.
func Encode(r *Request) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("encode commit request: %w", err)
	}
	w := wire{
		Version: r.Version, Namespace: r.Table.Namespace, Name: r.Table.Name, TableUUID: r.TableUUID, Location: r.Location,
		Log: r.Log, First: r.First, Last: r.Last, SchemaID: r.SchemaID, SchemaHash: r.SchemaHash,
		SpecID: r.SpecID, SpecHash: r.SpecHash, StagedMs: r.StagedAt.UnixMilli(),
		Files: make([]iceberg.DataFile, len(r.Files)),
	}
	for i, f := range r.Files {
		f.Path = strings.TrimPrefix(f.Path, r.Location+"/")
		w.Files[i] = f
	}
	body, err := json.Marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("encode commit request: %w", err)
	}
	if len(body) > MaxRequestBytes {
		return nil, fmt.Errorf("encode commit request: %d bytes exceed %d: cut the segment smaller", len(body), MaxRequestBytes)
	}
	return body, nil
}

// Decode reads and validates a message body. Its error says why the message can never be applied.
func Decode(body []byte) (*Request, error) {
	if len(body) > MaxRequestBytes {
		return nil, fmt.Errorf("decode commit request: %d bytes exceed %d", len(body), MaxRequestBytes)
	}
	var w wire
	if err := decodeStrict(body, &w); err != nil {
		// Say the version first: a newer sender's unknown member is not a malformed message.
		var peek struct {
			Version *int `json:"v"`
		}
		if json.Unmarshal(body, &peek) == nil && peek.Version != nil && *peek.Version != Protocol {
			return nil, fmt.Errorf("decode commit request: version %d is not %d, the one this build speaks: update the committer before the daemons",
				*peek.Version, Protocol)
		}
		return nil, fmt.Errorf("decode commit request: %w", err)
	}
	r := &Request{
		Version: w.Version, Table: catalog.Ident{Namespace: w.Namespace, Name: w.Name}, TableUUID: w.TableUUID, Location: w.Location,
		Log: w.Log, First: w.First, Last: w.Last, SchemaID: w.SchemaID, SchemaHash: w.SchemaHash,
		SpecID: w.SpecID, SpecHash: w.SpecHash, StagedAt: time.UnixMilli(w.StagedMs).UTC(), Files: w.Files,
	}
	for i := range r.Files {
		r.Files[i].Path = r.Location + "/" + r.Files[i].Path
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("decode commit request: %w", err)
	}
	return r, nil
}

// decodeStrict reads exactly one JSON value without members that v does not name.
func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more follows the JSON value at byte %d", d.InputOffset())
	}
	return nil
}
