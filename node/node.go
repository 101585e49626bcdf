// Package node is one running node: it opens the store, joins the network, serves its doors and stops them in reverse.
//
// A node keeps its own feeds and follows others'. Whatever it is asked, it is asked through the methods of Node, which
// are api.Verbs: the command line calls them on a Node that it opened itself, or on the daemon's through api.Client.
//
//	publish   verbs ─► record(s) ─► feed.Sign ─► store.Commit ─► view: state, tables, push on
//	query     verbs ─► match.Lookup ─► view: what the item is worth now ─► policy.Judge ─► verdict
//
// What decides is elsewhere: feed says what an item is worth, match what a hash is near to, policy what follows. Here
// is only who is asked in which order. A query takes no lock; whatever signs takes the node's one signing lock, since
// a publisher that signs two trees of one size has lost its feed.
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
	"hashfeed/node/journal"
	"hashfeed/node/knowngood"
	"hashfeed/node/match"
	"hashfeed/node/policy"
)

// Options are how a node is opened.
type Options struct {
	Passphrase []byte           // opens sealed keys; nil: they are unsealed
	Logger     *slog.Logger     // nil: nothing is logged
	Now        func() time.Time // nil: the system's clock

	// network changes what the network is made of: a simulation puts a host of its own, and what goes wrong, in between.
	network func(*gossip.Options)

	// Rebuild leaves the snapshot of the tables out: all is made anew from the log.
	Rebuild bool

	// snapshotFew is how many records are worth a snapshot; 0 means snapshotFew.
	snapshotFew uint64

	// Free says how much space a path's disk has, in bytes; nil asks the file system.
	Free func(path string) (uint64, error)
}

// Node is a node, opened. Its methods may be called by any number of goroutines.
type Node struct {
	dir      layout
	log      *slog.Logger
	now      func() time.Time
	opened   time.Time
	registry *prometheus.Registry
	keys     *keyring
	store    *store.Store
	tables   *match.Tables
	tokens   *tokenFile
	ownGood  *knownFile
	journal  *journal.Journal
	seal     *crypto.Sealer // of what lies beside the store: batches that await approval

	journalKey journal.Key

	config atomic.Pointer[Config]
	policy atomic.Pointer[policy.Policy] // what the config and the feeds here come to
	good   atomic.Pointer[knowngood.Set] // what nobody should list, and nothing blocks
	views  atomic.Pointer[[]*view]       // by slot: the upper bits of a match.ID
	said   *statements
	doubts *doubts
	news   *news
	care   care
	index  indexing

	outlook atomic.Pointer[outlook] // the newest; nil: none was wanted yet
	bodies  bodyCache
	serial  atomic.Uint64 // of the newest view

	simulate func(*gossip.Options) // Options.network

	eraseWake chan struct{} // something may have to be erased

	snapshotFew uint64 // Options.snapshotFew

	showing sync.Mutex // of whoever changes views
	freed   []uint64   // slots of views that are gone; guarded by showing

	alone atomic.Bool // sign though no member's head was heard since the start

	// signing is held by whoever signs, from the check of the tree to the end of the commit.
	signing sync.Mutex
	// freezing is held while what froze a feed is written; never by what the store calls in line.
	freezing sync.Mutex
	doors    atomic.Pointer[doorsOpen] // where Run serves: nil while the node is only open
	ownToken atomic.Pointer[string]    // lets the self-test ask over TCP; nil: none runs
	testing  sync.Mutex                // of the self-test: one at a time
	passed   atomic.Int64              // when it last passed, Unix seconds

	sharing  *sharing
	counting sync.Mutex // of whoever writes what members have shared

	// importing is held while a list is imported, and while the file of imports is written; listKey makes the ids of its items.
	importing sync.Mutex
	owed      atomic.Int64 // imports that the journal hasn't got yet
	listKey   [32]byte
	// network is what Run adds: nil while the node is only open.
	network atomic.Pointer[network]
}

