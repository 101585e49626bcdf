package gossip

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/feed"
)

// What we say to a peer, on the stream of heads that we open.

// speak keeps our stream open as long as the link lasts.
func (l *link) speak() {
	wait := redialFirst
	for l.ctx.Err() == nil {
		begun := time.Now()
		if err := l.speakOnce(); err != nil && l.ctx.Err() == nil {
			l.n.log.Debug("stream of heads ended", "peer", l.peer.String(), "err", err)
		}
		if time.Since(begun) > redialMost {
			wait = redialFirst
		}
		if !pause(l.ctx, wait) {
			return
		}
		wait = min(2*wait, redialMost)
	}
}

func (l *link) speakOnce() error {
	ctx, cancel := context.WithTimeout(l.ctx, helloTimeout)
	s, err := l.n.host.NewStream(ctx, l.peer, headsProtocol)
	cancel()
	if err != nil {
		return err
	}
	defer s.Reset()
	// They say nothing on it; reading tells us when it ends.
	ended := make(chan struct{})
	l.n.spawn(func() {
		defer close(ended)
		s.Read(make([]byte, 1))
	})
	stop := context.AfterFunc(l.ctx, func() { s.Reset() })
	defer stop()
	if err := send(s, l.n.greeting(), maxHello); err != nil {
		return err
	}
	l.mu.Lock()
	l.debts.list, l.debts.peers = true, true
	clear(l.knows) // what was written on another stream may not have arrived
	clear(l.told)
	l.mu.Unlock()
	poke(l.wake)
	fellows := map[[sha256.Size]byte]bool{} // told on this stream
	again := time.NewTicker(listEvery)
	defer again.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case <-ended:
			return errors.New("ended by the peer")
		case <-again.C:
			clear(fellows)
			l.owe(func(d *debts) { d.list, d.peers = true, true })
			continue
		case <-l.wake:
		}
		if !pause(l.ctx, rand.N(pushDelay)) {
			return l.ctx.Err()
		}
		l.mu.Lock()
		due := l.debts
		l.debts = newDebts()
		l.mu.Unlock()
		if err := l.pay(s, due, fellows); err != nil {
			return err
		}
	}
}

// pay writes what is due. Heads first: a retraction may be in them.
func (l *link) pay(s network.Stream, due debts, fellows map[[sha256.Size]byte]bool) error {
	for origin, sizes := range due.heads {
		if err := l.payHeads(s, origin, sizes); err != nil {
			return err
		}
	}
	for name := range due.news {
		if err := l.payNews(s, name); err != nil {
			return err
		}
	}
	if due.list {
		if err := send(s, l.n.listFor(l.peer), maxList); err != nil {
			return err
		}
	}
	if due.peers {
		if m := l.n.fellowsOf(l.peer, fellows); len(m.Records) > 0 {
			return send(s, m, maxPeers)
		}
	}
	return nil
}

func (l *link) payHeads(s network.Stream, origin feed.Origin, sizes []uint64) error {
	store := l.n.o.Store
	head, ok := store.Head(origin)
	if !ok {
		return nil
	}
	for _, size := range sizes {
		cp := head
		switch {
		case size > head.Size:
			continue
		case size < head.Size: // only for its cosignatures
			if cp, ok = store.Seen(origin, size); !ok || len(cp.Cosigned) == 0 {
				continue
			}
		default:
			l.mu.Lock()
			knows := l.knows[origin]
			l.mu.Unlock()
			if knows.covers(knownOf(cp)) {
				continue
			}
		}
		if !l.n.reads(l.peer, origin.Name()) {
			return nil
		}
		if err := send(s, &push{Note: cp.Bytes(), Lines: []string{}, Origin: origin}, maxPush); err != nil {
			return err
		}
		l.n.metrics.heads.WithLabelValues("out").Inc()
		l.learn(origin, knownOf(cp))
	}
	return nil
}

// payNews tells of charters and rosters, and sends the suspensions that the peer hasn't got from us yet.
func (l *link) payNews(s network.Stream, name feed.Name) error {
	chain, ok := l.n.o.Store.Chain(name)
	if !ok || !l.n.reads(l.peer, name) {
		return nil
	}
	m := &news{Feed: name, Charter: chain.Newest().Version}
	if r, ok := l.n.o.Store.Roster(name); ok {
		m.Roster = r.Version
	}
	if err := send(s, m, maxPush); err != nil {
		return err
	}
	for _, note := range l.n.recentSuspensions(name) {
		l.mu.Lock()
		told := l.told[toldOf(note)]
		l.told[toldOf(note)] = true
		l.mu.Unlock()
		if told {
			continue
		}
		if !l.n.reads(l.peer, name) {
			return nil
		}
		if err := send(s, &suspend{Note: note.Bytes()}, maxPush); err != nil {
			l.n.log.Warn("pass on suspension", "feed", string(name), "err", err)
			return err
		}
	}
	return nil
}

// toldOf names a suspension with its signatures: one that its publisher has signed with a new log's signers is told again.
func toldOf(s feed.Suspension) feed.Digest { return sha256.Sum256(s.Bytes()) }

// greeting is our hello.
func (n *Network) greeting() *hello {
	m := &hello{Name: n.o.Name, Witness: n.o.Witness.Public().String(), Time: n.now(), Instance: n.instance[:], Version: n.o.Version}
	if !n.o.Hidden {
		m.Record = n.book.own()
	}
	return m
}

// listFor says what we have of every feed that a peer may read.
func (n *Network) listFor(p peer.ID) *list {
	m := &list{Claims: []claim{}}
	for _, name := range n.readable(p) {
		chain, ok := n.o.Store.Chain(name)
		if !ok {
			continue
		}
		charter := chain.Newest()
		c := claim{Charter: charter.Version}
		if r, ok := n.o.Store.Roster(name); ok {
			c.Roster = r.Version
		}
		for log := 1; log <= charter.Log; log++ {
			c.Origin = name.Log(log)
			c.Size, c.Root, c.Stamp = 0, feed.Tree{}.Root(), 0
			if head, ok := n.o.Store.Head(c.Origin); ok {
				c.Size, c.Root, c.Stamp = head.Size, head.Root, head.Stamp
			} else if tree, _, ok := n.o.Store.Position(c.Origin); ok && log < charter.Log {
				if cut, closed := chain.Cut(log); closed && tree.Size() == cut.Size { // closed before the anchor: no checkpoint is kept
					c.Size, c.Root = cut.Size, cut.Root
				}
			}
			if !unixTime(c.Stamp) {
				c.Stamp = 0
			}
			m.Claims = append(m.Claims, c)
		}
	}
	slices.SortFunc(m.Claims, func(a, b claim) int { return strings.Compare(string(a.Origin), string(b.Origin)) })
	m.Claims = m.Claims[:min(len(m.Claims), maxClaims)]
	return m
}
