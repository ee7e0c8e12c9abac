package objstore_test

import (
	"testing"

	"firn/commitlib/objstore"
	"firn/commitlib/objstore/storetest"
)

func TestDirContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		d, err := objstore.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
