package feed

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hashfeed/crypto"
)

// A Roster says who may read a feed:
//
//	hashfeed-roster/v1
//	feed eokm.example/known
//	version 17
//	expires 2026-12-23T00:00:00Z
//	member 12D3KooW… 2027-11-23T00:00:00Z
//
// It is signed by the roster key of the newest charter, and replaced whole. Names and contacts of members stay with the publisher; so do members
// marked hidden. Only Chain.OpenRoster makes one; the fields are for reading.
type Roster struct {
	Feed    Name
	Version int      // 1 to MaxRosterVersion; never goes back
	Expires int64    // Unix seconds
	Members []Member // ascending by PeerID, at most MaxMembers

	note crypto.Note
}

// A Member is a node that may read a feed.
type Member struct {
	PeerID  string // base58 text of an Ed25519 peer id: "12D3KooW…"
	Expires int64  // Unix seconds
}

var (
	errRoster     = errors.New("roster")
	errNoRoster   = errors.New("the charter has no roster key")
	errUnsigned   = errors.New("not signed by the charter's roster key")
	errMembers    = fmt.Errorf("more than %d members", MaxMembers)
	errRosterLong = errors.New("expires more than 30 days ahead")
)

const rosterMagic = "hashfeed-roster/v1"

// OpenRoster verifies a roster of the feed against its newest charter. Whether it is newer than the one held, and not expired, the caller sees.
func (c *Chain) OpenRoster(data []byte) (Roster, error) {
	note, err := crypto.ParseNote(data)
	if err != nil {
		return Roster{}, fmt.Errorf("%w: %w", errRoster, err)
	}
	r, err := parseRoster(note.Text)
	if err != nil {
		return Roster{}, fmt.Errorf("%w: %w", errRoster, err)
	}
	if r.Feed != c.Feed() {
		return Roster{}, fmt.Errorf("%w: %w: %s", errRoster, errOtherFeed, r.Feed)
	}
	key := c.newest().Roster
	if key == nil {
		return Roster{}, fmt.Errorf("%w of %s: %w", errRoster, r.Feed, errNoRoster)
	}
	by, err := note.Check(*key)
	if err != nil {
		return Roster{}, fmt.Errorf("%w of %s: %w", errRoster, r.Feed, err)
	}
	if len(by) != 1 {
		return Roster{}, fmt.Errorf("%w of %s: %w", errRoster, r.Feed, errUnsigned)
	}
	r.note = crypto.Note{Text: slices.Clone(note.Text), Lines: lines(by)}
	return r, nil
}

func parseRoster(text []byte) (r Roster, err error) {
	if len(text) > maxRoster {
		return r, fmt.Errorf("longer than %d bytes", maxRoster)
	}
	in := &lineReader{rest: string(text)}
	in.must(in.next(rosterMagic) == "", "first", errLine)
	r.Feed, err = ParseName(in.next("feed "))
	in.fail("feed", err)
	v, ok := parseNumber(in.next("version "), 1, MaxRosterVersion)
	in.must(ok, "version", errLine)
	r.Version = int(v)
	r.Expires, err = parseDate(in.next("expires "))
	in.fail("expires", err)
	for in.peek("member ") {
		if len(r.Members) == MaxMembers {
			return Roster{}, errMembers
		}
		id, date, _ := strings.Cut(in.next("member "), " ")
		_, err := ParsePeerID(id)
		in.fail("member", err)
		expires, err := parseDate(date)
		in.fail("member", err)
		// All ids have one length and base58's letters are in ASCII's order: by text is by key.
		if n := len(r.Members); n > 0 && r.Members[n-1].PeerID >= id {
			in.fail("member", errNotAscending)
		}
		r.Members = append(r.Members, Member{id, expires})
	}
	in.end()
	if in.err != nil {
		return Roster{}, in.err
	}
	return r, nil
}

func rosterText(feed Name, version int, expires int64, members []Member) []byte {
	text := fmt.Appendf(nil, "%s\nfeed %s\nversion %d\nexpires %s\n", rosterMagic, feed, version, formatDate(expires))
	for _, m := range members {
		text = fmt.Appendf(text, "member %s %s\n", m.PeerID, formatDate(m.Expires))
	}
	return text
}

// Reads reports whether the node may read the feed at now, in Unix seconds: it is a member, and neither its membership nor the roster
// has expired.
func (r Roster) Reads(peerID string, now int64) bool {
	i, ok := slices.BinarySearchFunc(r.Members, peerID, func(m Member, id string) int { return strings.Compare(m.PeerID, id) })
	return ok && now <= r.Expires && now <= r.Members[i].Expires
}

// Bytes returns the note.
func (r Roster) Bytes() []byte { return r.note.Bytes() }

// SignRoster signs a roster with the key of the newest charter, at now in Unix seconds. Members may be given in any order, each once. It
// must not expire more than 30 days ahead: followers can't tell when a roster was made, so this is the publisher's to keep.
func SignRoster(c *Chain, version int, expires int64, members []Member, key *crypto.PrivateKey, now int64) (Roster, error) {
	if expires > now+MaxRosterAge {
		return Roster{}, fmt.Errorf("sign %w of %s: %w", errRoster, c.Feed(), errRosterLong)
	}
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.PeerID, b.PeerID) })
	text := rosterText(c.Feed(), version, expires, members)
	line, err := key.Sign(text)
	if err != nil {
		return Roster{}, fmt.Errorf("sign %w of %s: %w", errRoster, c.Feed(), err)
	}
	r, err := c.OpenRoster(crypto.Note{Text: text, Lines: []crypto.Line{line}}.Bytes())
	if err != nil {
		return Roster{}, fmt.Errorf("sign %w", err)
	}
	return r, nil
}
