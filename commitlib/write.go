package commitlib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// maxManifestAge is how old a manifest, and the list that names it, may be when the swap is sent: well within MaxReuse,
// which tells when unreferenced ones may be removed.
const maxManifestAge = MaxReuse / 3

// written are the manifests of one set of applied requests: they serve every attempt that applies exactly these.
type written struct {
	apply     []int
	at        time.Time
	manifests []*newManifest
}

// newManifest is one manifest that a commit adds.
type newManifest struct {
	key   string
	body  []byte // nil once it is durable
	entry manifest.ListEntry
}

// successor is what the swap is to make current, and what the next parent will be made of.
type successor struct {
	snapshot   *iceberg.Snapshot
	properties map[string]string
	marks      *Watermarks
	spilled    *spilled
	list       *manifest.List
	listKey    string
	spillKey   string    // empty if this attempt wrote none
	listAt     time.Time // when the list was written by the store's clock; zero where that does not tell
	removed    []int64   // snapshots that leave the metadata
	merged     *merged   // manifests that leave the list; nil: none
}

// keepsHouse says that next does more than its requests ask for.
func (next *successor) keepsHouse() bool { return len(next.removed) > 0 || next.merged != nil }

// errUnwritable: what the request or the table says cannot be encoded, or the head's manifest list cannot be read; on
// the same state another attempt would not change that.
var errUnwritable = errors.New("commit cannot be written")

// write carries out steps 3 to 5 of commit: when it returns without an error, all that the snapshot names is durable.
func (r *run) write(ctx context.Context, attempt int) (*successor, error) {
	before, err := r.manifests(ctx, r.parent)
	if err != nil {
		return nil, err
	}
	if err := r.buildManifests(); err != nil {
		return nil, err
	}
	meta := r.parent.table.Metadata
	folder := r.parent.table.Location + "/metadata/"
	id, sequence := r.newSnapshotID(), meta.LastSequenceNumber+1

	next := &successor{spilled: r.parent.spilled}
	if r.mayKeepHouse(attempt) {
		next.removed = expired(meta, r.cfg.Clock(), r.cfg.KeepSnapshots)
		next.merged = r.merge(ctx, before)
	}
	fresh := make([]manifest.ListEntry, 0, len(r.written.manifests))
	for _, m := range r.written.manifests {
		entry := m.entry
		entry.Path = objstore.Location(r.store, m.key)
		fresh = append(fresh, entry)
	}
	var listBody []byte
	if next.merged == nil {
		next.list, listBody, err = before.Extend(fresh, id, meta.CurrentSnapshotID, sequence)
	} else {
		if next.merged.entry != nil {
			fresh = append(fresh, *next.merged.entry)
		}
		gone := func(path string) bool { return next.merged.gone[path] }
		next.list, listBody, err = before.Replace(gone, fresh, id, meta.CurrentSnapshotID, sequence)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnwritable, err)
	}
	listAt := fmt.Sprintf("%ssnap-%d-%d-%s%s.avro", folder, id, attempt, ObjectPrefix, r.newUUID())
	next.listKey, _ = objstore.Key(r.store, listAt) // inspect saw that the table lies in the store

	var tasks []func(context.Context) error
	for _, m := range r.written.manifests {
		if m.body != nil {
			tasks = append(tasks, func(ctx context.Context) error { return r.putManifest(ctx, m) })
		}
	}
	tasks = append(tasks, func(ctx context.Context) error { return r.putList(ctx, next, listBody) })

	next.marks = r.parent.marks.advance(r.plan.moved)
	next.marks.Root = r.parent.marks.rootAfter(r.parent.root, id)
	spillBody, err := r.spill(ctx, next)
	if err != nil {
		return nil, err
	}
	if spillBody != nil {
		tasks = append(tasks, func(ctx context.Context) error { return r.putNew(ctx, next.spillKey, spillBody) })
	}
	property, err := next.marks.Encode()
	if err != nil {
		return nil, err
	}
	next.properties = map[string]string{PropWatermarks: property}
	next.snapshot = &iceberg.Snapshot{
		ID: id, ParentID: meta.CurrentSnapshotID, SequenceNumber: sequence,
		TimestampMs: meta.NextTimeMs(r.cfg.Clock()), ManifestList: listAt,
		SchemaID: meta.CurrentSchemaID,
	}
	if next.snapshot.Summary, err = r.summary(meta.CurrentSnapshot()); err != nil {
		return nil, err
	}
	if err := r.sideBySide(ctx, tasks); err != nil {
		return nil, err
	}
	r.checkExpiry(next)
	return next, nil
}

