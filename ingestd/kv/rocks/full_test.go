package rocks

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"firn/ingestd/kv"
)

// On a small file system that fills up, a write is either there, refused as not applied, or the end; once there is
// space the store takes writes again without being opened anew, unless its log itself met the end of the disk.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("firn", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(dir, "db"), small())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	write := func(i int) error {
		var b kv.Batch
		b.Put(kv.Blocks, binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, 32<<10))
		return s.Write(&b, true)
	}
	acked := 0
	for ; acked < 2000; acked++ {
		if err = write(acked); err != nil {
			break
		}
	}
	t.Logf("%d writes were acked, then: %v", acked, err)
	if err == nil {
		t.Fatal("the disk never filled up")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if errors.Is(err, kv.ErrNoSpace) {
		if _, there, _ := s.Get(kv.Blocks, binary.BigEndian.AppendUint64(nil, uint64(acked)), nil); there {
			t.Error("a write that was refused for want of space is there")
		}
		start := time.Now()
		for err != nil && time.Since(start) < 30*time.Second {
			time.Sleep(50 * time.Millisecond)
			err = write(acked)
		}
		t.Logf("healed after %v", time.Since(start))
		if err != nil {
			t.Fatalf("did not heal: %v", err)
		}
		acked++
	}
	_ = s.Close()
	if s, err = Open(filepath.Join(dir, "db"), small()); err != nil {
		t.Fatal(err)
	}
	for i := range acked {
		if _, there, err := s.Get(kv.Blocks, binary.BigEndian.AppendUint64(nil, uint64(i)), nil); !there || err != nil {
			t.Fatalf("acked write %d is gone (%v)", i, err)
		}
	}
}
