package main

import (
	"strings"
	"testing"
	"time"
)

func noEnv(string) (string, bool) { return "", false }

func TestDefaultsAreValid(t *testing.T) {
	c, err := Parse("ingestd", nil, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Warehouse != "firn-data/warehouse" {
		t.Errorf("warehouse %q, want it inside the data directory", c.Warehouse)
	}
}

func TestFlagWinsOverEnvironment(t *testing.T) {
	env := func(k string) (string, bool) {
		v, ok := map[string]string{"FIRN_CUT_INTERVAL": "3s", "FIRN_SEGMENT_BYTES": "8MiB"}[k]
		return v, ok
	}
	c, err := Parse("ingestd", []string{"-cut-interval", "2s"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.CutInterval != 2*time.Second || c.SegmentBytes != 8<<20 {
		t.Errorf("cut interval %v, segment bytes %v; want 2s from the flag and 8MiB from the environment", c.CutInterval, c.SegmentBytes)
	}
}

func TestAllViolationsAtOnce(t *testing.T) {
	_, err := Parse("ingestd", []string{
		"-listen", "0.0.0.0:80", "-cut-interval", "1ms", "-table-share", "2", "-body-bytes", "2MiB", "-event-bytes", "4MiB", "-in-flight-bytes", "3MiB",
		"-warehouse", "s3://bucket/x", "-namespace", "Default",
	}, noEnv)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"-listen", "-cut-interval", "-table-share", "-event-bytes", "-in-flight-bytes", "-warehouse", "-namespace"} {
		if !strings.Contains(err.Error(), want+":") {
			t.Errorf("violation of %s is missing in:\n%v", want, err)
		}
	}
}

func TestByteSize(t *testing.T) {
	ok := func(in string, want ByteSize, out string) {
		t.Helper()
		var b ByteSize
		if err := b.Set(in); err != nil || b != want || b.String() != out {
			t.Errorf("Set(%q) = %d %q, %v; want %d %q", in, b, b, err, want, out)
		}
	}
	ok("0", 0, "0")
	ok("1000", 1000, "1000")
	ok("64KiB", 64<<10, "64KiB")
	ok("1024MiB", 1<<30, "1GiB")
	bad := func(in string) {
		t.Helper()
		var b ByteSize
		if err := b.Set(in); err == nil {
			t.Errorf("Set(%q) = %d, want an error", in, b)
		}
	}
	bad("")
	bad("-1")
	bad("8GB")
	bad("99999999999TiB")
}
