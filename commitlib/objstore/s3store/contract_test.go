package s3store

import (
	"testing"

	"firn/commitlib/objstore"
	"firn/commitlib/objstore/storetest"
	"firn/perf/peer"
	"firn/perf/tier"
)

// peerConfig is a store in a peer's bucket.
func peerConfig(s *peer.S3Server) Config {
	cfg := testConfig(s.Endpoint)
	cfg.Root, cfg.AWS.Region = s.Root()+"/ware/house", s.Region
	cfg.AWS.Credentials = static(s.AccessKey, s.SecretKey, "")
	cfg.PartBytes = minPartBytes // so that objects of the tests have several
	return cfg
}

func openPeer(t *testing.T, server *peer.S3Server) *Store {
	t.Helper()
	s, err := Open(t.Context(), peerConfig(server))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestContract runs the port's contract, with 16 writers racing for one key.
func TestContract(t *testing.T) { eachPeer(t, contract) }

func contract(t *testing.T, server *peer.S3Server) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		own := *server
		own.Bucket = server.NewBucket(t)
		return openPeer(t, &own)
	})
}

// TestEveryBucket runs a store over all buckets: keys begin with theirs, and locations are the same as in a store of one.
func TestEveryBucket(t *testing.T) {
	tier.Need(t, tier.CI)
	server := peer.S3(t)
	cfg := peerConfig(server)
	cfg.Root = everyBucket
	all, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	other := server.NewBucket(t)
	for _, bucket := range []string{server.Bucket, other} {
		if _, err := all.Put(t.Context(), bucket+"/ware/house/t/k", []byte("in "+bucket), ifAbsent); err != nil {
			t.Fatal(err)
		}
	}
	one := openPeer(t, server)
	got, _, err := one.Get(t.Context(), "t/k")
	if err != nil || string(got) != "in "+server.Bucket {
		t.Errorf("get: %q, %v", got, err)
	}
	location := objstore.Location(one, "t/k")
	if key, ok := objstore.Key(all, location); !ok || objstore.Location(all, key) != location {
		t.Errorf("location %s is key %q", location, key)
	} else if got, _, err := all.Get(t.Context(), key); err != nil || string(got) != "in "+server.Bucket {
		t.Errorf("get: %q, %v", got, err)
	}
	var listed []string
	if err := all.List(t.Context(), other+"/ware/", func(i objstore.Info) error { listed = append(listed, i.Key); return nil }); err != nil || len(listed) != 1 || listed[0] != other+"/ware/house/t/k" {
		t.Errorf("list: %q, %v", listed, err)
	}
	var folders []string
	if err := all.Folders(t.Context(), other+"/ware/house/", func(name string) error { folders = append(folders, name); return nil }); err != nil || len(folders) != 1 || folders[0] != "t" {
		t.Errorf("folders: %q, %v", folders, err)
	}
	if err := all.List(t.Context(), "", func(objstore.Info) error { return nil }); err == nil {
		t.Error("a list of all buckets was answered")
	}
	if err := all.Delete(t.Context(), server.Bucket+"/ware/house/t/k", other+"/ware/house/t/k", other+"/ware/house/t/none"); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Head(t.Context(), "t/k"); err == nil {
		t.Error("it was not deleted")
	}
	// A bucket that is not there is no bucket without the key.
	for what, err := range map[string]error{
		"head": second(all.Head(t.Context(), "no-such-bucket-here/k")), "list": all.List(t.Context(), "no-such-bucket-here/", func(objstore.Info) error { return nil }),
	} {
		wantOnly(t, what+" in a missing bucket", err, objstore.ErrFatal)
	}
}

func second[T any](_ T, err error) error { return err }
