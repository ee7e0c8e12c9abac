package twin

// KeepsMetadata implements catalog.MetadataKeeper, as each service's client does.
func (c *Catalog) KeepsMetadata() bool { return c.mode == REST }
