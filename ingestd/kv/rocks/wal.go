package rocks

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// RocksDB drops acked records without a word, in every recovery mode that Firn could use, when one bit of a
// record's header has changed: a length that reaches beyond the end of the log passes for a record that a
// crash cut short, and a type above 4 for the remains of a recycled log; either ends the reading. Where a header reads
// as zeros it skips the rest of the block. So checkLogs reads the logs first. It refuses a record
//
//   - whose sum is wrong, whose type is none, or whose length leaves its block;
//   - that reaches beyond the end of the log although it verifies with another length, or
//     although a readable record follows;
//   - that reads as zeros, where anything else follows.
//
// A log that otherwise ends in the middle of a record, or in zeros, is as a crash leaves it. So is a last record with
// holes in the newest log: torn.go.
//
// Log format (RocksDB's wiki, "Write Ahead Log File Format"): blocks of 32 KiB; in them fragments of sum (4, CRC32C of
// type and payload, masked) · length (2) · type (1) · payload, all little endian. A record is one fragment (type 1), or
// a first (2), any middle ones (3) and a last (4); all but the last reach to the end of their block. Less than a
// header's room at the end of a block stays empty. A record is one write batch.
const (
	logBlock  = 32 << 10
	logHeader = 7

	fullType   = 1
	firstType  = 2
	middleType = 3
	lastType   = 4 // types above are of recycled logs, which Firn does not use
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func unmask(sum uint32) uint32 {
	rot := sum - 0xa282ead8
	return rot>>17 | rot<<15
}

// checkLogs returns a *CorruptError when a log of dir was changed after it was written, and else what of the newest one
// has to be cut off before RocksDB may see it, or nil. It reads each log once, 32 KiB at a time, and changes nothing.
// What it has read, it has synced: after a mere kill the last write may still be on its way to the disk, and a power
// cut during the recovery must not tear it beside a newer log.
func checkLogs(dir string) (*TornWrite, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, fmt.Errorf("list write-ahead logs: %w", err)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(logNumber(a), logNumber(b)) })
	for i, name := range names {
		torn, err := checkLogFile(name)
		if err == nil && torn != nil && i < len(names)-1 {
			// The writer went on to the next log, so it had synced this one.
			err = fmt.Errorf("the record at byte %d has holes, and a newer log follows", torn.At)
		}
		if err != nil {
			return nil, &CorruptError{Dir: dir, Err: fmt.Errorf("%s: %w", filepath.Base(name), err)}
		}
		if torn != nil {
			return torn, nil
		}
	}
	return nil, nil
}

// logNumber is the number in a log's name, which says its age; its digits are not always as many.
func logNumber(path string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".log"), 10, 64)
	return n
}

func checkLogFile(path string) (*TornWrite, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("check write-ahead log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("check write-ahead log: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("sync write-ahead log: %w", err)
	}
	l := &logFile{f: f, size: info.Size()}
	at, record, err := l.verified()
	if err != nil || at == l.size {
		return nil, err
	}
	torn, err := l.torn(at, record)
	if err != nil || !torn {
		return nil, err
	}
	return &TornWrite{Log: path, At: record, Bytes: l.size - record}, nil
}

// logFile reads a log block by block.
type logFile struct {
	f    *os.File
	size int64
	buf  [logBlock]byte
}

// from returns what is left of the block that byte at is in. It is valid until the next call.
func (l *logFile) from(at int64) ([]byte, error) {
	b := l.buf[:min(nextBlock(at), l.size)-at]
	if _, err := l.f.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("check write-ahead log: %w", err)
	}
	return b, nil
}

func nextBlock(at int64) int64 { return at - at%logBlock + logBlock }

// verified reads fragments as long as they verify and follow each other. It returns the place of the first that does
// not, or the log's size if there is none, and the start of the record that this fragment belongs to.
func (l *logFile) verified() (at, record int64, err error) {
	open := false // amid a record
	for start := int64(0); start < l.size; start += logBlock {
		b, err := l.from(start)
		if err != nil {
			return 0, 0, err
		}
		for at = start; len(b) >= logHeader; {
			if !open {
				record = at
			}
			if begins := b[6] == fullType || b[6] == firstType; !verifies(b) || begins == open {
				return at, record, nil
			}
			open = b[6] == firstType || b[6] == middleType
			n := fragmentBytes(b)
			at, b = at+int64(n), b[n:]
		}
	}
	return l.size, record, nil
}

// fragmentBytes is what the header at the start of b says of its fragment's length.
func fragmentBytes(b []byte) int { return logHeader + int(binary.LittleEndian.Uint16(b[4:])) }

// verifies reports whether b starts with a whole fragment.
func verifies(b []byte) bool {
	n := fragmentBytes(b)
	if t := b[6]; t == 0 || t > lastType || n > len(b) {
		return false
	}
	return crc32.Checksum(b[6:n], castagnoli) == unmask(binary.LittleEndian.Uint32(b))
}

// cutShort returns an error unless b, which the log ends with, is the beginning of a longer fragment.
func cutShort(b []byte, at int64) error {
	if endsEarlier(b) {
		return fmt.Errorf("the record at byte %d has a length that was changed: it verifies with another one", at)
	}
	for next := 1; len(b)-next >= logHeader; next++ {
		if verifies(b[next:]) {
			return fmt.Errorf("the record at byte %d reaches beyond the end of the log, and yet a readable one follows %d "+
				"bytes on", at, next)
		}
	}
	return nil
}

// endsEarlier reports whether the fragment at the start of b verifies with some length that fits into b.
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
