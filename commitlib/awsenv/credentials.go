package awsenv

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

const (
	// expiryWindow is how long before their end credentials are asked for anew: a request signed just before it must
	// still hold when it arrives, and EC2 and ECS have new ones 5 minutes before.
	expiryWindow = 5 * time.Minute

	// ecsHost is where a container on ECS finds AWS_CONTAINER_CREDENTIALS_RELATIVE_URI.
	ecsHost = "http://169.254.170.2"

	// maxTokenBytes bounds the file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names; such tokens have some 1 KB.
	maxTokenBytes = 64 << 10
)

// credentialsFrom chooses the source. The first that the environment names is taken, whether it works or not: falling
// through to another would sign as somebody whom nobody meant.
func credentialsFrom(getenv func(string) string) (aws.CredentialsProvider, error) {
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	switch {
	case id != "" && secret != "":
		return staticCredentials(id, secret, getenv("AWS_SESSION_TOKEN"))
	case id != "":
		return nil, errors.New("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not: set both or neither")
	case secret != "":
		return nil, errors.New("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not: set both or neither")
	case getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "", getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return containerCredentials(getenv)
	}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"} {
		if getenv(name) != "" {
			return nil, fmt.Errorf("%s is set, which is not supported: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the role to the EC2 instance, "+
				"to the ECS task, or to the pod by EKS Pod Identity", name)
		}
	}
	if strings.EqualFold(getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return nil, errors.New("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_EC2_METADATA_DISABLED rules out the instance's role)")
	}
	return instanceCredentials(getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")), nil
}

func staticCredentials(id, secret, token string) (aws.CredentialsProvider, error) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token} {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("%s has white space or a line break in it: give the key alone", name)
		}
	}
	creds := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "environment"}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }), nil
}

func containerCredentials(getenv func(string) string) (aws.CredentialsProvider, error) {
	endpoint := getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if relative := getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); relative != "" {
		if !strings.HasPrefix(relative, "/") {
			return nil, fmt.Errorf("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI %q is no path: ECS sets it, leave it alone", relative)
		}
		endpoint = ecsHost + relative
	}
	if err := checkContainerEndpoint(endpoint); err != nil {
		return nil, err
	}
	token, file := getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"), getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
	provider := endpointcreds.New(endpoint, func(o *endpointcreds.Options) {
		o.HTTPClient = newClient() // its own: these addresses are links of the host, and the shared one's waits are a service's
		o.AuthorizationToken = token
		if file != "" {
			o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) { return readToken(file) })
		}
	})
	return newCached(provider, "the container's credentials endpoint", "check that the task or the pod has a role and that its agent runs"), nil
}

// checkContainerEndpoint refuses to ask a stranger for credentials, in clear text, with the container's token.
func checkContainerEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return fmt.Errorf("AWS_CONTAINER_CREDENTIALS_FULL_URI %q is no URL", endpoint)
	}
	if u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err == nil && u.Scheme == "http" && (ip.IsLoopback() || trustedLink[ip]) {
		return nil
	}
	return fmt.Errorf("AWS_CONTAINER_CREDENTIALS_FULL_URI %q is neither https nor an address of this host, of ECS or of EKS", endpoint)
}

// trustedLink are the addresses at which ECS (first) and EKS serve credentials in clear text.
var trustedLink = map[netip.Addr]bool{
	netip.MustParseAddr("169.254.170.2"):  true,
	netip.MustParseAddr("169.254.170.23"): true,
	netip.MustParseAddr("fd00:ec2::23"):   true,
}

func readToken(file string) (string, error) {
	token, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %w", err)
	}
	if len(token) > maxTokenBytes {
		return "", fmt.Errorf("read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %s has %d bytes, more than any token", file, len(token))
	}
	return string(token), nil
}

func instanceCredentials(endpoint string) aws.CredentialsProvider {
	client := imds.New(imds.Options{
		Endpoint:          endpoint,
		ClientEnableState: imds.ClientEnabled,
		EnableFallback:    aws.FalseTernary, // never IMDSv1, which any request forged by way of this host can ask
		Retryer:           retry.AddWithMaxAttempts(retry.NewStandard(), 3),
	})
	provider := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client })
	return newCached(provider, "the EC2 instance's metadata service",
		"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role (from inside a container the instance's metadata hop limit must be 2)")
}

// cached keeps credentials until shortly before their end, for all clients together, and says where they should have
// come from when they cannot be had.
type cached struct {
	*aws.CredentialsCache
	source, advice string
}

func newCached(p aws.CredentialsProvider, source, advice string) *cached {
	return &cached{aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = expiryWindow
		o.ExpiryWindowJitterFrac = 0.5 // so that a fleet does not ask at once
	}), source, advice}
}

// Retrieve implements aws.CredentialsProvider.
func (c *cached) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := c.CredentialsCache.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &CredentialsError{fmt.Errorf("get credentials from %s: %w; %s", c.source, err, c.advice)}
	}
	return creds, nil
}

// CredentialsError is the error of a request that was never sent, since there were no credentials to sign it with.
type CredentialsError struct{ Err error }

func (e *CredentialsError) Error() string { return e.Err.Error() }

// Unwrap returns what the source of the credentials said.
func (e *CredentialsError) Unwrap() error { return e.Err }
