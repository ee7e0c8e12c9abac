package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/google/uuid"

	"firn/ingestd/eventlog"
)

// A cursor is where the next page starts, opaque to clients: version, table, log, sequence and a checksum, so that one
// of another table, or one that was cut short, is refused instead of reading from somewhere else.
const (
	cursorVersion = 1
	cursorBytes   = 1 + 16 + 16 + 8 + 4
)

func encodeCursor(table, log uuid.UUID, next eventlog.Seq) string {
	b := append(make([]byte, 0, cursorBytes), cursorVersion)
	b = append(b, table[:]...)
	b = append(b, log[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(next))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(s string, table uuid.UUID) (log uuid.UUID, next eventlog.Seq, err error) {
	b, bad := base64.RawURLEncoding.Strict().DecodeString(s)
	body := len(b) - 4
	if bad != nil || len(b) != cursorBytes || b[0] != cursorVersion || crc32.ChecksumIEEE(b[:body]) != binary.BigEndian.Uint32(b[body:]) {
		return log, 0, newFault("invalid_cursor", "use the cursor of the page before as it is", "the cursor cannot be read")
	}
	if uuid.UUID(b[1:17]) != table {
		return log, 0, newFault("invalid_cursor", "start without a cursor", "the cursor is of another table, or of one that this name had before")
	}
	copy(log[:], b[17:33])
	return log, eventlog.Seq(binary.BigEndian.Uint64(b[33:41])), nil
}
