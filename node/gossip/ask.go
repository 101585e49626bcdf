package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// question opens a stream and sends one message on it. The stream ends with ctx.
func (n *Network) question(ctx context.Context, p peer.ID, proto protocol.ID, m any, limit int) (network.Stream, func(), error) {
	s, err := n.host.NewStream(network.WithNoDial(ctx, "only where connected"), p, proto)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	end := func() {
		stop()
		s.Reset()
	}
	if err := send(s, m, limit); err != nil {
		end()
		return nil, nil, err
	}
	return s, end, s.CloseWrite()
}

// ask asks a peer for what it has beside the log, in a goroutine of its own; once more, if it is called while that runs.
func (c *carrier) ask(l *link) {
	c.mu.Lock()
	a := c.asks[l.peer]
	if a == nil {
		a = &asking{}
		c.asks[l.peer] = a
	}
	if a.running {
		a.again = true
		c.mu.Unlock()
		return
	}
	a.running = true
	c.mu.Unlock()
	c.spawn(func() {
		for {
			err := c.askOnce(l)
			c.mu.Lock()
			a.failed = time.Time{}
			if err != nil {
				a.failed = time.Now()
			}
			again := a.again && err == nil
			a.again, a.running = false, again
			c.mu.Unlock()
			if err != nil && c.ctx.Err() == nil && l.ctx.Err() == nil {
				c.n.log.Debug("ask for head", "feed", string(c.name), "peer", l.peer.String(), "err", err)
				if errors.Is(err, errRule) {
					c.n.broke(l.peer, err)
				}
			}
			if !again {
				return
			}
		}
	})
}

// askOnce brings our charters, roster, suspensions and head to what the peer has.
func (c *carrier) askOnce(l *link) error {
	var fresh *feed.Chain // while we hold no charter: those from the anchor on
	held, _ := c.versions()
	if held > 0 {
		held-- // so that its charter of our version comes, too, and can be compared
	}
	for {
		// What it claimed before it answers: its answer must bear it out.
		claims, _ := l.claimsOf(c.name)
		r, err := c.askHead(l, held)
		if err != nil {
			return err
		}
		last, more, err := c.takeCharters(l, held, &fresh, r.Charters)
		if err != nil {
			return err
		}
		if more {
			held = last
			continue
		}
		c.takeRest(l, r, claims)
		return nil
	}
}

func (c *carrier) askHead(l *link, held int) (*headReply, error) {
	ctx, cancel := context.WithTimeout(l.ctx, askTimeout)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()
	s, end, err := c.n.question(ctx, l.peer, headProtocol, &headAsk{Feed: c.name, Charter: held}, maxAsk)
	if err != nil {
		return nil, err
	}
	defer end()
	data, err := receive(s, askTimeout, upTo(maxReply))
	if err != nil {
		return nil, err
	}
	return parseHeadReply(data)
}

// takeCharters takes charters after the version asked for. It says up to which version they go, and whether there may be more. Of a feed that
// isn't here yet each is verified when it comes, so that a liar can't have us keep what isn't the publisher's.
func (c *carrier) takeCharters(l *link, held int, fresh **feed.Chain, charters [][]byte) (last int, more bool, err error) {
	store := c.n.o.Store
	chain, ok := store.Chain(c.name)
	last = held
	for _, data := range charters {
		charter, err := readCharter(data)
		if err != nil {
			return 0, false, fmt.Errorf("%w: %w", errRule, err)
		}
		if charter.Version <= last || charter.Feed != c.name {
			return 0, false, fmt.Errorf("%w: charter %d of %s out of turn", errRule, charter.Version, charter.Feed)
		}
		last = charter.Version
		if ok || c.own {
			continue
		}
		if *fresh != nil {
			*fresh, err = (*fresh).Extend(data)
		} else if charter.Anchor() == c.follow.Anchor {
			*fresh, err = feed.OpenChain(c.follow.Anchor, [][]byte{data})
		}
		if err != nil {
			c.n.lied(l.peer, c.name, err)
			return 0, false, err
		}
	}
	more = len(charters) == maxCharters
	if ok {
		return last, more, c.extend(l, chain, charters)
	}
	if more || c.own {
		return last, more, nil
	}
	if *fresh == nil {
		c.n.alarms.raise(AlarmAnchor, "", c.name, "peers have no charter of "+string(c.name)+" that the anchor names",
			"compare the digits of the invite with the publisher by telephone; hashfeed follow --replace pins another")
		return 0, false, errors.New("its charters don't have the anchor's")
	}
	chain = *fresh
	c.n.alarms.clear(AlarmAnchor, string(c.name))
	if !c.checkHarm(chain.Newest().Harm) {
		return 0, false, errors.New("it lists another harm than expected")
	}
	if err := c.ctx.Err(); err != nil {
		return 0, false, err
	}
	if err := store.AddFeed(chain); err != nil {
		c.storeFailed(err)
		return 0, false, err
	}
	c.n.log.Info("feed has arrived", "feed", string(c.name), "harm", string(chain.Newest().Harm), "version", chain.Newest().Version)
	return last, false, nil
}

