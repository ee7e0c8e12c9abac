package commitlib

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
)

// past is a table's history as metadata alone, with a clock of its own.
type past struct {
	*testing.T
	m    *iceberg.Metadata
	now  time.Time
	keep int // Config.KeepSnapshots
	last int64
}

func newPast(t *testing.T, keep int) *past {
	p := &past{T: t, keep: keep, now: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	spec, err := iceberg.EventSpec(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.m = iceberg.NewMetadata(uuid.New(), "s3://bucket/default/clicks", iceberg.EventSchema(iceberg.String), spec, NewTableProperties(), p.now)
	return p
}

// commit adds a snapshot to main after d, and removes what expires: what a Committer does.
func (p *past) commit(d time.Duration, summary map[string]string) (gone []int64) {
	p.Helper()
	p.now = p.now.Add(d)
	p.last++
	gone = expired(p.m, p.now, p.keep)
	s := &iceberg.Snapshot{
		ID: p.last, ParentID: p.m.CurrentSnapshotID, SequenceNumber: p.m.LastSequenceNumber + 1, TimestampMs: p.m.NextTimeMs(p.now),
		ManifestList: fmt.Sprintf("%s/metadata/snap-%d-1-%s.avro", p.m.Location, p.last, uuid.UUID{}), Summary: summary,
	}
	if summary == nil {
		s.Summary = map[string]string{"operation": iceberg.OpAppend}
	}
	m, err := p.m.WithCommit(s, nil, gone, fmt.Sprintf("%s/metadata/v%d.metadata.json", p.m.Location, p.last), p.now)
	if err != nil {
		p.Fatal(err)
	}
	p.m = m
	return gone
}

// edit changes a copy of the metadata as other engines can.
func (p *past) edit(change func(m *iceberg.Metadata)) {
	m := *p.m
	m.Refs, m.Properties, m.Snapshots = maps.Clone(m.Refs), maps.Clone(m.Properties), slices.Clone(m.Snapshots)
	change(&m)
	p.m = &m
}

func (p *past) set(properties map[string]string) {
	p.edit(func(m *iceberg.Metadata) { maps.Copy(m.Properties, properties) })
}

func (p *past) ref(name, kind string, id int64) {
	p.edit(func(m *iceberg.Metadata) { m.Refs[name] = iceberg.Ref{SnapshotID: id, Type: kind} })
}

func (p *past) ids() (ids []int64) {
	for _, s := range p.m.Snapshots {
		ids = append(ids, s.ID)
	}
	return ids
}

func (p *past) has(id int64) bool { return p.m.Snapshot(id) != nil }

// upTo lists first to last.
func upTo(first, last int64) (ids []int64) {
	for id := first; id <= last; id++ {
		ids = append(ids, id)
	}
	return ids
}

func TestExpired(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	// Histories are of 200 commits; of main the newest 10 stay. want is what stays after a last commit.
	f := func(name string, apart time.Duration, prepare func(p *past), want []int64) {
		t.Run(name, func(t *testing.T) {
			p := newPast(t, 10)
			for range 200 {
				p.now = p.now.Add(apart)
				p.edit(func(m *iceberg.Metadata) {
					p.last++
					m.Snapshots = append(m.Snapshots, &iceberg.Snapshot{ID: p.last, ParentID: p.last - 1, SequenceNumber: p.last, TimestampMs: p.now.UnixMilli()})
					m.LastSequenceNumber, m.CurrentSnapshotID, m.LastUpdatedMs = p.last, p.last, p.now.UnixMilli()
					m.Refs["main"] = iceberg.Ref{SnapshotID: p.last, Type: iceberg.RefBranch}
				})
			}
			prepare(p)
			p.commit(apart, nil)
			if got := p.ids(); !slices.Equal(got, want) {
				t.Errorf("%d snapshots stay:\n%d\nwant\n%d", len(got), got, want)
			}
		})
	}
	none := func(*past) {}
	all := upTo(1, 201)
	f("a day apart: the newest, and those of 5 days are among them", day, none, upTo(191, 201))
	f("an age that somebody set holds for the newest too", day, func(p *past) {
		p.set(map[string]string{propMaxSnapshotAge: strconv.FormatInt((3 * day).Milliseconds(), 10)})
	}, upTo(198, 201))
	f("but not below the number that somebody set", day, func(p *past) {
		p.set(map[string]string{propMaxSnapshotAge: "0", propMinSnapshots: "5"})
	}, upTo(196, 201))
	f("the head stays", day, func(p *past) { p.set(map[string]string{propMaxSnapshotAge: "0"}) }, upTo(200, 201))
	f("a number beyond the newest", day, func(p *past) { p.set(map[string]string{propMinSnapshots: "50"}) }, upTo(151, 201))
	f("a number below the newest", day, func(p *past) { p.set(map[string]string{propMinSnapshots: "5"}) }, upTo(191, 201))
	f("an hour apart: one in 56 minutes is all", hour, none, upTo(81, 201))
	f("a longer age", hour, func(p *past) {
		p.set(map[string]string{propMaxSnapshotAge: strconv.FormatInt((1000 * hour).Milliseconds(), 10)})
	}, append([]int64{1, 9, 17, 24, 32, 40, 48, 56, 64, 71, 79, 87, 95, 103, 110, 118, 126, 134, 142, 149, 157, 165, 173, 181, 189}, upTo(191, 201)...))
	f("collection is switched off", day, func(p *past) { p.set(map[string]string{propGC: "false"}) }, all)
	f("collection is neither on nor off", day, func(p *past) { p.set(map[string]string{propGC: "yes"}) }, all)
	f("collection is switched on", day, func(p *past) { p.set(map[string]string{propGC: " True"}) }, upTo(191, 201))
	f("an age that is no number", day, func(p *past) { p.set(map[string]string{propMaxSnapshotAge: "5 days"}) }, all)
	f("a number that is none", day, func(p *past) { p.set(map[string]string{propMinSnapshots: ""}) }, all)
	f("a tag holds its snapshot", day, func(p *past) { p.ref("end-of-may", iceberg.RefTag, 7) }, append([]int64{7}, upTo(191, 201)...))
	f("a branch holds its history", day, func(p *past) { p.ref("audit", iceberg.RefBranch, 7) }, append(upTo(1, 7), upTo(191, 201)...))
	f("a branch on a cycle", day, func(p *past) {
		p.edit(func(m *iceberg.Metadata) { m.Snapshots[0].ParentID = 7 })
		p.ref("audit", iceberg.RefBranch, 7)
	}, append(upTo(1, 7), upTo(191, 201)...))
	f("a snapshot off main goes when it is old", day, func(p *past) {
		p.edit(func(m *iceberg.Metadata) { m.Snapshots[195].ParentID = 195 }) // 196 follows 195: 195 was committed and rolled back
	}, upTo(191, 201))
	f("a table of format version 1 once, in any order", day, func(p *past) {
		p.edit(func(m *iceberg.Metadata) {
			for i := range m.Snapshots {
				s := *m.Snapshots[i]
				s.SequenceNumber = 0
				m.Snapshots[i] = &s
			}
			slices.SortFunc(m.Snapshots, func(a, b *iceberg.Snapshot) int { return int(a.ID*7%200 - b.ID*7%200) })
			for _, s := range m.Snapshots { // times that tell no order either
				s.TimestampMs = p.now.UnixMilli() - 100*24*3_600_000
			}
		})
	}, slices.Concat([]int64{200, 1}, upTo(191, 199), []int64{201})) // 1 as the first of a time that is in doubt
	f("main was rolled back, and what it left is young", hour, func(p *past) {
		p.edit(func(m *iceberg.Metadata) {
			m.CurrentSnapshotID = 185
			m.Refs["main"] = iceberg.Ref{SnapshotID: 185, Type: iceberg.RefBranch}
		})
	}, upTo(81, 201))
}

// A removal is worth a request on REST only if it takes some, or one that is overdue.
func TestExpiredWaitsForSome(t *testing.T) {
	p := newPast(t, keepNewest)
	removals := 0
	for range 400 {
		if n := len(p.commit(time.Second, nil)); n > 0 {
			removals++
			if n < keepNewest/expirePart {
				t.Errorf("%d snapshots were removed", n)
			}
		}
	}
	if removals < 5 {
		t.Errorf("%d removals", removals)
	}
}

// The branch's own settings come before the table's.
func TestExpiredAsMainSays(t *testing.T) {
	p := newPast(t, 10)
	for range 60 {
		p.commit(time.Hour, nil)
	}
	text, err := p.m.Encode()
	p.must(err)
	had := fmt.Sprintf(`"refs":{"main":{"snapshot-id":%d,"type":"branch"`, p.last)
	p.m, err = iceberg.ParseMetadata([]byte(replaceOnce(t, string(text), had, had+`,"max-snapshot-age-ms":7200000,"min-snapshots-to-keep":null`)))
	p.must(err)
	p.set(map[string]string{propMaxSnapshotAge: "36000000"})
	p.commit(time.Hour, nil)
	if got := p.ids(); !slices.Equal(got, upTo(59, 61)) {
		t.Errorf("snapshots %d stay, want 59 to 61", got)
	}
}

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	for i := range text {
		if len(text)-i >= len(from) && text[i:i+len(from)] == from {
			return text[:i] + to + text[i+len(from):]
		}
	}
	t.Fatalf("%q is not in %s", from, text)
	return ""
}

func (p *past) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// What is kept for its age stays until it is too old, and then goes, whatever the pace of commits.
func TestExpiredDoesNotChangeItsMind(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, round))
		p := newPast(t, 1+rng.IntN(20))
		age := time.Duration(1+rng.IntN(10)) * time.Hour
		p.set(map[string]string{propMaxSnapshotAge: strconv.FormatInt(age.Milliseconds(), 10)})
		kept := map[int64]int64{} // for its age: its time
		for range 1500 {
			steps := []time.Duration{time.Millisecond, time.Second, 30 * time.Second, time.Minute, 20 * time.Minute}
			gone := p.commit(time.Duration(rng.Int64N(int64(steps[rng.IntN(len(steps))]))), nil)
			oldest := p.now.Add(-age).UnixMilli()
			for _, id := range gone {
				if at, was := kept[id]; was && at >= oldest {
					t.Fatalf("round %d: snapshot %d of %d went although the oldest may be of %d", round, id, at, oldest)
				}
			}
			if len(gone) == 0 {
				continue
			}
			newest := p.m.Snapshots[max(0, len(p.m.Snapshots)-p.keep-1):]
			for _, s := range p.m.Snapshots {
				if !slices.Contains(newest, s) {
					kept[s.ID] = s.TimestampMs
				}
				if span := age.Milliseconds() / keepOlder; s.TimestampMs < oldest-span {
					t.Fatalf("round %d: snapshot %d of %d is still there, %d ms overdue", round, s.ID, s.TimestampMs, oldest-s.TimestampMs)
				}
			}
		}
	}
}

