package policy

import (
	"slices"
	"sync"

	"hashfeed/feed"
)

// Breaker counts how many different uploads each record has matched within the last hour. A listed picture that is uploaded again and again is
// one upload; a record that a hundred different files match within an hour is more likely to be of a logo, or of a blank page.
//
// What it keeps is bounded, whatever is asked: of at most maxCounted records, of each at most maxSampled uploads. Where a record has matched more,
// it keeps those whose hashes end in so many zero bits, and counts each for 2, 4, 8, …: up to maxSampled the count is exact, beyond it
// off by some 6 % (Wegman's adaptive sampling). A Breaker is safe for concurrent use. The zero Breaker has counted nothing.
type Breaker struct {
	mu sync.Mutex
	of map[feed.Ref]*counted
}

// counted is what is kept of one record.
type counted struct {
	last    int64 // Unix seconds of the newest upload
	level   uint  // uploads are kept whose hashes end in so many zero bits
	uploads []upload
}

type upload struct {
	hash uint64
	at   int64 // when it came last
}

// breakerSeconds is the time over which uploads are counted.
const breakerSeconds = 3600

// Count notes that an upload has matched a record at now (Unix seconds), and returns how many different ones have within the last hour. hash
// is of the upload, by a function that no stranger can foresee.
func (b *Breaker) Count(record feed.Ref, hash uint64, now int64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.of[record]
	if c == nil {
		b.makeRoom(now)
		c = &counted{}
		b.of[record] = c
	}
	c.last = now
	c.add(hash, now)
	return len(c.uploads) << c.level
}

// Forget drops what was counted of a record.
func (b *Breaker) Forget(record feed.Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, record)
}

// makeRoom forgets a record if there are as many as are kept: those of an hour ago, or that of the fewest uploads among some.
func (b *Breaker) makeRoom(now int64) {
	if b.of == nil {
		b.of = map[feed.Ref]*counted{}
	}
	if len(b.of) < maxCounted {
		return
	}
	var fewest feed.Ref
	least, looked := -1, 0
	for ref, c := range b.of { // in no order
		if stale(c.last, now) {
			delete(b.of, ref)
			continue
		}
		if n := len(c.uploads) << c.level; least < 0 || n < least {
			fewest, least = ref, n
		}
		if looked++; looked == 64 {
			break
		}
	}
	if len(b.of) >= maxCounted {
		delete(b.of, fewest)
	}
}

// stale says that something was more than an hour ago; or ahead, as clocks jump.
func stale(at, now int64) bool { return now-at >= breakerSeconds || at > now }

func (c *counted) add(hash uint64, now int64) {
	c.uploads = slices.DeleteFunc(c.uploads, func(u upload) bool { return stale(u.at, now) })
	if len(c.uploads) == 0 {
		c.level = 0 // it may have been long ago
	}
	if hash&(1<<c.level-1) != 0 {
		return
	}
	if i := slices.IndexFunc(c.uploads, func(u upload) bool { return u.hash == hash }); i >= 0 {
		c.uploads[i].at = now
		return
	}
	c.uploads = append(c.uploads, upload{hash, now})
	for len(c.uploads) > maxSampled && c.level < 63 {
		c.level++
		c.uploads = slices.DeleteFunc(c.uploads, func(u upload) bool { return u.hash&(1<<c.level-1) != 0 })
	}
}

// Reaches says whether a match at a distance is one by this rule.
func (r Rule) Reaches(alg feed.Alg, distance int) bool { return distance <= r.reach(alg) }
