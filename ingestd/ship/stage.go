package ship

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/ingestd/registry"
)

// errTaken says that a staged file's name is taken: by an object with other bytes, or by one too old to be relied on.
var errTaken = errors.New("object of that name has other bytes, or is too old")

// maxAttempts bounds the names tried in one turn. More than one is a new encoder, or
// verification; more than a few is a bug.
const maxAttempts = 4

// stage makes segment i's data files and its request durable: step 2. It returns the request's body; nil where the
// segment was too large for a request and was given up, to be cut smaller.
func (s *Shipper) stage(ctx context.Context, t *track, i int, st *stager) ([]byte, error) {
	seg := &t.segs[i]
	known, ct, err := s.state(ctx, t)
	if err != nil {
		return nil, err
	}
	schema, spec, ok := registry.Versions(ct.Metadata, seg.SchemaID, seg.SpecID)
	if !ok { // another engine removed that version: the decision is made anew, durably and under new names
		seg.SchemaID, seg.SpecID = known.Schema.ID, known.Spec.ID
		if err := s.nextAttempt(t, seg); err != nil {
			return nil, err
		}
		schema, spec = known.Schema, known.Spec
	}
	var groups []datafile.Group
	if err := s.encoding(ctx, func(*encoders) (err error) {
		groups, err = s.readSegment(ctx, t, seg, schema, spec, st)
		return err
	}); err != nil {
		return nil, err
	}
	if len(groups) > s.cfg.MaxFiles {
		return nil, s.cutSmaller(t, i, fmt.Errorf("%d data files", len(groups)))
	}
	req := &commitlib.Request{
		Version: commitlib.Protocol, Table: ct.Ident, TableUUID: t.table.UUID, Location: ct.Location, Log: t.log,
		First: seg.First, Last: seg.Last, SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema),
		SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec),
	}
	for range maxAttempts {
		// The files are no older than the moment before the first was written.
		req.StagedAt = time.Now().Truncate(time.Millisecond)
		req.Files, err = s.encodeAndUpload(ctx, t, seg, ct, schema, spec, groups, st)
		if !errors.Is(err, errTaken) {
			break
		}
		if err := s.nextAttempt(t, seg); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	body, err := commitlib.Encode(req)
	if err != nil {
		return nil, s.cutSmaller(t, i, err)
	}
	seg.StagedAt = req.StagedAt
	if err := s.record(t, seg, body); err != nil {
		return nil, err
	}
	seg.staged = true
	t.growRows()
	s.count.staged.Add(1)
	return body, nil
}

// record makes what is known of a segment durable.
func (s *Shipper) record(t *track, seg *segment, body []byte) error {
	c := seg.Cut
	c.Request = body
	return s.Log.UpdateCut(t.id, c)
}

// nextAttempt gives the segment's files new names, durably: the old ones may be in a request that is still under way.
func (s *Shipper) nextAttempt(t *track, seg *segment) error {
	seg.Attempt++
	seg.StagedAt, seg.staged, seg.sent = time.Time{}, false, false
	s.count.renamed.Add(1)
	return s.record(t, seg, nil)
}

// cutSmaller gives up the segment because why is too much for one request; the next cut has half its events.
func (s *Shipper) cutSmaller(t *track, i int, why error) error {
	seg := t.segs[i]
	rows := seg.Last - seg.First + 1
	if rows == 1 {
		return &Stop{Reason: Unshippable, Err: fmt.Errorf("event %d of log %s: %w", seg.First, t.log, why), Choices: []string{choiceDiscard}}
	}
	t.maxRows = (rows + 1) / 2
	return s.forgetFrom(t, i)
}

// growRows lets segments grow again after one that fitted.
func (t *track) growRows() {
	if t.maxRows *= 2; t.maxRows > 1<<32 { // beyond what a segment can hold
		t.maxRows = 0
	}
}

// readSegment reads the segment's rows into the stager and groups them by partition.
func (s *Shipper) readSegment(ctx context.Context, t *track, seg *segment, schema *iceberg.Schema, spec iceberg.PartitionSpec, st *stager) ([]datafile.Group, error) {
	if err := st.rows.begin(schema, t.log, seg.First); err != nil {
		return nil, err
	}
	if err := s.Log.Read(ctx, t.id, seg.First, seg.Last, st.rows.add); err != nil {
		return nil, fmt.Errorf("read events %d to %d of log %s: %w", seg.First, seg.Last, t.log, err)
	}
	b, err := st.rows.end(seg.Last)
	if err != nil {
		return nil, err
	}
	return datafile.Split(b, spec)
}

