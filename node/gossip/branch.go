package gossip

import (
	"context"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// What a frozen log goes on with isn't taken in, but a retract in it holds its item: freezing must not keep anybody blocked (WIRE §6). So of
// each verified head of such a log, on whichever branch, the heads past what we have are read, compared with the signed root, and the
// items that retracts name are told to the node. Nothing of it is stored here.

// branchEnd is how far a branch was read: a tree, by size and root.
type branchEnd struct {
	size uint64
	root feed.Digest
}

// branch notes a verified head of a frozen log, to be read from the peer who sent it. Of each peer the newest counts.
func (c *carrier) branch(l *link, cp feed.Checkpoint) {
	if c.n.o.OnBranch == nil || l == nil {
		return
	}
	c.mu.Lock()
	c.branches[l.peer] = cp
	begin := !c.reading
	c.reading = true
	c.mu.Unlock()
	if begin {
		c.spawn(c.readBranches)
	}
}

// readBranches reads one branch after the other, until none is left.
func (c *carrier) readBranches() {
	for {
		c.mu.Lock()
		var from peer.ID
		for from = range c.branches {
			break
		}
		cp, ok := c.branches[from]
		delete(c.branches, from)
		c.reading = ok && c.ctx.Err() == nil
		reading := c.reading
		c.mu.Unlock()
		if !reading {
			return
		}
		l, up := c.n.link(from)
		if !up {
			continue
		}
		if err := c.readBranch(l, cp); err != nil && c.ctx.Err() == nil {
			c.n.log.Info("read the other branch", "log", string(cp.Origin), "size", cp.Size, "peer", l.peer.String(), "err", err)
		}
	}
}

// readBranch reads the heads of cp's tree past what is known of it.
func (c *carrier) readBranch(l *link, cp feed.Checkpoint) error {
	if cp.Size == 0 {
		return nil
	}
	theirs := tlog.TileHashReader(tlog.Tree{N: int64(cp.Size), Hash: tlog.Hash(cp.Root)}, newTileSource(c.ctx, l, cp))
	from, err := c.forkPoint(cp, theirs)
	if err != nil {
		return err
	}
	end := cp.Size
	if end-from > maxBranch {
		end = from + maxBranch
		c.n.log.Warn("the other branch is too long to be read whole", "log", string(cp.Origin), "from", from, "to", end, "size", cp.Size)
	}
	last := feed.Bundles(end)
	for first := from / feed.TileWidth; first < last; first += jobBundles {
		items, err := c.retracts(l, cp, theirs, first, min(first+jobBundles, last), from)
		if len(items) > 0 {
			c.n.o.OnBranch(cp.Origin, items)
		}
		if err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := append(c.branchEnds[cp.Origin], branchEnd{cp.Size, cp.Root})
	c.branchEnds[cp.Origin] = ends[max(0, len(ends)-maxBranches):]
	return nil
}

// forkPoint is up to where cp's tree is known: by our own, or by a branch that was read before.
func (c *carrier) forkPoint(cp feed.Checkpoint, theirs tlog.HashReader) (from uint64, err error) {
	rootAt := func(size uint64) feed.Digest {
		if err != nil || size == 0 {
			return feed.Tree{}.Root()
		}
		var root tlog.Hash
		root, err = tlog.TreeHash(int64(size), theirs)
		return feed.Digest(root)
	}
	c.mu.Lock()
	ends := slices.Clone(c.branchEnds[cp.Origin])
	c.mu.Unlock()
	for _, e := range ends {
		if e.size > from && e.size <= cp.Size && (e.size == cp.Size && e.root == cp.Root || rootAt(e.size) == e.root) {
			from = e.size
		}
	}
	if err != nil || from > 0 {
		return from, err
	}
	tree, _, ok := c.n.o.Store.Position(cp.Origin)
	if !ok {
		return 0, fmt.Errorf("%s isn't held", cp.Origin)
	}
	low, high := uint64(0), min(tree.Size(), cp.Size) // equal at low; sizes above high aren't known
	same := func(size uint64) bool {
		ours, mine := c.n.o.Store.RootAt(cp.Origin, size)
		if mine != nil {
			err = mine
		}
		return rootAt(size) == ours
	}
	if same(high) {
		return high, err
	}
	for low+1 < high && err == nil {
		if middle := low + (high-low)/2; same(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low, err
}

// retracts fetches bundles first to last-1 of cp's tree, compares them with it, and returns the items that heads of a retract's form from
// an index on name.
func (c *carrier) retracts(l *link, cp feed.Checkpoint, theirs tlog.HashReader, first, last, from uint64) (items []feed.ItemID, err error) {
	var paths []string
	for n := first; n < last; n++ {
		paths = append(paths, feed.EntriesPath(n, width(cp.Size, n)))
	}
	err = l.parts(c.ctx, cp.Origin, cp.Size, paths, func(i int, data []byte) error {
		n := first + uint64(i)
		if data == nil {
			return errNobody
		}
		heads, err := feed.SplitBundle(data, width(cp.Size, n))
		if err != nil {
			return err
		}
		var at []int64
		for j := range heads {
			at = append(at, tlog.StoredHashIndex(0, int64(n*feed.TileWidth)+int64(j)))
		}
		leaves, err := theirs.ReadHashes(at)
		if err != nil {
			return err
		}
		for j, raw := range heads {
			if feed.LeafHash(raw) != feed.Digest(leaves[j]) {
				err := fmt.Errorf("bundle %d of %s: head %d isn't the tree's", n, cp.Origin, j)
				c.n.lied(l.peer, c.name, err)
				return err
			}
			if n*feed.TileWidth+uint64(j) < from {
				continue
			}
			if h, err := feed.ParseHead(raw); err == nil && h.Op == feed.OpRetract {
				items = append(items, h.Item)
			}
		}
		return nil
	})
	return items, err
}

// width is how many entries bundle n has in a log of a size.
func width(size, n uint64) int { return int(min(size-n*feed.TileWidth, feed.TileWidth)) }

// tileSource reads tiles of a peer. tlog.TileHashReader compares them with the root, and asks for the upper ones again and again.
type tileSource struct {
	ctx  context.Context
	l    *link
	cp   feed.Checkpoint
	have map[tlog.Tile][]byte
}

func newTileSource(ctx context.Context, l *link, cp feed.Checkpoint) *tileSource {
	return &tileSource{ctx, l, cp, map[tlog.Tile][]byte{}}
}

func (t *tileSource) Height() int { return tileHeight }

// SaveTiles keeps tiles that are the tree's.
func (t *tileSource) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	if len(t.have)+len(tiles) > maxTiles {
		clear(t.have)
	}
	for i, tile := range tiles {
		t.have[tile] = data[i]
	}
}

func (t *tileSource) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	var want []int
	for i, tile := range tiles {
		if data[i] = t.have[tile]; data[i] == nil {
			want = append(want, i)
		}
	}
	for some := range slices.Chunk(want, maxPaths) {
		var paths []string
		for _, i := range some {
			paths = append(paths, feed.TilePath(tiles[i].L, uint64(tiles[i].N), tiles[i].W))
		}
		if err := t.l.parts(t.ctx, t.cp.Origin, t.cp.Size, paths, func(i int, part []byte) error {
			if part == nil {
				return errNobody
			}
			data[some[i]] = part
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return data, nil
}
