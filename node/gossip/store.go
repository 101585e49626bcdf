package gossip

import (
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A Store keeps feeds durably: what a writing method has returned without an error is on the disk. Any number of goroutines call it. Nothing
// gets in that wasn't verified, since its arguments are values that only package feed makes.
//
// Its owner calls Network.Committed for everything that was stored, whoever stored it.
type Store interface {
	// Chain and AddFeed, SetChain: the charters of a feed that is held; begin to hold one; go on to newer ones.
	Chain(feed.Name) (*feed.Chain, bool)
	AddFeed(*feed.Chain) error
	SetChain(*feed.Chain) error

	// Position is how much of a log is fetched: its tree, and the heads of its partial last bundle.
	Position(feed.Origin) (tree feed.Tree, tail [][]byte, ok bool)
	// RootAt is the root of what is fetched at a size, and HashReader reads the hashes below.
	RootAt(feed.Origin, uint64) (feed.Digest, error)
	HashReader(feed.Origin) (tlog.HashReader, error)
	// SetAside gives a log up, to be fetched anew from its first record: the next generation.
	SetAside(feed.Origin) error
	// Commit appends verified records, adopts a checkpoint or cosignatures, or both.
	Commit(*feed.Batch) error

	// Head is the newest adopted checkpoint, Seen the first of a size, with its cosignatures.
	Head(feed.Origin) (feed.Checkpoint, bool)
	Seen(feed.Origin, uint64) (feed.Checkpoint, bool)
	// Part is a tile or bundle of the tree of a size, byte for byte; fs.ErrNotExist where it isn't held.
	Part(origin feed.Origin, path string, size uint64) ([]byte, error)
	Record(feed.Origin, uint64) (feed.Record, error)
	// SetBody stores a body that was missing.
	SetBody(feed.Origin, uint64, []byte) error

	Suspend(feed.Suspension) error
	Suspensions(feed.Name) []feed.Suspension
	SetRoster(feed.Roster) error
	Roster(feed.Name) (feed.Roster, bool)

	// PutReceipt keeps a member's cosignature of an own log.
	PutReceipt(feed.Origin, uint64, crypto.Line) error
	// NoteCosigned stores what we are about to cosign, before the line leaves the house. It refuses a smaller size than before, and
	// another root of the same size: a witness takes no word back.
	NoteCosigned(origin feed.Origin, size uint64, root feed.Digest, unix int64) error

	// Cursor and PutCursor keep a few bytes under a name: the addresses of members, the reports that wait for an answer.
	Cursor(name string) ([]byte, error)
	PutCursor(name string, data []byte) error
}
