package ship

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
)

// send puts the segment's request into the queue, under a new id: step 3. body is the recorded request where the
// caller has it; else it is read from the log.
func (s *Shipper) send(ctx context.Context, t *track, seg *segment, body []byte) error {
	if body == nil {
		var err error
		if body, err = s.recorded(t, seg); err != nil {
			return err
		}
	}
	if time.Since(seg.StagedAt) > s.cfg.VerifyAfter || seg.StagedAt.Before(t.doubted) {
		var err error
		if body, err = s.verify(ctx, t, seg, body); err != nil || body == nil {
			return err
		}
	}
	first := t.inFlight() == 0
	again := !seg.sentAt.IsZero()
	err := func() error {
		defer s.phase("request")()
		ctx, cancel := s.call(ctx)
		defer cancel()
		return s.Queue.Send(ctx, []commitq.Message{{ID: uuid.NewString(), Group: t.group, Body: body}})
	}()
	if err != nil {
		return outside(fmt.Errorf("send commit request: %w", err))
	}
	now := time.Now()
	seg.sent, seg.epoch, seg.sentAt = true, t.epoch, now
	s.count.requests.Add(1)
	if again {
		s.count.resends.Add(1)
	}
	if first {
		t.resendAt = now.Add(s.cfg.ResendAfter)
		s.mu.Lock()
		t.pollWait, t.pollAt = 0, now.Add(s.pace.wait())
		s.mu.Unlock()
	}
	return nil
}

// resend sends the first request in flight again after a time-out, and it alone: if the others were lost too, it is the
// one whose commit shows it; if nobody listens, one message in a while is enough.
func (s *Shipper) resend(ctx context.Context, t *track) error {
	t.epoch++
	t.stalled++
	t.resendAt = time.Now().Add(s.backoff(t.stalled+1, s.cfg.ResendAfter, s.cfg.ResendMax))
	for i := range t.segs {
		if t.segs[i].sent {
			return s.send(ctx, t, &t.segs[i], nil)
		}
	}
	return nil
}

// recorded reads a staged segment's request from the log.
func (s *Shipper) recorded(t *track, seg *segment) ([]byte, error) {
	c, ok, err := s.Log.CutAt(t.id, seg.First)
	if err != nil {
		return nil, err
	}
	if ok && c.Last == seg.Last && len(c.Request) > 0 {
		return c.Request, nil
	}
	return nil, fmt.Errorf("log lost the recorded request of events %d to %d: restart the daemon, which stages them again", seg.First, seg.Last)
}

// verify looks whether all files of a segment staged long ago, or before a stop, are still there, and states a new staging time then,
// durably. Where one is missing, or so old that somebody may be about to remove it, the segment is to be staged again
// under new names; nil is returned, and the segment is unsent.
func (s *Shipper) verify(ctx context.Context, t *track, seg *segment, body []byte) ([]byte, error) {
	req, err := commitlib.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("recorded request: %w", err)
	}
	at := time.Now().Truncate(time.Millisecond)
	gone, err := s.anyGone(ctx, req)
	if err != nil {
		return nil, err
	}
	if gone {
		s.cfg.Logger.Warn("staged files are gone or too old; the segment is staged again", "table", t.table.Name, "log", t.log, "first", seg.First, "last", seg.Last)
		return nil, s.nextAttempt(t, seg)
	}
	req.StagedAt = at
	if body, err = commitlib.Encode(req); err != nil {
		return nil, err
	}
	seg.StagedAt = at
	s.count.verified.Add(1)
	return body, s.record(t, seg, body)
}

// outlived reports whether a staged object is too old to be named by a request: others remove what no snapshot names
// after three days (Spark and S3 Tables by default). A request that names it is applied within
// commitlib.MaxStagedAge, so it is two days old at most then.
func outlived(info objstore.Info) bool { return time.Since(info.Modified) > commitlib.MaxStagedAge }

// anyGone reports whether a file of the request is not there, has another size, or has outlived its time.
func (s *Shipper) anyGone(ctx context.Context, req *commitlib.Request) (is bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	gone := errors.New("missing")
	var heads sync.WaitGroup
	slots := make(chan struct{}, s.cfg.Uploads)
	for i := range req.Files {
		f := &req.Files[i]
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		heads.Go(func() {
			defer func() { <-slots }()
			key, ok := objstore.Key(s.Store, f.Path)
			if !ok {
				cancel(gone)
				return
			}
			ctx, stop := s.call(ctx)
			defer stop()
			info, err := s.Store.Head(ctx, key)
			switch {
			case errors.Is(err, objstore.ErrNotExist) || err == nil && (info.Size != f.FileSizeInBytes || outlived(info)):
				cancel(gone)
			case err != nil:
				cancel(outside(fmt.Errorf("verify data file: %w", err)))
			}
		})
	}
	heads.Wait()
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return false, nil
	case errors.Is(cause, gone):
		return true, nil
	default:
		return false, cause
	}
}
