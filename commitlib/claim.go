package commitlib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"firn/commitlib/objstore"
)

// A claim check: a request that is larger than its queue takes lies in the object store, and a small message that names
// it goes through the queue in its place.
//
//  1. The sender creates <table>/_firn/claims/<log>/<first>-<last>-<crc32c>.json exclusively, with the request as it
//     would have been sent. The name follows from the content, so that sending again finds it there.
//  2. It sends the message: location, size and checksum.
//  3. The committer reads the request, checks both, and goes on as if the message had held it.
//  4. The sender removes the claim once the table's watermark has passed the range in its name.
//
// A crash after 1 leaves a claim that nobody names; after 2 or 3 one that nobody removes: by its name it may go once the
// watermark has passed it, and by its age after three days, long after MaxStagedAge makes its request one to drop.
// A message whose claim is gone is dropped like a gap: either the watermark covers it, or its sender sends again and
// makes the claim anew.

const (
	// claimVersion is what a claim message's first member says.
	claimVersion = 1

	// maxClaimMessage bounds the message: a location has at most 1,024 bytes of key behind the store's root.
	maxClaimMessage = 4 << 10

	// claimBudget bounds the claims that one Handle reads, in bytes: two of the largest, since decoding one takes about
	// three times its size and the function has 256 MB. What is beyond comes again.
	claimBudget = 2 * MaxRequestBytes

	// claimPrefix begins every claim message, and no request.
	claimPrefix = `{"claim":`

	claimFolder = stateFolder + "/claims"
)

// Claim is a request put aside by StoreClaim.
type Claim struct {
	Message []byte // what to send in the request's place
	Key     string // of the object; to be removed once Log's watermark in the table is Last or more
	Log     uuid.UUID
	Last    Seq
}

// claimMessage is the JSON form of a claim on its way; within one version it is closed, as a request is.
type claimMessage struct {
	Claim    int    `json:"claim"`
	Location string `json:"location"`
	Bytes    int64  `json:"bytes"`
	Checksum string `json:"checksum"` // objstore.Checksum of the request's bytes
}

