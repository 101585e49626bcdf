package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/knowngood"
	"hashfeed/node/policy"
)

// knownFile is the operator's own list of known-good files: DIR/knowngood, a JSON object a line.
type knownFile struct {
	path string
	mu   sync.Mutex // of those who change it, or the set that it is part of
	all  []knownGood
}

// knownGood is a line.
type knownGood struct {
	Name   string   `json:"name"` // what the operator calls it
	Hashes []string `json:"hashes"`
	Added  string   `json:"added"`
}

func (k knownGood) check() error {
	if len(k.Name) > maxKnownName || strings.ContainsFunc(k.Name, unicode.IsControl) {
		return fmt.Errorf("name: want at most %d bytes, without control characters", maxKnownName)
	}
	if len(k.Hashes) == 0 || len(k.Hashes) > maxKnownHashes {
		return fmt.Errorf("%d hashes: want 1 to %d", len(k.Hashes), maxKnownHashes)
	}
	_, err := k.hashes()
	return err
}

// hashes are those that can be compared: exact ones and PDQ.
func (k knownGood) hashes() ([]feed.Hash, error) {
	list := make([]feed.Hash, len(k.Hashes))
	for i, text := range k.Hashes {
		h, err := feed.ParseHash(text)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i, err)
		}
		if !h.Alg.Exact() && !h.Alg.Graded() {
			return nil, fmt.Errorf("hash %d: %s: want md5, sha1, sha256, pdq or pdq_full", i, h.Alg)
		}
		list[i] = h
	}
	return list, nil
}

// openKnown reads the own list, and maps the config's filters.
func (n *Node) openKnown() error {
	n.ownGood = &knownFile{path: n.dir.known()}
	var err error
	if n.ownGood.all, err = readJSONLines(n.ownGood.path, maxKnownFile, knownGood.check); err != nil {
		return err
	}
	blooms, err := n.openBlooms(n.config.Load())
	if err != nil {
		return err
	}
	return n.setKnown(blooms)
}

// openBlooms maps the filters that a config names.
func (n *Node) openBlooms(c *Config) (list []*knowngood.Bloom, err error) {
	for _, path := range c.KnownGood.Bloom {
		b, err := knowngood.OpenBloom(n.dir.bloom(path))
		if err != nil {
			return nil, fmt.Errorf("[knowngood] bloom: %w", err)
		}
		list = append(list, b)
	}
	return list, nil
}

// reloadKnown makes the set anew by a config that is about to be in force. If a filter can't be used, the one before stays.
func (n *Node) reloadKnown(c *Config) error {
	blooms, err := n.openBlooms(c)
	if err != nil {
		return err
	}
	n.ownGood.mu.Lock()
	defer n.ownGood.mu.Unlock()
	old := n.known()
	n.good.Store(&knowngood.Set{Builtin: old.Builtin, Own: old.Own, Blooms: blooms, Within: c.KnownGood.MaxDistance})
	return nil
}

// setKnown makes the set of the own list and some filters. The caller holds n.ownGood.mu, or is Open.
func (n *Node) setKnown(blooms []*knowngood.Bloom) error {
	names, hashes := make([]string, len(n.ownGood.all)), make([][]feed.Hash, len(n.ownGood.all))
	for i, k := range n.ownGood.all {
		var err error
		if hashes[i], err = k.hashes(); err != nil {
			return err // it was checked
		}
		names[i] = k.Name
	}
	n.good.Store(&knowngood.Set{Builtin: knowngood.Builtin(), Own: knowngood.NewOwn(names, hashes), Blooms: blooms,
		Within: n.config.Load().KnownGood.MaxDistance})
	return nil
}

// known is all that is known good here.
func (n *Node) known() *knowngood.Set {
	if s := n.good.Load(); s != nil {
		return s
	}
	return &knowngood.Set{}
}

// addKnown adds to a policy what is known good. It asks the newest set each time, but only about hashes that match something.
func (n *Node) addKnown(p *policy.Policy) {
	p.KnownGood = func(h feed.Hash) bool { return n.known().Has(h) }
	p.OwnKnownGood = func(h feed.Hash) bool { return n.known().HasOwn(h) }
	p.KnownBytes = func(h feed.Hash) bool { return n.known().Bytes(h) }
}

// guardKnownGood refuses to list what is known good, naming who knows it. An override, which a person gave a reason for (feed.Facts.Override),
// lets it pass, and stands in the record. Whatever makes an add or a revise calls it first.
func (n *Node) guardKnownGood(hashes []feed.Hash, override uint8) error {
	if override != 0 {
		return nil
	}
	if alg, source, ok := n.findKnown(hashes); ok {
		return refused("known good: by its %s, %s; nobody should list it. publish and revise do with --override-known-good reviewed, legal or test, and the reason stands in the record",
			alg, source)
	}
	return nil
}

// findKnown finds the first of hashes that is known good, and who knows it.
func (n *Node) findKnown(hashes []feed.Hash) (alg feed.Alg, source string, ok bool) {
	set := n.known()
	for _, h := range hashes {
		if source, ok := set.Find(h); ok {
			return h.Alg, source, true
		}
	}
	return 0, "", false
}

