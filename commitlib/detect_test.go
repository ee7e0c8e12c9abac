package commitlib

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// TestChangedTableStopsBeforeHarm makes each foreign change on a table with [1, 5] committed, and expects [6, 9] to be
// rejected with advice, by a committer that knew the table before and by one that did not, and by ReadWatermark as err.
func TestChangedTableStopsBeforeHarm(t *testing.T) {
	schema := func(fields ...iceberg.Field) *iceberg.Schema { return &iceberg.Schema{Fields: fields} }
	for _, row := range []struct {
		what   string
		err    error // of ReadWatermark; nil where only the request cannot be applied
		reason string
		change func(w *world, f *twin.Foreign, older string)
	}{
		{"marker dropped", ErrNotFirn, PropProtocol + " is missing", func(w *world, _ *twin.Foreign, _ string) {
			w.setProperties(nil, PropProtocol)
		}},
		{"newer protocol", ErrNotFirn, `is "2"`, func(w *world, _ *twin.Foreign, _ string) {
			w.setProperties(map[string]string{PropProtocol: "2"})
		}},
		{"watermarks dropped", ErrWatermarksLost, PropWatermarks + " is missing", func(w *world, _ *twin.Foreign, _ string) {
			w.setProperties(nil, PropWatermarks)
		}},
		{"watermarks mangled", ErrWatermarksLost, "EOF", func(w *world, _ *twin.Foreign, _ string) {
			w.setProperties(map[string]string{PropWatermarks: `{"logs":{`})
		}},
		{"watermarks emptied", ErrBelowTrace, "stands at 0", func(w *world, _ *twin.Foreign, _ string) {
			w.setProperties(NewTableProperties())
		}},
		{"watermarks set back", ErrBelowTrace, "stands at 2, a retained snapshot holds up to 5", func(w *world, _ *twin.Foreign, older string) {
			w.setProperties(map[string]string{PropWatermarks: older})
		}},
		{"another log's summary mangled", nil, PropRanges, func(w *world, _ *twin.Foreign, _ string) {
			w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
				next, err := m.WithProperties(nil, nil, prev, w.clock())
				if err != nil {
					return nil, err
				}
				s := *m.CurrentSnapshot()
				s.Summary = map[string]string{"operation": "append", PropRanges: `{"` + w.log().String() + `":[[5,1]]}`}
				next.Snapshots = append(next.Snapshots[:len(next.Snapshots)-1:len(next.Snapshots)-1], &s)
				return next, nil
			})
		}},
		{"replaced, same schema", ErrReplaced, "main is empty", func(w *world, f *twin.Foreign, _ string) {
			_, err := f.Replace(w.Context(), w.id, iceberg.EventSchema(iceberg.String), nil)
			w.must(err)
		}},
		{"replaced by a query", ErrReplaced, "begins at snapshot", func(w *world, f *twin.Foreign, _ string) {
			_, err := f.Replace(w.Context(), w.id, iceberg.EventSchema(iceberg.String), nil)
			w.must(err)
			w.foreignAppend()
		}},
		{"replaced, its root expired", nil, "is no longer in the table", func(w *world, f *twin.Foreign, _ string) {
			_, err := f.Replace(w.Context(), w.id, schema(iceberg.Field{ID: 8, Name: "other", Type: iceberg.String}), nil)
			w.must(err)
			w.foreignAppend()
			w.foreignAppend()
			_, err = f.ExpireSnapshots(w.Context(), w.id, 1)
			w.must(err)
		}},
		{"dropped and made anew", nil, "table UUID", func(w *world, f *twin.Foreign, _ string) {
			_, err := f.DropAndRecreate(w.Context(), w.id, catalog.Spec{
				Schema: iceberg.EventSchema(iceberg.String), Partition: w.table.Metadata.DefaultSpec(), Properties: NewTableProperties(),
			})
			w.must(err)
		}},
		{"column dropped", nil, `column "payload" (id 7)`, func(w *world, _ *twin.Foreign, _ string) {
			w.evolve(func(s *iceberg.Schema) { s.Fields = s.Fields[:6] })
		}},
		{"column retyped", nil, `"payload" (id 7) is string in the files and binary`, func(w *world, _ *twin.Foreign, _ string) {
			w.evolve(func(s *iceberg.Schema) { s.Fields[6].Type = iceberg.Binary })
		}},
		{"column required", nil, `"idempotency_key" (id 6) is required in the table`, func(w *world, _ *twin.Foreign, _ string) {
			w.evolve(func(s *iceberg.Schema) { s.Fields[5].Required = true })
		}},
		{"required column added", nil, `requires column "more"`, func(w *world, _ *twin.Foreign, _ string) {
			w.evolve(func(s *iceberg.Schema) {
				s.Fields = append(s.Fields, iceberg.Field{ID: 8, Name: "more", Type: iceberg.Long, Required: true})
			})
		}},
		{"format version 3", nil, "format version", func(w *world, _ *twin.Foreign, _ string) {
			t := w.load()
			key, _ := objstore.Key(w.store, t.MetadataLocation)
			body := bytes.Replace(w.object(t.MetadataLocation), []byte(`"format-version":2`), []byte(`"format-version":3,"next-row-id":0`), 1)
			_, err := w.store.Put(w.Context(), strings.Replace(key, "/v3.", "/v4.", 1), body, objstore.Condition{Absent: true})
			w.must(err)
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			c := w.committer()
			a := w.log()
			w.commit(c, applied, w.request(a, 1, 2))
			older := w.load().Metadata.Properties[PropWatermarks]
			w.commit(c, applied, w.request(a, 3, 5))
			before := w.files(w.load())
			row.change(w, w.foreign(), older)

			for _, c := range []*Committer{c, w.committer()} {
				got := w.commit(c, rejected, w.request(a, 6, 9))
				if !strings.Contains(got[0].Reason, row.reason) || got[0].Advice == "" {
					t.Errorf("reason %q, advice %q; want %q", got[0].Reason, got[0].Advice, row.reason)
				}
			}
			_, err := ReadWatermark(t.Context(), w.store, w.load(), a)
			if !errors.Is(err, row.err) || (err != nil && Advice(err) == "") {
				t.Errorf("read watermark: %v, want %v", err, row.err)
			}
			if row.what == "watermarks set back" && len(w.files(w.load())) != len(before) {
				t.Error("something was committed")
			}
		})
	}
}