// buildManifests sees to it that r.written is of the plan's requests: one manifest for each (schema, spec) among
// them, since a manifest states both.
func (r *run) buildManifests() error {
	now := r.cfg.Clock()
	if w := r.written; w != nil && slices.Equal(w.apply, r.plan.apply) && now.Sub(w.at) < maxManifestAge {
		name := r.newUUID()
		for i, m := range w.manifests {
			if m.body != nil {
				m.key = r.manifestKey(name, i) // its first name may be taken by a write that failed, or lingers
			}
		}
		return nil
	}
	type pair struct{ schema, spec int }
	groups := make(map[pair][]manifest.Entry)
	var order []pair
	for _, i := range r.plan.apply {
		k := pair{r.reqs[i].SchemaID, r.reqs[i].SpecID}
		if _, seen := groups[k]; !seen {
			order = append(order, k)
		}
		for _, f := range r.reqs[i].Files {
			groups[k] = append(groups[k], manifest.Add(f))
		}
	}
	meta := r.parent.table.Metadata
	w := &written{apply: r.plan.apply, at: now}
	name := r.newUUID()
	for _, k := range order {
		schema := meta.Schema(k.schema)
		spec, _ := meta.Spec(k.spec) // checkFiles saw both
		body, err := manifest.Write(schema, spec, groups[k])
		if err != nil {
			return fmt.Errorf("%w: %w", errUnwritable, err)
		}
		entry, err := manifest.Summarize(schema, spec, groups[k])
		if err != nil {
			return fmt.Errorf("%w: %w", errUnwritable, err)
		}
		entry.Length = int64(len(body))
		w.manifests = append(w.manifests, &newManifest{key: r.manifestKey(name, len(w.manifests)), body: body, entry: entry})
	}
	r.written = w
	return nil
}

// manifestKey names a manifest; inspect saw that the table lies in the store.
func (r *run) manifestKey(name uuid.UUID, n int) string {
	key, _ := objstore.Key(r.store, fmt.Sprintf("%s/metadata/%s%s-m%d.avro", r.parent.table.Location, ObjectPrefix, name, n))
	return key
}

// spill moves watermarks out of next.marks, if it is time, and returns the body of the file that takes them in.
func (r *run) spill(ctx context.Context, next *successor) ([]byte, error) {
	out := next.marks.spillNow(r.cfg.Clock().UnixMilli(), r.cfg.SpillBeyond, r.cfg.SpillQuiet)
	if len(out) == 0 {
		return nil, nil
	}
	t := r.parent.table
	if err := r.readSpill(ctx, r.parent); err != nil {
		if !errors.Is(err, ErrWatermarksLost) {
			return nil, err
		}
		// What the lost file held must go on being missed: the property keeps what it has, and names it still.
		r.cfg.Log.Error("watermarks not spilled: the file to carry on from is lost", "table", r.id.String(), "err", err)
		return nil, nil
	}
	marks, file := next.marks.spill(out, r.parent.spilled, t.Metadata.TableUUID)
	body, err := file.encode()
	if err != nil {
		return nil, err
	}
	at := fmt.Sprintf("%s/%s/watermarks-%s.json", t.Location, stateFolder, r.newUUID())
	marks.Spilled = &SpillRef{File: at, Max: file.maxLog()}
	next.marks, next.spilled = marks, file
	next.spillKey, _ = objstore.Key(r.store, at)
	return body, nil
}

func (r *run) putManifest(ctx context.Context, m *newManifest) error {
	if err := r.putNew(ctx, m.key, m.body); err != nil {
		return err
	}
	m.body = nil
	return nil
}

// putNew creates an object under a name of its own. A refusal means that an earlier try of the store's client was
// applied after all, or that names collide: either way another attempt takes another name.
func (r *run) putNew(ctx context.Context, key string, body []byte) error {
	if _, err := r.store.Put(ctx, key, body, objstore.Condition{Absent: true}); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// putList writes the manifest list.
func (r *run) putList(ctx context.Context, next *successor, body []byte) error {
	info, err := r.store.Put(ctx, next.listKey, body, objstore.Condition{Absent: true})
	if err != nil {
		return fmt.Errorf("write %s: %w", next.listKey, err)
	}
	next.listAt = info.Modified
	return nil
}

// sideBySide runs the writes of one attempt and waits for all of them, also when one failed.
func (r *run) sideBySide(ctx context.Context, tasks []func(context.Context) error) error {
	errs := make([]error, len(tasks))
	r.inParallel(len(tasks), func(i int) { errs[i] = tasks[i](ctx) })
	return errors.Join(errs...)
}
