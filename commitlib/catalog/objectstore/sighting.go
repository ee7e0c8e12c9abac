package objectstore

import (
	"sync"
	"time"

	"firn/commitlib/catalog"
)

// sighting is what this process last saw of one table. It saves requests and extends proofs; forgetting it is harmless.
type sighting struct {
	version int64     // the newest version seen
	proven  time.Time // when the look began that found nothing newer
	since   time.Time // when version was first seen to be the newest, or later: when the hint may be looked at again
	hint    hint
	hinted  bool  // hint is known
	doubt   int64 // a version that this process may have made, and did not raise the hint for; 0: none
}

// sightings holds a sighting for each table, by its folder. Tables are bounded by who makes them, not by load.
type sightings struct {
	mu     sync.Mutex // protects tables and what it points to
	tables map[string]*sighting
}

func (s *sightings) atLocked(dir string) *sighting {
	if s.tables == nil {
		s.tables = map[string]*sighting{}
	}
	at := s.tables[dir]
	if at == nil {
		at = &sighting{}
		s.tables[dir] = at
	}
	return at
}

// newest notes that a look that began then found version to be the newest.
func (s *sightings) newest(dir string, version int64, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(dir)
	if version < at.version && !began.After(at.proven) {
		return // a slower look than the one that saw the newer version
	}
	if version != at.version { // lower and later: the table was removed and made anew
		*at = sighting{version: version, since: began, hint: at.hint, hinted: at.hinted, doubt: at.doubt}
	}
	if began.After(at.proven) {
		at.proven = began
	}
}

// proven is the latest time at which t's version is known to have been the newest.
func (s *sightings) proven(t *catalog.Table, version int64) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	loaded := t.LoadedAt.Round(0)
	if at := s.tables[dirOf(t.Ident)]; at != nil && at.version == version && at.proven.After(loaded) {
		return at.proven
	}
	return loaded
}

func (s *sightings) hint(dir string) (hint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.tables[dir]
	if at == nil || !at.hinted {
		return hint{}, false
	}
	return at.hint, true
}

func (s *sightings) setHint(dir string, h hint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.atLocked(dir)
	at.hint, at.hinted = h, true
}

func (s *sightings) forgetHint(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atLocked(dir).hinted = false
}

// hintDue says that version has been the newest for a while, and the hint was not seen to name it.
func (s *sightings) hintDue(dir string, version int64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.tables[dir]
	return at != nil && at.version == version && now.Sub(at.since) >= hintGrace &&
		!(at.hinted && at.hint.exact && at.hint.version >= version)
}

// doubts notes that the answer to the creation of version was lost.
func (s *sightings) doubts(dir string, version int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atLocked(dir).doubt = version
}

// resolves says, once, that a version was made whose creation was in doubt: newest is there, and nobody may have raised
// the hint to it.
func (s *sightings) resolves(dir string, newest int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.tables[dir]
	if at == nil || at.doubt == 0 || newest < at.doubt {
		return false
	}
	at.doubt = 0
	return true
}

// postponeHint keeps a hint that cannot be written from being tried, and logged, at every Refresh.
func (s *sightings) postponeHint(dir string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atLocked(dir).since = now.Add(hintRetry)
}
