// Package manifest writes and reads Iceberg's Avro files: manifests and manifest lists. Format version 2 is written;
// versions 1 to 3 are read. It is the only package that imports hamba/avro.
//
// Invariants:
//   - Every Avro field carries its field-id in the file header, with the names and ids of the specification's tables,
//     so that every engine reads them. Files of other writers are read by field id, never by name or place.
//   - What is written follows the parsed form of the very schema text that stands in the
//     header, and so cannot disagree with it.
//   - A schema is parsed once: the one that does not depend on a table in a package variable, one for each
//     distinct partition type and each distinct header read, kept in bounded caches. Parses counts the
//     calls of the one function that parses.
//   - Nothing here depends on the parent snapshot: an ADDED entry's snapshot id and sequence numbers are null, to be
//     inherited, so a manifest is written once and reused in every retry. Equal input gives equal bytes.
//   - Reading takes memory in proportion to what is in the file, never to what its lengths claim.
//
// hamba/avro parses schemas; the values and the container around them are read and written here. Its container reader
// allocates whatever a block's length claims and inflates without a bound, its container writer makes a new compressor
// for each block (see pack.go), and its generic values know fields by name.
//
// All functions are safe for concurrent use.
package manifest
