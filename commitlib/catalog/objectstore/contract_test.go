package objectstore_test

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firn/commitlib/catalog/catalogtest"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

var quiet = slog.New(slog.DiscardHandler)

func newCatalog(s objstore.Store) *objectstore.Catalog {
	return objectstore.New(s, objectstore.Config{Logger: quiet})
}

func TestContractMem(t *testing.T) {
	catalogtest.Run(t, func(*testing.T) catalogtest.Env {
		m := objstore.NewMem("mem://warehouse")
		var pending atomic.Pointer[objstore.Fault]
		m.SetFault(func(call objstore.Call) objstore.Fault {
			if call.Op == objstore.OpPut && strings.HasSuffix(call.Key, ".metadata.json") {
				if f := pending.Swap(nil); f != nil {
					return *f
				}
			}
			return objstore.Fault{}
		})
		return catalogtest.Env{
			Catalog: newCatalog(m), Rival: newCatalog(m), Settle: m.Settle,
			Fault: func(f catalogtest.Fault) {
				fault := map[catalogtest.Fault]objstore.Fault{
					catalogtest.LostRequest:  {Err: objstore.ErrUnknown},
					catalogtest.LostResponse: {Applied: true},
					catalogtest.Late:         {Late: time.Hour},
				}[f]
				pending.Store(&fault)
			},
		}
	})
}

func TestContractDir(t *testing.T) {
	catalogtest.Run(t, func(t *testing.T) catalogtest.Env {
		root := t.TempDir()
		open := func() *objectstore.Catalog {
			d, err := objstore.OpenDir(root)
			if err != nil {
				t.Fatal(err)
			}
			return newCatalog(d)
		}
		return catalogtest.Env{Catalog: open(), Rival: open()}
	})
}
