package httpapi

import (
	"net/http"

	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// logReply is how one log's events for a table stand.
type logReply struct {
	Log        string     `json:"log"`
	TableUUID  string     `json:"table_uuid"` // which the events are for: a table made anew has another
	Open       bool       `json:"open"`       // takes new events; else it is of an earlier run, and drains
	Low        uint64     `json:"low"`        // first event still in the log; high+1 when there is none
	Committed  uint64     `json:"committed"`  // last event in the table
	High       uint64     `json:"high"`       // last event acked
	Backlog    uint64     `json:"backlog_events"`
	LagSeconds float64    `json:"lag_seconds"` // age of the oldest event that is not committed
	Stopped    *stopReply `json:"stopped,omitempty"`
	LastError  string     `json:"last_error,omitempty"`
}

type stopReply struct {
	Reason  string   `json:"reason"`
	Message string   `json:"message"`
	Choices []string `json:"choices"`
	Since   string   `json:"since"`
}

type watermarkReply struct {
	Table      string     `json:"table"`
	Backlog    uint64     `json:"backlog_events"`
	LagSeconds float64    `json:"lag_seconds"`
	Logs       []logReply `json:"logs"`
}

func (a *API) getWatermark(w http.ResponseWriter, r *http.Request) error {
	if err := plain(r); err != nil {
		return err
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, a.watermark(t))
}

// watermark gathers how a table stands, over all logs of the directory.
func (a *API) watermark(t *registry.Table) watermarkReply {
	st := a.Shipper.Status(t.Name)
	low := map[[32]byte]eventlog.Seq{}
	for _, info := range a.Log.Tracks() {
		if info.Table.Name == t.Name {
			low[trackKey(info.Log, info.Table.UUID)] = info.Low
		}
	}
	out := watermarkReply{Table: t.Name, Backlog: st.Backlog, LagSeconds: st.Lag.Seconds(), Logs: []logReply{}}
	for _, ts := range st.Tracks {
		l := logReply{
			Log: ts.Log.String(), TableUUID: ts.TableUUID.String(), Open: !ts.Older, Low: uint64(low[trackKey(ts.Log, ts.TableUUID)]),
			Committed: uint64(ts.Committed), High: uint64(ts.High), Backlog: ts.Backlog, LagSeconds: ts.Lag.Seconds(), LastError: ts.LastError,
		}
		if s := ts.Stop; s != nil {
			l.Stopped = &stopReply{Reason: string(s.Reason), Message: s.Error(), Choices: s.Choices, Since: s.Since.UTC().Format(timeFormat)}
		}
		out.Logs = append(out.Logs, l)
	}
	return out
}

const timeFormat = "2006-01-02T15:04:05.000Z"

func trackKey(log, table [16]byte) (k [32]byte) {
	copy(k[:16], log[:])
	copy(k[16:], table[:])
	return k
}
