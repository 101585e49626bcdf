// Package hashlist reads and writes the hash lists that other systems exchange.
//
// A list is rows, a row is one item: an image or a video with its hashes and what its source says of it. Whatever the format, a
// [Reader] makes the same [Row] of it, and a [Writer] takes the same Row; [Formats] is the one table of them. A reader only reads: it
// takes nothing for granted, so what a row doesn't say is zero in it, and what a zero means is the importer's to decide.
//
//	id;md5;sha256;verdict;media
//	2024-0017;5b2c…;9f04…;national;image
//
// Lists come from strangers. A reader keeps one row in memory, of at most maxRow bytes, and names the line of everything that it
// doesn't like; no error repeats a hash, since errors end up in logs. A wrong row is a [RowError], after which the next row can be read;
// any other error ends the list.
//
// A [Mapping] says what the codes of one source mean. It is closed: a code that isn't in it is refused, never taken for something.
package hashlist
