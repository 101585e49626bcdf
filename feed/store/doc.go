// Package store keeps feeds in Badger; only verified batches go in, and nothing in it is ever rewritten.
//
// # Words
//
// A feed is held from AddFeed to RemoveFeed under a number of its own, so that a feed that is followed again never meets
// what was left of its earlier life. A log of it grows by commits: a [feed.Batch] appends records [from, to), adopts a
// checkpoint, or both. What is fetched may be ahead of the newest adopted checkpoint, never behind it. A generation is a
// copy of a log: when our copy turns out wrong (it differs at a cut, or the disk lost some of it) it is set aside and the
// next generation is fetched from the start. A bundle is 256 heads or 256 bodies; a chunk is the part of the newest, not
// yet full bundle that one commit brought. A note is a charter, a suspension or a roster as it was signed.
//
// # On disk
//
// Everything lies in Badger under DIR/store: key = schema, feed number, log, kind, generation, level, number, edition;
// value = nonce(24) || XChaCha20-Poly1305 with the associated data
//
//	origin LF feed number "." generation LF kind LF level "." number "." edition
//
// so that a value which somebody moved doesn't open at its new place. A key is written once. What changes (the bodies of
// a bundle after an erasure) is written beside as the next edition, and the highest counts; deleting what it replaces may
// fail, or be undone by a bug of the database, and does no harm.
//
// Outside Badger lie small files, each written to a temporary file, synced, renamed, and its folder synced:
//
//	DIR/heads/<pub>_<feed>_<log>           what a log must at least hold: size, root, checkpoint, and a sum over it
//	DIR/heads/manifest                     how long Badger's MANIFEST was
//	DIR/heads/writes                       the number of Badger's newest write (written in place, not synced)
//	DIR/charters/<pub>_<feed>/charter-<n>  the notes, as they were signed
//	DIR/charters/<pub>_<feed>/suspension-<sha256 of text>
//	DIR/charters/<pub>_<feed>/roster-<n>
//
// # Crash order
//
// A commit writes full bundles (synced), then in one transaction the tiles, the chunk, the checkpoint and the commit's
// own record, which is what counts (synced), then the head file (synced); only then do readers see it, are followers
// called, and does Commit return. What a crash leaves before the commit's record is never read; between record and head file,
// the next Open recognises exactly that one commit and writes the head file again. Anything else in which a head file
// and Badger differ is damage: Badger silently drops the rest of its write-ahead log after one flipped byte, and opens
// empty when its MANIFEST is gone. A damaged feed can be read as far as it goes, but refuses commits until it is mended (Mend,
// PutPart, SetAside); only a log that has lost its end takes what it lost from whoever has it, and is damaged until it has
// all that its head file promises. A database that doesn't open any more Salvage makes open with what is left of it.
// Of writes that no head file tells of, receipts and erasures, the number of the newest one tells: see Lost. Badger's tables are read
// before it sees them, since it panics where a length in them is damaged.
//
// # Example
//
//	s, err := store.Open(dir, store.Options{Key: key})
//	…
//	if err := s.AddFeed(chain); err != nil { … }
//	for batch, err := range feed.Verify(chain, tree, s.Tail(origin), checkpoint, get) {
//		if err != nil { … }
//		if err := s.Commit(batch); err != nil { … }
//	}
//
// # What it doesn't do
//
// It verifies no signature of a batch (package feed did, and nothing else can make one), judges no record, opens no
// socket. A whole DIR that was rolled back to an older copy looks sound from inside: a publisher therefore signs only after
// it heard a member (DESIGN §3). Badger's own value-log garbage collection and DropPrefix are never called.
package store
