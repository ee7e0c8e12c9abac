package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sort"
	"time"

	"firn/commitlib/awsenv"
	"firn/commitlib/fifo"
	"firn/commitlib/warehouse"
)

// Config is everything that an operator can set. Each member is a flag, and an environment variable of the
// same name: -cut-interval is FIRN_CUT_INTERVAL. A flag wins over the variable.
type Config struct {
	Listen    string
	Admin     string // address of profiles; empty: none
	Data      string
	Warehouse string // s3://bucket/prefix or a directory; empty: "warehouse" inside Data
	Namespace string
	Queue     string             // URL of an SQS FIFO queue; empty: requests are committed in this process
	Lake      warehouse.Settings // of catalog and S3; Warehouse and the environment are put in by lake

	CutInterval  time.Duration
	SegmentBytes ByteSize
	HotRetention time.Duration
	AutoCreate   bool

	LogBytes      ByteSize
	TableShare    float64
	DiskReserve   ByteSize
	MemoryLimit   ByteSize
	DedupWindow   time.Duration
	DedupBytes    ByteSize
	BodyBytes     ByteSize
	EventBytes    ByteSize
	InFlight      ByteSize
	EncodeWorkers int
	ReplyWithin   time.Duration

	MaintainInterval time.Duration // 0: no maintenance in the background
	Compact          bool

	LogLevel   slog.Level
	MetricsEMF bool

	Drain    bool
	Check    bool
	Salvage  bool
	Maintain bool
	DryRun   bool
	Verify   bool
	Version  bool
}

// Default is a configuration for the reference host: 2 vCPU, 1 GB of memory, one small volume.
func Default() Config {
	return Config{
		Listen:        "127.0.0.1:8080",
		Data:          "./firn-data",
		Namespace:     "default",
		Lake:          warehouse.Settings{Catalog: warehouse.ObjectStore},
		CutInterval:   10 * time.Second,
		SegmentBytes:  32 << 20,
		AutoCreate:    true,
		LogBytes:      8 << 30,
		TableShare:    0.5,
		DiskReserve:   256 << 20,
		MemoryLimit:   320 << 20, // what is live under load (130 MiB), half of it, and a rewrite of tables
		DedupWindow:   24 * time.Hour,
		DedupBytes:    1 << 30,
		BodyBytes:     16 << 20,
		EventBytes:    1 << 20,
		InFlight:      32 << 20,
		EncodeWorkers: 1,
		ReplyWithin:   25 * time.Second, // API Gateway waits 29 s, common balancers 60 s

		MaintainInterval: 10 * time.Minute,
		Compact:          true,
	}
}

