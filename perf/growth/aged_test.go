package growth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/perf/track"
)

// aged is a table as it is after that many commits without any housekeeping: a snapshot and a manifest for each. Commits to
// it do none either, so that the next one finds it as it was.
type aged struct {
	*track.Track
	*place

	metadataBytes, listBytes int
}

// newAged writes a table's metadata, manifest list and manifests as that many commits would have left them, through the
// packages that write them, but without the commits. Of the superseded versions nothing is written: nothing reads
// them.
func newAged(t *testing.T, p *place, snapshots, filesOfEach int) *aged {
	t.Helper()
	a := &aged{place: p}
	spec, err := track.Spec()
	if err != nil {
		t.Fatal(err)
	}
	versions := objectstore.New(p.store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	made, err := versions.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "clicks"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	a.Track = track.New(made)
	a.commit(t, commitlib.New(versions, p.store, commitlib.Config{}), filesOfEach) // the one whose snapshot the others are copies of
	one, err := versions.Load(t.Context(), made.Ident)
	if err != nil {
		t.Fatal(err)
	}
	metadata := a.age(t, one, snapshots, filesOfEach)
	if p.register != nil {
		p.register(t, made.Ident, metadata)
	}
	return a
}

// age puts the version in which the table has that many snapshots, and the manifests of its head. It returns the version's
// location.
func (a *aged) age(t testing.TB, one *catalog.Table, snapshots, filesOfEach int) string {
	t.Helper()
	head, began := one.Metadata.CurrentSnapshot(), one.Metadata.LastUpdatedMs
	const step = 10_000 // ms between commits: the cut interval
	var history, log []json.RawMessage
	entries := make([]manifest.ListEntry, snapshots) // the newest first, as commits leave them
	parent := int64(0)
	for i := range snapshots {
		r := a.Request(filesOfEach)
		s := *head
		s.ID, s.ParentID, s.SequenceNumber = int64(i)<<40|0x5eed, parent, int64(i+1)
		s.TimestampMs = began - int64(snapshots-i)*step
		s.ManifestList = fmt.Sprintf("%s/metadata/snap-%d-1-%s.avro", one.Location, s.ID, uuid.New())
		s.Summary = maps.Clone(head.Summary)
		s.Summary["total-data-files"] = strconv.Itoa((i + 1) * filesOfEach)
		s.Summary[commitlib.PropRanges] = fmt.Sprintf(`{"%s":[[%d,%d]]}`, a.Log, r.First, r.Last)
		history = append(history, encode(t, &s))
		log = append(log, encode(t, map[string]int64{"timestamp-ms": s.TimestampMs, "snapshot-id": s.ID}))
		entries[snapshots-1-i] = a.putManifest(t, r, &s)
		parent = s.ID
		if i == snapshots-1 {
			a.putList(t, entries, &s)
		}
	}
	var earlier []json.RawMessage
	for i := range iceberg.MaxMetadataLog {
		earlier = append(earlier, encode(t, map[string]any{"timestamp-ms": began - int64(i), "metadata-file": fmt.Sprintf("%s/metadata/v%d.metadata.json", one.Location, i+1)}))
	}
	one.Metadata.Properties["gc.enabled"] = "false"
	one.Metadata.Properties[commitlib.PropWatermarks] = fmt.Sprintf(`{"logs":{"%s":[%d,%d]},"root":%d}`, a.Log, a.Next-1, began, int64(0x5eed))
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(encode(t, one.Metadata), &doc); err != nil {
		t.Fatal(err)
	}
	doc["snapshots"], doc["snapshot-log"], doc["metadata-log"] = encode(t, history), encode(t, log), encode(t, earlier)
	doc["current-snapshot-id"], doc["last-sequence-number"] = encode(t, parent), encode(t, snapshots)
	doc["refs"] = encode(t, map[string]any{"main": map[string]any{"snapshot-id": parent, "type": "branch"}})
	m, err := iceberg.ParseMetadata(encode(t, doc)) // and as Firn writes it
	if err != nil {
		t.Fatal(err)
	}
	body := encode(t, m)
	a.metadataBytes = len(body)
	version := strconv.Itoa(snapshots + 2) // of the two that exist the second is no longer named
	key := "default/clicks/metadata/v" + version + ".metadata.json"
	a.put(t, key, body)
	a.put(t, "default/clicks/metadata/version-hint.text", []byte(version))
	return objstore.Location(a.store, key)
}

func (a *aged) putManifest(t testing.TB, r *commitlib.Request, s *iceberg.Snapshot) manifest.ListEntry {
	t.Helper()
	schema, spec := a.Table.Metadata.CurrentSchema(), a.Table.Metadata.DefaultSpec()
	entries := make([]manifest.Entry, len(r.Files))
	for i, f := range r.Files {
		entries[i] = manifest.Add(f)
	}
	body, err := manifest.Write(schema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := manifest.Summarize(schema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("default/clicks/metadata/%s-m0.avro", uuid.New())
	a.put(t, key, body)
	entry.Path, entry.Length = objstore.Location(a.store, key), int64(len(body))
	entry.AddedSnapshotID, entry.SequenceNumber, entry.MinSequenceNumber = s.ID, s.SequenceNumber, s.SequenceNumber
	return entry
}

func (a *aged) putList(t testing.TB, entries []manifest.ListEntry, s *iceberg.Snapshot) {
	t.Helper()
	body, err := manifest.WriteList(entries, s.ID, s.ParentID, s.SequenceNumber)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := objstore.Key(a.store, s.ManifestList)
	a.put(t, key, body)
	a.listBytes = len(body)
}

func (a *aged) put(t testing.TB, key string, body []byte) {
	t.Helper()
	if _, err := a.store.Put(t.Context(), key, body, objstore.Condition{}); err != nil {
		t.Fatal(err)
	}
}

// committer is a new one, which knows nothing of the table yet.
func (a *aged) committer() *commitlib.Committer {
	return commitlib.New(a.catalog(), a.store, commitlib.Config{MergeManifests: 1 << 20})
}

// commit applies the track's next request.
func (a *aged) commit(t testing.TB, c *commitlib.Committer, files int) {
	t.Helper()
	results, err := c.Commit(t.Context(), a.Table.Ident, []*commitlib.Request{a.Request(files)})
	if err != nil || results[0].Outcome != commitlib.Applied {
		t.Fatal(results, err)
	}
}

// verify loads the table anew: what was measured were commits to a table that holds all it should.
func (a *aged) verify(t testing.TB, n size) {
	t.Helper()
	table, err := a.catalog().Load(t.Context(), a.Table.Ident)
	if err != nil {
		t.Fatal(err)
	}
	if last, err := commitlib.ReadWatermark(t.Context(), a.store, table, a.Log); err != nil || last != a.Next-1 {
		t.Errorf("the watermark is %d, %v; want %d", last, err, a.Next-1)
	}
	head := table.Metadata.CurrentSnapshot()
	key, _ := objstore.Key(a.store, head.ManifestList)
	body, _, err := a.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := manifest.ReadList(body)
	if err != nil {
		t.Fatal(err)
	}
	if made := len(table.Metadata.Snapshots) - n.snapshots; len(list) != n.snapshots+made || made == 0 {
		t.Errorf("the head names %d manifests, want those of %d snapshots and of %d commits", len(list), n.snapshots, made)
	}
	files := 0
	for _, m := range list {
		files += m.AddedFiles
	}
	if want := head.Summary["total-data-files"]; strconv.Itoa(files) != want {
		t.Errorf("the manifests name %d data files, the summary says %s", files, want)
	}
}
