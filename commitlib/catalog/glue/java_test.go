package glue_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/perf/peer"
	"firn/perf/spawn"
)

// java is a process of Iceberg's own Glue catalog, a user of the same account and warehouse. It ends with its input.
type java struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func startJava(t *testing.T, env ...string) *java {
	t.Helper()
	peers := os.Getenv("FIRN_PEERS")
	if peers == "" {
		peers = filepath.Join(peer.Root(), ".peers")
	}
	jars := filepath.Join(peers, "restcatalog")
	if found, _ := filepath.Glob(filepath.Join(jars, "glue-*.jar")); len(found) == 0 {
		t.Fatalf("Iceberg's Java libraries are not in %s: run `make peers`", jars)
	}
	cmd := exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
		"-cp", jars+"/*", "testdata/GlueClient.java")
	cmd.Env = append(peer.CleanEnv(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := spawn.Start(cmd); err != nil {
		t.Fatalf("start Java, which `make peers` wants: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("Iceberg's Java process: %v", err)
		}
	})
	return &java{t, in, bufio.NewScanner(out)}
}

// do runs a step and returns its answer.
func (j *java) do(words ...string) string {
	j.t.Helper()
	if _, err := io.WriteString(j.in, strings.Join(words, "\t")+"\n"); err != nil {
		j.t.Fatal(err)
	}
	if !j.out.Scan() {
		j.t.Fatalf("Iceberg's Java process ended at %s: %v", words[0], j.out.Err())
	}
	return j.out.Text()
}

// TestBesideJava: for the same schema our entries equal those of Iceberg's own catalog in Java, new, after commits and
// after a change of the schema; and each of us appends to the other's table.
func TestBesideJava(t *testing.T) {
	l := newLake(t)
	j := startJava(t, append(l.env, "AWS_ACCESS_KEY_ID="+string(l.account), "AWS_SECRET_ACCESS_KEY=secret")...)
	nested, err := iceberg.ParseSchema([]byte(everyType))
	if err != nil {
		t.Fatal(err)
	}
	for i, schema := range []*iceberg.Schema{iceberg.EventSchema(iceberg.String), nested} {
		db := fmt.Sprintf("db%d", i)
		ours, theirs := catalog.Ident{Namespace: db, Name: "ours"}, catalog.Ident{Namespace: db, Name: "theirs"}
		l.create(ours, schema)
		text, err := schema.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			t.Fatal(err)
		}
		j.do("create", db, "theirs", line.String())
		entries := func(what string) {
			t.Helper()
			wantLikewise(t, fmt.Sprintf("schema %d, %s", i, what), l.rawTable(ours), l.rawTable(theirs))
		}
		entries("new")
		for n, id := range []catalog.Ident{ours, theirs} {
			l.append(id, 3)
			path, size := l.stage(id)
			j.do("append", db, id.Name, path, fmt.Sprint(size), "7")
			if n == 0 { // whoever is last makes the entry: one of ours against one of theirs
				l.append(id, 11)
			} else {
				path, size = l.stage(id)
				j.do("append", db, id.Name, path, fmt.Sprint(size), "11")
			}
			j.wantRows(id, 21)
			if n := len(l.load(id).Metadata.Snapshots); n != 3 {
				t.Errorf("we see %d snapshots in %s, want 3", n, id)
			}
		}
		entries("after commits of both")
		j.do("add_column", db, "theirs", "later")
		later := l.load(theirs).Metadata.CurrentSchema()
		l.swap(ours, func(base *catalog.Table) (*iceberg.Metadata, error) {
			return base.Metadata.WithSchema(later, base.MetadataLocation, time.Now())
		})
		entries("after a column was added")
		j.do("set_property", db, "theirs", "comment", "what they are")
		l.swap(ours, func(base *catalog.Table) (*iceberg.Metadata, error) {
			return base.Metadata.WithProperties(map[string]string{"comment": "what they are"}, nil, base.MetadataLocation, time.Now())
		})
		entries("after a comment was set")
	}
	j.do("create_database", "made_by_theirs", l.store.Root()+"/made_by_theirs")
	wantLikewise(t, "database", l.rawDatabase("db0"), l.rawDatabase("made_by_theirs"))
}

func (j *java) wantRows(id catalog.Ident, want int) {
	j.t.Helper()
	if got := j.do("rows", id.Namespace, id.Name); got != fmt.Sprint(want) {
		j.t.Errorf("Java counts %s rows in %s, want %d", got, id, want)
	}
}