// flags binds every member to its flag. The texts state unit, default and effect.
func (c *Config) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Listen, "listen", c.Listen, "`address` to serve HTTP on. There is no authentication: anything but a loopback address is refused")
	fs.StringVar(&c.Admin, "admin", c.Admin, "`address` to serve Go's profiles on (/debug/pprof), such as 127.0.0.1:8082; a loopback one, as -listen (default: none)")
	fs.StringVar(&c.Data, "data", c.Data, "`directory` of the event log. One ingestd at a time; an acked event is as safe as the volume that this lies on")
	fs.StringVar(&c.Warehouse, "warehouse", c.Warehouse, "where the tables lie: a directory, or s3://bucket/prefix with the AWS_… variables or the instance's role. A table is at <`warehouse`>/<namespace>/<table> (default: \"warehouse\" inside the data directory)")
	fs.StringVar(&c.Namespace, "namespace", c.Namespace, "`namespace` of the tables")
	fs.StringVar(&c.Queue, "queue", c.Queue, "`URL` of an SQS FIFO queue that flushlambda serves; commit requests go there. Without it ingestd commits in its own process, on S3 too")
	fs.StringVar(&c.Lake.Catalog, "catalog", c.Lake.Catalog, "`kind` of catalog that holds the table pointers: objectstore (the warehouse itself), glue, or rest; the committer must have the same")
	fs.StringVar(&c.Lake.CatalogURI, "catalog-uri", c.Lake.CatalogURI, "rest: `URI` of the service, without /v1")
	fs.StringVar(&c.Lake.CatalogWarehouse, "catalog-warehouse", c.Lake.CatalogWarehouse, "rest: the `warehouse` to ask the service for; glue: the catalog's id, where it is not the account's own")
	fs.StringVar(&c.Lake.CatalogOAuthURI, "catalog-oauth-uri", c.Lake.CatalogOAuthURI, "rest: `URI` that gives out OAuth2 tokens, where it is not the service itself. The client's id:secret is FIRN_CATALOG_CREDENTIAL, a ready bearer token FIRN_CATALOG_TOKEN: secrets are no flags")
	fs.StringVar(&c.Lake.CatalogScope, "catalog-scope", c.Lake.CatalogScope, "rest: OAuth2 `scope` to ask for")
	fs.StringVar(&c.Lake.CatalogSigV4, "catalog-sigv4", c.Lake.CatalogSigV4, "rest: sign requests with AWS's signature for this `service`: glue or s3tables")
	fs.StringVar(&c.Lake.S3SSE, "s3-sse", c.Lake.S3SSE, "server-side `encryption` of what is written: AES256 or aws:kms (default: as the bucket says)")
	fs.StringVar(&c.Lake.S3KMSKey, "s3-kms-key", c.Lake.S3KMSKey, "with aws:kms: id or ARN of the `key` (default: the account's own for S3)")
	fs.StringVar(&c.Lake.S3PathStyle, "s3-path-style", c.Lake.S3PathStyle, "`true` or false: address buckets in the path (default: true where AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3 is set)")
	fs.Var((*period)(&c.CutInterval), "cut-interval", "longest `time` that an acked event waits before its segment is cut and committed; a table's settings may say otherwise. Shorter makes events visible sooner, in smaller files")
	fs.Var(&c.SegmentBytes, "segment-bytes", "`size` of uncompressed rows at which a segment is cut before its time. Encoding one takes about three times as much memory")
	fs.Var((*period)(&c.HotRetention), "hot-retention", "`time` that events stay readable in the log after their commit; a table's settings may say otherwise. 0 drops them at once")
	fs.BoolVar(&c.AutoCreate, "auto-create", c.AutoCreate, "make a table at its first event; false: only PUT /tables/{table} makes tables")
	fs.Var(&c.LogBytes, "log-bytes", "`size` on disk that the log may reach. At the bound, appends are refused with 503 until the backlog drains")
	fs.Float64Var(&c.TableShare, "table-share", c.TableShare, "`fraction` of -log-bytes that one table may hold, so that a stuck table leaves room for the others")
	fs.Var(&c.DiskReserve, "disk-reserve", "`size` of free space to keep on the volume. Below it appends get 507, while reading and committing go on")
	fs.Var(&c.MemoryLimit, "memory-limit", "soft `size` for the Go heap (GOMEMLIMIT); RocksDB takes up to 128 MiB besides")
	fs.Var((*period)(&c.DedupWindow), "dedup-window", "`time` that an idempotency key is remembered")
	fs.Var(&c.DedupBytes, "dedup-bytes", "`size` of the remembered idempotency keys. When it is full, events with new keys are refused with 429; no key is forgotten early")
	fs.Var(&c.BodyBytes, "body-bytes", "largest `size` of a request body, expanded")
	fs.Var(&c.EventBytes, "event-bytes", "largest `size` of one event's payload")
	fs.Var(&c.InFlight, "in-flight-bytes", "`size` of all request bodies in memory at once; beyond it requests get 503")
	fs.IntVar(&c.EncodeWorkers, "encode-workers", c.EncodeWorkers, "`number` of segments encoded at once; each holds one segment in memory")
	fs.Var((*period)(&c.ReplyWithin), "reply-within", "longest `time` that a request with ?ack=staged or ?ack=committed, or POST /tables/{table}/commit, is kept waiting. Keep it below the idle time-out of whatever stands before ingestd")
	fs.Var((*period)(&c.MaintainInterval), "maintain-interval", "`time` between looks for what tables no longer need, which is then removed; 0: never. With -queue the committer behind it looks, and this is not used")
	fs.BoolVar(&c.Compact, "compact", c.Compact, "join small data files into large ones, sorted by event time, as part of maintenance; false: another engine does. With -queue a function of its own does it, and this is for -maintain alone")
	fs.BoolVar(&c.MetricsEMF, "metrics-emf", c.MetricsEMF, "write metrics to standard output once a minute, in CloudWatch's embedded metric format; /metrics has them all either way")
	fs.Var((*level)(&c.LogLevel), "log-level", "least `level` that is logged: DEBUG, INFO, WARN or ERROR")
	fs.BoolVar(&c.Drain, "drain", c.Drain, "accept nothing, wait until every event is committed, and exit 0")
	fs.BoolVar(&c.Check, "check", c.Check, "validate the configuration and the directories, ask the store, the catalog and the queue for something small, print the settings, and exit; nothing is made or changed")
	fs.BoolVar(&c.Maintain, "maintain", c.Maintain, "maintain every table of the namespace once, print a report of each as a line of JSON, and exit; the event log is not opened, and daemons may run meanwhile")
	fs.BoolVar(&c.Verify, "verify", c.Verify, "compare every table of the namespace with the objects in the store, print for each as a line of JSON what it needs and lacks and what is left over, and exit, with status 1 if anything is missing or damaged. It takes some 200 bytes of memory an object")
	fs.BoolVar(&c.DryRun, "dry-run", c.DryRun, "with -maintain: say what would be removed, and remove nothing")
	fs.BoolVar(&c.Salvage, "salvage", c.Salvage, "open a log whose write-ahead log is damaged, up to the damage. What lies behind it is LOST: a start without this flag says how much that is")
	fs.BoolVar(&c.Version, "version", c.Version, "print the version and exit")
}