// encodeAndUpload writes one file a group: encoding one, while up to Uploads are on their way.
func (s *Shipper) encodeAndUpload(ctx context.Context, t *track, seg *segment, ct *catalog.Table, schema *iceberg.Schema, spec iceberg.PartitionSpec,
	groups []datafile.Group, st *stager) ([]iceberg.DataFile, error) {
	prefix, ok := objstore.Key(s.Store, ct.Location)
	if !ok {
		return nil, s.misplaced(ct.Location)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var uploads sync.WaitGroup
	defer uploads.Wait() // before cancel: an upload under way ends by itself or by its error
	files := make([]iceberg.DataFile, 0, len(groups))
	for k := range groups {
		g := &groups[k]
		buf := <-st.free
		if ctx.Err() != nil {
			st.free <- buf
			break
		}
		buf.Reset()
		var f iceberg.DataFile
		err := s.encoding(ctx, func(e *encoders) error {
			enc, err := e.of(schema, s.cfg.Encoder)
			if err == nil {
				f, err = enc.Encode(buf, st.rows.batch, g.Rows)
			}
			return err
		})
		if err != nil {
			st.free <- buf
			cancel(err)
			break
		}
		key := fileKey(prefix, iceberg.PartitionPath(spec, schema, g.Partition), t.log.String(), seg, k)
		f.Path, f.Partition = objstore.Location(s.Store, key), g.Partition
		files = append(files, f)
		s.count.files.Add(1)
		s.count.rows.Add(uint64(f.RecordCount))
		s.count.fileBytes.Add(uint64(f.FileSizeInBytes))
		uploads.Go(func() {
			err := s.upload(ctx, key, buf.Bytes())
			st.free <- buf
			if err != nil {
				cancel(err)
			}
		})
	}
	uploads.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return files, nil
}

// fileKey is the name of a segment's kth file. Nothing in it changes when the segment is staged again, except where it
// has to: then the attempt is part of it.
func fileKey(prefix, partition, log string, seg *segment, k int) string {
	var b []byte
	b = append(append(b, prefix...), "/data/"...)
	if partition != "" {
		b = append(append(b, partition...), '/')
	}
	b = append(append(b, log...), '-')
	b = append(strconv.AppendUint(b, uint64(seg.First), 10), '-')
	b = append(strconv.AppendUint(b, uint64(seg.Last), 10), '-')
	b = strconv.AppendInt(b, int64(k), 10)
	if seg.Attempt > 0 {
		b = strconv.AppendInt(append(b, "-r"...), int64(seg.Attempt), 10)
	}
	return string(append(b, ".parquet"...))
}

// slowestUpload is the rate, in bytes per second, below which an upload is given up: a large file must not be sent anew
// for ever because the store is slow today.
const slowestUpload = 256 << 10

// upload creates one file exclusively. A file that is there with the same bytes is as good; errTaken for another.
func (s *Shipper) upload(ctx context.Context, key string, body []byte) error {
	defer s.phase("upload")()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout+time.Duration(len(body)/slowestUpload)*time.Second)
	defer cancel()
	s.count.uploads.Add(1)
	_, err := s.Store.Put(ctx, key, body, objstore.Condition{Absent: true})
	switch {
	case err == nil:
		s.count.uploadBytes.Add(uint64(len(body)))
		return nil
	case !errors.Is(err, objstore.ErrPrecondition) && !errors.Is(err, objstore.ErrUnknown):
		return outside(fmt.Errorf("upload data file: %w", err))
	}
	info, headErr := s.Store.Head(ctx, key)
	switch {
	case errors.Is(headErr, objstore.ErrNotExist): // not applied, or not yet: creating it once more is safe either way
		return outside(fmt.Errorf("upload data file: %w", err))
	case headErr != nil:
		return outside(fmt.Errorf("compare data file: %w", headErr))
	case info.Size != int64(len(body)) || info.Checksum != objstore.Checksum(body) || outlived(info):
		return fmt.Errorf("upload data file %s: %w", key, errTaken)
	}
	s.count.reused.Add(1)
	return nil
}
