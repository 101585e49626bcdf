// Package knowngood knows files that everybody has, so that nobody lists them.
//
// In 2021 a hash service listed the pictures that come with WordPress, and a host deleted its customers' sites. So whoever publishes is
// told before signing that a file is known good, and whoever matches doesn't block what is. A [Set] is all that one node knows:
//
//   - built in ([Builtin]): files of common web software and icon sets, made by the program in the folder generate out of Debian and npm
//     packages, which sources.tsv names with their versions; the empty file; blank and single-coloured pictures; tracking pixels.
//   - own ([Own]): what the operator added in person. No override of a publisher outweighs it.
//   - bloom ([Bloom]): files in DCSO's format, such as CIRCL publishes of hundreds of millions of files.
//
// A picture is known good also if it looks like a known one: PDQs up to a distance, 31 bits by default, where both have a quality that says
// something; and equal ones of any quality.
//
//	set := &knowngood.Set{Builtin: knowngood.Builtin(), Within: 31}
//	if source, ok := set.Find(hash); ok {
//		return fmt.Errorf("known good: %s", source)
//	}
//
// # What a hit is worth
//
// The built-in list keeps 80 bits of each exact hash: enough that nobody finds a file that has the same by trying, which takes 2^64 tries
// with fifty thousand files to hit. A Bloom filter is wrong once in ten thousand times, and as it is public, a file that it wrongly has
// is found by appending a counter to any file. So [Set.Bytes], which asks the filters, is an answer apart from [Set.Has]: it is good enough
// to refuse a publication, which a person can override, and speaks for an upload only where the listed file itself is meant.
//
// # The built-in file
//
// builtin.bin is read in place, without being unpacked. Numbers are big-endian.
//
//	"hashfeed-knowngood/v1\n"
//	4 × uint32         how many md5, sha1, sha256, pdq entries follow
//	12 bytes each      md5 entries: the first 10 bytes of the hash, uint16 source; ascending
//	12 bytes each      sha1 entries, likewise
//	12 bytes each      sha256 entries, likewise
//	35 bytes each      pdq entries: the hash, its quality, uint16 source; ascending
//
// A source is a line of sources.tsv, counted from 0: kind, name, version, number of files.
package knowngood
