package node

import (
	"fmt"
	"sync/atomic"

	"hashfeed/feed"
)

// bodyCache keeps the bodies that lookups have matched last: what is uploaded once is often uploaded again, and to read a record from the store
// takes longer than all the rest of an answer. Each body has one place, so that the cache is bounded and takes no lock. A record never
// changes, and one of another copy of its log is another view's. One that is erased is dropped.
type bodyCache [cachedBodies]atomic.Pointer[cachedBody]

type cachedBody struct {
	view  uint64 // its serial
	at    feed.Position
	ref   feed.Ref // the same
	body  feed.Body
	exact []feed.Hash // of its hashes: md5, sha1 and sha256
}

// bodyAt is the body of the record at p of a view, which has one in force there. It is for reading.
func (n *Node) bodyAt(v *view, p feed.Position) (*cachedBody, error) {
	place := n.bodyPlace(v, p)
	if c := place.Load(); c != nil && c.view == v.serial && c.at == p {
		return c, nil
	}
	c := &cachedBody{view: v.serial, at: p, ref: v.name.Ref(p)}
	record, err := n.store.Record(c.ref.Origin, p.Index)
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", c.ref, err)
	}
	if c.body, err = feed.ParseBody(record.Body); err != nil {
		return nil, fmt.Errorf("read record %s: %w", c.ref, err)
	}
	for _, h := range c.body.Hashes {
		if h.Alg.Exact() {
			c.exact = append(c.exact, h)
		}
	}
	place.Store(c)
	return c, nil
}

func (n *Node) bodyPlace(v *view, p feed.Position) *atomic.Pointer[cachedBody] {
	return &n.bodies[(v.serial*0x9e3779b97f4a7c15^uint64(p.Log)<<32^p.Index)%cachedBodies]
}

// dropBody forgets the body of the record at p of a view, if it was kept.
func (n *Node) dropBody(v *view, p feed.Position) {
	if c := n.bodyPlace(v, p).Load(); c != nil && c.view == v.serial && c.at == p {
		n.bodyPlace(v, p).CompareAndSwap(c, nil)
	}
}