var _ api.Verbs = (*Node)(nil)

// Open opens a node's directory. Only one process can: store.ErrLocked otherwise. A feed that is damaged doesn't stop it;
// status and fsck tell.
func Open(dir string, o Options) (_ *Node, err error) {
	n := &Node{dir: layout(dir), log: o.Logger, now: o.Now, registry: prometheus.NewRegistry(), said: newStatements(), news: newNews(), simulate: o.network,
		snapshotFew: cmp.Or(o.snapshotFew, snapshotFew), eraseWake: make(chan struct{}, 1)}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	n.opened = n.now()
	config, err := LoadConfig(n.dir.config())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &api.Error{Status: 404, Code: api.CodeNotFound, Text: fmt.Sprintf("there is no node in %s", dir),
			Hint: "hashfeed init makes one; --dir or HASHFEED_DIR names another directory"}
	}
	if err != nil {
		return nil, err
	}
	n.config.Store(&config)
	n.compareConfig()
	if n.keys, err = openKeyring(n.dir, config.Name, o.Passphrase); err != nil {
		return nil, err
	}
	if n.tokens, err = openTokens(n.dir.tokens()); err != nil {
		return nil, err
	}
	if err := n.openKnown(); err != nil {
		return nil, err
	}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		store.BadgerCollector{}, feedMetrics{n}, careMetrics{&n.care}, selfTestMetrics{n}, journalMetrics{n})
	seal, err := crypto.LoadSealKey(n.dir.sealKey(), config.Name+"/store", o.Passphrase)
	if err != nil {
		return nil, err
	}
	n.seal = seal.Sealer()
	n.doubts = openDoubts(n.dir.doubts(), n.unix())
	if n.sharing, err = openSharing(n.dir.shared()); err != nil {
		n.log.Error("what was shared with publishers isn't known any more, and begins anew", "err", err)
	}
	n.listKey = listKey(seal)
	var snapshot *loading
	if !o.Rebuild {
		snapshot = n.loadSnapshot()
	}
	if n.store, err = store.Open(dir, store.Options{Key: seal, Reserve: int64(config.Limits.Reserve), Free: o.Free, Logger: n.log,
		Registerer: n.registry, Now: n.now}); err != nil {
		snapshot.drop()
		return nil, explainStore(dir, err)
	}
	if err := n.openNews(); err != nil {
		snapshot.drop()
		return nil, errors.Join(err, n.store.Close())
	}
	if err := n.openJournal(); err != nil {
		snapshot.drop()
		return nil, errors.Join(err, n.news.notifier.Close(), n.store.Close())
	}
	if err := n.load(snapshot); err != nil {
		return nil, errors.Join(err, n.close())
	}
	if err := n.settleImports(context.Background()); err != nil {
		n.log.Warn("imports that aren't in the journal", "err", err)
	}
	return n, nil
}

// explainStore adds what an operator can do about a store that doesn't open.
func explainStore(dir string, err error) error {
	if errors.Is(err, store.ErrLocked) {
		return &api.Error{Status: 503, Code: api.CodeLocked, Text: fmt.Sprintf("another process has %s open", dir),
			Hint: "a daemon that is starting or stopping, or a second run on one directory; wait, or stop it"}
	}
	if errors.Is(err, store.ErrEmptied) || errors.Is(err, store.ErrTable) || errors.Is(err, store.ErrManifestRecord) {
		return &api.Error{Status: 500, Code: api.CodeDamaged, Text: err.Error(), Hint: remedyRepair}
	}
	return explainWrite(err)
}

// explainWrite turns an error of storing into what a caller can act on: to come back later.
func explainWrite(err error) error {
	switch {
	case errors.Is(err, store.ErrNoSpace):
		return &api.Error{Status: 503, Code: api.CodeNotReady, Text: err.Error(), Hint: "free disk space on the file system of DIR; it goes on by itself then"}
	case errors.Is(err, store.ErrUnwell):
		return &api.Error{Status: 503, Code: api.CodeNotReady, Text: err.Error(), Hint: "hashfeed doctor; restart the node when the disk is mended"}
	}
	return err
}

