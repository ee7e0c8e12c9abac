package flame

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// class is a kind of functions with a color.
type class struct {
	name, color string
	prefixes    []string // of functions' names
}

// classes in the order in which they are looked through; the last takes what is left.
var classes = []class{
	{"compression", "#d9bfe6", []string{"github.com/klauspost/compress", "github.com/golang/snappy", "compress/", "firn/commitlib/datafile/zpage"}},
	{"Firn", "#9fd0f5", []string{"firn/", "main."}},
	{"RocksDB (by cgo)", "#f7b58c", []string{"github.com/linxGnu/grocksdb", "[", "runtime.cgocall", "runtime.cgoCheck", "runtime.asmcgocall", "_cgo_"}},
	{"Parquet", "#a9dcc0", []string{"github.com/parquet-go/"}},
	{"kernel: network, files", "#f3c6d1", []string{"syscall.", "internal/runtime/syscall", "internal/poll.", "internal/syscall/", "golang.org/x/sys/"}},
	{"net/http", "#f2dd9a", []string{"net/http", "net.", "net/", "bufio.", "mime", "crypto/"}},
	{"copying, comparing", "#c9e3de", []string{"runtime.mem", "runtime.cmp", "cmpbody", "memeqbody", "indexbytebody", "bytes.", "strings.", "internal/bytealg."}},
	{"collector, allocator", "#d6d9dd", []string{"runtime.gc", "runtime.mallocgc", "runtime.(*mcache)", "runtime.(*mcentral)", "runtime.(*mheap)", "runtime.(*mspan)", "runtime.(*gc", "runtime.scan", "runtime.greyobject",
		"runtime.bgsweep", "runtime.bgscavenge", "runtime.sweep", "runtime.markroot", "runtime.(*sweep", "runtime.(*scavenger", "runtime.(*pageAlloc", "runtime.wb", "runtime.findObject", "runtime.(*pageCache", "runtime.heap", "runtime.typePointers", "runtime.growslice", "runtime.makeslice", "runtime.newobject", "runtime.(*unwinder"}},
	{"scheduler, runtime", "#e3e6ea", []string{"runtime.", "runtime/", "internal/runtime/", "sync.", "sync/", "internal/sync"}},
	{"other", "#efe7dc", []string{""}},
}

func classOf(function string) *class {
	for i := range classes {
		for _, p := range classes[i].prefixes {
			if strings.HasPrefix(function, p) {
				return &classes[i]
			}
		}
	}
	return &classes[len(classes)-1]
}

// Share is what part of a profile's values lies in the functions of one kind themselves.
type Share struct {
	Name string
	Part float64
}

// Shares tells where a profile's values lie: by the function that a sample was taken in, not by those that called it.
// The largest is first.
func Shares(p *profile.Profile, value string) ([]Share, error) {
	at := slices.IndexFunc(p.SampleType, func(t *profileValue) bool { return t.Type == value })
	if at < 0 {
		return nil, fmt.Errorf("add up profile: it has no values of type %s", value)
	}
	sums, total := map[string]int64{}, int64(0)
	for _, s := range p.Sample {
		names := stack(s)
		if len(names) == 0 {
			continue
		}
		sums[classOf(names[len(names)-1]).name] += s.Value[at]
		total += s.Value[at]
	}
	var all []Share
	for name, v := range sums {
		if v > 0 {
			all = append(all, Share{name, float64(v) / float64(total)})
		}
	}
	slices.SortFunc(all, func(a, b Share) int { return cmp.Or(cmp.Compare(b.Part, a.Part), strings.Compare(a.Name, b.Name)) })
	return all, nil
}
