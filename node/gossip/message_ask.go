package gossip

import (
	"fmt"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// The messages of the protocols that ask and answer, one question a stream.

const (
	headProtocol     = "/hashfeed/head/1"
	tilesProtocol    = "/hashfeed/tiles/1"
	cosignProtocol   = "/hashfeed/cosign/1"
	reportProtocol   = "/hashfeed/report/1"
	evidenceProtocol = "/hashfeed/evidence/1"
)

// headAsk asks for what lies beside a feed's log, and its head.
type headAsk struct {
	Feed    feed.Name `cbor:"1,keyasint"`
	Charter int       `cbor:"2,keyasint"` // the version held; 0: none
}

// headReply answers: at most 32 charters after the one held, in order; if there are 32, ask again.
type headReply struct {
	Charters    [][]byte `cbor:"1,keyasint"`
	Note        []byte   `cbor:"2,keyasint"` // the newest head of the current log; empty: none is held
	Lines       []string `cbor:"3,keyasint"`
	Roster      []byte   `cbor:"4,keyasint,omitempty"`
	Suspensions [][]byte `cbor:"5,keyasint"`

	lines []crypto.Line
}

// tilesAsk asks for parts of a log, of the tree of a size. The answer is no frame: for each path a uint32, big-endian, of how many bytes
// follow, or absent.
type tilesAsk struct {
	Origin feed.Origin `cbor:"1,keyasint"`
	Size   uint64      `cbor:"2,keyasint"`
	Paths  []string    `cbor:"3,keyasint"`

	parts []feed.Part
}

const absent = 0xFFFFFFFF

// cosigning is a member's cosignature, for the publisher. The answer is the end of the stream: it is stored.
type cosigning struct {
	Origin feed.Origin `cbor:"1,keyasint"`
	Size   uint64      `cbor:"2,keyasint"`
	Line   string      `cbor:"3,keyasint"`

	line crypto.Line
}

// reporting is a member's dispute of a record, for the publisher, who answers with a ticket.
type reporting struct {
	Kind   string      `cbor:"1,keyasint"` // "dispute"
	Ref    subject     `cbor:"2,keyasint"`
	Reason feed.Reason `cbor:"3,keyasint"`
}

type subject struct {
	_      struct{} `cbor:",toarray"`
	Origin feed.Origin
	Index  uint64
	Leaf   feed.Digest
}

type ticketReply struct {
	Ticket feed.Ticket `cbor:"1,keyasint"`
}

// proven is a piece of evidence.
type proven struct {
	Feed feed.Name `cbor:"1,keyasint"`
	Data []byte    `cbor:"2,keyasint"`
}

func parseHeadAsk(data []byte) (*headAsk, error) {
	m := new(headAsk)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if _, err := feed.ParseName(string(m.Feed)); err != nil || m.Charter < 0 || m.Charter > feed.MaxCharters {
		return nil, fmt.Errorf("%w: head/1: a field out of bounds", errRule)
	}
	return m, nil
}

func parseHeadReply(data []byte) (*headReply, error) {
	m := new(headReply)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if len(m.Charters) > maxCharters || len(m.Suspensions) > maxPassed {
		return nil, fmt.Errorf("%w: head/1: %d charters, %d suspensions", errRule, len(m.Charters), len(m.Suspensions))
	}
	var err error
	if m.lines, err = parseLines(m.Lines); err != nil {
		return nil, err
	}
	return m, nil
}

func parseTilesAsk(data []byte) (*tilesAsk, error) {
	m := new(tilesAsk)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if err := checkOrigin(m.Origin); err != nil {
		return nil, fmt.Errorf("%w: tiles/1: %w", errRule, err)
	}
	if m.Size > feed.MaxSize || len(m.Paths) == 0 || len(m.Paths) > maxPaths {
		return nil, fmt.Errorf("%w: tiles/1: size %d, %d paths", errRule, m.Size, len(m.Paths))
	}
	for _, path := range m.Paths {
		part, err := feed.ParsePartPath(path)
		if err != nil {
			return nil, fmt.Errorf("%w: tiles/1: %w", errRule, err)
		}
		m.parts = append(m.parts, part)
	}
	return m, nil
}

func parseCosigning(data []byte) (*cosigning, error) {
	m := new(cosigning)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if err := checkOrigin(m.Origin); err != nil {
		return nil, fmt.Errorf("%w: cosign/1: %w", errRule, err)
	}
	var err error
	if m.line, err = crypto.ParseLine(m.Line); err != nil {
		return nil, fmt.Errorf("%w: cosign/1: %w", errRule, err)
	}
	if _, ok := m.line.Time(); !ok || m.Size > feed.MaxSize {
		return nil, fmt.Errorf("%w: cosign/1: no cosignature, or its size", errRule)
	}
	return m, nil
}

func parseReporting(data []byte) (*reporting, error) {
	m := new(reporting)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if err := checkOrigin(m.Ref.Origin); err != nil {
		return nil, fmt.Errorf("%w: report/1: %w", errRule, err)
	}
	if m.Kind != "dispute" || m.Ref.Index >= feed.MaxSize || !m.Reason.Fits(feed.OpDispute) {
		return nil, fmt.Errorf("%w: report/1: kind %.20q, index %d, reason %d", errRule, m.Kind, m.Ref.Index, m.Reason)
	}
	return m, nil
}

func parseTicketReply(data []byte) (*ticketReply, error) {
	m := new(ticketReply)
	return m, decode(data, m)
}

func parseProven(data []byte) (*proven, error) {
	m := new(proven)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if _, err := feed.ParseName(string(m.Feed)); err != nil || len(m.Data) > feed.MaxEvidence {
		return nil, fmt.Errorf("%w: evidence/1: a field out of bounds", errRule)
	}
	return m, nil
}
