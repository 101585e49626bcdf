package feed

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"hashfeed/crypto"
)

// A Chain is the charters of a feed from the one that a follower has pinned to the newest, each signed by k of its own roots and by k of
// the roots of the one before. Only OpenChain and Extend make one, so that whatever holds a *Chain holds verified law. It is immutable.
//
// A Chain never goes back: it is extended by the next version or not at all. What to do about two texts of one version is ForkError's.
type Chain struct {
	anchor Anchor
	links  []link // at least one
}

type link struct {
	charter Charter
	note    []byte
}

// A ForkError is what Extend returns for a second valid text of a version that the chain holds: the publisher, or whoever has its root
// keys, has said two things. The caller keeps the first, freezes the feed and passes the evidence on.
type ForkError struct {
	Evidence Evidence
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("charter: two valid texts of version %d of %s", e.Evidence.Version, e.Evidence.Feed)
}

var (
	errChain     = errors.New("charters")
	errNoCharter = errors.New("no charter")
	errNotAnchor = errors.New("first charter isn't the anchor's")
	errFewOwn    = errors.New("too few of its own roots have signed")
	errFewLast   = errors.New("too few of the last version's roots have signed")
	errVersion   = errors.New("version isn't the last + 1")
	errConstant  = errors.New("feed, harm or use changed")
	errRewritten = errors.New("closed lines rewritten")
	errSameLog   = errors.New("signer or stamp changed without closing the log")
	errStaleKey  = errors.New("signer or stamp key of a new log stands in an earlier charter")
)

// OpenChain verifies charters, from the one whose text hashes to anchor on, in the order of their versions without gaps.
func OpenChain(anchor Anchor, notes [][]byte) (*Chain, error) {
	if len(notes) > MaxCharters {
		return nil, fmt.Errorf("%w: %d, want at most %d", errChain, len(notes), MaxCharters)
	}
	if len(notes) == 0 {
		return nil, fmt.Errorf("%w: %w", errChain, errNoCharter)
	}
	c := &Chain{anchor: anchor, links: make([]link, 0, len(notes))}
	for _, data := range notes {
		l, err := c.openNext(data)
		if err != nil {
			return nil, err
		}
		c.links = append(c.links, l)
	}
	return c, nil
}

// Extend returns the chain with the next version. A note with the text of a version that is held gives the chain as it is. Another valid text
// of a held version is a *ForkError.
func (c *Chain) Extend(data []byte) (*Chain, error) {
	note, charter, err := parseCharterNote(data)
	if err != nil {
		return nil, err
	}
	if i := charter.Version - c.links[0].charter.Version; 0 <= i && i < len(c.links) && charter.Feed == c.Feed() {
		if string(note.Text) == c.links[i].charter.text() {
			return c, nil
		}
		if e, err := NewCharterEvidence(c, data); err == nil {
			return nil, &ForkError{e}
		}
	}
	l, err := c.openNext(data)
	if err != nil {
		return nil, err
	}
	return &Chain{c.anchor, append(slices.Clip(c.links), l)}, nil
}

func parseCharterNote(data []byte) (crypto.Note, Charter, error) {
	note, err := crypto.ParseNote(data)
	if err != nil {
		return note, Charter{}, fmt.Errorf("%w: %w", errCharter, err)
	}
	c, err := ParseCharter(note.Text)
	return note, c, err
}

// openNext verifies a charter as the one after c's last. The Chain being built may be empty: then it must be the anchor's.
func (c *Chain) openNext(data []byte) (link, error) {
	note, charter, err := parseCharterNote(data)
	if err != nil {
		return link{}, err
	}
	wrap := func(err error) (link, error) {
		return link{}, fmt.Errorf("%w of %s, version %d: %w", errCharter, charter.Feed, charter.Version, err)
	}
	if len(c.links) == 0 {
		if charter.Anchor() != c.anchor {
			return wrap(errNotAnchor)
		}
		if err := checkRoots(note, charter, nil); err != nil {
			return wrap(err)
		}
		return link{charter, rootLines(note, charter).Bytes()}, nil
	}
	last := &c.links[len(c.links)-1].charter
	if err := checkRoots(note, charter, last); err != nil {
		return wrap(err)
	}
	if err := c.mayFollow(&charter); err != nil {
		return wrap(err)
	}
	return link{charter, rootLines(note, charter).Bytes()}, nil
}