func (w *world) evolve(change func(s *iceberg.Schema)) {
	w.Helper()
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		s := iceberg.EventSchema(iceberg.String)
		change(s)
		return m.WithSchema(s, prev, w.clock())
	})
}

func TestHarmlessChangesStopNothing(t *testing.T) {
	for what, change := range map[string]func(w *world, f *twin.Foreign){
		"roll-back": func(w *world, f *twin.Foreign) { _, err := f.Rollback(w.Context(), w.id, 1); w.must(err) },
		"expiry":    func(w *world, f *twin.Foreign) { _, err := f.ExpireSnapshots(w.Context(), w.id, 1); w.must(err) },
		"expiry that cuts off history": func(w *world, f *twin.Foreign) {
			w.foreignAppend()
			_, err := f.ExpireSnapshots(w.Context(), w.id, 2)
			w.must(err)
			w.cutOffHistory()
		},
		"expiry that leaves a rewrite alone": func(w *world, f *twin.Foreign) {
			for log := range w.marks().Logs {
				w.rewrite(w.committer(), Applied, w.joined(w.request(log, 1, 2), w.request(log, 3, 5)))
			}
			_, err := f.ExpireSnapshots(w.Context(), w.id, 1)
			w.must(err)
			w.cutOffHistory()
		},
		"foreign commit":     func(w *world, _ *twin.Foreign) { w.foreignAppend() },
		"unrelated property": func(w *world, _ *twin.Foreign) { w.setProperties(map[string]string{"owner": "me"}) },
		"optional column added": func(w *world, _ *twin.Foreign) {
			w.evolve(func(s *iceberg.Schema) {
				s.Fields = append(s.Fields, iceberg.Field{ID: 8, Name: "more", Type: iceberg.Long})
			})
		},
		"column renamed": func(w *world, _ *twin.Foreign) { w.evolve(func(s *iceberg.Schema) { s.Fields[6].Name = "body" }) },
		"column widened": func(w *world, _ *twin.Foreign) { w.evolve(func(s *iceberg.Schema) { s.Fields[2].Type = iceberg.Long }) },
		"new default spec": func(w *world, _ *twin.Foreign) {
			w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
				return m.WithSpec(iceberg.PartitionSpec{Fields: []iceberg.PartitionField{}}, prev, w.clock())
			})
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			c := w.committer()
			a := w.log()
			w.commit(c, applied, w.request(a, 1, 2))
			w.commit(c, applied, w.request(a, 3, 5))
			change(w, w.foreign())
			w.commit(c, []Outcome{Skipped, Applied}, w.request(a, 3, 5), w.request(a, 6, 9))
			if got, err := ReadWatermark(t.Context(), w.store, w.load(), a); got != 9 || err != nil {
				t.Errorf("watermark %d, %v", got, err)
			}
			if what != "roll-back" { // which stands: what it removed stays out
				w.holds(map[uuid.UUID]Seq{a: 9})
			}
		})
	}
}