func readCharter(data []byte) (feed.Charter, error) {
	note, err := crypto.ParseNote(data)
	if err != nil {
		return feed.Charter{}, err
	}
	return feed.ParseCharter(note.Text)
}

// takeRest takes what came with the last charters.
func (c *carrier) takeRest(l *link, r *headReply, claims []claim) {
	store := c.n.o.Store
	chain, ok := store.Chain(c.name)
	if !ok || c.barred() {
		return
	}
	if len(r.Roster) > 0 {
		roster, err := chain.OpenRoster(r.Roster)
		if err != nil && !c.comparesLaw(l.peer) {
			return // it doesn't have our newest charter, which may name another key; and this one's roster says who may read
		}
		if err != nil {
			c.accuse(l, err)
			return
		}
		if _, held := c.versions(); roster.Version > held && c.ctx.Err() == nil {
			if err := store.SetRoster(roster); err != nil {
				c.storeFailed(err)
			}
		}
	}
	for _, note := range r.Suspensions {
		c.suspend(l, chain, note)
	}
	suspect := slices.ContainsFunc(claims, c.contradicts)
	if len(r.Note) == 0 {
		if suspect {
			c.n.lied(l.peer, c.name, errors.New("it claims another tree than ours and has no head to show for it"))
		}
		return
	}
	cp, err := chain.OpenCheckpoint(r.Note)
	if err == nil {
		cp, err = chain.MergeCosignatures(cp, r.lines...)
	}
	if err == nil && cp.Origin.Name() != c.name {
		err = errors.New("it is of another feed")
	}
	if err != nil {
		c.accuse(l, err)
		return
	}
	c.accept(l, chain, cp)
	// A claim that its own head doesn't bear out, since that one is in our tree and no smaller.
	if suspect && !c.frozen(chain) && slices.ContainsFunc(claims, func(m claim) bool {
		return m.Origin == cp.Origin && c.contradicts(m) && m.Size <= cp.Size && !c.contradicts(claim{Origin: cp.Origin, Size: cp.Size, Root: cp.Root})
	}) && c.aimed(cp.Origin).size == 0 {
		c.n.lied(l.peer, c.name, errors.New("it claimed another tree than its own head's"))
	}
}

// answerHead is the handler of head/1.
func (n *Network) answerHead(ctx context.Context, p peer.ID, s network.Stream) error {
	data, err := receive(s, askTimeout, upTo(maxAsk))
	if err != nil {
		return err
	}
	m, err := parseHeadAsk(data)
	if err != nil {
		return err
	}
	chain, ok := n.o.Store.Chain(m.Feed)
	if !ok || !n.reads(p, m.Feed) {
		return errDenied
	}
	r, err := n.headReply(chain, m.Charter)
	if err != nil {
		return err
	}
	if err := send(s, r, maxReply); err != nil {
		return err
	}
	return s.CloseWrite()
}

func (n *Network) headReply(chain *feed.Chain, held int) (*headReply, error) {
	r := &headReply{Charters: [][]byte{}, Note: []byte{}, Lines: []string{}, Suspensions: [][]byte{}}
	size := 1 << 10 // of what is around
	for _, c := range chain.All() {
		if note, ok := chain.Note(c.Version); ok && c.Version > held && len(r.Charters) < maxCharters {
			r.Charters = append(r.Charters, note)
			size += len(note) + 4
		}
	}
	if head, ok := n.o.Store.Head(chain.Newest().Origin()); ok {
		r.Note = head.Bytes()
		size += len(r.Note)
	}
	if roster, ok := n.o.Store.Roster(chain.Feed()); ok {
		r.Roster = roster.Bytes()
		size += len(r.Roster)
	}
	notes := slices.Clone(n.o.Store.Suspensions(chain.Feed()))
	slices.SortFunc(notes, newestFirst)
	for _, note := range notes {
		data := note.Bytes()
		if size += len(data) + 4; size > maxReply || len(r.Suspensions) == maxPassed {
			break // the oldest, which have long lost their effect
		}
		if note.Vouched() {
			r.Suspensions = append(r.Suspensions, data)
		}
	}
	return r, nil
}

// errDenied is what a peer may not have; it is told nothing, and not blamed: rosters take time to arrive.
var errDenied = errors.New("not for this peer")

// ended waits until the other side ends a stream without a word: it has done what was asked.
func ended(s conduit, wait time.Duration) error {
	s.SetReadDeadline(time.Now().Add(wait))
	var b [1]byte
	switch n, err := s.Read(b[:]); {
	case n > 0:
		return fmt.Errorf("%w: an answer where none belongs", errRule)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}
