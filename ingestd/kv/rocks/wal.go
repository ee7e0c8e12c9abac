package rocks

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
)

// RocksDB drops acked records without a word, in every recovery mode that Firn could use, when one bit of a
// record's header has changed: a length that reaches beyond the end of the log passes for a record that a
// crash cut short, and a type above 4 for the remains of a recycled log; either ends the reading. So
// checkLogs reads the logs first. It refuses a record
//
//   - whose sum is wrong, whose type is none, or whose length leaves its block;
//   - that reaches beyond the end of the log although it verifies with another length, or
//     although a readable record follows.
//
// A log that otherwise ends in the middle of a record, or in zeros, is as a crash leaves it.
//
// Log format (RocksDB's wiki, "Write Ahead Log File Format"): blocks of 32 KiB; in them records of sum (4, CRC32C of
// type and payload, masked) · length (2) · type (1: 1 full, 2 first, 3 middle, 4 last) · payload. All little endian.
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

// checkLogs returns a *CorruptError when a log of dir was changed after it was written. It
// reads each log once, 32 KiB at a time.
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

func checkLog(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("check write-ahead log: %w", err)
	}
	size := info.Size()
	block := make([]byte, logBlock)
	for start := int64(0); start < size; start += logBlock {
		b := block[:min(size-start, logBlock)]
		if _, err := f.ReadAt(b, start); err != nil {
			return fmt.Errorf("check write-ahead log: %w", err)
		}
		if at, what := faultInBlock(b, size-start <= logBlock); at >= 0 {
			return fmt.Errorf("the record at byte %d of %d %s", start+int64(at), size, what)
		}
	}
	return nil
}

// faultInBlock returns where a record was changed after it was written, or -1.
func faultInBlock(b []byte, last bool) (int, string) {
	at := 0
	for len(b)-at >= logHeader {
		r := b[at:]
		n, t := int(binary.LittleEndian.Uint16(r[4:])), r[6]
		switch {
		case n == 0 && t == 0: // zeros of a preallocated log: RocksDB goes on with the next block
			return -1, ""
		case verifies(r):
			at += logHeader + n
		case logHeader+n <= len(r):
			return at, "does not verify"
		case !last:
			return at, "reaches beyond its block"
		case endsEarlier(r):
			return at, "has a length that was changed: it verifies with another one"
		default:
			for next := 1; len(r)-next >= logHeader; next++ {
				if verifies(r[next:]) {
					return at, fmt.Sprintf("reaches beyond the end of the log, and yet a readable one follows %d bytes on", next)
				}
			}
			return -1, ""
		}
	}
	return -1, ""
}

// verifies reports whether b starts with a whole record.
func verifies(b []byte) bool {
	n := int(binary.LittleEndian.Uint16(b[4:]))
	if t := b[6]; t == 0 || t > logTypes || logHeader+n > len(b) {
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