// mayFollow says why a charter can't follow the chain's newest, whoever signs it; nil where it can.
func (c *Chain) mayFollow(charter *Charter) error {
	last := c.newest()
	if charter.Version != last.Version+1 {
		return errVersion
	}
	if charter.Feed != last.Feed || charter.Harm != last.Harm || charter.Use != last.Use {
		return errConstant
	}
	// Both have Log = len(Closed) + 1: this is "at most one line is added", too.
	if n := len(last.Closed); len(charter.Closed) < n || len(charter.Closed) > n+1 || !slices.Equal(charter.Closed[:n], last.Closed) {
		return errRewritten
	}
	if charter.Log == last.Log {
		if charter.Signer.String() != last.Signer.String() || charter.Stamp != last.Stamp {
			return errSameLog
		}
	} else if c.holds(charter.Signer.Keys) || c.holds([]crypto.PublicKey{charter.Stamp}) {
		return errStaleKey // a stolen key must not come back, nor an old log's signature be taken for the new one's
	}
	return nil
}

// rootLines drops the lines of strangers. Those of roots that we don't know stay: of the version before the anchor's, whom followers with
// an earlier anchor ask for, and of the other branch of a fork, which a charter that ends it has too.
func rootLines(note crypto.Note, c Charter) crypto.Note {
	note.Lines = slices.DeleteFunc(slices.Clone(note.Lines), func(l crypto.Line) bool { return l.Name != c.rootName() })
	return note
}

// checkRoots verifies that k of the charter's own roots, and of last's where there is one, have signed. One signature may serve both.
// A line of either that fails makes the note bad, as does an id that two of the keys share.
func checkRoots(note crypto.Note, charter Charter, last *Charter) error {
	keys := charter.Root.Keys
	if last != nil {
		keys = slices.Concat(keys, last.Root.Keys)
	}
	by, err := note.Check(keys...)
	switch {
	case err != nil:
		return err
	case !charter.Root.met(by):
		return errFewOwn
	case last != nil && !last.Root.met(by):
		return errFewLast
	}
	return nil
}

// holds reports whether one of the keys stands in a charter of the chain, in any job.
func (c *Chain) holds(keys []crypto.PublicKey) bool {
	for i := range c.links {
		for _, old := range c.links[i].charter.keys() {
			if slices.ContainsFunc(keys, func(k crypto.PublicKey) bool { return k.Key == old.Key }) {
				return true
			}
		}
	}
	return false
}

// upTo returns the chain to its n'th charter, n counted from 1.
func (c *Chain) upTo(n int) *Chain { return &Chain{c.anchor, c.links[:n:n]} }

func (c *Chain) newest() *Charter { return &c.links[len(c.links)-1].charter }

// Anchor returns what the chain is pinned to.
func (c *Chain) Anchor() Anchor { return c.anchor }

// Feed returns the name that all charters bear.
func (c *Chain) Feed() Name { return c.links[0].charter.Feed }

// Len returns the number of charters.
func (c *Chain) Len() int { return len(c.links) }

// Newest returns the charter in force.
func (c *Chain) Newest() Charter { return c.newest().clone() }

// First returns the anchor's charter.
func (c *Chain) First() Charter { return c.links[0].charter.clone() }

// All returns the charters in the order of their versions.
func (c *Chain) All() []Charter {
	all := make([]Charter, len(c.links))
	for i := range c.links {
		all[i] = c.links[i].charter.clone()
	}
	return all
}

// Notes returns the signed charters in the order of their versions, as they are kept and sent: without lines that
// don't bear the name of the feed's roots.
func (c *Chain) Notes() [][]byte {
	notes := make([][]byte, len(c.links))
	for i := range c.links {
		notes[i] = slices.Clone(c.links[i].note)
	}
	return notes
}

