package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
)

const remedyRepair = "hashfeed fsck --repair"

// yielder passes findings on until nobody wants more.
type yielder struct {
	yield   func(api.Finding, error) bool
	stopped bool
	stop    context.CancelFunc
}

func (y *yielder) report(f api.Finding) {
	if !y.stopped && !y.yield(f, nil) {
		y.stopped = true
		y.stop()
	}
}

func (y *yielder) end(err error) {
	if err != nil && !y.stopped {
		y.yield(api.Finding{}, err)
	}
}

// Fsck checks everything that the node has stored. With repair it mends first, and then tells what it did and what is left.
func (n *Node) Fsck(ctx context.Context, repair bool) iter.Seq2[api.Finding, error] {
	return func(yield func(api.Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		y := &yielder{yield: yield, stop: cancel}
		n.care.checking.Lock()
		defer n.care.checking.Unlock()
		if repair {
			if err := n.repair(ctx, y.report); err != nil || y.stopped {
				y.end(err)
				return
			}
		}
		n.index.writing.Lock()
		checkSnapshot(n.dir.snapshot(), n.seal, n.config.Load().Name, repair, y.report)
		n.index.writing.Unlock()
		if y.stopped {
			return
		}
		y.end(n.check(ctx, y.report))
	}
}

// check reports what is wrong with the files and the store.
func (n *Node) check(ctx context.Context, report func(api.Finding)) error {
	files := fileCheck{dir: n.dir, passphrase: n.keys.passphrase, report: report, chain: n.chainOf}
	files.run()
	n.journal.Flush()
	if err := files.journal(ctx, true); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	found := 0
	err := n.store.Fsck(ctx, func(f store.Finding) {
		found++
		report(storeFinding(f, n.keys.owns(f.Feed), n.network.Load() != nil))
	})
	if err == nil {
		n.care.walked(found, n.now())
	}
	return err
}

func (n *Node) chainOf(name feed.Name) *feed.Chain {
	chain, _ := n.store.Chain(name)
	return chain
}

// storeFinding says in words what the store found.
func storeFinding(f store.Finding, own, running bool) api.Finding {
	found := api.Finding{Kind: f.Kind, Where: string(f.Feed), Text: f.Err.Error(), State: api.FindingDamaged, Remedy: remedyRepair}
	if f.Log != 0 {
		found.Where = string(f.Feed.Log(f.Log))
	}
	fromPeers := remedyRepair
	if !running {
		fromPeers = "hashfeed run, and then " + remedyRepair + ": peers have it"
	}
	switch f.Kind {
	case "heads", "bodies":
		found.Where += fmt.Sprintf(", %s %d", f.Kind, f.Number)
		found.Means, found.Remedy = "these records can't be read; the feed is frozen from the next start on", fromPeers
	case "tile", "chunk", "record":
		found.Where += fmt.Sprintf(", %s %d", f.Kind, f.Number)
		found.Means = "the log can't be proved or extended from here; its records are whole"
	case "body":
		found.Where += fmt.Sprintf("#%d", f.Number)
		found.Means, found.Remedy = "its hashes aren't the record's, and match nothing", fromPeers
	case "checkpoint":
		found.Where += fmt.Sprintf(", size %d", f.Number)
		found.Means = "since when the records below it are listed can't be proved"
	case "head", "feed", "root":
		found.Means = "the feed is frozen: nothing is added, its matches are at most review"
		if own {
			found.Means = "nothing is signed: what members hold may be more than is here"
		}
		var damage *store.DamagedError
		if errors.As(f.Err, &damage) {
			found.Text, found.Remedy = damage.Problem, damage.Remedy
		}
	case "charter", "suspension", "roster":
		found.Means = "of its two copies one is lost"
	case "receipt":
		found.Means = "what members have stored isn't known"
		found.Remedy = "none: members cosign again when the feed grows"
	}
	return found
}

// repair mends each feed that something is wrong with.
func (n *Node) repair(ctx context.Context, report func(api.Finding)) error {
	wrong := map[feed.Name][]store.Finding{}
	if err := n.store.Fsck(ctx, func(f store.Finding) { wrong[f.Feed] = append(wrong[f.Feed], f) }); err != nil {
		return err
	}
	for _, v := range *n.views.Load() {
		if v != nil && v.broken != nil && wrong[v.name] == nil {
			wrong[v.name] = []store.Finding{} // it can be read again; the view is to be made anew
		}
	}
	for _, name := range n.store.Feeds() {
		if _, ok := wrong[name]; !ok {
			continue
		}
		if err := n.repairFeed(ctx, name, report); err != nil {
			return fmt.Errorf("repair %s: %w", name, err)
		}
	}
	return nil
}

// repairFeed mends one feed: from what is here, then from peers, and makes its view anew.
func (n *Node) repairFeed(ctx context.Context, name feed.Name, report func(api.Finding)) error {
	n.signing.Lock() // nobody signs what is being mended
	defer n.signing.Unlock()
	own := n.keys.owns(name) && name.Publisher() == n.config.Load().Name
	did := func(text string) {
		report(api.Finding{Kind: "feed", Where: string(name), Text: text, Means: "mended", State: api.FindingRepaired})
	}
	// What an own log has lost may be signed and with the members: only its operator can say that nothing is.
	trusted := !own || api.Alone(ctx)
	if own && trusted {
		if err := n.setCopied(name); err != nil {
			return err
		}
	}
	done, err := n.store.Mend(name, store.MendOptions{Adopt: trusted, Refetch: trusted, Shorter: own && trusted, Anchor: n.anchorOf(name, own)})
	for _, text := range done {
		did(text)
	}
	if _, ok := n.store.Chain(name); !ok && !own {
		// Nothing of it is left that could be believed, not even its charters: it comes again from peers, by the config's anchor.
		if err := n.letGo(name); err != nil {
			return err
		}
		did("nothing of it could be believed: it is forgotten here, and comes again from peers")
		return nil
	}
	if err != nil {
		return err
	}
	parts, err := n.refetch(ctx, name)
	if err != nil {
		return err
	}
	for _, text := range parts {
		did(text)
	}
	err = n.store.Still(func() error {
		if v := n.viewNamed(name); v != nil {
			return n.rebuild(v)
		}
		if _, ok := n.store.Chain(name); ok {
			return n.openView(name)
		}
		return nil
	})
	if v := n.viewNamed(name); v != nil && v.broken != nil {
		n.store.SetDamaged(name, 0, v.broken)
		n.read(v)
	}
	return err
}

// anchorOf is what a feed's charter files are believed by where the store has lost the feed: of a followed one the config's anchor, of an own
// one that of its first charter, if the keys here are the newest one's.
func (n *Node) anchorOf(name feed.Name, own bool) feed.Anchor {
	if !own {
		for _, f := range n.config.Load().Follow {
			if a, err := feed.ParseAnchor(f.Anchor); err == nil && f.Feed == string(name) {
				return a
			}
		}
		return feed.Anchor{}
	}
	chain, err := fileChain(n.dir, name)
	if err != nil {
		return feed.Anchor{}
	}
	charter := chain.Newest()
	info, err := crypto.Inspect(n.dir.stampKey(name, charter.Log))
	if err != nil || info.Public != charter.Stamp {
		return feed.Anchor{}
	}
	return chain.Anchor()
}

// fileChain reads the charters of an own feed from their files.
func fileChain(dir layout, name feed.Name) (*feed.Chain, error) {
	var chain *feed.Chain
	for version := 1; ; version++ {
		note, err := readSmall(dir.charter(name, version), maxCharterFile)
		if errors.Is(err, fs.ErrNotExist) && chain != nil {
			return chain, nil
		}
		if err != nil {
			return nil, err
		}
		if chain == nil {
			parsed, err := crypto.ParseNote(note)
			if err != nil {
				return nil, err
			}
			chain, err = feed.OpenChain(sha256.Sum256(parsed.Text), [][]byte{note})
			if err != nil {
				return nil, err
			}
		} else if chain, err = chain.Extend(note); err != nil {
			return nil, err
		}
	}
}

// refetch gets the lost bundles of a feed from peers, each compared with the root that is held here.
func (n *Node) refetch(ctx context.Context, name feed.Name) (done []string, err error) {
	w := n.network.Load()
	if w == nil {
		return nil, nil // check tells that the daemon must run
	}
	lost := map[feed.Origin][]string{}
	if err := n.store.FsckFeed(ctx, name, func(f store.Finding) {
		part := feed.Part{N: f.Number, Width: feed.TileWidth}
		switch f.Kind {
		case "heads":
			part.Kind = feed.PartEntries
		case "bodies":
			part.Kind = feed.PartBody
		case "body":
			part.Kind, part.N = feed.PartBody, f.Number/feed.TileWidth
		default:
			return
		}
		origin := name.Log(f.Log)
		if path := part.Path(); !slices.Contains(lost[origin], path) {
			lost[origin] = append(lost[origin], path)
		}
	}); err != nil {
		return nil, err
	}
	for origin, paths := range lost {
		slices.SortStableFunc(paths, func(a, b string) int { return slices.Index(partOrder, a[:4]) - slices.Index(partOrder, b[:4]) })
		for _, path := range paths {
			err := w.gossip.Part(ctx, origin, path, func(data []byte) error { return n.store.PutPart(origin, path, data) })
			if ctx.Err() != nil {
				return done, ctx.Err()
			}
			if err != nil {
				n.log.Warn("a lost bundle isn't found", "log", string(origin), "part", path, "err", err)
				continue // the check that follows tells of it
			}
			done = append(done, fmt.Sprintf("%s of %s is here again, from a peer", path, origin))
		}
	}
	w.gossip.Committed(name, nil) // a log that lost its end may be fetched again
	return done, nil
}

// partOrder: heads before bodies, which are compared with them.
var partOrder = []string{"tile", "body"}

// FsckOptions are how a directory is checked without a daemon.
type FsckOptions struct {
	Options
	Repair bool
}

// Fsck checks a directory that no daemon serves, whether or not a node opens in it.
func Fsck(ctx context.Context, dir string, o FsckOptions) iter.Seq2[api.Finding, error] {
	return func(yield func(api.Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		y := &yielder{yield: yield, stop: cancel}
		y.end(fsckDir(ctx, layout(dir), o, y))
	}
}

func fsckDir(ctx context.Context, dir layout, o FsckOptions, y *yielder) error {
	if _, err := os.Stat(dir.config()); err != nil {
		if _, err := os.Stat(dir.keys()); err != nil {
			return notFound("there is no node in %s", string(dir))
		}
	}
	files := fileCheck{dir: dir, passphrase: o.Passphrase, report: y.report, chain: func(name feed.Name) *feed.Chain {
		chain, _ := fileChain(dir, name) // until the store opens
		return chain
	}}
	config, err := LoadConfig(dir.config())
	if err != nil {
		files.run() // it says what is wrong with the config, without which nothing else has a name
		return nil
	}
	seal, err := crypto.LoadSealKey(dir.sealKey(), config.Name+"/store", o.Passphrase)
	if err != nil {
		files.run()
		if errors.Is(err, crypto.ErrPassphrase) {
			return err
		}
		return nil
	}
	options := store.Options{Key: seal, Reserve: int64(config.Limits.Reserve), Logger: o.Logger, Now: o.Now}
	if o.Repair {
		return repairDir(ctx, dir, o, options, y)
	}
	s, err := store.Open(string(dir), options)
	switch {
	case errors.Is(err, store.ErrLocked), errors.Is(err, store.ErrNewer), errors.Is(err, store.ErrNoSpace):
		return explainStore(string(dir), err)
	case err != nil:
		files.run()
		y.report(storeClosed(err))
		return nil
	}
	defer s.Close()
	files.chain = func(name feed.Name) *feed.Chain {
		chain, _ := s.Chain(name)
		return chain
	}
	files.run()
	if err := files.journal(ctx, true); err != nil {
		return err
	}
	checkSnapshot(dir.snapshot(), seal.Sealer(), config.Name, false, y.report)
	ring := keyring{dir: dir}
	return s.Fsck(ctx, func(f store.Finding) { y.report(storeFinding(f, ring.owns(f.Feed), false)) })
}

// storeClosed is the finding of a store that doesn't open.
func storeClosed(err error) api.Finding {
	return api.Finding{Kind: "store", Where: "store", Text: err.Error(), Means: "the node doesn't start", Remedy: remedyRepair, State: api.FindingDamaged}
}

// repairDir makes the database open again, and then has the node mend what is wrong in it.
func repairDir(ctx context.Context, dir layout, o FsckOptions, options store.Options, y *yielder) error {
	done, err := store.Salvage(string(dir), options)
	for _, text := range done {
		y.report(api.Finding{Kind: "store", Where: "store", Text: text, Means: "what was in it is missing now, and told of feed by feed", State: api.FindingRepaired})
	}
	if err != nil {
		if errors.Is(err, store.ErrLocked) || errors.Is(err, store.ErrNewer) || errors.Is(err, store.ErrNoSpace) {
			return explainStore(string(dir), err)
		}
		y.report(storeClosed(err))
		return nil
	}
	n, err := Open(string(dir), o.Options)
	if err != nil {
		return err
	}
	defer n.Close()
	if len(done) > 0 { // receipts may be lost, which the guard against forks goes by
		own, err := n.keys.own(n.config.Load().Name)
		if err != nil {
			return err
		}
		for _, name := range own {
			if err := n.setCopied(name); err != nil {
				return err
			}
		}
	}
	for f, err := range n.Fsck(ctx, true) {
		if err != nil {
			return err
		}
		y.report(f)
	}
	return nil
}

// Sealed says whether the node in a directory wants a passphrase.
func Sealed(dir string) bool {
	info, err := crypto.Inspect(layout(dir).nodeKey())
	return err == nil && info.Sealed
}
