package glue

import "time"

// SetSendTime shortens the time that one sending may take.
func (c *Catalog) SetSendTime(d time.Duration) { c.client.sendTime = d }
