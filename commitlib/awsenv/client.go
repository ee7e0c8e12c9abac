package awsenv

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// The bounds of the shared http client. Each is a wait after which the other side is taken for gone; how long a whole
// call may take is its context's to say.
const (
	// dialTimeout bounds a TCP connect, name look-up included. A region's own endpoints answer in milliseconds; three
	// lost SYNs (1 s + 2 s) still get through.
	dialTimeout = 5 * time.Second

	// tlsTimeout bounds a handshake: two round trips and a signature.
	tlsTimeout = 5 * time.Second

	// headerTimeout bounds the wait for an answer's first line once the request is sent. SQS holds a long poll for up
	// to 20 s, and S3 a completion of a large multipart upload for longer than a plain write.
	headerTimeout = 60 * time.Second

	// continueTimeout bounds the wait for "100 Continue", asked for before large bodies so that a refusal costs none.
	// A store that does not know it, or is farther than that away, gets the body then.
	continueTimeout = 250 * time.Millisecond

	// idleTimeout is how long an unused connection is kept. It is short since a connection that the service closed
	// first is noticed only by the next request on it, and a conditional write that dies so has an unknown outcome.
	// Steady use keeps connections alive; a cold one costs a handshake, some 5 ms inside a region.
	idleTimeout = 20 * time.Second

	// idlePerHost is how many unused connections to one host are kept: as many as uploads, readers and pollers of one
	// process use at once. The default of 2 makes the others shake hands for every request.
	idlePerHost = 64

	// idleConnections is the same over all hosts: S3 has a host name for each bucket.
	idleConnections = 256

	// keepAlive is the interval of TCP's own probes, so that a silent peer is noticed and NAT gateways (which forget
	// after 350 s) keep the connection.
	keepAlive = 15 * time.Second

	// socketBuffer is net/http's buffer on each side of a connection: the default of 4 KiB costs 4 times as many
	// system calls for bodies of megabytes.
	socketBuffer = 32 << 10

	// maxHeaderBytes bounds an answer's header, which is read into memory.
	maxHeaderBytes = 256 << 10
)

// Client is the one http client of this process for AWS's services and those compatible with them. It follows no
// redirects: a signature holds for one host, and a redirect means that the bucket is in another region.
var Client = sync.OnceValue(func() *http.Client { return newClient() })

func newClient() *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &http.Client{
		Transport: plainBodies{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    tlsTimeout,
			ResponseHeaderTimeout:  headerTimeout,
			ExpectContinueTimeout:  continueTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxIdleConns:           idleConnections,
			MaxIdleConnsPerHost:    idlePerHost,
			WriteBufferSize:        socketBuffer,
			ReadBufferSize:         socketBuffer,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true, // bodies are checked against sums of what is stored
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
