package httpapi

import (
	"net/http"

	"firn/ingestd/registry"
)

// maxSettingsBytes bounds the body of a PUT: ten times what all settings written out take.
const maxSettingsBytes = 16 << 10

// tableReply is a table as the interface shows it.
type tableReply struct {
	Table    string             `json:"table"`
	UUID     string             `json:"uuid"`
	Location string             `json:"location"`
	Ingest   string             `json:"ingest"`   // "open" or "stopped"
	Declared bool               `json:"declared"` // a PUT gave the settings; else they are the daemon's defaults
	Settings *registry.Settings `json:"settings,omitempty"`
}

func describe(t *registry.Table) tableReply {
	ingest := "open"
	if t.Stopped {
		ingest = "stopped"
	}
	return tableReply{Table: t.Name, UUID: t.UUID.String(), Location: t.Location, Ingest: ingest, Declared: t.Declared}
}

// table returns the known table that the path names.
func (a *API) table(r *http.Request) (*registry.Table, error) {
	name := r.PathValue("table")
	if t, ok := a.Registry.Get(name); ok {
		return t, nil
	}
	if err := registry.CheckName(name); err != nil {
		return nil, err
	}
	return nil, newFault("unknown_table", "post an event to it, or make it with PUT /tables/{table}; GET /tables lists what is there", "there is no table %s here", name)
}

// plain refuses query parameters on routes that have none.
func plain(r *http.Request) error {
	_, err := query(r)
	return err
}

func (a *API) getTables(w http.ResponseWriter, r *http.Request) error {
	if err := plain(r); err != nil {
		return err
	}
	out := struct {
		Tables []tableReply `json:"tables"`
	}{[]tableReply{}}
	for _, t := range a.Registry.List() {
		out.Tables = append(out.Tables, describe(t))
	}
	return reply(w, http.StatusOK, out)
}

func (a *API) getSettings(w http.ResponseWriter, r *http.Request) error {
	if err := plain(r); err != nil {
		return err
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	out := describe(t)
	out.Settings = &t.Settings
	return reply(w, http.StatusOK, out)
}

// putTable makes a table, or changes the settings that the body names; those left out stay as they are.
func (a *API) putTable(w http.ResponseWriter, r *http.Request) error {
	if err := a.open(); err != nil {
		return err
	}
	if err := plain(r); err != nil {
		return err
	}
	name := r.PathValue("table")
	if err := registry.CheckName(name); err != nil {
		return err
	}
	if m, err := mediaOf(r); err != nil {
		return err
	} else if m != mediaJSON && m != mediaNone {
		return unsupportedType(r.Header.Get("Content-Type"))
	}
	var body buffer
	defer body.release()
	if err := a.readBody(&body, w, r, maxSettingsBytes); err != nil {
		return err
	}
	change, err := settingsChange(body.b)
	if err != nil {
		return err
	}
	t, created, err := a.Registry.Put(r.Context(), name, change)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	out := describe(t)
	out.Settings = &t.Settings
	return reply(w, status, out)
}

// deleteTable stops ingest; what was acked is still committed, and the table stays.
func (a *API) deleteTable(w http.ResponseWriter, r *http.Request) error {
	if err := plain(r); err != nil {
		return err
	}
	if _, err := a.table(r); err != nil {
		return err
	}
	name := r.PathValue("table")
	if err := a.Registry.Delete(r.Context(), name); err != nil {
		return err
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, describe(t))
}

// postResume is the operator's word that the cause of a stop was put right.
func (a *API) postResume(w http.ResponseWriter, r *http.Request) error {
	if err := plain(r); err != nil {
		return err
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	if err := a.Shipper.Resume(r.Context(), t.Name); err != nil {
		return err
	}
	a.stops.next.Store(0)
	return reply(w, http.StatusOK, a.watermark(t))
}

// postDiscard gives up a stopped log's uncommitted events, whose exact number the operator names.
func (a *API) postDiscard(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "log", "events")
	if err != nil {
		return err
	}
	t, err := a.table(r)
	if err != nil {
		return err
	}
	if !q.Has("log") || !q.Has("events") {
		return newFault("invalid_parameter", "GET /tables/{table}/watermark shows both", "log and events must be named, so that nothing else is given up")
	}
	log, err := logParam(q.Get("log"))
	if err != nil {
		return err
	}
	events, err := number(q, "events", 1, 1<<62, 0)
	if err != nil {
		return err
	}
	if err := a.Shipper.Discard(t.Name, log, uint64(events)); err != nil {
		return err
	}
	return reply(w, http.StatusOK, a.watermark(t))
}
