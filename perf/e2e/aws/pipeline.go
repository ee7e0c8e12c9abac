package aws

import (
	"testing"

	"firn/perf/e2e"
	"firn/perf/peer"
)

// pipeline is what stands behind the daemons: the servers, each with a proxy before it, and the functions.
type pipeline struct {
	t     testing.TB
	s3    *peer.S3Server // itself; the daemons and the functions go through toS3
	toS3  *peer.FaultProxy
	sqs   *peer.AWSServer
	toSQS *peer.FaultProxy // of the daemons alone
	queue string
	dead  string

	catalog  catalogKind
	delivery *delivery
	foreign  map[string]*foreign // other clients' work, by table
}

// newPipeline starts what a catalog of the kind needs. Messages wait in the queue until deliver is called.
func newPipeline(t testing.TB, kind func(testing.TB, *pipeline) catalogKind) *pipeline {
	t.Helper()
	p := &pipeline{t: t, s3: peer.S3(t), sqs: peer.AWS(t)}
	p.toS3, p.toSQS = peer.Proxy(t, p.s3.Endpoint), peer.Proxy(t, p.sqs.Endpoint)
	p.queue, p.dead = p.sqs.NewFIFO(t)
	p.catalog = kind(t, p)
	return p
}

// root is where the tables lie, unless the catalog puts them elsewhere.
func (p *pipeline) root() string { return p.s3.Root() + "/lake" }

// env is what daemons and functions have in common.
func (p *pipeline) env() []string {
	return append(p.s3.At(p.toS3).Env(), p.catalog.env...)
}

// daemonEnv is the environment of an ingestd of this pipeline.
func (p *pipeline) daemonEnv() []string {
	return append(p.env(), "AWS_ENDPOINT_URL_SQS="+p.toSQS.URL, "FIRN_QUEUE="+p.queue)
}

// functionEnv is the environment of a function of this pipeline.
func (p *pipeline) functionEnv() []string {
	return append(p.env(), "AWS_ENDPOINT_URL_SQS="+p.sqs.Endpoint, "FIRN_DEAD_LETTER_QUEUE="+p.dead)
}

// deliver starts the delivery from the queue to the functions.
func (p *pipeline) deliver(how manner) {
	p.t.Helper()
	d := newDelivery(p.t, how)
	d.sqs, d.queue, d.binary, d.env = p.sqs, p.queue, e2e.Bootstrap(p.t), p.functionEnv()
	p.delivery = d
	d.start()
}
