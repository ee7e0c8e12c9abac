package catalog

// MetadataKeeper is implemented by a catalog whose service may write tables' metadata files and decide how long they live.
type MetadataKeeper interface {
	// KeepsMetadata says that metadata files are the service's: nobody else removes them.
	KeepsMetadata() bool
}

// KeepsMetadata says whether c is such a catalog.
func KeepsMetadata(c Catalog) bool {
	keeper, ok := c.(MetadataKeeper)
	return ok && keeper.KeepsMetadata()
}