// StoreClaim puts an encoded request into the store, beside its table, and returns the message to send in its place.
// Errors are the store's: nothing is sent then, and calling again is right.
func StoreClaim(ctx context.Context, store objstore.Store, body []byte) (*Claim, error) {
	if len(body) > MaxRequestBytes {
		return nil, fmt.Errorf("store claim: request of %d bytes exceeds %d: cut the segment smaller", len(body), MaxRequestBytes)
	}
	var r struct { // what the name needs; the committer validates the rest
		Location string    `json:"location"`
		Log      uuid.UUID `json:"log"`
		First    Seq       `json:"first"`
		Last     Seq       `json:"last"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("store claim: body is no request: %w", err)
	}
	table, ok := objstore.Key(store, r.Location)
	if !ok {
		return nil, fmt.Errorf("store claim: table at %s lies outside the store %s", r.Location, store.Root())
	}
	sum := objstore.Checksum(body)
	name := fmt.Sprintf("%s/%s/%s/%d-%d-%s", table, claimFolder, r.Log, r.First, r.Last, strings.TrimPrefix(sum, "crc32c:"))
	key, err := createClaim(ctx, store, name, body, sum)
	if err != nil {
		return nil, fmt.Errorf("store claim: %w", err)
	}
	msg, err := json.Marshal(claimMessage{claimVersion, objstore.Location(store, key), int64(len(body)), sum})
	if err != nil {
		return nil, fmt.Errorf("store claim: %w", err)
	}
	return &Claim{Message: msg, Key: key, Log: r.Log, Last: r.Last}, nil
}

// createClaim creates the object, or finds the one that an earlier sending left; a damaged one is left alone, and the
// claim takes another name.
func createClaim(ctx context.Context, store objstore.Store, name string, body []byte, sum string) (key string, err error) {
	key = name + ".json"
	_, err = store.Put(ctx, key, body, objstore.Condition{Absent: true})
	unknown := errors.Is(err, objstore.ErrUnknown)
	if !unknown && !errors.Is(err, objstore.ErrPrecondition) {
		return key, err
	}
	if same, looked := holds(ctx, store, key, int64(len(body)), sum); same || looked != nil {
		return key, looked
	}
	if unknown { // it may come yet
		return key, err
	}
	key = name + "-" + uuid.NewString() + ".json"
	_, err = store.Put(ctx, key, body, objstore.Condition{Absent: true})
	return key, err
}

// holds reports whether the object has that size and checksum. One that is gone by now is not the same.
func holds(ctx context.Context, store objstore.Store, key string, size int64, sum string) (bool, error) {
	info, err := store.Head(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return false, nil
	}
	if err != nil || info.Size != size {
		return false, err
	}
	if info.Checksum == "" { // a store that keeps none
		data, _, err := store.Get(ctx, key)
		if err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return false, err
		}
		return err == nil && objstore.Checksum(data) == sum, nil
	}
	return info.Checksum == sum, nil
}

// errClaimGone says that the claim's object does not exist any more.
var errClaimGone = errors.New("the request that the message stands for is gone from the store: it is committed, or its sender makes it anew")

// isClaim reports whether a message body stands for a request in the store.
func isClaim(body []byte) bool {
	return strings.HasPrefix(string(body[:min(len(body), len(claimPrefix))]), claimPrefix)
}

// decodeClaim reads a claim message. Its error says why the message can never be applied.
func decodeClaim(body []byte) (*claimMessage, error) {
	if len(body) > maxClaimMessage {
		return nil, fmt.Errorf("decode claim: %d bytes exceed %d", len(body), maxClaimMessage)
	}
	m := new(claimMessage)
	err := decodeStrict(body, m)
	if m.Claim != 0 && m.Claim != claimVersion { // read first: a newer sender's other members are no malformed message
		return nil, fmt.Errorf("decode claim: version %d is not %d, the one this build speaks: update the committer before the daemons", m.Claim, claimVersion)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("decode claim: %w", err)
	case m.Claim == 0 || m.Location == "" || m.Checksum == "":
		return nil, errors.New("decode claim: version, location or checksum is missing")
	case m.Bytes < 1 || m.Bytes > MaxRequestBytes:
		return nil, fmt.Errorf("decode claim: request of %d bytes: want 1 to %d", m.Bytes, MaxRequestBytes)
	}
	return m, nil
}

// read returns the request's bytes, exactly as many as the claim states, so that no object is too large for memory.
// bad says why the claim can never be read; err is errClaimGone, or the store's.
func (m *claimMessage) read(ctx context.Context, store objstore.Store) (body []byte, bad string, err error) {
	key, ok := objstore.Key(store, m.Location)
	if !ok {
		return nil, fmt.Sprintf("claim at %q lies outside the store %s: the sender has another warehouse", m.Location, store.Root()), nil
	}
	if err := objstore.CheckKey(key); err != nil {
		return nil, "claim: " + err.Error(), nil
	}
	body = make([]byte, m.Bytes)
	n, err := store.ReadAt(ctx, key, body, 0)
	switch {
	case errors.Is(err, objstore.ErrNotExist):
		return nil, "", errClaimGone
	case n < len(body) && errors.Is(err, io.EOF):
		return nil, fmt.Sprintf("claim %s holds %d of %d bytes: the sender will make another", m.Location, n, m.Bytes), nil
	case err != nil && !errors.Is(err, io.EOF):
		return nil, "", fmt.Errorf("read claim: %w", err)
	}
	if sum := objstore.Checksum(body); sum != m.Checksum {
		return nil, fmt.Sprintf("claim %s has checksum %s, not %s: it is damaged, and the sender will make another", m.Location, sum, m.Checksum), nil
	}
	return body, "", nil
}

// of reports whether the claim lies where a claim of that request does.
func (m *claimMessage) of(r *Request) bool {
	return strings.HasPrefix(m.Location, fmt.Sprintf("%s/%s/%s/", r.Location, claimFolder, r.Log))
}

// withinBudget is how many messages from the front of each group one Handle takes: those before the group's first claim
// that is beyond claimBudget. The first claim of all is never beyond it, so each delivery gets on.
func withinBudget(msgs []Message) map[string]int {
	within := make(map[string]int)
	beyond := make(map[string]bool)
	left := int64(claimBudget)
	for _, m := range msgs {
		if beyond[m.Group] {
			continue
		}
		if isClaim(m.Body) {
			if claim, err := decodeClaim(m.Body); err == nil { // one that is none is rejected, and costs nothing
				if claim.Bytes > left {
					beyond[m.Group] = true
					continue
				}
				left -= claim.Bytes
			}
		}
		within[m.Group]++
	}
	return within
}
