package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/awsenv"
	"firn/commitlib/catalog"
)

// storageCredential is the specification's StorageCredential: for locations under a prefix.
type storageCredential struct {
	Prefix string            `json:"prefix"`
	Config map[string]string `json:"config"`
}

// The members that hold S3 credentials, in a storage credential's config or in the table's.
const (
	keyAccess  = "s3.access-key-id"
	keySecret  = "s3.secret-access-key"
	keySession = "s3.session-token"
	keyExpires = "s3.session-token-expires-at-ms"
)

// assumedLife is how long session credentials are used that do not say when they expire: less than the 15 minutes that
// STS gives at least.
const assumedLife = 12 * time.Minute

// vendedCredentials are the credentials that the service gave for what lies under a prefix of a table's location.
// They implement aws.CredentialsProvider and are renewed, by a call of the service, when they are asked for.
type vendedCredentials struct {
	prefix string // without a slash at its end
	*renewed[aws.Credentials]
}

// Retrieve implements aws.CredentialsProvider.
func (v *vendedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := v.get(ctx)
	if err != nil {
		return aws.Credentials{}, &awsenv.CredentialsError{Err: fmt.Errorf("renew the catalog's credentials for %s: %w", v.prefix, err)}
	}
	return got, nil
}

// Credentials returns what the service gave for an object, or nil where it gave nothing: then the store's own hold. It
// is a hook of the S3 store. The same object gets the same provider for as long as its table has one.
func (c *Catalog) Credentials(bucket, key string) aws.CredentialsProvider {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.vended) == 0 {
		return nil
	}
	for location := "s3://" + bucket + "/" + key; ; { // the longest prefix first
		if v := c.vended[location]; v != nil {
			return v
		}
		cut := strings.LastIndexByte(location, '/')
		if cut < len("s3://") {
			return nil
		}
		location = location[:cut]
	}
}

// learn keeps the credentials that came with a table. An answer without any takes none away: a commit's has none.
func (c *Catalog) learn(id catalog.Ident, tableLocation string, got tableAnswer) {
	if c.signer != nil {
		return // they were not asked for, and what signs the requests reaches S3 as well
	}
	for prefix, creds := range c.byPrefix(tableLocation, got) {
		c.keep(id, tableLocation, prefix, creds)
	}
}

func (c *Catalog) keep(id catalog.Ident, tableLocation, prefix string, creds aws.Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.vended[prefix]
	if v == nil {
		v = &vendedCredentials{prefix: prefix, renewed: newRenewed(c.now, c.cfg.Timeout, func(ctx context.Context) (aws.Credentials, time.Time, error) {
			return c.renewCredentials(ctx, id, tableLocation, prefix)
		})}
		c.vended[prefix] = v
	}
	v.put(creds, creds.Expires)
}

// byPrefix returns the S3 credentials in an answer by the locations that they are for, without a slash at the end.
// Credentials for more than the table are kept for the table alone: another table brings its own.
func (c *Catalog) byPrefix(tableLocation string, got tableAnswer) map[string]aws.Credentials {
	found := map[string]aws.Credentials{}
	best := map[string]int{} // length of the prefix that a found one came with: the most specific counts
	add := func(prefix string, config map[string]string) {
		creds, ok := c.s3Credentials(config)
		trimmed := strings.TrimRight(prefix, "/")
		at := tableLocation
		if strings.HasPrefix(trimmed, tableLocation+"/") {
			at = trimmed
		} else if !strings.HasPrefix(tableLocation, trimmed) {
			return // for something else of the table, on another store
		}
		if ok && len(prefix) >= best[at] {
			found[at], best[at] = creds, len(prefix)
		}
	}
	add("", got.Config)
	for _, s := range got.StorageCredentials { // these come first where both are given (specification: LoadTableResult)
		add(s.Prefix, s.Config)
	}
	return found
}

func (c *Catalog) s3Credentials(config map[string]string) (aws.Credentials, bool) {
	creds := aws.Credentials{
		AccessKeyID: config[keyAccess], SecretAccessKey: config[keySecret], SessionToken: config[keySession],
		Source: "the Iceberg REST catalog",
	}
	if creds.AccessKeyID == "" || creds.SecretAccessKey == "" {
		return aws.Credentials{}, false
	}
	if ms, err := strconv.ParseInt(config[keyExpires], 10, 64); err == nil && ms > 0 {
		creds.CanExpire, creds.Expires = true, time.UnixMilli(ms)
	} else if creds.SessionToken != "" {
		creds.CanExpire, creds.Expires = true, c.now().Add(assumedLife)
	}
	return creds, true
}

// renewCredentials asks for a table's credentials anew: by the endpoint for it, or where there is none by a load.
func (c *Catalog) renewCredentials(ctx context.Context, id catalog.Ident, tableLocation, prefix string) (aws.Credentials, time.Time, error) {
	s, err := c.serviceOf(ctx)
	if err != nil {
		return aws.Credentials{}, time.Time{}, err
	}
	req := request{endpoint: loadTable, id: id, delegated: true, limit: MaxMetadataBytes}
	if s.offers[loadCredentials] {
		req.endpoint, req.limit = loadCredentials, maxConfigBytes
	}
	a, err := c.sendTo(ctx, s, req)
	if err := answered(asking, a, err); err != nil {
		return aws.Credentials{}, time.Time{}, err
	}
	var got tableAnswer
	if err := json.Unmarshal(a.body, &got); err != nil {
		return aws.Credentials{}, time.Time{}, fmt.Errorf("read the catalog's answer: %w", err)
	}
	creds, ok := c.byPrefix(tableLocation, got)[prefix]
	if !ok {
		return aws.Credentials{}, time.Time{}, errors.New("the catalog gave credentials earlier and gives none now")
	}
	return creds, creds.Expires, nil
}
