package commitlib

import (
	"strings"
	"time"
)

// How long objects live that no table metadata names: PROTOCOL.md, "Lifetimes of objects". Whoever writes objects, and
// whoever removes them, goes by these.
const (
	// Grace is how long an object must have been found unreferenced before it may be removed, at least: as long as old
	// table metadata is kept, so that all that a kept metadata file reaches is there, and a reader that holds an
	// expired snapshot finishes its scan.
	Grace = 3 * time.Hour

	// MaxReuse bounds the age at which an attempt may still name an object that it, or an attempt before it, wrote.
	// What is older is written anew under another name. An object is removed only from a table whose main moved later
	// than this after the object was made: no attempt that names it can land then, however late its swap arrives.
	MaxReuse = Grace / 4

	// StagedGrace is the same for a staged data file. A request may name it for as long as it may be applied, and its
	// sender sends it again without a look at the file for half as long. Where watermarks only rise, none of that matters
	// once they passed the file's range; where somebody raised one by hand and sets it back, or restores a table to an older
	// state, such a request is next again. Every request from before the first look is too old by then, and Grace is for what
	// was sent until its sender saw the watermark.
	StagedGrace = MaxStagedAge + Grace

	// ObjectPrefix begins the file names of manifests and of rewritten data files, and stands in those of manifest
	// lists. By it removal tells them from those of other engines, which may hold on to theirs for as long as they
	// like. Staged data files are told by log and range.
	ObjectPrefix = "firn-"
)

// propGC is Iceberg's property by which a table's owner keeps maintenance away.
const propGC = "gc.enabled"

// MayCollect says whether a table with these properties may be kept house in: its snapshots expired, its old events and
// unneeded objects removed, its files compacted. Anything but true, where the property is set, is a no.
func MayCollect(properties map[string]string) bool {
	on, set := properties[propGC]
	return !set || strings.EqualFold(strings.TrimSpace(on), "true")
}
