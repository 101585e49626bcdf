package gossip

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"hashfeed/feed"
)

// bookCursor is where the store keeps the book.
const bookCursor = "gossip/peers"

// The book has the signed peer records of members: where they are, by their own word. They are passed on so that members find each other
// when the publisher is away, and kept over a restart for the same reason.
type book struct {
	mu    sync.Mutex
	ours  []byte
	all   map[peer.ID]entry
	dirty bool
	// strangers are in no roster that we have. A publisher's records come with its first list, before its roster does.
	strangers map[peer.ID]entry
	sums      map[[sha256.Size]byte]bool // of the envelopes in all: what comes again isn't verified again
}

type entry struct {
	seq      uint64
	addrs    []ma.Multiaddr
	envelope []byte
}

func loadBook(s Store) (*book, error) {
	b := &book{all: map[peer.ID]entry{}, strangers: map[peer.ID]entry{}, sums: map[[sha256.Size]byte]bool{}}
	data, err := s.Cursor(bookCursor)
	if err != nil {
		return nil, fmt.Errorf("read addresses of members: %w", err)
	}
	var envelopes [][]byte
	if len(data) > 0 {
		if err := cbor.Unmarshal(data, &envelopes); err != nil {
			return nil, fmt.Errorf("read addresses of members: %w", err)
		}
	}
	for _, e := range envelopes {
		if p, entry, err := openRecord(e); err == nil {
			b.all[p] = entry
			b.sums[sha256.Sum256(e)] = true
		}
	}
	return b, nil
}

// save returns what is to be stored, or nil if nothing has changed.
func (b *book) save() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dirty {
		return nil, nil
	}
	b.dirty = false
	envelopes := [][]byte{}
	for _, p := range slices.Sorted(maps.Keys(b.all)) {
		envelopes = append(envelopes, b.all[p].envelope)
	}
	return encoder.Marshal(envelopes)
}

// own is our record; nil if no address of ours is for others.
func (b *book) own() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ours
}

func (b *book) addrs(p peer.ID) []ma.Multiaddr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[p].addrs
}

func (b *book) envelope(p peer.ID) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[p].envelope
}

// put takes a record that is newer than the one held.
func (b *book) put(p peer.ID, e entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, held := b.all[p]
	if held && old.seq >= e.seq || !held && len(b.all) >= maxBook {
		return false
	}
	delete(b.sums, sha256.Sum256(old.envelope))
	b.all[p] = e
	b.sums[sha256.Sum256(e.envelope)] = true
	b.dirty = true
	return true
}

// has reports whether this very record is held.
func (b *book) has(envelope []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sums[sha256.Sum256(envelope)]
}

// stranger keeps a record for when its peer turns out to be a member. Too many are forgotten all at once.
func (b *book) stranger(p peer.ID, e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.strangers) >= maxStrangers {
		clear(b.strangers)
	}
	if b.strangers[p].seq < e.seq {
		b.strangers[p] = e
	}
}

// admit takes over the records of those who are known by now, and says whether there are any.
func (b *book) admit(known func(peer.ID) bool) (news bool) {
	b.mu.Lock()
	all := maps.Clone(b.strangers)
	b.mu.Unlock()
	for p, e := range all {
		if known(p) {
			b.mu.Lock()
			delete(b.strangers, p)
			b.mu.Unlock()
			news = b.put(p, e) || news
		}
	}
	return news
}

// keep forgets whoever isn't vetted any more.
func (b *book) keep(vetted func(peer.ID) bool) {
	b.mu.Lock()
	all := slices.Collect(maps.Keys(b.all))
	b.mu.Unlock()
	for _, p := range all {
		if !vetted(p) {
			b.mu.Lock()
			delete(b.sums, sha256.Sum256(b.all[p].envelope))
			delete(b.all, p)
			b.dirty = true
			b.mu.Unlock()
		}
	}
}

// openRecord verifies a signed peer record: that its peer has signed it, and that it has addresses for others, and none besides.
func openRecord(envelope []byte) (peer.ID, entry, error) {
	var rec peer.PeerRecord
	e, err := record.ConsumeTypedEnvelope(envelope, &rec)
	if err != nil {
		return "", entry{}, fmt.Errorf("open peer record: %w", err)
	}
	signer, err := peer.IDFromPublicKey(e.PublicKey)
	if err != nil || signer != rec.PeerID {
		return "", entry{}, fmt.Errorf("open peer record of %s: signed by another", rec.PeerID)
	}
	if _, err := decodePeer(signer.String()); err != nil {
		return "", entry{}, fmt.Errorf("open peer record: %w", err)
	}
	if len(rec.Addrs) == 0 || len(rec.Addrs) > feed.MaxAddrs || !allShared(rec.Addrs) {
		return "", entry{}, fmt.Errorf("open peer record of %s: %d addresses, or some not for others", rec.PeerID, len(rec.Addrs))
	}
	return signer, entry{rec.Seq, rec.Addrs, slices.Clone(envelope)}, nil
}

