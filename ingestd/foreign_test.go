package main

import (
	"encoding/json"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"firn/commitlib/objstore"
	"firn/perf/e2e"
	"firn/perf/peer"
	"firn/perf/tier"
)

// TestTablesOfOthers meets tables that PyIceberg has made, changed, dropped and replaced in a Glue catalog that is shared
// with it. What cannot take events says so before any is acked; what becomes so under a running daemon stops, and alarms
// once; and all the while another table goes on.
func TestTablesOfOthers(t *testing.T) {
	tier.Need(t, tier.CI)
	s3, aws := peer.S3(t), peer.AWS(t)
	const namespace = "shared_with_others"
	root := s3.Root() + "/events"
	environ := append(aws.Env(), s3.Env()...)
	foreign := func(steps ...string) {
		t.Helper()
		cmd := exec.Command(e2e.Python(t), append([]string{"-B", "testdata/foreign.py", namespace}, steps...)...)
		cmd.Env = append(peer.CleanEnv(), "GLUE="+aws.Endpoint, "ACCOUNT="+aws.AccessKey, "SECRET="+aws.SecretKey, "S3="+s3.Endpoint, "WAREHOUSE="+root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("PyIceberg: %v\n%s", err, out)
		}
	}
	foreign("other_schema:orders", "same_columns:lookalike", "v1:old", "other_spec:bucketed")
	n := start(t, t.TempDir(), environ, "-warehouse", root, "-catalog", "glue", "-namespace", namespace, "-cut-interval", "200ms")

	refused := func(n *node, table, want string) {
		t.Helper()
		status, text := n.do("POST", "/tables/"+table, "x")
		var out struct {
			Error struct{ Code, Message, Hint string }
		}
		if err := json.Unmarshal([]byte(text), &out); err != nil || status != 409 || out.Error.Code != "table_rejected" ||
			!strings.Contains(out.Error.Message, want) || out.Error.Hint == "" {
			t.Errorf("%s: %d %s, want %q", table, status, text, want)
		}
	}
	refused(n, "orders", "firn.protocol")    // other columns, and nothing of ours
	refused(n, "lookalike", "firn.protocol") // our columns by chance: its rows have no watermarks
	refused(n, "old", "format version is 1")
	refused(n, "bucketed", "partition")

	committed := func(table string) {
		t.Helper()
		n.post(table, 10)
		n.ok("POST", "/tables/"+table+"/commit", "", nil)
	}
	reasons := map[string]string{"dropped": "table-missing", "replaced": "table-replaced", "narrowed": "table-unfit", "upgraded": "table-unfit"}
	for table := range reasons {
		committed(table)
	}
	committed("healthy")
	foreign("drop:dropped", "replace:replaced", "drop_column:narrowed")
	upgradeToV3(t, aws, environ, root, namespace, "upgraded")
	for table, reason := range reasons {
		n.post(table, 5) // acked: nobody has noticed yet
		var st struct {
			Backlog int `json:"backlog_events"`
			Logs    []struct {
				Stopped struct {
					Reason, Message string
					Choices         []string
				}
			}
		}
		n.within(30*time.Second, table+" stops", func() bool {
			n.ok("GET", "/tables/"+table+"/watermark", "", &st)
			return len(st.Logs) > 0 && st.Logs[0].Stopped.Reason != ""
		})
		if stop := st.Logs[0].Stopped; stop.Reason != reason || len(stop.Choices) < 2 || st.Backlog != 5 {
			t.Errorf("%s: %+v, want %s and 5 events kept", table, st, reason)
		}
		n.within(5*time.Second, "its senders are told", func() bool {
			status, text := n.do("POST", "/tables/"+table, "x")
			return status == 503 && strings.Contains(text, "table_stopped")
		})
		if lines := n.logs.at(slog.LevelWarn, `"table":"`+table+`"`); len(lines) != 1 {
			t.Errorf("%s alarms %d times:\n%s", table, len(lines), strings.Join(lines, "\n"))
		}
		committed("healthy")
	}
	if status, text := n.do("GET", "/health/ready", ""); status != 200 || !strings.Contains(text, `"degraded"`) {
		t.Errorf("ready: %d %s", status, text)
	}
	other := start(t, t.TempDir(), environ, "-warehouse", root, "-catalog", "glue", "-namespace", namespace)
	refused(other, "upgraded", "format version is 3")
}

// upgradeToV3 does what Spark's upgrade of a table does, which PyIceberg can't: the next metadata has another format
// version, and the catalog's entry names it.
func upgradeToV3(t *testing.T, aws *peer.AWSServer, environ []string, root, namespace, table string) {
	t.Helper()
	w := lakeOf(t, environ, root)
	var entry struct {
		Table map[string]any
	}
	if err := aws.Call("glue", "AWSGlue.GetTable", map[string]any{"DatabaseName": namespace, "Name": table}, &entry); err != nil {
		t.Fatal(err)
	}
	parameters := entry.Table["Parameters"].(map[string]any)
	key, ok := objstore.Key(w.Store, parameters["metadata_location"].(string))
	if !ok {
		t.Fatalf("%v lies elsewhere", parameters)
	}
	body, _, err := w.Store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(string(body), `"format-version":2`, `"next-row-id":0,"format-version":3`, 1)
	if next == string(body) {
		t.Fatalf("metadata %s", body)
	}
	key = strings.Replace(key, ".metadata.json", "-v3.metadata.json", 1)
	if _, err := w.Store.Put(t.Context(), key, []byte(next), objstore.Condition{Absent: true}); err != nil {
		t.Fatal(err)
	}
	parameters["metadata_location"] = objstore.Location(w.Store, key)
	input := map[string]any{}
	for _, name := range []string{"Name", "TableType", "Parameters", "StorageDescriptor"} {
		input[name] = entry.Table[name]
	}
	if err := aws.Call("glue", "AWSGlue.UpdateTable", map[string]any{"DatabaseName": namespace, "TableInput": input}, nil); err != nil {
		t.Fatal(err)
	}
}