// Note returns the signed charter of a version, and whether the chain has it.
func (c *Chain) Note(version int) ([]byte, bool) {
	i := version - c.links[0].charter.Version
	if i < 0 || i >= len(c.links) {
		return nil, false
	}
	return slices.Clone(c.links[i].note), true
}

// ForLog returns the newest charter whose current log is n: it has the log's signers and stamp, which are the same in all that name it,
// and its witnesses. There is none of a log that was closed before the anchor.
func (c *Chain) ForLog(n int) (Charter, bool) {
	if l := c.forLog(n); l != nil {
		return l.clone(), true
	}
	return Charter{}, false
}

func (c *Chain) forLog(n int) *Charter {
	for i := len(c.links) - 1; i >= 0; i-- {
		if c.links[i].charter.Log == n {
			return &c.links[i].charter
		}
	}
	return nil
}

// Cut returns where log n was closed, and whether it was.
func (c *Chain) Cut(n int) (Cut, bool) {
	closed := c.newest().Closed
	if n < 1 || n > len(closed) {
		return Cut{}, false
	}
	return closed[n-1], true
}

// AdditionLimit returns how much of the current log may count for additions as far as the charter's expiry goes (WIRE §4, "Expired"):
// everything until it expires, then only what lies below the largest size stamped in time. heads are the first stamped checkpoints
// that are kept of the current log, one a size, and the newest where none is kept of its size; those of other logs are passed over.
// Retractions, and closed logs, have no such limit.
func (c *Chain) AdditionLimit(heads []Checkpoint, now int64) uint64 {
	charter := c.newest()
	if !charter.Expired(now) {
		return math.MaxUint64
	}
	var limit uint64
	for _, h := range heads {
		if h.Origin == charter.Origin() && h.Stamp <= charter.Expires {
			limit = max(limit, h.Size)
		}
	}
	return limit
}

// SignCharter signs a charter with root keys: its own and, from the second version on, those of the version before. It doesn't ask whether
// they are enough, since the holders of offline roots may sign one after the other (see CountersignCharter); Extend does.
func SignCharter(c Charter, keys ...*crypto.PrivateKey) ([]byte, error) {
	text, err := c.Text()
	if err != nil {
		return nil, fmt.Errorf("sign %w", err)
	}
	return signCharter(crypto.Note{Text: text}, c, keys)
}

// CountersignCharter adds the signatures of more root keys to a signed charter. A key that has signed it already signs it anew.
func CountersignCharter(data []byte, keys ...*crypto.PrivateKey) ([]byte, error) {
	note, c, err := parseCharterNote(data)
	if err != nil {
		return nil, fmt.Errorf("countersign %w", err)
	}
	return signCharter(note, c, keys)
}

func signCharter(note crypto.Note, c Charter, keys []*crypto.PrivateKey) ([]byte, error) {
	for _, k := range keys {
		if k.Public().Name != c.rootName() {
			return nil, fmt.Errorf("sign charter: %w: %q", errRole, k.Public().Name)
		}
		line, err := k.Sign(note.Text)
		if err != nil {
			return nil, fmt.Errorf("sign charter: %w", err)
		}
		note.Lines = append(slices.DeleteFunc(slices.Clone(note.Lines), func(l crypto.Line) bool {
			return l.Name == line.Name && l.ID == line.ID
		}), line)
	}
	if len(note.Lines) == 0 {
		return nil, fmt.Errorf("sign charter: %w", errNoKey)
	}
	data := note.Bytes()
	if _, err := crypto.ParseNote(data); err != nil { // over 100 lines
		return nil, fmt.Errorf("sign charter: %w", err)
	}
	return data, nil
}

var errNoKey = errors.New("no key to sign with")

// String is for logs: feed, versions and anchor.
func (c *Chain) String() string {
	return fmt.Sprintf("%s versions %d-%d anchor %s", c.Feed(), c.links[0].charter.Version, c.newest().Version, c.anchor)
}
