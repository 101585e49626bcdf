// Package feed defines a feed: an append-only log of records signed by its publisher, with its charter, checkpoints and proofs.
//
// # Records
//
// A feed is a list of fingerprints ("hashes") of verified abuse material, kept as one or more logs, numbered from 1. Each log is a Merkle
// tree of record heads. A [Head] is what the log says for everyone to see: an item was added, revised or retracted, or a record was
// endorsed, disputed or resolved, and when; it discloses no hash. The [Body] of an add or revise holds the hashes and the facts; it lies
// beside the log and is bound to its head by a salted digest, so it can be erased and every proof still stands.
//
//	Name      eokm.example/known         the feed
//	Origin    eokm.example/known/1       one of its logs
//	Ref       eokm.example/known/1#17    a record, anywhere
//	Position  1#17                       a record of the feed at hand
//
// An item is one image or video: an add, then revises and retracts that each name what came before. A head that breaks these rules is
// void: it stays in the tree and has no effect, for everyone ([VoidCode]). A body that breaks the rules of content is refused: its record
// counts, and lists nothing ([RefuseCode]). [State] applies records in the log's order and answers, without a lock, what an item is worth
// now ([Standing]). Additions wait for a limit (what witnesses have seen, what was fetched); a retraction never waits.
//
// A publisher signs records with [Sign]. Where its charter wants several signers it makes a [Proposal] first, which each signs by itself, having
// asked its [Words] whether it may: what it signed before must remain true.
//
// Heads and bodies are deterministic CBOR (RFC 8949, section 4.2.1). As an example, this head adds an item:
//
//	{1: 1, 2: 1, 3: 1795424400,                  / format, op add, time /
//	 4: h'000102030405060708090a0b0c0d0e0f',     / item /
//	 5: 1,                                       / rev /
//	 6: h'…32 bytes…'}                           / SHA-256 of the body /
//
// and this is its body, which lists a SHA-256 and a PDQ of quality 100 as baseline (assessed by two), an image:
//
//	{1: h'…16 bytes of salt…',
//	 2: [[3, h'…32 bytes…'], [4, h'…32 bytes…', 100]],
//	 3: {1: 1, 2: 1, 7: 2}}
//
// What is not here: the package opens no socket, starts no goroutine, reads no clock; every time is an argument, in Unix seconds.
package feed
