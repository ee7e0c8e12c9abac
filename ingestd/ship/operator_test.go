package ship

import (
	"bytes"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/ingestd/kv"
)

// The table forgets a log, no snapshot tells, and another log's commits go on: no earlier value of the property is right
// any more. What the stop tells its operator to write brings the log back, and costs the other one nothing.
func TestWatermarkBackSaysWhatToWrite(t *testing.T) {
	bubble(t, func(w *world) {
		n, other := committedOnce(w), w.start(kv.NewMem())
		defer n.close()
		defer other.close()
		id, log := n.reg.Ident("clicks"), n.shipper.Status("clicks").Tracks[0].Log
		edit := func(find *regexp.Regexp, replace string) {
			ct, err := w.cat.Load(w.Context(), id)
			if err != nil {
				w.Fatal(err)
			}
			was := ct.Metadata.Properties[commitlib.PropWatermarks]
			value := find.ReplaceAllString(was, replace)
			if value == was {
				w.Fatalf("the property stays at %s", was)
			}
			if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropWatermarks: value}); err != nil {
				w.Fatal(err)
			}
		}
		edit(regexp.MustCompile(`"`+log.String()+`":\[6,\d+\]`), "")
		if _, err := w.foreign().Append(w.Context(), id); err != nil {
			w.Fatal(err)
		}
		if _, err := w.foreign().ExpireSnapshots(w.Context(), id, 1); err != nil {
			w.Fatal(err)
		}
		other.mustAppend("clicks", some(4)...)
		other.within(time.Minute, "the other log goes on", other.drained)
		n.mustAppend("clicks", some(3)...)
		stop := n.waitStopped("clicks", WatermarkBack)
		member := regexp.MustCompile(`"` + log.String() + `":\[\d+,0\]`).FindString(stop.Error())
		if member == "" {
			w.Fatalf("no choice says what to write: %v", stop)
		}
		edit(regexp.MustCompile(`"logs":{`), `"logs":{`+member+`,`)
		if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
			w.Error(err)
		}
		n.within(time.Minute, "drained", n.drained)
		other.mustAppend("clicks", some(2)...)
		other.within(time.Minute, "drained", other.drained)
		if n.stopOf("clicks") != nil || other.stopOf("clicks") != nil {
			w.Error("still stopped")
		}
		w.check("clicks")
	})
}

// A table that is stopped is hurt a second time: the operator's log says what is to be done about it now.
func TestASecondDamageIsLogged(t *testing.T) {
	bubble(t, func(w *world) {
		var lines bytes.Buffer // slog's handler locks it, and it is read when the daemon has ended
		w.cfg.Logger = slog.New(slog.NewTextHandler(&lines, nil))
		n := committedOnce(w)
		id := n.reg.Ident("clicks")
		if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropWatermarks: `{"logs":{}}`}); err != nil {
			w.Fatal(err)
		}
		n.mustAppend("clicks", some(3)...)
		first := n.waitStopped("clicks", WatermarkBack)
		time.Sleep(3 * w.cfg.RecheckStopped)
		if _, err := w.foreign().Append(w.Context(), id); err != nil {
			w.Fatal(err)
		}
		if _, err := w.foreign().ExpireSnapshots(w.Context(), id, 1); err != nil {
			w.Fatal(err)
		}
		time.Sleep(3 * w.cfg.RecheckStopped)
		second := n.stopOf("clicks")
		n.close()
		if second == nil || slices.Equal(first.Choices, second.Choices) || second.Since != first.Since {
			w.Errorf("first %+v, then %+v", first, second)
		}
		if got := strings.Count(lines.String(), "shipping of a table stopped"); got != 2 || !strings.Contains(lines.String(), ":[6,0]") {
			w.Errorf("%d lines about the stop:\n%s", got, &lines)
		}
	})
}

