package s3store

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkPut and BenchmarkGet are what a request costs on this side and on loopback: signature, checksums, the SDK's
// layers. The server's share is small: it reads and forgets.
func BenchmarkPut(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		ok.write(w)
	}))
	defer server.Close()
	s := newTestStore(b, testConfig(server.URL))
	for _, size := range []int{1 << 10, 64 << 10, 4 << 20} {
		body := pattern(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Put(b.Context(), "default/clicks/metadata/v1.metadata.json", body, ifAbsent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 4 << 20} {
		whole := ok
		whole.text = string(pattern(size))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { whole.write(w) }))
		s := newTestStore(b, testConfig(server.URL))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Get(b.Context(), "default/clicks/metadata/v1.metadata.json"); err != nil {
					b.Fatal(err)
				}
			}
		})
		server.Close()
	}
}
