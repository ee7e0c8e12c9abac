package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// While a mutex or a block profile is taken, one in mutexEvery contended locks is sampled, and waits in proportion to
// their length, each of blockEvery nanoseconds at least once on average. At other times neither is: sampling every wait
// of a busy daemon would cost percents for nobody.
const (
	mutexEvery = 10
	blockEvery = 10_000
)

// profileFor is how long the mutex and block profiles are taken for when the request does not say (seconds=…).
const profileFor = "10"

// serveAdmin serves profiles on -admin, an address of its own: whoever may send events need not be one who may look into
// the process. The function that it returns ends it.
func (d *daemon) serveAdmin() (stop func() error, err error) {
	if d.cfg.Admin == "" {
		return func() error { return nil }, nil
	}
	listener, err := listen("admin", d.cfg.Admin, "127.0.0.1:8082")
	if err != nil {
		return nil, err
	}
	addr := listener.Addr().String()
	if err := writeAddr(filepath.Join(d.cfg.Data, "admin.addr"), addr); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: adminHandler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(d.logger.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	d.logger.Info("profiles are served", "admin", addr)
	return func() error {
		err := server.Close() // a profile under way is cut off: the daemon's end does not wait for it
		if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
			err = errors.Join(err, serr)
		}
		return err
	}, nil
}

// listen opens the address of a flag; example is a free one to suggest.
func listen(flag, addr, example string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("-%s: %w: another process serves there; stop it, or give another port, such as -%s %s", flag, err, flag, example)
	}
	if err != nil {
		return nil, fmt.Errorf("-%s: %w", flag, err)
	}
	return listener, nil
}

// adminHandler is net/http/pprof's, with mutex and block profiles that sample only while they are taken.
func adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/mutex", sampling(pprof.Handler("mutex"), func(on bool) {
		runtime.SetMutexProfileFraction(rate(on, mutexEvery))
	}))
	mux.HandleFunc("GET /debug/pprof/block", sampling(pprof.Handler("block"), func(on bool) {
		runtime.SetBlockProfileRate(rate(on, blockEvery))
	}))
	return mux
}

func rate(on bool, n int) int {
	if on {
		return n
	}
	return 0
}

// sampling wraps the handler of a profile that must be switched on. Requests for it wait for one another.
func sampling(h http.Handler, set func(on bool)) http.HandlerFunc {
	var mu sync.Mutex // held while the profile is switched on
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		set(true)
		defer set(false)
		if q := r.URL.Query(); !q.Has("seconds") {
			q.Set("seconds", profileFor)
			r = r.Clone(r.Context())
			r.URL.RawQuery = q.Encode()
		}
		h.ServeHTTP(w, r)
	}
}
