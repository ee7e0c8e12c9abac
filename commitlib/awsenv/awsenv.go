// Package awsenv makes the AWS SDK's configuration from the environment's standard names, without the SDK's own config
// package: that one links SSO, STS and a parser of configuration files, which a committer that has to answer within
// milliseconds of its start does not need.
//
// What is understood: AWS_REGION or AWS_DEFAULT_REGION; credentials from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
// (with AWS_SESSION_TOKEN), from a container's endpoint (ECS, EKS Pod Identity), else from the EC2 instance's role by
// IMDSv2; endpoints from AWS_ENDPOINT_URL_<SERVICE> and AWS_ENDPOINT_URL. Profiles, configuration files, SSO and web
// identity are not: Load says so where it sees that they were meant.
//
// Invariants:
//   - Load makes no request and reads no file: what it returns is as good as the environment, and is had in
//     microseconds. Credentials are asked for by the first request that needs them.
//   - All clients made from a Load share one http client, so that connections are shared, and bounded, by host.
//   - No value of a secret is in any error.
//
// The programs' main functions call it, once, and hand the result to the packages that own a service's client.
package awsenv

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// regionName is what a region looks like. It becomes part of host names and signatures: a stray space or a whole URL
// there is refused by name here, not as a failed look-up of a strange host later.
var regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Load returns the configuration that the environment describes, or all that is wrong with it. getenv is os.Getenv, or
// a test's.
func Load(getenv func(string) string) (aws.Config, error) {
	region := Region(getenv)
	var wrong []error
	switch {
	case region == "":
		wrong = append(wrong, errors.New("AWS_REGION is not set: name the region of the bucket and the queue (for an S3-compatible store without regions, us-east-1)"))
	case !regionName.MatchString(region):
		wrong = append(wrong, fmt.Errorf("AWS_REGION %q is no region: write it as in eu-central-1", region))
	}
	credentials, err := credentialsFrom(getenv)
	if err != nil {
		wrong = append(wrong, err)
	}
	if err := checkEndpoints(getenv); err != nil {
		wrong = append(wrong, err)
	}
	if len(wrong) > 0 {
		return aws.Config{}, fmt.Errorf("read AWS settings from the environment: %w", errors.Join(wrong...))
	}
	cfg := aws.Config{Region: region, Credentials: credentials, HTTPClient: Client()}
	if all := Endpoint(getenv, ""); all != "" {
		cfg.BaseEndpoint = &all
	}
	return cfg, nil
}

// Region is the region that the environment names, or empty.
func Region(getenv func(string) string) string {
	if region := getenv("AWS_REGION"); region != "" {
		return region
	}
	return getenv("AWS_DEFAULT_REGION")
}
