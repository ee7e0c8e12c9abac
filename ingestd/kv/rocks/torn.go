package rocks

import (
	"bytes"
	"fmt"
)

// A power cut may leave holes in the write that it interrupts: the kernel writes the pages of an unsynced write in any
// order, and where one is missing below the file's size the file reads as zeros. So the start must tell a torn record,
// which was never acked, from a damaged one, which may have been.
//
// What can be torn: one goroutine writes one batch, one record, and syncs it before the next, and before it goes on to
// another log; a start syncs the logs that it finds before it makes another. So all records are synced but the last
// of the newest log, and nothing valid follows that one.
//
// A record is torn, not damaged, if
//
//  1. it is in the newest log, and no later record follows: behind its last fragment there are but zeros, and where
//     a hole hides the header that says where a fragment ends, no first or full one verifies in the rest of the block;
//  2. each of its fragments that does not verify has a hole, or reaches beyond the end of the log (cutShort);
//  3. each header outside the holes is one of this record at this place: its first fragment begins it, and all but the
//     last reach to the end of their block.
//
// A hole is a page of zeros, as far as the page belongs to the record: of the first page what lies behind the synced
// records, of the last what lies before the end. Zeros in a payload are no matter while the fragment verifies. So a
// byte that changed in the last record is refused, unless its fragment has a page of zeros of its own, which
// compressed blocks do not; and a page that the disk lost is refused, unless it is the end of the log, where
// nothing tells it from one that was never written.

// page is the least that a file system leaves unwritten.
const page = 4096

// minHole is how many bytes of a page must belong to a record, all of them zero, to count as a hole: a changed byte can
// make one zero, not a whole sum. With fewer the record is refused, one in some thousand that are torn.
const minHole = 4

// torn says whether the record that starts at record, and does not verify at byte at, is torn with holes. It is false
// for zeros behind the last record and for a record that is merely cut short, with both of which RocksDB deals. All
// else is an error.
func (l *logFile) torn(at, record int64) (holes bool, err error) {
	if at == record {
		if zeros, err := l.zerosFrom(at); err != nil || zeros {
			return false, err
		}
	}
	for first := at; at < l.size; at = nextBlock(at) {
		b, err := l.from(at)
		if err != nil {
			return false, err
		}
		if len(b) < logHeader {
			return holes, nil // cut short
		}
		n, kind := int64(fragmentBytes(b)), b[6]
		begins, ends := kind == fullType || kind == firstType, kind == fullType || kind == lastType
		whole := verifies(b)
		switch {
		case whole && (at == first || begins):
			return false, fmt.Errorf("the record at byte %d is not whole, and another fragment follows at %d", record, at)
		case whole:
		case hole(b, at, logHeader): // where the fragment ends is not known
			if err := noneBegins(b, at); err != nil {
				return false, err
			}
			holes = true
			continue
		case at+n > l.size && nextBlock(at) >= l.size:
			return holes, cutShort(b, at)
		case n > int64(len(b)):
			return false, fmt.Errorf("the record at byte %d reaches beyond its block", at)
		case kind == 0 || kind > lastType || begins != (at == record) || !ends && at+n != nextBlock(at),
			!hole(b[:n], at, n):
			return false, fmt.Errorf("the record at byte %d of %d does not verify", at, l.size)
		default:
			holes = true
		}
		if ends {
			zeros, err := l.zerosFrom(at + n)
			if err == nil && !zeros {
				err = fmt.Errorf("the record at byte %d does not verify, and more follows at %d", record, at+n)
			}
			return holes, err
		}
	}
	return holes, nil
}

// hole reports whether a page that holds one of the first n bytes of b, which are the log's from at on, was never
// written.
func hole(b []byte, at, n int64) bool {
	for from := int64(0); from < n; {
		to := min(from+page-(at+from)%page, int64(len(b)))
		if to-from >= minHole && zero(b[from:to]) {
			return true
		}
		from = to
	}
	return false
}

// noneBegins returns an error if a record begins in b behind its first byte. A producer who knows the format can put
// such bytes into a payload; the price is a refused start, never an acked event.
func noneBegins(b []byte, at int64) error {
	for i := 1; len(b)-i >= logHeader; i++ {
		if t := b[i+6]; (t == fullType || t == firstType) && verifies(b[i:]) {
			return fmt.Errorf("the record at byte %d reads as zeros, and yet a readable one follows %d bytes on", at, i)
		}
	}
	return nil
}

func zero(b []byte) bool {
	for ; len(b) > 0; b = b[min(len(b), page):] {
		if n := min(len(b), page); !bytes.Equal(b[:n], zeroPage[:n]) {
			return false
		}
	}
	return true
}

var zeroPage [page]byte

// zerosFrom reports whether nothing but zeros follows.
func (l *logFile) zerosFrom(at int64) (bool, error) {
	for ; at < l.size; at = nextBlock(at) {
		b, err := l.from(at)
		if err != nil || !zero(b) {
			return false, err
		}
	}
	return true, nil
}