// holdsKnownGood tells whether a record is held here because of what it lists itself, whatever the file is that matches it: an override
// outweighs all but the own list.
func (n *Node) holdsKnownGood(b feed.Body) bool {
	if b.Facts.Override != 0 {
		return slices.ContainsFunc(b.Hashes, n.known().HasOwn)
	}
	_, _, ok := n.findKnown(b.Hashes)
	return ok
}

// guardBatch refuses to publish a batch with a record that is known good: a list may have grown since the batch was proposed.
func (n *Node) guardBatch(p *pending) error {
	for i, r := range p.proposal.Records() {
		body, err := feed.ParseBody(r.Body)
		if len(r.Body) == 0 || err != nil {
			continue
		}
		if err := n.guardKnownGood(body.Hashes, body.Facts.Override); err != nil {
			var e *api.Error
			if errors.As(err, &e) {
				at := feed.Ref{Origin: p.proposal.Origin(), Index: p.proposal.From() + uint64(i)}
				e.Text = fmt.Sprintf("%s of batch %s is %s", at, p.file.ID, e.Text)
				e.Hint = fmt.Sprintf("hashfeed approve %s --withdraw, and publish the others anew", p.file.ID)
			}
			return err
		}
	}
	return nil
}

// parseOverride reads the reason of an override, if there is one.
func parseOverride(text string) (uint8, error) {
	if text == "" {
		return 0, nil
	}
	o, err := feed.ParseOverride(text)
	if err != nil {
		return 0, badRequest(err)
	}
	return o, nil
}

// KnownGood tells what is known good here.
func (n *Node) KnownGood(ctx context.Context) (api.KnownGood, error) {
	n.ownGood.mu.Lock()
	defer n.ownGood.mu.Unlock()
	set := n.known()
	k := api.KnownGood{Sources: []api.KnownSource{{Kind: api.KnownOwn, Path: n.ownGood.path, Files: uint64(len(n.ownGood.all))}}, Files: []api.KnownFile{}}
	if set.Builtin != nil {
		files, pictures := set.Builtin.Len()
		k.Sources = append(k.Sources, api.KnownSource{Kind: api.KnownBuiltin, Files: uint64(files), Pictures: uint64(pictures)})
	}
	for _, b := range set.Blooms {
		s := api.KnownSource{Kind: api.KnownBloom, Path: b.Path, Files: b.N}
		if b.Faulted() {
			s.Problem = "the file was cut short while it was in use: it is not asked any more"
		}
		k.Sources = append(k.Sources, s)
	}
	for _, f := range n.ownGood.all {
		k.Files = append(k.Files, api.KnownFile{Name: f.Name, Hashes: f.Hashes, Added: f.Added})
	}
	return k, nil
}

// AddKnownGood adds files to the own list. One that it has, by its sha256 or else by all its hashes, isn't added again.
func (n *Node) AddKnownGood(ctx context.Context, files []api.KnownFile) (c api.KnownChange, err error) {
	added := make([]knownGood, len(files))
	for i, f := range files {
		added[i] = knownGood{Name: f.Name, Hashes: f.Hashes, Added: timeText(n.unix())}
		if err := added[i].check(); err != nil {
			return c, withItem(badRequest(err), i, len(files))
		}
	}
	n.ownGood.mu.Lock()
	defer n.ownGood.mu.Unlock()
	have := map[string]bool{}
	for _, k := range n.ownGood.all {
		have[k.key()] = true
	}
	all := slices.Clone(n.ownGood.all)
	for _, k := range added {
		if have[k.key()] {
			c.Known++
			continue
		}
		have[k.key()] = true
		all = append(all, k)
		c.Added++
	}
	if len(all) > knowngood.MaxOwn {
		return c, conflict("the own list would have %d files, and has at most %d: a Bloom filter holds more ([knowngood] bloom)", len(all), knowngood.MaxOwn)
	}
	c.Files = len(all)
	return c, n.changeKnown(all)
}

// key is what makes two lines the same file.
func (k knownGood) key() string {
	for _, h := range k.Hashes {
		if strings.HasPrefix(h, "sha256:") {
			return h
		}
	}
	text, _ := json.Marshal(k.Hashes) // strings
	return string(text)
}

// RemoveKnownGood takes off the own list what has a hash.
func (n *Node) RemoveKnownGood(ctx context.Context, text string) (c api.KnownChange, err error) {
	h, err := feed.ParseHash(text)
	if err != nil {
		return c, badRequest(err)
	}
	n.ownGood.mu.Lock()
	defer n.ownGood.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(n.ownGood.all), func(k knownGood) bool {
		hashes, err := k.hashes()
		return err == nil && slices.ContainsFunc(hashes, func(e feed.Hash) bool { return exactKey(e) == exactKey(h) })
	})
	c.Removed, c.Files = len(n.ownGood.all)-len(all), len(all)
	if c.Removed == 0 {
		return c, notFound("the own list has no file with this %s", h.Alg)
	}
	return c, n.changeKnown(all)
}

// changeKnown replaces the own list, durably. The caller holds n.ownGood.mu.
func (n *Node) changeKnown(all []knownGood) error {
	if err := writeJSONLines(n.ownGood.path, all); err != nil {
		return err
	}
	n.ownGood.all = all
	return n.setKnown(n.known().Blooms)
}
