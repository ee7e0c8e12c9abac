package track

import (
	"log/slog"
	"strings"
	"testing"

	"firn/commitlib/warehouse"
)

// Open opens the warehouse that an environment names, in the form of os.Environ; of a name that comes twice the last counts.
// Each call makes connections of its own, and what it opens knows nothing yet.
func Open(t testing.TB, env ...string) *warehouse.Warehouse {
	t.Helper()
	values := make(map[string]string, len(env))
	for _, kv := range env {
		key, value, _ := strings.Cut(kv, "=")
		values[key] = value
	}
	settings, err := warehouse.FromEnv(func(key string) string { return values[key] })
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
