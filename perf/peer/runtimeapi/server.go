// Package runtimeapi is AWS's side of a Lambda function: the Runtime API, by which one process of the function asks for
// its invocations and answers them. The function is the real program; a test decides what it is invoked with, and may
// kill it at any moment.
//
// Invariants: one server serves one process, as one execution environment does, and one invocation at a time. Whoever
// waits for an answer learns of the process's end at once.
//
// For tests alone.
package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// base is where the Runtime API's paths begin.
const base = "/2018-06-01/runtime/"

// ErrDied is what an invocation ends with whose process went away.
var ErrDied = errors.New("the function's process ended")

// Answer is what the function made of an invocation.
type Answer struct {
	Body   []byte
	Failed bool      // it was posted as an error
	At     time.Time // when the answer was there
}

// server is the Runtime API of one process.
type server struct {
	addr string // host:port, as AWS_LAMBDA_RUNTIME_API wants it
	http *http.Server
	next chan invocation

	mu      sync.Mutex // waiting, calls
	waiting map[string]chan Answer
	calls   int

	// asked closes when the process first asks for an invocation: its start is over then.
	asked     chan struct{}
	askedOnce sync.Once
	// refused has the text of a start that the function itself gave up.
	refused chan string
}

type invocation struct {
	id       string
	body     []byte
	deadline time.Time
}

func newServer() (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve the Runtime API: %w", err)
	}
	s := &server{
		addr: l.Addr().String(), next: make(chan invocation), waiting: make(map[string]chan Answer),
		asked: make(chan struct{}), refused: make(chan string, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", s.handOut)
	mux.HandleFunc("POST "+base+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { s.take(w, r, false) })
	mux.HandleFunc("POST "+base+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { s.take(w, r, true) })
	mux.HandleFunc("POST "+base+"init/error", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		select {
		case s.refused <- string(text):
		default:
		}
		w.WriteHeader(http.StatusAccepted)
	})
	s.http = &http.Server{Handler: mux}
	go s.http.Serve(l) // ends with close
	return s, nil
}

func (s *server) close() { s.http.Close() }

// handOut answers the process that asks for its next invocation, as late as there is one.
func (s *server) handOut(w http.ResponseWriter, r *http.Request) {
	s.askedOnce.Do(func() { close(s.asked) })
	select {
	case inv := <-s.next:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:111122223333:function:flushlambda")
		w.Write(inv.body) // an error says that the process is gone
	case <-r.Context().Done():
	}
}

// take takes an answer. One to an invocation that nobody waits for any more is refused, as AWS does.
func (s *server) take(w http.ResponseWriter, r *http.Request, failed bool) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	ch := s.waiting[r.PathValue("id")]
	delete(s.waiting, r.PathValue("id"))
	s.mu.Unlock()
	if ch == nil {
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	ch <- Answer{body, failed, at} // it has room for one
}

// invoke hands out one invocation and waits for its answer, until the process has ended or the deadline has passed.
func (s *server) invoke(ctx context.Context, body []byte, timeout time.Duration, ended <-chan struct{}) (Answer, error) {
	ch := make(chan Answer, 1)
	s.mu.Lock()
	s.calls++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", s.calls)
	s.waiting[id] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// The deadline that the function is told counts from when it asks; nobody waits long for that.
	select {
	case s.next <- invocation{id, body, time.Now().Add(timeout)}:
	case <-ended:
		return Answer{}, ErrDied
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("the function does not ask for its next invocation: %w", ctx.Err())
	}
	select {
	case a := <-ch:
		return a, nil
	case <-ended:
		select { // it may have answered and ended then
		case a := <-ch:
			return a, nil
		default:
			return Answer{}, ErrDied
		}
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("the function does not answer: %w", ctx.Err())
	}
}