// Whatever happened to a table, the number of its snapshots is bounded, what refs and other branches need is there, and
// main's newest are.
func TestExpiredBoundsAnyHistory(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, round))
		p := newPast(t, keepNewest)
		steps := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}
		held := 0 // snapshots that refs hold, at most
		p.commit(0, nil)
		for range 1200 {
			any := func() int64 { return p.m.Snapshots[rng.IntN(len(p.m.Snapshots))].ID }
			switch rng.IntN(100) {
			case 0:
				p.commit(0, nil)
				p.ref(fmt.Sprint("tag", rng.IntN(8)), iceberg.RefTag, any())
			case 1:
				p.commit(0, nil)
				p.ref("branch", iceberg.RefBranch, any())
			case 2:
				p.edit(func(m *iceberg.Metadata) { delete(m.Refs, fmt.Sprint("tag", rng.IntN(8))) })
			case 3, 4, 5: // a roll-back
				if m, err := p.m.WithMain(p.m.Snapshots[max(0, len(p.m.Snapshots)-1-rng.IntN(5))].ID, "", p.now); err == nil {
					p.m = m
				}
			case 6, 7, 8, 9: // staged, by an engine whose clock is off
				p.edit(func(m *iceberg.Metadata) {
					p.last++
					m.LastSequenceNumber++
					m.Snapshots = append(m.Snapshots, &iceberg.Snapshot{
						ID: p.last, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber,
						TimestampMs: p.now.Add(time.Duration(rng.IntN(200)-100) * time.Hour).UnixMilli(),
					})
				})
			}
			before := p.m
			gone := p.commit(time.Duration(rng.Int64N(int64(steps[rng.IntN(len(steps))]))), nil)
			held = len(p.m.Refs) + 500 // a branch holds the history that there was when it was made, and no more
			if n, most := len(p.m.Snapshots), keepNewest+1+keepOlder+2+keepLoose+keepNewest/expirePart+held; n > most {
				t.Fatalf("round %d: %d snapshots, want %d at the most", round, n, most)
			}
			for _, id := range gone {
				for name, ref := range before.Refs {
					if ref.SnapshotID == id {
						t.Fatalf("round %d: snapshot %d went, which ref %s names", round, id, name)
					}
				}
			}
			n := 0
			for s := before.CurrentSnapshot(); s != nil && n < keepNewest; s = before.Snapshot(s.ParentID) {
				if !p.has(s.ID) {
					t.Fatalf("round %d: snapshot %d went, number %d of main", round, s.ID, n)
				}
				n++
			}
			for s := before.Snapshot(before.Refs["branch"].SnapshotID); s != nil; s = before.Snapshot(s.ParentID) {
				if !p.has(s.ID) {
					t.Fatalf("round %d: snapshot %d went, which is of a branch's history", round, s.ID)
				}
			}
		}
	}
}

