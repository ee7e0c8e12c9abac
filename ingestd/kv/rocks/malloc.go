package rocks

/*
#include <malloc.h>
#ifndef M_ARENA_MAX
#define M_ARENA_MAX -8
#endif
static void bound_arenas(void) { mallopt(M_ARENA_MAX, 2); }
*/
import "C"

// glibc gives each thread that allocates an arena of its own, up to eight a core, and each keeps what its fullest
// moment took: after a quarter of an hour of cgo calls from many threads eight arenas held 33 MiB each, of which
// RocksDB used 24 MiB in all. Two are enough: one goroutine writes, and RocksDB's own threads are few.
func init() { C.bound_arenas() }