// Parse reads flags and environment into a configuration over Default. environ is as os.Environ gives it. -help
// is flag.ErrHelp, and its text Usage's.
func Parse(args, environ []string) (Config, error) {
	c := Default()
	fs := flag.NewFlagSet("ingestd", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // whoever called tells the error, once
	c.flags(fs)
	errs := setFromEnvironment(fs, environ)
	c.secretsFrom(environ)
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q: all settings are flags", fs.Arg(0)))
	}
	if c.Warehouse == "" && c.Lake.Catalog != warehouse.REST {
		c.Warehouse = filepath.Join(c.Data, "warehouse")
	}
	if len(errs) > 0 { // what could not be read is not what was meant: its bounds would only add noise
		return c, errors.Join(errs...)
	}
	return c, c.Validate()
}

// Usage describes every flag.
func Usage(w io.Writer) {
	c := Default()
	fs := flag.NewFlagSet("ingestd", flag.ContinueOnError)
	fs.SetOutput(w)
	c.flags(fs)
	fmt.Fprint(w, "ingestd takes events over HTTP into Apache Iceberg tables.\n\nEach flag is also an environment variable: -cut-interval is FIRN_CUT_INTERVAL.\n\n")
	fs.PrintDefaults()
}

// Validate reports all violations at once, each with what to do.
func (c Config) Validate() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("-%s: %s", name, fmt.Sprintf(format, args...)))
	}
	local := func(name, addr, example string) {
		if host, _, err := net.SplitHostPort(addr); err != nil {
			bad(name, "%q is no host:port: give one like %s", addr, example)
		} else if !loopback(host) {
			bad(name, "%q is not a loopback address, and ingestd has no authentication: listen on 127.0.0.1 and put a proxy that authenticates before it", addr)
		}
	}
	local("listen", c.Listen, "127.0.0.1:8080")
	if c.Admin != "" {
		local("admin", c.Admin, "127.0.0.1:8082")
	}
	if c.Data == "" {
		bad("data", "empty: name a directory")
	}
	for _, v := range c.lake().Violations() {
		if secrets[v.Variable] != nil {
			errs = append(errs, v)
			continue
		}
		bad(flagName(v.Variable), "%s", v.Problem)
	}
	if c.lake().OnS3() {
		errs = append(errs, c.checkAWS()...)
	} else if c.Queue != "" {
		bad("queue", "the committer behind it could not reach a warehouse in a directory: give a -warehouse on S3, or leave -queue out")
	}
	if !validNamespace(c.Namespace) {
		bad("namespace", "%q does not match ^[a-z][a-z0-9_]{0,127}$, which every catalog accepts", c.Namespace)
	}
	if c.CutInterval < 100*time.Millisecond || c.CutInterval > time.Hour {
		bad("cut-interval", "%v is not between 100ms and 1h", c.CutInterval)
	}
	if c.HotRetention < 0 || c.HotRetention > 30*24*time.Hour {
		bad("hot-retention", "%v is not between 0 and 720h", c.HotRetention)
	}
	if c.DedupWindow < time.Minute || c.DedupWindow > 7*24*time.Hour {
		bad("dedup-window", "%v is not between 1m and 168h", c.DedupWindow)
	}
	if c.TableShare <= 0 || c.TableShare > 1 {
		bad("table-share", "%v is not in (0, 1]", c.TableShare)
	}
	if c.EncodeWorkers < 1 || c.EncodeWorkers > 64 {
		bad("encode-workers", "%d is not between 1 and 64", c.EncodeWorkers)
	}
	sizes := func(name string, v, lo, hi ByteSize) {
		if v < lo || v > hi {
			bad(name, "%v is not between %v and %v", v, lo, hi)
		}
	}
	sizes("segment-bytes", c.SegmentBytes, 1<<20, 1<<30)
	sizes("log-bytes", c.LogBytes, 64<<20, 1<<50)
	sizes("disk-reserve", c.DiskReserve, 0, 1<<50)
	sizes("memory-limit", c.MemoryLimit, 64<<20, 1<<50)
	sizes("dedup-bytes", c.DedupBytes, 1<<20, 1<<50)
	sizes("body-bytes", c.BodyBytes, 1<<10, 256<<20)
	sizes("event-bytes", c.EventBytes, 1, 64<<20)
	sizes("in-flight-bytes", c.InFlight, 1<<20, 1<<50)
	if c.EventBytes > c.BodyBytes {
		bad("event-bytes", "%v is more than -body-bytes (%v): no request could carry such an event", c.EventBytes, c.BodyBytes)
	}
	if c.InFlight < 2*c.BodyBytes {
		bad("in-flight-bytes", "%v is less than twice -body-bytes (%v): such a body, compressed and expanded, could never be admitted", c.InFlight, c.BodyBytes)
	}
	if c.ReplyWithin < time.Second || c.ReplyWithin > time.Hour {
		bad("reply-within", "%v is not between 1s and 1h", c.ReplyWithin)
	}
	if c.MaintainInterval != 0 && (c.MaintainInterval < time.Minute || c.MaintainInterval > 24*time.Hour) {
		bad("maintain-interval", "%v is neither 0 nor between 1m and 24h", c.MaintainInterval)
	}
	if c.DryRun && !c.Maintain {
		bad("dry-run", "it says what -maintain would do: give both")
	}
	if c.Verify && (c.Maintain || c.Drain || c.Salvage || c.Check) {
		bad("verify", "not together with -maintain, -drain, -salvage or -check: it changes nothing, and leaves the event log alone")
	}
	if c.Maintain && (c.Drain || c.Salvage || c.Check) {
		bad("maintain", "not together with -drain, -salvage or -check: it leaves the event log alone")
	}
	if c.Drain && c.Salvage {
		bad("drain", "not together with -salvage: start with -salvage first, look, then drain")
	}
	return errors.Join(errs...)
}

// checkAWS looks at the AWS_ variables, and at the queue in their light.
func (c Config) checkAWS() (errs []error) {
	getenv := c.lake().Getenv
	_, err := awsenv.Load(getenv)
	if err != nil {
		errs = append(errs, err)
	}
	if region := awsenv.Region(getenv); c.Queue != "" && region != "" { // that it is missing has been said
		if err := fifo.CheckURL(c.Queue, region); err != nil {
			errs = append(errs, fmt.Errorf("-queue: %w", err))
		}
	}
	return errs
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func validNamespace(s string) bool {
	if s == "" || len(s) > 128 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}

// effective lists the settings by flag name, sorted, as a start prints them. Secrets are no flags.
func (c Config) effective() []slog.Attr {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	c.flags(fs)
	var attrs []slog.Attr
	fs.VisitAll(func(f *flag.Flag) { attrs = append(attrs, slog.String(f.Name, f.Value.String())) })
	sort.Slice(attrs, func(i, j int) bool { return attrs[i].Key < attrs[j].Key })
	return attrs
}
