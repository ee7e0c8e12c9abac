package growth

import (
	"encoding/json"
	"log/slog"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
	"firn/commitlib/warehouse"
	"firn/perf/peer"
	"firn/perf/track"
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
	return onStore(track.Open(t, append(server.Env(), "FIRN_WAREHOUSE="+server.Root()+"/warehouse")...).Store)
}

// openREST keeps the table in a REST catalog, whose every answer holds the table's whole metadata.
func openREST(t *testing.T) *place {
	server := peer.REST(t)
	env := append(server.S3.Env(), "FIRN_WAREHOUSE="+server.Warehouse, "FIRN_CATALOG="+warehouse.REST, "FIRN_CATALOG_URI="+server.URI)
	s := &metered{Store: track.Open(t, env...).Store}
	return &place{
		store:   s,
		catalog: func() catalog.Catalog { return track.Open(t, env...).Catalog },
		register: func(t *testing.T, id catalog.Ident, metadataLocation string) {
			server.Register(t, id.Namespace, id.Name, metadataLocation)
		},
		warmRequests: "2 PUT", coldRequests: "2 PUT, 1 GET",
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
