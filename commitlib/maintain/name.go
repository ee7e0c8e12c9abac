package maintain

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"firn/commitlib"
)

// kind is what an object's name says of it, which decides by what rule it may be removed when nothing references it.
type kind int

const (
	elsewhere  kind = iota // outside data, metadata and _firn: left alone
	kept                   // a note, the hint, our own state: never removed
	staged                 // a data file that a log's owner staged
	ours                   // a manifest, manifest list or rewritten data file of ours
	foreign                // another engine's, or older than ObjectPrefix
	version                // v<N>.metadata.json of package objectstore
	metadata               // <nnnnn>-<uuid>.metadata.json of a catalog service
	claim                  // a request too large for its queue
	watermarks             // a file of spilled watermarks
	kinds
)

var kindNames = [kinds]string{
	"elsewhere", "kept", "staged data file", "manifest, list or rewritten file", "other engine's file", "old table metadata", "old table metadata",
	"claim", "spilled watermarks",
}

func (k kind) String() string { return kindNames[k] }

// name is an object's name, read.
type name struct {
	kind        kind
	log         uuid.UUID     // of staged and claim
	first, last commitlib.Seq // likewise
	version     int64         // of version
}

const (
	uuidPattern = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	hintName    = "version-hint.text"

	// The folders under a table's root that a sweep removes from.
	dataFolder     = "data/"
	metadataFolder = "metadata/"
	stateFolder    = "_firn/"

	claimFolder = stateFolder + "claims/"
)

var (
	stagedRE     = regexp.MustCompile(`^(` + uuidPattern + `)-([0-9]+)-([0-9]+)-[0-9]+(?:-r[0-9]+)?\.parquet$`)
	claimRE      = regexp.MustCompile(`^(` + uuidPattern + `)/([0-9]+)-([0-9]+)-[0-9a-f]{8}(?:-` + uuidPattern + `)?\.json$`)
	listRE       = regexp.MustCompile(`^snap-[0-9]+-[0-9]+-` + commitlib.ObjectPrefix + uuidPattern + `\.avro$`)
	versionRE    = regexp.MustCompile(`^v([0-9]+)\.metadata\.json$`)
	serviceRE    = regexp.MustCompile(`^[0-9]+-` + uuidPattern + `\.metadata\.json$`)
	watermarksRE = regexp.MustCompile(`^` + stateFolder + `watermarks-` + uuidPattern + `\.json$`)
)

// readName reads a key relative to the table's root. What is not surely ours is foreign, or left alone.
func readName(rel string) name {
	base := rel[strings.LastIndexByte(rel, '/')+1:]
	switch {
	case strings.HasPrefix(rel, dataFolder):
		if m := stagedRE.FindStringSubmatch(base); m != nil {
			return logged(staged, foreign, m)
		}
		if strings.HasPrefix(base, commitlib.ObjectPrefix) {
			return name{kind: ours}
		}
		return name{kind: foreign}
	case rel == metadataFolder+hintName:
		return name{kind: kept}
	case strings.HasPrefix(rel, metadataFolder):
		if m := versionRE.FindStringSubmatch(base); m != nil && rel == metadataFolder+base {
			if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && m[1][0] != '0' {
				return name{kind: version, version: n}
			}
		}
		switch {
		case serviceRE.MatchString(base):
			return name{kind: metadata}
		case strings.HasPrefix(base, commitlib.ObjectPrefix), listRE.MatchString(base):
			return name{kind: ours}
		}
		return name{kind: foreign}
	case strings.HasPrefix(rel, claimFolder):
		if m := claimRE.FindStringSubmatch(rel[len(claimFolder):]); m != nil {
			return logged(claim, kept, m)
		}
		return name{kind: kept}
	case watermarksRE.MatchString(rel):
		return name{kind: watermarks}
	case strings.HasPrefix(rel, stateFolder):
		return name{kind: kept}
	}
	return name{kind: elsewhere}
}

// logged is a name with log and range; otherwise is its kind where these are none that a log's owner gives.
func logged(k, otherwise kind, m []string) name {
	log, err := uuid.Parse(m[1])
	first, ferr := strconv.ParseUint(m[2], 10, 63)
	last, lerr := strconv.ParseUint(m[3], 10, 63)
	if err != nil || log.Version() != 7 || ferr != nil || lerr != nil || first < 1 || last < first {
		return name{kind: otherwise}
	}
	return name{kind: k, log: log, first: commitlib.Seq(first), last: commitlib.Seq(last)}
}
