// Package manifest writes and reads Iceberg's Avro files: manifests and manifest lists, format version 2 (version 1 is
// read). It is the only package that imports hamba/avro. The schemas that do not depend on a table are parsed once, in package
// variables; those that do (a manifest's partition struct) are parsed once for each distinct partition type and kept.
// Parses counts calls of the one function that parses, so that a test can prove that warm commits parse nothing.
//
// Invariants: every Avro field carries its field-id in the file header, with the names and ids of the specification's
// tables, so that every engine reads them. Nothing here depends on the parent snapshot: an ADDED entry's snapshot id and
// sequence numbers are null, to be inherited, so a manifest is written once and reused in every retry.
//
// All functions are safe for concurrent use.
package manifest
