package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"firn/perf/payload"
)

// Target is a running ingestd.
type Target struct {
	Addr      string // host:port, a loopback one
	PID       int    // 0: its peak memory is that of the samples
	Warehouse string // directory of the tables, namespace included; empty: what is queryable is not looked at
	Data      string // data directory; empty: its disk is not looked at
	Flags     []string
}

// Check refuses addresses that are not this machine's.
func (t *Target) Check() error {
	host, _, err := net.SplitHostPort(t.Addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", t.Addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address: perf puts load on this machine alone", host)
	}
	return nil
}

// describe asks the server what it is.
func (t *Target) describe() (Server, error) {
	resp, err := client.Get("http://" + t.Addr + "/version")
	if err != nil {
		return Server{}, fmt.Errorf("ask %s for its version: %w", t.Addr, err)
	}
	defer resp.Body.Close()
	var v struct{ Version, Revision, Go string }
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return Server{}, fmt.Errorf("ask %s for its version: %w", t.Addr, err)
	}
	return Server{Version: v.Version, Revision: v.Revision, Go: v.Go, Flags: t.Flags,
		Durability: "an ack follows a synced write-ahead-log write (group commit); there is no other mode"}, nil
}

// put makes the traffic's tables, or gives them settings; without settings they are made by their first events.
func (t *Target) put(tr *Traffic, settings string) error {
	if settings == "" {
		return nil
	}
	n := max(1, tr.Tables)
	var wg sync.WaitGroup
	errs := make([]error, min(n, 8))
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(errs) {
				errs[w] = t.putOne(payload.TableName(tr.Table, i, tr.Tables), settings)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (t *Target) putOne(table, settings string) error {
	req, err := http.NewRequest(http.MethodPut, "http://"+t.Addr+"/tables/"+table, bytes.NewReader([]byte(settings)))
	if err != nil {
		return fmt.Errorf("make table %s: %w", table, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("make table %s: %w", table, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("make table %s: %s: %s", table, resp.Status, text)
	}
	return nil
}

// queryable counts the events of a table as a reader would that opens its folder now: by the snapshot that the newest
// metadata names.
func (t *Target) queryable(table string) (int64, error) {
	dir := filepath.Join(t.Warehouse, table, "metadata")
	hint, err := os.ReadFile(filepath.Join(dir, "version-hint.text"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // not made yet
	}
	if err != nil {
		return 0, fmt.Errorf("look at table %s: %w", table, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "v"+strings.TrimSpace(string(hint))+".metadata.json"))
	if err != nil {
		return 0, fmt.Errorf("look at table %s: %w", table, err)
	}
	var meta struct {
		Current   *int64 `json:"current-snapshot-id"`
		Snapshots []struct {
			ID      int64             `json:"snapshot-id"`
			Summary map[string]string `json:"summary"`
		} `json:"snapshots"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return 0, fmt.Errorf("look at table %s: %w", table, err)
	}
	for _, s := range meta.Snapshots {
		if meta.Current != nil && s.ID == *meta.Current {
			n, err := strconv.ParseInt(s.Summary["total-records"], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("look at table %s: its snapshot says %w", table, err)
			}
			return n, nil
		}
	}
	return 0, nil
}
