package knowngood

import (
	"hashfeed/feed"
)

// Own is what the operator calls known good: files with all their hashes. It never changes; NewOwn makes another one.
type Own struct {
	names []string
	exact map[feed.Hash]int // without their quality
	near  *near
}

// NewOwn makes the set of some files; names[i] is the file with hashes[i].
func NewOwn(names []string, hashes [][]feed.Hash) *Own {
	o := &Own{names: names, exact: map[feed.Hash]int{}}
	var values []string
	var places []int
	for i, list := range hashes {
		for _, h := range list {
			key := keyOf(h)
			if _, again := o.exact[key]; again {
				continue
			}
			o.exact[key] = i
			if h.Alg.Graded() && hasNeighbours(h.Value, h.Quality) {
				values, places = append(values, h.Value), append(places, i)
			}
		}
	}
	o.near = newNear(values, places)
	return o
}

// keyOf is a hash as it is compared: both kinds of PDQ are looks of the same picture.
func keyOf(h feed.Hash) feed.Hash {
	if h.Alg == feed.PDQFull {
		h.Alg = feed.PDQ
	}
	h.Quality = 0
	return h
}

// Find tells whether the operator has added a file with this hash, or a picture within so many bits of it, and its name.
func (o *Own) Find(h feed.Hash, within int) (name string, ok bool) {
	if o == nil {
		return "", false
	}
	if i, ok := o.exact[keyOf(h)]; ok {
		return o.names[i], true
	}
	if within > 0 && h.Alg.Graded() && hasNeighbours(h.Value, h.Quality) {
		if i, ok := o.near.find(h.Value, within); ok {
			return o.names[i], true
		}
	}
	return "", false
}
