package runtimeapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain makes this test's own program a function: it echoes, in capitals, and obeys a few words.
func TestMain(m *testing.M) {
	api := os.Getenv("AWS_LAMBDA_RUNTIME_API")
	if api == "" {
		os.Exit(m.Run())
	}
	url := "http://" + api + base
	if os.Getenv("REFUSE") != "" {
		http.Post(url+"init/error", "", strings.NewReader("no warehouse"))
		time.Sleep(time.Minute) // until it is killed
	}
	for {
		resp, err := http.Get(url + "invocation/next")
		if err != nil {
			os.Exit(3)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		kind := "response"
		switch string(body) {
		case "die":
			os.Exit(1)
		case "fail":
			kind = "error"
		case "sleep":
			time.Sleep(time.Minute)
		}
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		http.Post(url+"invocation/"+id+"/"+kind, "", bytes.NewReader(bytes.ToUpper(body)))
	}
}

func TestInvoke(t *testing.T) {
	ctx := context.Background()
	f := Start(t, os.Args[0])
	if err := f.Asked(ctx); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if a, err := f.Invoke(ctx, []byte("hello"), 10*time.Second); err != nil || string(a.Body) != "HELLO" || a.Failed || a.At.Before(f.Started) {
			t.Errorf("answered %+v, %v", a, err)
		}
	}
	if a, err := f.Invoke(ctx, []byte("fail"), 10*time.Second); err != nil || !a.Failed {
		t.Errorf("an error was answered as %+v, %v", a, err)
	}
	if _, err := f.Invoke(ctx, []byte("die"), 10*time.Second); !errors.Is(err, ErrDied) {
		t.Errorf("an invocation whose process died ended with %v", err)
	}
	if _, err := f.Invoke(ctx, []byte("hello"), 10*time.Second); !errors.Is(err, ErrDied) {
		t.Errorf("an invocation after its process died ended with %v", err)
	}
	if err := f.Wait(ctx); err == nil {
		t.Error("exit 1 is no error")
	}
}

func TestKillAmidInvocation(t *testing.T) {
	f := Start(t, os.Args[0])
	done := make(chan error)
	go func() {
		_, err := f.Invoke(context.Background(), []byte("sleep"), 30*time.Second)
		done <- err
	}()
	if err := f.Asked(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.Kill()
	if err := <-done; !errors.Is(err, ErrDied) {
		t.Errorf("the invocation ended with %v", err)
	}
}

func TestNoAnswerInTime(t *testing.T) {
	f := Start(t, os.Args[0])
	if _, err := f.Invoke(context.Background(), []byte("sleep"), 300*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the invocation ended with %v", err)
	}
}

func TestRefusedStart(t *testing.T) {
	f := Start(t, os.Args[0], "REFUSE=1")
	if err := f.Asked(context.Background()); err == nil || !strings.Contains(err.Error(), "no warehouse") {
		t.Errorf("a start that the function gave up is told as %v", err)
	}
}
