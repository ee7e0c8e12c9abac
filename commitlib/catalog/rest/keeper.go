package rest

// KeepsMetadata implements catalog.MetadataKeeper: the service writes metadata files, and may go back to any of them.
func (c *Catalog) KeepsMetadata() bool { return true }
