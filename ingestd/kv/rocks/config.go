package rocks

import (
	"errors"
	"fmt"

	"github.com/linxGnu/grocksdb"

	"firn/ingestd/kv"
)

// Config bounds what RocksDB takes of the machine. The most that it holds in memory is the cache and twice
// WriteBufferBytes: every buffer of every family full.
type Config struct {
	WriteBufferBytes int64 // recent writes in memory before they become sorted files, over all families
	CacheBytes       int64 // blocks, indexes and filters of sorted files in memory
	WALBytes         int64 // write-ahead log on the disk at which buffers are written out; bounds the time of a replay too
	MaxOpenFiles     int   // file descriptors of sorted files
}

// Default suits a host of 1 GB: at most 128 MiB in all, a replay of about a second.
func Default() Config {
	return Config{WriteBufferBytes: 48 << 20, CacheBytes: 32 << 20, WALBytes: 96 << 20, MaxOpenFiles: 512}
}

// Validate joins everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string, have, least int64) {
		if !ok {
			errs = append(errs, fmt.Errorf("rocksdb: %s of %d is below %d", what, have, least))
		}
	}
	need(c.WriteBufferBytes >= 1<<20, "write buffer bytes", c.WriteBufferBytes, 1<<20)
	need(c.CacheBytes >= 1<<20, "cache bytes", c.CacheBytes, 1<<20)
	need(c.WALBytes >= 1<<20, "write-ahead log bytes", c.WALBytes, 1<<20)
	need(c.MaxOpenFiles >= 32, "open files", int64(c.MaxOpenFiles), 32)
	return errors.Join(errs...)
}

// The info log is for people who look into an incident: warnings only, a few small files.
const (
	infoLogBytes = 2 << 20 // bytes a file
	infoLogFiles = 3
)

const (
	// manifestBytes bounds RocksDB's log of file changes before it is rewritten; the default of
	// 1 GiB would be read at each start.
	manifestBytes = 4 << 20
	// bloomBits per key for the one family that is asked for keys it mostly lacks: 1 % false positives.
	bloomBits = 10
	// memtableBloom is the share of that family's write buffer that goes to a filter over it:
	// most lookups then need not search it.
	memtableBloom = 0.05
	// fileBytes of the sorted files that compaction of the small families writes.
	fileBytes = 8 << 20
	// levelBytes is where a level of Blocks overflows into the next: never, so that a
	// file moves once, from level 0 to 1.
	levelBytes = 1 << 45
)

// openOptions collects the C objects that an open needs, and frees them.
type openOptions struct {
	db       *grocksdb.Options
	families [kv.Families]*grocksdb.Options
	tables   [kv.Families]*grocksdb.BlockBasedTableOptions
	cache    *grocksdb.Cache
}

func newOptions(c Config, mode grocksdb.WALRecoveryMode) *openOptions {
	o := &openOptions{db: grocksdb.NewDefaultOptions(), cache: grocksdb.NewLRUCache(uint64(c.CacheBytes))}
	d := o.db
	d.SetCreateIfMissing(true)
	d.SetCreateIfMissingColumnFamilies(true)
	d.SetParanoidChecks(true)
	d.SetWALRecoveryMode(mode)
	d.SetMaxTotalWalSize(uint64(c.WALBytes))
	d.SetRecycleLogFileNum(0) // a recycled file's old records would look like the tail of the new one
	d.SetAllowMmapWrites(false)
	d.SetAllowMmapReads(false)
	d.SetUseFsync(false) // fdatasync: it writes the size too
	d.SetDbWriteBufferSize(uint64(c.WriteBufferBytes))
	d.SetMaxOpenFiles(c.MaxOpenFiles)
	d.SetMaxBackgroundJobs(2)
	d.SetMaxManifestFileSize(manifestBytes)
	d.SetInfoLogLevel(grocksdb.WarnInfoLogLevel)
	d.SetMaxLogFileSize(infoLogBytes)
	d.SetKeepLogFileNum(infoLogFiles)
	d.SetStatsDumpPeriodSec(0)
	d.SetStatsPersistPeriodSec(0)
	d.SetIsFdCloseOnExec(true)
	for f := range o.families {
		o.families[f], o.tables[f] = o.family(c, kv.Family(f))
	}
	return o
}

func (o *openOptions) family(c Config, f kv.Family) (*grocksdb.Options, *grocksdb.BlockBasedTableOptions) {
	t := grocksdb.NewDefaultBlockBasedTableOptions()
	t.SetBlockCache(o.cache)
	t.SetCacheIndexAndFilterBlocks(true) // else their memory grows with the number of files
	t.SetFormatVersion(5)
	t.SetChecksum(4) // XXH3: CRC32C is a table look-up a byte in distributions, which build it for every CPU: 4 % of all CPU under load
	opts := grocksdb.NewDefaultOptions()
	opts.SetLevel0FileNumCompactionTrigger(4)
	switch f {
	case kv.Blocks:
		// Keys rise and are never deleted one by one: each file moves from level 0 to 1 by renaming it in the manifest,
		// and is dropped whole. Blocks come compressed. level 0 files can't be dropped, so they must not linger there.
		opts.SetWriteBufferSize(uint64(c.WriteBufferBytes / 3))
		opts.SetMaxWriteBufferNumber(3)
		opts.SetCompression(grocksdb.NoCompression)
		opts.SetLevel0FileNumCompactionTrigger(1)
		opts.SetMaxBytesForLevelBase(levelBytes)
		opts.SetTargetFileSizeBase(uint64(c.WriteBufferBytes))
	case kv.Dedup:
		t.SetFilterPolicy(grocksdb.NewBloomFilterFull(bloomBits))
		opts.SetMemtableWholeKeyFiltering(true)
		opts.SetMemTablePrefixBloomSizeRatio(memtableBloom)
		fallthrough
	default:
		opts.SetWriteBufferSize(uint64(c.WriteBufferBytes / 8))
		opts.SetMaxWriteBufferNumber(2)
		opts.SetCompression(grocksdb.LZ4Compression)
		opts.SetTargetFileSizeBase(fileBytes)
		opts.SetMaxBytesForLevelBase(8 * fileBytes)
	}
	opts.SetBlockBasedTableFactory(t)
	return opts, t
}

// destroy frees the C objects; RocksDB keeps what it needs by reference count.
func (o *openOptions) destroy() {
	o.db.Destroy()
	for f := range o.families {
		o.families[f].Destroy()
		o.tables[f].Destroy()
	}
	o.cache.Destroy()
}
