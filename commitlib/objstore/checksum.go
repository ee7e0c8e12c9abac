package objstore

import (
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the form that Info.Checksum has, over a body in memory.
func Checksum(body []byte) string { return formatChecksum(crc32.Checksum(body, castagnoli)) }

func formatChecksum(crc uint32) string { return fmt.Sprintf("crc32c:%08x", crc) }
