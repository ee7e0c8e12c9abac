package rocks

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
)

// RocksDB takes a record whose length reaches beyond the end of the log for one that a crash cut short, and drops it and all that
// follows in the last 32 KiB without a word, in every recovery mode that Firn could use. One flipped bit in a length
// field would so lose acked events. checkLogs reads the logs before RocksDB does and tells the two apart:
//
//   - a readable record lies behind the fault: a crash leaves none there. Damaged.
//   - the record verifies when it is taken to end before the end of the file: its length was changed. Damaged.
//   - otherwise the log ends in the middle of a record, as a crash leaves it. Whole.
//
// Faults with a length inside the block are left to RocksDB, which checks the sum and refuses.
//
// Log format (RocksDB's wiki, "Write Ahead Log File Format"): blocks of 32 KiB; in them records of sum (4, CRC32C of type and
// payload, masked) · length (2) · type (1: 1 full, 2 first, 3 middle, 4 last) · payload. All little endian.
const (
	logBlock  = 32 << 10
	logHeader = 7
	logTypes  = 4 // types above are of recycled logs, which Firn does not use
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func unmask(sum uint32) uint32 {
	rot := sum - 0xa282ead8
	return rot>>17 | rot<<15
}

// checkLogs returns a *CorruptError when a log of dir was changed after it was written. It reads each log once, 32 KiB at a time.
func checkLogs(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return fmt.Errorf("list write-ahead logs: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("check write-ahead log: %w", err)
		}
		err = checkLog(f)
		_ = f.Close() // read only
		if err != nil {
			return &CorruptError{Dir: dir, Err: fmt.Errorf("%s: %w", filepath.Base(name), err)}
		}
	}
	return nil
}

// checkLog looks at the last block of the log alone: only there does RocksDB take a wrong length for the end.
func checkLog(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("check write-ahead log: %w", err)
	}
	start := info.Size() / logBlock * logBlock
	block := make([]byte, info.Size()-start)
	if _, err := f.ReadAt(block, start); err != nil && len(block) > 0 {
		return fmt.Errorf("check write-ahead log: %w", err)
	}
	if at, what := faultInLastBlock(block); at >= 0 {
		return fmt.Errorf("the record at byte %d of %d %s", start+int64(at), info.Size(), what)
	}
	return nil
}

// faultInLastBlock returns where a record was changed after it was written, or -1.
func faultInLastBlock(b []byte) (int, string) {
	at := 0
	for len(b)-at >= logHeader {
		n := int(binary.LittleEndian.Uint16(b[at+4:]))
		if at+logHeader+n <= len(b) {
			if n == 0 && b[at+6] == 0 {
				return -1, "" // zeros of a preallocated log
			}
			at += logHeader + n // verified by RocksDB
			continue
		}
		if endsEarlier(b[at:]) {
			return at, "has a length that was changed: it verifies with another one"
		}
		for next := at + 1; len(b)-next >= logHeader; next++ {
			if verifies(b[next:]) {
				return at, fmt.Sprintf("reaches beyond the end of the log, and yet a readable one follows at %d bytes on", next-at)
			}
		}
		return -1, ""
	}
	return -1, ""
}

// verifies reports whether b starts with a whole record.
func verifies(b []byte) bool {
	n := int(binary.LittleEndian.Uint16(b[4:]))
	if t := b[6]; t == 0 || t > logTypes || n == 0 || logHeader+n > len(b) {
		return false
	}
	return crc32.Checksum(b[6:logHeader+n], castagnoli) == unmask(binary.LittleEndian.Uint32(b))
}

// endsEarlier reports whether the record at the start of b verifies with some length that fits into b.
func endsEarlier(b []byte) bool {
	want := unmask(binary.LittleEndian.Uint32(b))
	sum := crc32.Checksum(b[6:logHeader], castagnoli)
	for i := logHeader; i < len(b); i++ {
		if sum = crc32.Update(sum, castagnoli, b[i:i+1]); sum == want {
			return true
		}
	}
	return false
}
