//go:build firnreparse

package manifest

const reparse = true