// Close stops what Open started, in reverse.
func (n *Node) Close() error {
	n.eraseAtEnd()
	n.saveAtEnd()
	return n.close()
}

func (n *Node) close() error {
	if err := n.journal.Close(); err != nil {
		n.log.Error("close journal", "err", err) // decisions that it couldn't write stop nothing, the end neither
	}
	n.tables.Close()
	return errors.Join(n.news.notifier.Close(), n.store.Close())
}

// load builds the views of all feeds and their tables from the snapshot, where there is one, and from the store, and follows it from there.
func (n *Node) load(snapshot *loading) error {
	n.index.start.Source = api.IndexLog
	from := n.resume(snapshot)
	views := []*view{nil}
	if from != nil {
		n.index.start.Source = api.IndexSnapshot
		views, n.freed = make([]*view, from.head.Slots), from.head.Freed
	} else {
		n.tables = match.New(match.Options{})
	}
	selfTest, err := newSelfTest(n.tables)
	if err != nil {
		return err
	}
	views[0] = selfTest
	n.views.Store(&views)
	n.decide()
	if err := n.store.Follow(context.Background(), func(*store.Store) error {
		for _, name := range n.store.Feeds() {
			chain, ok := n.store.Chain(name)
			if !ok {
				continue // damaged beyond reading: alarms tell, fsck mends
			}
			if err := n.openResumed(from, name, chain); err != nil {
				return err
			}
		}
		return nil
	}, n); err != nil {
		return err
	}
	n.index.start.Records, n.index.start.Seconds = n.records(), n.now().Sub(n.opened).Seconds()
	for _, v := range *n.views.Load() {
		if v != nil && v.broken != nil {
			n.store.SetDamaged(v.name, 0, v.broken) // nothing is added to what can't be read
			n.read(v)
		}
	}
	return nil
}

// Now is the node's clock in Unix seconds.
func (n *Node) unix() int64 { return n.now().Unix() }

// Identity says who this node is.
func (n *Node) Identity(ctx context.Context) (api.Identity, error) {
	config := n.config.Load()
	id := api.Identity{Name: config.Name, Role: config.Role, PeerID: n.keys.peerID(), Addresses: n.addresses(), RootVKeys: []string{},
		JournalVKey: n.keys.journal.Public().String()}
	v, err := n.findView("")
	if err != nil {
		return id, nil // a node without an own feed follows others all the same
	}
	r := v.reading.Load()
	charter := r.chain.Newest()
	id.Origin, id.Anchor = string(charter.Origin()), r.chain.Anchor().String()
	for _, k := range charter.Root.Keys {
		id.RootVKeys = append(id.RootVKeys, k.String())
	}
	if id.Invite, err = n.invite(charter); err != nil {
		return id, fmt.Errorf("write invite: %w", err)
	}
	return id, nil
}

// Mirror writes a feed as plain files (WIRE §10) in a tar stream.
func (n *Node) Mirror(ctx context.Context, name string, w io.Writer) error {
	v, err := n.findView(name)
	if err != nil {
		return err
	}
	src, err := n.store.Mirror(v.name)
	if err != nil {
		return err
	}
	return api.PackMirror(ctx, w, v.name, src)
}

// invite is what others follow an own feed by.
func (n *Node) invite(c feed.Charter) (string, error) {
	id, err := n.keys.id.MarshalBinary()
	if err != nil {
		return "", err
	}
	in := feed.Invite{Feed: c.Feed, Anchor: n.viewNamed(c.Feed).reading.Load().chain.Anchor(), Peer: id}
	for _, text := range n.addresses() {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return "", err
		}
		if len(in.Addrs) < feed.MaxAddrs {
			in.Addrs = append(in.Addrs, a.Bytes())
		}
	}
	return in.Text()
}
