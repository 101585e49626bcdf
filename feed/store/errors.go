package store

import (
	"errors"
	"fmt"

	"hashfeed/feed"
)

// Open and Create.
var (
	// ErrLocked: another process has the directory open; talk to it through its socket.
	ErrLocked = errors.New("another process is using it")
	// ErrNewer: the directory was written by a later version of this program, which alone may open it.
	ErrNewer = errors.New("it was written by a newer version of this program")
	// ErrManifestRecord: what MANIFEST was can't be read. Salvage makes the record anew where MANIFEST lists what is there.
	ErrManifestRecord = errors.New("the record of its MANIFEST is damaged")
	// ErrTable: a table of the database is damaged. Salvage sets it aside.
	ErrTable = errors.New("a table is damaged")
	// ErrEmptied: Badger would open the directory and find less than it held. Nothing was changed.
	ErrEmptied = errors.New("its MANIFEST is missing, cut off or an older one, and opening it would delete data")
)

// What writes.
var (
	// ErrNoSpace: writing would go below the free-space reserve. Nothing was written; it works again when there is room.
	ErrNoSpace = errors.New("not enough free space on the disk")
	// ErrUnwell: an earlier write failed, so that it isn't known whether it is on the disk. Nothing is written until the
	// store has been closed and opened again; reading goes on.
	ErrUnwell = errors.New("an earlier write failed; the store must be opened again")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("the store is closed")
	// ErrUnknownFeed: the feed isn't held; AddFeed first.
	ErrUnknownFeed = errors.New("unknown feed")
	// ErrAnchor: the feed is held under another anchor.
	ErrAnchor = errors.New("the feed is held under another anchor")
	// ErrCharter: a batch or chain rests on charters that aren't the ones held; verify again with Chain.
	ErrCharter = errors.New("its charters aren't the ones held")
	// ErrGap: a batch begins past what is held, so something else must be fetched first.
	ErrGap = errors.New("records before it are missing")
	// ErrFork: a batch was verified over a tree that isn't ours. Both can't be true of one log: the difference is evidence if
	// both heads were signed, and damage if not.
	ErrFork = errors.New("it contradicts the stored log")
	// ErrErased: a body that was erased stays erased.
	ErrErased = errors.New("the body was erased")
)

// errClosing: what is acknowledged is on the disk, but not where Badger wants it.
var errClosing = errors.New("the database can't write what it has in memory, and doesn't close")

// A DamagedError says that what is on the disk of a feed isn't what was acknowledged. The feed can be read as far as it goes
// and honours suspensions, but commits are refused until it is mended; see Mend.
type DamagedError struct {
	Feed    feed.Name
	Log     int // 0: not of one log
	Problem string
	Remedy  string
}

func (e *DamagedError) Error() string {
	what := string(e.Feed)
	if e.Log != 0 {
		what = string(e.Feed.Log(e.Log))
	}
	return fmt.Sprintf("%s is damaged: %s; %s", what, e.Problem, e.Remedy)
}

// A FollowerError says that a commit stands, on disk and for readers, but that a follower couldn't apply it. Who called must
// raise an alarm: a table that misses a retraction goes on accusing.
type FollowerError struct {
	Name string
	Err  error
}

func (e *FollowerError) Error() string {
	return fmt.Sprintf("follower %s: apply commit: %v", e.Name, e.Err)
}
func (e *FollowerError) Unwrap() error { return e.Err }