// shared reports whether an address means the same node to everyone: a public one, or one of RFC 6598's, which carriers share.
func shared(a ma.Multiaddr) bool {
	if manet.IsPublicAddr(a) {
		return true
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return false
	}
	v4 := ip.To4()
	return v4 != nil && v4[0] == 100 && v4[1]&0xc0 == 64
}

func allShared(addrs []ma.Multiaddr) bool {
	return !slices.ContainsFunc(addrs, func(a ma.Multiaddr) bool { return !shared(a) })
}

// watchAddresses signs our record anew when our addresses change.
func (n *Network) watchAddresses(sub event.Subscription) {
	defer sub.Close()
	for {
		n.signRecord()
		select {
		case <-n.ctx.Done():
			return
		case _, ok := <-sub.Out():
			if !ok {
				return
			}
		}
	}
}

func (n *Network) signRecord() {
	if n.o.Hidden {
		return
	}
	var addrs []ma.Multiaddr
	for _, a := range n.host.Addrs() {
		if shared(a) && len(addrs) < feed.MaxAddrs {
			addrs = append(addrs, a)
		}
	}
	var sealed []byte
	if len(addrs) > 0 {
		e, err := record.Seal(peer.PeerRecordFromAddrInfo(peer.AddrInfo{ID: n.id, Addrs: addrs}), n.o.Key)
		if err == nil {
			sealed, err = e.Marshal()
		}
		if err != nil || len(sealed) > maxRecord {
			n.log.Warn("sign own addresses", "bytes", len(sealed), "err", err)
			return
		}
	}
	n.book.mu.Lock()
	n.book.ours = sealed
	n.book.mu.Unlock()
	for _, l := range n.everyLink() { // those who have our hello already
		l.owe(func(d *debts) { d.peers = true })
	}
}

// heardPeers takes peer records, and passes on those of peers that we would connect with.
func (n *Network) heardPeers(from peer.ID, records [][]byte) {
	news := false
	for _, envelope := range records {
		if n.book.has(envelope) {
			continue
		}
		p, e, err := openRecord(envelope)
		switch {
		case err != nil:
			n.log.Debug("ignore peer record", "peer", from.String(), "err", err)
		case p == n.id:
		case !n.knows(p):
			n.book.stranger(p, e)
		case n.book.put(p, e):
			news = true
		}
	}
	if news {
		n.passOnPeers(from)
	}
}

// passOnPeers tells everyone but one of new records, and dials them.
func (n *Network) passOnPeers(except peer.ID) {
	n.wake()
	for _, l := range n.everyLink() {
		if l.peer != except {
			l.owe(func(d *debts) { d.peers = true })
		}
	}
}

// fellowsOf are the records of those with whom a peer shares a feed that it may read: members in its roster, its publisher, and we. Hidden
// members stand in no roster. Those that were told already are left out.
func (n *Network) fellowsOf(p peer.ID, told map[[sha256.Size]byte]bool) *peers {
	fellows := map[peer.ID]bool{}
	r := n.roll.Load()
	for _, name := range n.readable(p) {
		if f := r.follows[name]; f.publisher != "" {
			fellows[f.publisher] = true
		}
		if roster, ok := n.o.Store.Roster(name); ok {
			for _, m := range roster.Members {
				if id, err := decodePeer(m.PeerID); err == nil && roster.Reads(m.PeerID, n.now()) {
					fellows[id] = true
				}
			}
		}
	}
	delete(fellows, p)
	delete(fellows, n.id)
	all := slices.SortedFunc(maps.Keys(fellows), func(a, b peer.ID) int { return strings.Compare(string(a), string(b)) })
	// Where not all fit, chance decides which, each time anew.
	if len(all) > 1 {
		var b [2]byte
		rand.Read(b[:])
		at := (int(b[0])<<8 | int(b[1])) % len(all)
		all = slices.Concat(all[at:], all[:at])
	}
	m, size := &peers{Records: [][]byte{}}, 0
	add := func(e []byte) {
		sum := sha256.Sum256(e)
		if e != nil && !told[sum] && size+len(e)+3 <= maxPeers-16 && len(m.Records) < maxPassed {
			m.Records = append(m.Records, e)
			size += len(e) + 3
			told[sum] = true
		}
	}
	add(n.book.own())
	for _, f := range all {
		add(n.book.envelope(f))
	}
	return m
}
