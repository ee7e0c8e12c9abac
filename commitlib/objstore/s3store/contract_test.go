package s3store_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
	"firn/commitlib/objstore/s3store"
	"firn/commitlib/objstore/storetest"
	"firn/perf/peer"
	"firn/perf/tier"
)

// config is a store in a peer's bucket.
func config(s *peer.S3Server) s3store.Config {
	return s3store.Config{
		PartBytes: 5 << 20, // S3's least: so that objects of the contract have several
		AWS: aws.Config{
			Region: s.Region, HTTPClient: awsenv.Client(),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}, nil
			}),
		},
		Root: s.Root() + "/ware/house", Endpoint: s.Endpoint, PathStyle: true,
	}
}

func open(t *testing.T, cfg s3store.Config) *s3store.Store {
	t.Helper()
	s, err := s3store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestContract runs the port's contract, with 16 writers racing for one key, against versitygw.
func TestContract(t *testing.T) {
	tier.Need(t, tier.CI)
	first := peer.S3(t)
	storetest.Run(t, func(t *testing.T) objstore.Store {
		own := *first
		own.Bucket = first.NewBucket(t)
		return open(t, config(&own))
	})
}

// TestContractMinIO is the second opinion.
func TestContractMinIO(t *testing.T) {
	first := peer.MinIO(t)
	storetest.Run(t, func(t *testing.T) objstore.Store {
		own := *first
		own.Bucket = first.NewBucket(t)
		return open(t, config(&own))
	})
}
