package eventlog

import (
	"encoding/binary"
	"strings"

	"github.com/google/uuid"
)

// Keys are big endian, so that their order is that of the numbers. Records of Meta have readable prefixes.
const (
	metaFormat     = "firn/format"      // version of all of this
	metaNewestLog  = "firn/newest-log"  // the greatest log id ever minted here
	metaNextTrack  = "firn/next-track"  // the next track number
	metaDedupBytes = "firn/dedup-bytes" // bytes of both families of idempotency keys
	metaTrack      = "track/"           // + track → trackRecord
	metaState      = "state/"           // + track → stateRecord
	metaCut        = "cut/"             // + track + first → Cut
	metaUser       = "user/"            // + key → records of other packages
)

func positionKey(dst []byte, pos int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(pos))
}

func keyPosition(k []byte) (int64, bool) {
	if len(k) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(k)), true
}

func indexKey(dst []byte, t Track, first Seq) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(t))
	return binary.BigEndian.AppendUint64(dst, uint64(first))
}

func trackKey(prefix string, t Track) []byte {
	return binary.BigEndian.AppendUint32([]byte(prefix), uint32(t))
}

func cutKey(t Track, first Seq) []byte {
	return binary.BigEndian.AppendUint64(trackKey(metaCut, t), uint64(first))
}

// afterPrefix is the least key greater than all that start with prefix, which ends in '/'.
func afterPrefix(prefix string) []byte {
	return []byte(strings.TrimSuffix(prefix, "/") + "0") // '0' follows '/'
}

// dedupKey is where an idempotency key of a table is remembered.
func dedupKey(dst []byte, table uuid.UUID, key []byte) []byte {
	dst = append(dst, table[:]...)
	return append(dst, key...)
}

// expiryKey orders the keys that one append brought by its time.
func expiryKey(dst []byte, ms int64, t Track, first Seq) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(ms))
	return indexKey(dst, t, first)
}