// cutOffHistory makes snapshots whose parent was expired name no parent, as PyIceberg's expiry does.
func (w *world) cutOffHistory() {
	w.Helper()
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		next, err := m.WithProperties(nil, nil, prev, w.clock())
		if err != nil {
			return nil, err
		}
		next.Snapshots = slices.Clone(m.Snapshots)
		for i, s := range m.Snapshots {
			if m.Snapshot(s.ParentID) == nil {
				orphan := *s
				orphan.ParentID = 0
				next.Snapshots[i] = &orphan
			}
		}
		return next, nil
	})
}

// TestReplacementIsSeenAfterHistoryWasCutOff: the first snapshot that was left is what replacements are told by then.
func TestReplacementIsSeenAfterHistoryWasCutOff(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 2))
	w.commit(c, applied, w.request(a, 3, 5))
	f := w.foreign()
	_, err := f.ExpireSnapshots(t.Context(), w.id, 1)
	w.must(err)
	w.cutOffHistory()
	w.commit(c, applied, w.request(a, 6, 6))
	_, err = f.Replace(t.Context(), w.id, iceberg.EventSchema(iceberg.String), nil)
	w.must(err)
	w.foreignAppend()
	for _, c := range []*Committer{c, w.committer()} {
		if got := w.commit(c, rejected, w.request(a, 7, 9)); !strings.Contains(got[0].Reason, "begins at snapshot") {
			t.Errorf("reason %q", got[0].Reason)
		}
	}
}

// TestTableMadeAnewIsFoundByAWarmCommitter: on package objectstore nothing tells a table that was removed from one that
// did not change, and a rejection stops its sender for good.
func TestTableMadeAnewIsFoundByAWarmCommitter(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 2))
	w.commit(c, applied, w.request(a, 3, 5))
	old := w.request(a, 6, 9)
	var keys []string
	w.must(w.store.List(t.Context(), "default/clicks/", func(i objstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	}))
	w.must(w.store.Delete(t.Context(), keys...))
	w.now = w.now.Add(time.Second)
	again, err := w.reopen().Create(t.Context(), w.id, catalog.Spec{
		Schema: iceberg.EventSchema(iceberg.String), Partition: w.table.Metadata.DefaultSpec(), Properties: NewTableProperties(),
	})
	w.must(err)
	w.table = again
	b := w.log()
	w.commit(c, applied, w.request(b, 1, 3))
	w.commit(c, rejected, old)
	w.holds(map[uuid.UUID]Seq{b: 3})
}

// TestPropertyChangedBesideACommit: on REST a change of properties passes beside a warm commit, and comes back with it.
func TestPropertyChangedBesideACommit(t *testing.T) {
	w := newWorldOn(t, twin.REST)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 2))
	_, err := w.foreign().RemoveProperties(t.Context(), w.id, PropProtocol)
	w.must(err)
	w.commit(c, applied, w.request(a, 3, 5)) // its base had the marker, and nothing moved main
	w.commit(c, rejected, w.request(a, 6, 9))
}

