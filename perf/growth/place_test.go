package growth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
	"firn/commitlib/warehouse"
	"firn/perf/peer"
)

// place is where a table lies, with what a commit may ask of the store there.
type place struct {
	store    *metered
	catalog  func() catalog.Catalog                                        // a new client each time, which remembers nothing
	register func(t *testing.T, id catalog.Ident, metadataLocation string) // tells the catalog of the table; nil where the store is enough

	warmRequests, coldRequests string
	writesMetadata             bool // commits write the table metadata themselves
}

func onStore(store objstore.Store) *place {
	s := &metered{Store: store}
	return &place{
		store: s,
		catalog: func() catalog.Catalog {
			return objectstore.New(s, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
		},
		warmRequests: "4 PUT", coldRequests: "4 PUT, 5 GET", writesMetadata: true,
	}
}

func openMemory(*testing.T) *place { return onStore(objstore.NewMem("mem://warehouse")) }

func openDirectory(t *testing.T) *place {
	store, err := objstore.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return onStore(store)
}

func openS3(t *testing.T) *place {
	server := peer.S3(t)
	return onStore(openWarehouse(t, server, map[string]string{"FIRN_WAREHOUSE": server.Root() + "/warehouse"}).Store)
}

// openREST keeps the table in a REST catalog, whose every answer holds the table's whole metadata.
func openREST(t *testing.T) *place {
	server := peer.REST(t)
	settings := map[string]string{"FIRN_WAREHOUSE": server.Warehouse, "FIRN_CATALOG": warehouse.REST, "FIRN_CATALOG_URI": server.URI}
	s := &metered{Store: openWarehouse(t, server.S3, settings).Store}
	return &place{
		store:   s,
		catalog: func() catalog.Catalog { return openWarehouse(t, server.S3, settings).Catalog },
		register: func(t *testing.T, id catalog.Ident, metadataLocation string) {
			post(t, server.URI+"/v1/namespaces", map[string]any{"namespace": []string{id.Namespace}})
			post(t, server.URI+"/v1/namespaces/"+id.Namespace+"/register", map[string]any{"name": id.Name, "metadata-location": metadataLocation})
		},
		warmRequests: "2 PUT", coldRequests: "2 PUT, 1 GET",
	}
}

func openWarehouse(t *testing.T, server *peer.S3Server, env map[string]string) *warehouse.Warehouse {
	t.Helper()
	env = maps.Clone(env)
	for _, kv := range server.Env() {
		key, value, _ := strings.Cut(kv, "=")
		env[key] = value
	}
	settings, err := warehouse.FromEnv(func(key string) string { return env[key] })
	if err != nil {
		t.Fatal(err)
	}
	settings.Logger = slog.New(slog.DiscardHandler)
	w, err := warehouse.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// post asks a REST catalog by other means than the client under test.
func post(t *testing.T, url string, body any) {
	t.Helper()
	resp, err := http.Post(url, "application/json", bytes.NewReader(encode(t, body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("POST %s: %s: %.300s", url, resp.Status, text))
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
