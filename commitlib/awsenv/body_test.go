package awsenv

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An answer that comes faster than net/http is done with the request is read all the same.
func TestFastAnswersAreRead(t *testing.T) {
	answer := strings.Repeat("x", 8<<10) // more than is read along with the header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		io.WriteString(w, answer)
	}))
	defer srv.Close()
	client := newClient()
	defer client.CloseIdleConnections()
	handler := smithyhttp.NewClientHandlerWithOptions(client)
	for range 3000 {
		req := smithyhttp.NewStackRequest().(*smithyhttp.Request)
		u, err := http.NewRequest(http.MethodPost, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Request = u
		if req, err = req.SetStream(strings.NewReader(strings.Repeat("y", 700))); err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 700
		out, _, err := handler.Handle(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		resp := out.(*smithyhttp.Response)
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != answer {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		resp.Body.Close()
	}
}