// The shipper saw the cause itself before it saw the committer's note of it: one word of the operator is enough.
func TestResumeTakesTheNoteAway(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		id := n.reg.Ident("clicks")
		n.queue.during(func(int) ([]time.Duration, error) { return []time.Duration{20 * time.Second}, nil })
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "sent", func() bool { return n.shipper.Status("clicks").Tracks[0].InFlight == 1 })
		if _, err := w.foreign().RemoveProperties(w.Context(), id, commitlib.PropProtocol); err != nil {
			w.Fatal(err)
		}
		n.waitStopped("clicks", TableUnfit)
		log := n.shipper.Status("clicks").Tracks[0].Log
		n.within(time.Minute, "the committer rejects", func() bool {
			r, err := commitlib.RejectedNote(w.Context(), w.store, "default/clicks", log)
			return err == nil && r != nil
		})
		if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropProtocol: "1"}); err != nil {
			w.Fatal(err)
		}
		n.queue.during(nil)
		if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
			w.Error(err)
		}
		n.within(time.Minute, "drained", n.drained)
		w.check("clicks")
	})
}

// A table that counts too much of a log because somebody raised the count, not because this directory is an older copy:
// once it was set right, resuming commits what waits, and gives up nothing.
func TestResumeAfterACountRaisedByHand(t *testing.T) {
	for _, older := range []bool{false, true} {
		bubble(t, func(w *world) {
			n := committedOnce(w)
			n.queue.during(lose)
			n.mustAppend("clicks", some(3)...)
			n.within(time.Minute, "sent", func() bool { return n.shipper.Status("clicks").Tracks[0].InFlight == 1 })
			id := n.reg.Ident("clicks")
			ct, err := w.cat.Load(w.Context(), id)
			if err != nil {
				w.Fatal(err)
			}
			was := ct.Metadata.Properties[commitlib.PropWatermarks]
			set := func(value string) {
				if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropWatermarks: value}); err != nil {
					w.Fatal(err)
				}
			}
			set(strings.Replace(was, "[6,", "[60,", 1))
			if older {
				n.close()
				n = w.start(n.kv)
				n.mustAppend("other", some(1)...) // mints this run's log
			}
			defer n.close()
			stop := n.waitStopped("clicks", WatermarkAhead)
			if !strings.Contains(stop.Error(), "raised by hand") {
				w.Errorf("no choice fits: %v", stop)
			}
			n.queue.during(nil)
			set(was)
			if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
				w.Error(err)
			}
			n.within(10*time.Minute, "drained", n.drained)
			w.check("clicks")
		})
	}
}

// While a table was stopped its staged files may have been removed, since the table said that it had them: what is sent
// again once it goes on, resumed or by itself, was looked for before.
func TestStagedFilesAreLookedForAfterAStop(t *testing.T) {
	for _, resumed := range []bool{true, false} {
		bubble(t, func(w *world) {
			n := committedOnce(w)
			defer n.close()
			n.queue.during(lose)
			n.mustAppend("clicks", some(3)...)
			n.within(time.Minute, "sent", func() bool { return n.shipper.Status("clicks").Tracks[0].InFlight == 1 })
			id, names := n.reg.Ident("clicks"), w.dataFiles("clicks")
			ct, err := w.cat.Load(w.Context(), id)
			if err != nil {
				w.Fatal(err)
			}
			was := ct.Metadata.Properties[commitlib.PropWatermarks]
			set := func(value string) {
				if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropWatermarks: value}); err != nil {
					w.Fatal(err)
				}
			}
			set(strings.Replace(was, "[6,", "[60,", 1))
			n.waitStopped("clicks", WatermarkAhead)
			if err := w.store.Delete(w.Context(), names[len(names)-1]); err != nil {
				w.Fatal(err)
			}
			n.queue.during(nil)
			set(was)
			if resumed {
				if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
					w.Error(err)
				}
			}
			n.within(20*time.Minute, "drained", n.drained)
			if st := n.shipper.Stats(); st.Renamed != 1 {
				w.Errorf("%+v", st)
			}
			w.check("clicks")
		})
	}
}