// A table that comes from elsewhere with many snapshots is brought down by some commits, the oldest first.
func TestExpiredInPortions(t *testing.T) {
	p := newPast(t, keepNewest)
	p.edit(func(m *iceberg.Metadata) {
		for range 5000 {
			p.now = p.now.Add(time.Second)
			p.last++
			m.Snapshots = append(m.Snapshots, &iceberg.Snapshot{ID: p.last, ParentID: p.last - 1, SequenceNumber: p.last, TimestampMs: p.now.UnixMilli()})
		}
		m.LastSequenceNumber, m.CurrentSnapshotID, m.LastUpdatedMs = p.last, p.last, p.now.UnixMilli()
		m.Refs["main"] = iceberg.Ref{SnapshotID: p.last, Type: iceberg.RefBranch}
	})
	var counts []int
	for range 7 {
		counts = append(counts, len(p.commit(time.Second, nil)))
	}
	// 84 minutes of commits lie in two or three spans of 56.
	if !slices.Equal(counts[:4], slices.Repeat([]int{expireAtMost}, 4)) || counts[4] < 850 || counts[5] != 0 {
		t.Errorf("commits removed %d snapshots", counts)
	}
}

// TestMetadataStaysSmall commits for hours at two paces, with three logs in each summary: the metadata file stays
// below 1 MB, and grows no more once the table is as old as its spans are wide.
func TestMetadataStaysSmall(t *testing.T) {
	logs := []uuid.UUID{uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())}
	for _, apart := range []time.Duration{time.Second, 10 * time.Second} {
		p := newPast(t, keepNewest)
		size := func() int {
			text, err := p.m.Encode()
			p.must(err)
			return len(text)
		}
		most := 0
		for n := Seq(1); n <= 20_000; n++ {
			ranges := Ranges{}
			for _, log := range logs {
				ranges[log] = [][2]Seq{{n*100_000_000 + 1, (n + 1) * 100_000_000}}
			}
			text, err := json.Marshal(ranges)
			p.must(err)
			summary := map[string]string{"operation": iceberg.OpAppend, "engine-name": "firn", PropRanges: string(text)}
			for _, key := range []string{"added-data-files", "added-records", "added-files-size", "changed-partition-count", "total-data-files",
				"total-records", "total-files-size", "total-delete-files", "total-position-deletes", "total-equality-deletes"} {
				summary[key] = strconv.FormatInt(int64(n)*1_000_000, 10)
			}
			p.commit(apart, summary)
			if n%500 == 0 {
				most = max(most, size())
			}
		}
		t.Logf("%s apart: %d snapshots, %d entries of the snapshot log, %d bytes, %d at the most", apart, len(p.m.Snapshots), len(p.m.SnapshotLog), size(), most)
		if most > 1<<20 {
			t.Errorf("%s apart: metadata has had %d bytes, want 1 MB at the most", apart, most)
		}
	}
}

// BenchmarkExpired looks at a table with as many snapshots as it comes to have.
func BenchmarkExpired(b *testing.B) {
	p := &past{keep: keepNewest, now: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	p.m = &iceberg.Metadata{Properties: map[string]string{}, Refs: map[string]iceberg.Ref{}}
	for range 280 {
		p.now = p.now.Add(20 * time.Minute)
		p.last++
		p.m.Snapshots = append(p.m.Snapshots, &iceberg.Snapshot{ID: p.last << 40, ParentID: (p.last - 1) << 40, SequenceNumber: p.last, TimestampMs: p.now.UnixMilli()})
	}
	p.m.CurrentSnapshotID = p.last << 40
	p.m.Refs[iceberg.MainBranch] = iceberg.Ref{SnapshotID: p.last << 40, Type: iceberg.RefBranch}
	b.ReportAllocs()
	for b.Loop() {
		expired(p.m, p.now, keepNewest)
	}
}
