package glue_test

import (
	"testing"

	"firn/commitlib/catalog/catalogtest"
	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
)

func TestContract(t *testing.T) {
	catalogtest.Run(t, func(t *testing.T) catalogtest.Env {
		_, url := newService(t)
		return contractEnv(t, url, objstore.NewMem("mem://warehouse"))
	})
}

// TestContractMinistack holds the contract on a service that we did not write.
func TestContractMinistack(t *testing.T) {
	tier.Need(t, tier.CI)
	server := peer.AWS(t)
	catalogtest.Run(t, func(t *testing.T) catalogtest.Env {
		return contractEnv(t, server.Endpoint, objstore.NewMem("mem://warehouse"))
	})
}
