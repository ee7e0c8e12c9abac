//go:build !firnreparse

package manifest

// reparse is false: schemas are parsed once. A build with the tag firnreparse parses them at each use, as a writer
// without the caches does, so that perf can measure the difference on whole commits.
const reparse = false
