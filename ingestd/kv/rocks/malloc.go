package rocks

/*
#include <malloc.h>
#ifndef M_ARENA_MAX
#define M_ARENA_MAX -8
#endif
static void tune_malloc(int keep, int map) {
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, keep);
	mallopt(M_MMAP_THRESHOLD, map);
}
*/
import "C"

// glibc gives each thread that allocates an arena of its own, up to eight a core, and each keeps what its fullest
// moment took: after a quarter of an hour of cgo calls from many threads eight arenas held 33 MiB each, of which
// RocksDB used 24 MiB in all. Two are enough: one goroutine writes, and RocksDB's own threads are few.
//
// What an arena holds free at its end goes back to the system beyond keepFree only: each group commit takes a copy of its
// batch and frees it again, and with the default of 128 KiB the kernel cleared its pages anew every time.
const (
	keepFree = 24 << 20 // bytes an arena; a write buffer of blocks and the largest group commit twice
	mapFrom  = 8 << 20  // bytes from which an allocation is a mapping of its own, which always goes back when freed
)

func init() { C.tune_malloc(keepFree, mapFrom) }
