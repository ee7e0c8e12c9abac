package twin_test

import (
	"sync/atomic"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/catalogtest"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
)

var (
	_ twin.Backend = (*twin.Catalog)(nil)
	_ catalog.Catalog
)

func TestContract(t *testing.T) {
	for _, mode := range []twin.Mode{twin.Glue, twin.REST} {
		t.Run(mode.String(), func(t *testing.T) {
			catalogtest.Run(t, func(*testing.T) catalogtest.Env {
				c := twin.New(mode, objstore.NewMem("mem://warehouse"))
				var pending atomic.Pointer[twin.Fault]
				c.SetFault(func(call twin.Call) twin.Fault {
					if call.Op == twin.OpSwap {
						if f := pending.Swap(nil); f != nil {
							return *f
						}
					}
					return twin.Fault{}
				})
				return catalogtest.Env{Catalog: c, Settle: c.Settle, Fault: func(f catalogtest.Fault) {
					fault := map[catalogtest.Fault]twin.Fault{
						catalogtest.LostRequest:  {Err: catalog.ErrUnknown},
						catalogtest.LostResponse: {Applied: true},
						catalogtest.Late:         {Late: time.Hour},
					}[f]
					pending.Store(&fault)
				}}
			})
		})
	}
}
