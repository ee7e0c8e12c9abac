package awsenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// issuer serves credentials as the agents of ECS and EKS do, and as the instance metadata service does; each answer has
// a key id of its own.
type issuer struct {
	*httptest.Server
	lives  time.Duration
	issued atomic.Int32
	down   atomic.Bool
	token  atomic.Value // what Authorization must be
}

func newIssuer(t *testing.T, lives time.Duration) *issuer {
	i := &issuer{lives: lives}
	i.token.Store("")
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const session = "metadata-token"
	instance := strings.HasPrefix(r.URL.Path, "/latest/")
	switch {
	case i.down.Load():
		http.Error(w, "down", http.StatusForbidden)
	case r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut:
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		fmt.Fprint(w, session)
	case instance && r.Header.Get("X-Aws-Ec2-Metadata-Token") != session:
		http.Error(w, "IMDSv1 is off", http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		fmt.Fprint(w, "role")
	case !instance && r.Header.Get("Authorization") != i.token.Load():
		http.Error(w, "who are you?", http.StatusUnauthorized)
	default:
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"id%d","SecretAccessKey":"secret","Token":"token","Expiration":%q}`,
			i.issued.Add(1), time.Now().Add(i.lives).UTC().Format(time.RFC3339))
	}
}

func retrieve(t *testing.T, p aws.CredentialsProvider) string {
	t.Helper()
	creds, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if creds.SecretAccessKey != "secret" || creds.SessionToken != "token" {
		t.Errorf("credentials %+v", creds)
	}
	return creds.AccessKeyID
}

func load(t *testing.T, pairs ...string) aws.CredentialsProvider {
	t.Helper()
	cfg, err := Load(environment(append([]string{"AWS_REGION", "us-east-1"}, pairs...)...))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Credentials
}

func sources(t *testing.T, i *issuer) map[string]aws.CredentialsProvider {
	return map[string]aws.CredentialsProvider{
		"container": load(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", i.URL+"/creds"),
		"instance":  load(t, "AWS_EC2_METADATA_SERVICE_ENDPOINT", i.URL),
	}
}

// TestCredentialsAreShared: many clients that ask at once are one question, and the answer is kept; Invalidate, which a
// client calls when the service no longer takes them, makes the next one ask anew.
func TestCredentialsAreShared(t *testing.T) {
	i := newIssuer(t, time.Hour)
	for name, p := range sources(t, i) {
		before := i.issued.Load()
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() { retrieve(t, p) })
		}
		all.Wait()
		if n := i.issued.Load() - before; n != 1 {
			t.Errorf("%s: asked %d times", name, n)
		}
		first := retrieve(t, p)
		p.(interface{ Invalidate() }).Invalidate()
		if second := retrieve(t, p); second == first {
			t.Errorf("%s: after Invalidate the same credentials", name)
		}
	}
}

// TestCredentialsAreRenewed: what ends within the window is asked for anew each time, before a request signed with it
// can be too late.
func TestCredentialsAreRenewed(t *testing.T) {
	i := newIssuer(t, expiryWindow/3)
	p := load(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", i.URL+"/creds")
	if first, second := retrieve(t, p), retrieve(t, p); first == second {
		t.Errorf("%s is kept although it ends in %v", first, i.lives)
	}
}

// TestContainerToken: the token comes from the variable, or from the file, which is read again each time: EKS rotates it.
func TestContainerToken(t *testing.T) {
	i := newIssuer(t, time.Hour)
	i.token.Store("Bearer one")
	retrieve(t, load(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", i.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer one"))

	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		i.token.Store(token)
	}
	write("two")
	p := load(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI", i.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
	retrieve(t, p)
	write("three")
	p.(interface{ Invalidate() }).Invalidate()
	retrieve(t, p)

	for _, broken := range []string{"with\nline", strings.Repeat("x", maxTokenBytes+1)} {
		write(broken)
		p.(interface{ Invalidate() }).Invalidate()
		if _, err := p.Retrieve(t.Context()); err == nil {
			t.Errorf("a token of %d bytes was sent", len(broken))
		}
	}
}

// TestNoCredentials: the error says where they should have come from and what to do, and can be told from a service's.
func TestNoCredentials(t *testing.T) {
	i := newIssuer(t, time.Hour)
	i.down.Store(true)
	wants := map[string]string{"container": "check that the task or the pod has a role", "instance": "give the instance a role"}
	for name, p := range sources(t, i) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := p.Retrieve(ctx)
		cancel()
		var mine *CredentialsError
		if !errors.As(err, &mine) || !strings.Contains(err.Error(), wants[name]) {
			t.Errorf("%s: %v, want %q", name, err, wants[name])
		}
	}
}
