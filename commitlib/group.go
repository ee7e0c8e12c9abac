package commitlib

import (
	"crypto/sha256"
	"encoding/hex"
)

// maxQueueGroup is the longest message group id that SQS takes, in bytes. "namespace.name" may be twice as long.
const maxQueueGroup = 128

// QueueGroup returns the group as a queue carries it: itself, or where that is longer than a queue takes, its beginning and a
// hash of it. It maps its own results to themselves, so that sender and receiver may compare either form.
func QueueGroup(group string) string {
	if len(group) <= maxQueueGroup {
		return group
	}
	sum := sha256.Sum256([]byte(group))
	hash := hex.EncodeToString(sum[:16]) // 128 bits: groups that fall together would only wait for one another
	return group[:maxQueueGroup-len(hash)-1] + "-" + hash
}
