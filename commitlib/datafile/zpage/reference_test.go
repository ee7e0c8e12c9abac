package zpage

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The reference implementation, libzstd as PyArrow has it, reads every form too.
func TestReferenceDecoder(t *testing.T) {
	bin := os.Getenv("FIRN_PYTHON")
	if bin == "" {
		bin = filepath.Join("..", "..", "..", ".venv", "bin", "python")
	}
	bin, err := exec.LookPath(bin)
	if err != nil {
		t.Skip("no Python with PyArrow: run `make venv`, or set FIRN_PYTHON")
	}
	path := filepath.Join(t.TempDir(), "frames")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var e Encoder
	var b []byte
	for _, p := range append(borders(), pages()...) {
		b = e.Append(append(b[:0], make([]byte, 8)...), p.raw, p.rows)
		binary.LittleEndian.PutUint32(b, uint32(len(b)-8))
		binary.LittleEndian.PutUint32(b[4:], uint32(len(p.raw)))
		if _, err := out.Write(append(b, p.raw...)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := exec.Command(bin, "-c", `
import struct, sys, pyarrow
codec, good = pyarrow.Codec("zstd"), 0
with open(sys.argv[1], "rb") as f:
    while head := f.read(8):
        packed, size = struct.unpack("<II", head)
        frame, raw = f.read(packed), f.read(size)
        if codec.decompress(frame, size, asbytes=True) != raw:
            sys.exit(f"frame {good}, of {size} bytes, is decoded as something else")
        good += 1
print("good")`, path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(got)) != "good" {
		t.Errorf("%v: %s", err, got)
	}
}
