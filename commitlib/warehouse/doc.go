// Package warehouse opens the object store that tables lie in and the catalog that points at them, as settings say. It
// is the one place that knows which stores and catalogs there are: flushlambda and ingestd open theirs here, so that
// both read the same settings and refuse the same mistakes with the same words.
//
// Invariants: settings that contradict one another are refused before anything is opened, all of them at once. Opening
// sends nothing and makes nothing, so that a cold start costs no round trip and a daemon with acked events starts
// while its store is away; Check and Prove ask. A directory that is missing is not made: in place of a volume that is
// not mounted every table would be made anew.
package warehouse
