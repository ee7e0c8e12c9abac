package aws

import (
	"time"

	"firn/perf/e2e"
)

// settle ends the load and the killing, drains every node, and reads the tables, with DuckDB and PyIceberg unless
// engines are named: the ledger's events are there as they should be, and no late copy of a message changes that.
func (p *pipeline) settle(ledger *e2e.Ledger, nodes []*node, tables []string, engines ...string) {
	t := p.t
	t.Helper()
	p.delivery.spare()
	for _, f := range p.foreign {
		f.end()
	}
	for _, n := range nodes {
		n.rest()
	}
	for _, n := range nodes {
		t.Logf("%s: %d events were sent again under their keys", n.name, n.producers.Resend(t, n.daemon.Client()))
		n.daemon.Stop()
	}
	began := time.Now()
	drain(t, nodes)
	p.delivery.quiet()
	t.Logf("drained in %v; delivery: %+v", time.Since(began).Round(time.Second), p.delivery.counts())
	if len(engines) == 0 {
		engines = []string{p.catalog.duckdb, "pyiceberg"}
	}
	for _, engine := range engines {
		ledger.VerifyRows(t, engine, func(table string, fn func(e2e.Row)) {
			if f := p.foreign[table]; f != nil {
				sifted, check := f.sift(fn)
				defer check(engine)
				fn = sifted
			}
			p.catalog.reader.Read(t, engine, table, fn)
		}, tables...)
	}
	if t.Failed() {
		return
	}
	for operation, c := range p.toS3.Counts() {
		if operation == "DeleteObject" || operation == "DeleteObjects" {
			t.Errorf("%d × %s: whatever the outcome, a committer deletes nothing that it wrote", c.Requests, operation)
		}
	}
}