func TestAcceptedReplacementGoesOn(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 5))
	f := w.foreign()
	_, err := f.Replace(t.Context(), w.id, iceberg.EventSchema(iceberg.String), nil)
	w.must(err)
	w.commit(c, rejected, w.request(a, 6, 9))
	m := *w.marks()
	m.Root = 0 // as the advice says
	text, err := m.Encode()
	w.must(err)
	w.setProperties(map[string]string{PropWatermarks: text})
	w.commit(c, applied, w.request(a, 6, 9))
	w.commit(c, applied, w.request(a, 10, 10))
	if got := w.marks().Root; got == 0 {
		t.Error("the new root was not recorded")
	}
}

// TestOneSetBackWatermarkStopsAllLogs: if one was set back, another's summaries may have expired.
func TestOneSetBackWatermarkStopsAllLogs(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a, b := w.log(), w.log()
	w.commit(c, applied, w.request(b, 1, 1))
	older := w.load().Metadata.Properties[PropWatermarks]
	w.commit(c, applied, w.request(a, 1, 5))
	w.setProperties(map[string]string{PropWatermarks: older})
	w.commit(c, []Outcome{Rejected, Rejected}, w.request(b, 2, 2), w.request(a, 1, 5))
	w.setProperties(map[string]string{PropWatermarks: w.load().Metadata.Properties[PropWatermarks]})
	w.commit(w.committer(), rejected, w.request(w.log(), 1, 1))
}

func TestRequestThatMeansAnotherTableIsRejected(t *testing.T) {
	f := func(reason string, spoil func(r *Request)) {
		t.Helper()
		w := newWorld(t)
		a, b := w.log(), w.log()
		r := w.request(a, 1, 5)
		spoil(r)
		got := w.commit(w.committer(), []Outcome{Rejected, Applied}, r, w.request(b, 1, 1)) // nobody else is held up
		if !strings.Contains(got[0].Reason, reason) {
			t.Errorf("reason %q, want %q", got[0].Reason, reason)
		}
		w.holds(map[uuid.UUID]Seq{b: 1})
	}
	f("table UUID", func(r *Request) { r.TableUUID = r.Log })
	f("is for table default.other", func(r *Request) { r.Table.Name = "other" })
	f("the table under", func(r *Request) { r.Location += "2" })
	f("schema 3", func(r *Request) { r.SchemaID = 3 })
	f("schema 0", func(r *Request) { r.SchemaHash = SchemaHash(iceberg.EventSchema(iceberg.Binary)) })
	f("partition spec 3", func(r *Request) { r.SpecID = 3 })
	f("partition spec 0", func(r *Request) { r.SpecHash = "x" })
	f("has 0 partition values", func(r *Request) { r.Files[0].Partition = nil })
	f("has 2 partition values", func(r *Request) { r.Files[0].Partition = [][]byte{nil, nil} })
	f("partition value 0", func(r *Request) { r.Files[0].Partition = [][]byte{{1, 2, 3}} })
	f("bound of column 2", func(r *Request) { r.Files[0].UpperBounds[2] = []byte{1} })
	f("count of column 4294967297", func(r *Request) { r.Files[0].ValueCounts = map[int]int64{1<<32 + 1: 5} })
	f("sort order 4294967296", func(r *Request) { r.Files[0].SortOrderID = 1 << 32 })
	f("bound of column 99", func(r *Request) { r.Files[0].LowerBounds[99] = []byte{1} })
}

func TestMissingTableIsRejected(t *testing.T) {
	w := newWorld(t)
	r := w.request(w.log(), 1, 1)
	w.id.Name, r.Table.Name = "gone", "gone"
	if got := w.commit(w.committer(), rejected, r); !strings.Contains(got[0].Reason, "does not exist") {
		t.Errorf("reason %q", got[0].Reason)
	}
}
