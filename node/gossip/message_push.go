package gossip

import (
	"bytes"
	"fmt"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// The messages of heads/1. Which one a frame is, its first key says; keys never change meaning, and a new message takes new ones.

const headsProtocol = "/hashfeed/heads/1"

// hello comes first on the stream, once.
type hello struct {
	Name     string `cbor:"1,keyasint"`
	Witness  string `cbor:"2,keyasint"` // vkey
	Time     int64  `cbor:"3,keyasint"` // Unix seconds
	Instance []byte `cbor:"4,keyasint"` // of this run: 8 random bytes
	Version  string `cbor:"5,keyasint"`
	Record   []byte `cbor:"6,keyasint,omitempty"` // own signed peer record; absent: announces no address

	witness crypto.PublicKey
}

// list says what the sender has of every feed that the receiver may read. Nothing of it is signed.
type list struct {
	Claims []claim `cbor:"10,keyasint"` // ascending by origin
}

type claim struct {
	_       struct{} `cbor:",toarray"`
	Origin  feed.Origin
	Size    uint64
	Root    feed.Digest
	Stamp   int64
	Charter int // version
	Roster  int // version; 0: has none
}

// push is a head, which the sender has adopted.
type push struct {
	Note   []byte      `cbor:"20,keyasint"`
	Lines  []string    `cbor:"21,keyasint"` // cosignatures that don't stand on the note
	Origin feed.Origin `cbor:"22,keyasint"`

	lines []crypto.Line
}

// suspend is a suspension.
type suspend struct {
	Note []byte `cbor:"30,keyasint"`

	feed feed.Name
}

// news says that the sender has a newer charter or roster; who is behind asks for it.
type news struct {
	Feed    feed.Name `cbor:"31,keyasint"`
	Charter int       `cbor:"32,keyasint"`
	Roster  int       `cbor:"33,keyasint"`
}

// peers are signed peer records of fellow members.
type peers struct {
	Records [][]byte `cbor:"40,keyasint"`
}

// pushLimit bounds a frame of heads/1 by how it begins: a map of at most 23 keys, and its first one.
func pushLimit(begin []byte) int {
	if len(begin) < 2 || begin[0] < 0xa1 || begin[0] > 0xb7 {
		return 0
	}
	switch key := begin[1]; {
	case key == 1:
		return maxHello
	case key == 10:
		return maxList
	case key == 20:
		return maxPush
	case key == 0x18 && len(begin) > 2 && (begin[2] == 30 || begin[2] == 31):
		return maxPush
	case key == 0x18 && len(begin) > 2 && begin[2] == 40:
		return maxPeers
	}
	return 0
}

// parsePush reads any message of heads/1 and returns a pointer to it.
func parsePush(data []byte) (any, error) {
	limit := pushLimit(data[:min(4, len(data))])
	if limit == 0 || len(data) > limit {
		return nil, fmt.Errorf("%w: no such message, or too long", errRule)
	}
	switch {
	case data[1] == 1:
		return parseHello(data)
	case data[1] == 10:
		return parseList(data)
	case data[1] == 20:
		return parseHeadPush(data)
	case data[2] == 30:
		return parseSuspend(data)
	case data[2] == 31:
		return parseNews(data)
	}
	return parsePeers(data)
}

func parseHello(data []byte) (*hello, error) {
	m := new(hello)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	var err error
	if m.witness, err = crypto.ParsePublicKey(m.Witness); err != nil {
		return nil, fmt.Errorf("%w: hello: witness: %w", errRule, err)
	}
	switch {
	case !feed.ValidName(m.Name), m.witness.Type != crypto.TypeCosignature, m.witness.Name != m.Name+"/witness":
		return nil, fmt.Errorf("%w: hello: name %.80q, witness %.80q", errRule, m.Name, m.witness.Name)
	case !unixTime(m.Time), len(m.Instance) != 8, !printable(m.Version, maxVersion), len(m.Record) > maxRecord:
		return nil, fmt.Errorf("%w: hello: a field out of bounds", errRule)
	}
	return m, nil
}

func parseList(data []byte) (*list, error) {
	m := new(list)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if len(m.Claims) > maxClaims {
		return nil, fmt.Errorf("%w: list: %d logs", errRule, len(m.Claims))
	}
	for i, c := range m.Claims {
		if i > 0 && m.Claims[i-1].Origin >= c.Origin {
			return nil, fmt.Errorf("%w: list: not ascending", errRule)
		}
		if err := checkOrigin(c.Origin); err != nil {
			return nil, fmt.Errorf("%w: list: %w", errRule, err)
		}
		if c.Size > feed.MaxSize || !unixTime(c.Stamp) || !versions(c.Charter, c.Roster) {
			return nil, fmt.Errorf("%w: list: a figure of %s out of bounds", errRule, c.Origin)
		}
	}
	return m, nil
}

func parseHeadPush(data []byte) (*push, error) {
	m := new(push)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if err := checkOrigin(m.Origin); err != nil {
		return nil, fmt.Errorf("%w: head: %w", errRule, err)
	}
	var err error
	if m.lines, err = parseLines(m.Lines); err != nil {
		return nil, err
	}
	return m, nil
}

func parseSuspend(data []byte) (*suspend, error) {
	m := new(suspend)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	var err error
	if m.feed, err = suspendedFeed(m.Note); err != nil {
		return nil, err
	}
	return m, nil
}

// suspendedFeed reads which feed a suspension is of. Whether it is one, that feed's chain will say.
func suspendedFeed(note []byte) (feed.Name, error) {
	lines := bytes.SplitN(note, []byte("\n"), 3)
	if len(lines) < 3 {
		return "", fmt.Errorf("%w: suspend: no note", errRule)
	}
	text, ok := bytes.CutPrefix(lines[1], []byte("feed "))
	name, err := feed.ParseName(string(text))
	if !ok || err != nil {
		return "", fmt.Errorf("%w: suspend: no feed", errRule)
	}
	return name, nil
}

func parseNews(data []byte) (*news, error) {
	m := new(news)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if _, err := feed.ParseName(string(m.Feed)); err != nil || !versions(m.Charter, m.Roster) {
		return nil, fmt.Errorf("%w: news: a field out of bounds", errRule)
	}
	return m, nil
}

func parsePeers(data []byte) (*peers, error) {
	m := new(peers)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	for _, r := range m.Records {
		if len(r) > maxRecord {
			return nil, fmt.Errorf("%w: peers: a record of %d bytes", errRule, len(r))
		}
	}
	return m, nil
}

func parseLines(texts []string) (lines []crypto.Line, err error) {
	if len(texts) > maxLines {
		return nil, fmt.Errorf("%w: %d cosignatures", errRule, len(texts))
	}
	for _, s := range texts {
		line, err := crypto.ParseLine(s)
		if err != nil {
			return nil, fmt.Errorf("%w: cosignature: %w", errRule, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func checkOrigin(o feed.Origin) error {
	parsed, err := feed.ParseOrigin(string(o))
	if err == nil && parsed.Name() == feed.SelfTest {
		return fmt.Errorf("%s is no charter's", o)
	}
	return err
}

func unixTime(t int64) bool { return 0 <= t && t < 1<<32 }

func versions(charter, roster int) bool {
	return 1 <= charter && charter <= feed.MaxCharters && 0 <= roster && roster <= feed.MaxRosterVersion
}
