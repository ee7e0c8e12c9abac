package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// request is one prepared HTTP request whose events are made unique by patching them in place: a counter and 16 random
// hex digits each. Building bodies anew would make the generator the bottleneck on a shared machine, and repeating
// them would flatter the server: 64 repeated bodies compress 35-fold, unique events about 4-fold.
type request struct {
	wire    []byte // head and body
	counter []int  // where each event's 12 digits begin
	random  []int  // where each event's 16 hex digits begin
	next    uint64
	step    uint64
	rng     *rand.Rand
}

const (
	counterDigits = 12
	randomDigits  = 16
)

// newRequest prepares a bulk request of n events, numbered first, first+step, …;
// payloads have about size bytes, 60 at least.
func newRequest(host, table string, n, size int, first, step, seed uint64) *request {
	r := &request{next: first, step: step, rng: rand.New(rand.NewPCG(seed, first))}
	const payload = `{"id":000000000000,"session":"0000000000000000","event":"click"`
	pad := max(0, size-len(payload)-len(`,"p":""}`))
	var body bytes.Buffer
	body.WriteString(`{"records":[`)
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(`{"payload":`)
		at := body.Len()
		r.counter = append(r.counter, at+len(`{"id":`))
		r.random = append(r.random, at+len(`{"id":000000000000,"session":"`))
		body.WriteString(payload)
		if pad > 0 {
			body.WriteString(`,"p":"`)
			for range pad {
				body.WriteByte("etaoinshrdlu "[r.rng.IntN(13)])
			}
			body.WriteByte('"')
		}
		body.WriteString(`}}`)
	}
	body.WriteString(`]}`)
	head := "POST /tables/" + table + "/bulk HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(body.Len()) + "\r\n\r\n"
	r.wire = append([]byte(head), body.Bytes()...)
	for i := range n {
		r.counter[i] += len(head)
		r.random[i] += len(head)
	}
	return r
}

// fill makes every event one that was never sent, and returns the request's bytes, valid until the next call.
func (r *request) fill() []byte {
	var raw [randomDigits / 2]byte
	for i, at := range r.counter {
		n := r.next
		for d := counterDigits - 1; d >= 0; d-- {
			digit := byte('0' + n%10)
			n /= 10
			if d == 0 && digit == '0' {
				digit = '1' // JSON numbers have no leading zero
			}
			r.wire[at+d] = digit
		}
		r.next += r.step
		binary.LittleEndian.PutUint64(raw[:], r.rng.Uint64())
		hex.Encode(r.wire[r.random[i]:r.random[i]+randomDigits], raw[:])
	}
	return r.wire
}

func (r *request) String() string {
	return fmt.Sprintf("%d events in %d bytes", len(r.counter), len(r.wire))
}
