package node

import (
	"fmt"
	"math/bits"
	mathrand "math/rand/v2"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// guardFiles are the files that it is all about, each with an md5, sha1, sha256 and pdq. The first two are WordPress', which the built-in list has; then come
// two that it hasn't; then one that looks like the first, one like the third, and one that doesn't quite.
var guardFiles = makeGuardFiles()

const (
	builtinFiles = 2
	ordinaryFile = 2
	lookalike    = 4
)

func makeGuardFiles() (files [][]feed.Hash) {
	r := mathrand.New(mathrand.NewPCG(2021, 6))
	random := func(alg feed.Alg) feed.Hash {
		b := make([]byte, alg.Size())
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return feed.Hash{Alg: alg, Value: string(b)}
	}
	file := func(pdq feed.Hash) []feed.Hash {
		return []feed.Hash{random(feed.MD5), random(feed.SHA1), random(feed.SHA256), pdq}
	}
	picture := func() feed.Hash {
		b := make([]byte, 32)
		for _, bit := range r.Perm(256)[:128] {
			b[bit/8] |= 1 << (bit % 8)
		}
		return feed.Hash{Alg: feed.PDQ, Value: string(b), Quality: 100}
	}
	like := func(h feed.Hash, distance int) feed.Hash {
		b := h.Bytes()
		for _, bit := range r.Perm(256)[:distance] {
			b[bit/8] ^= 1 << (bit % 8)
		}
		return feed.Hash{Alg: feed.PDQ, Value: string(b), Quality: 90}
	}
	for _, texts := range [][]string{wordpress, {
		"md5:e700b26d7b6f51f2bc02d8d51ed44b55", "sha1:ee83aa9b50f138efd0783e841768f3f0fd97ee43",
		"sha256:9b10f56e137d5a2f251b00c99a06694765f67065acfede74b2132bb821f5daf1",
		"pdq:9794648f5101581f687dc1de3cd6c4700af855eea448b3f9a6af16970a8f5b27:62",
	}} {
		var f []feed.Hash
		for _, text := range texts {
			h, err := feed.ParseHash(text)
			if err != nil {
				panic(err)
			}
			f = append(f, h)
		}
		files = append(files, f)
	}
	files = append(files, file(picture()), file(picture()))
	return append(files, file(like(files[0][3], 20)), file(like(files[2][3], 31)), file(like(files[2][3], 32)))
}

// partsOf are some hashes of a file.
func partsOf(file, parts int) (list []feed.Hash) {
	for i, h := range guardFiles[file] {
		if parts&(1<<i) != 0 {
			list = append(list, h)
		}
	}
	return list
}

// guardModel is what a patient person with the logs, a pencil and the two lists of known-good files would know. It uses nothing of the node but what is in
// its logs, and compares each hash with each.
type guardModel struct {
	own  map[int]bool // files on the operator's list
	logs map[feed.Origin]*guardLog
}

// guardLog is a log as far as it was read.
type guardLog struct {
	records  int
	byID     map[feed.ItemID]*guardItem
	byRecord map[feed.Ref]*guardItem
	order    []*guardItem
}

// guardItem is an item as its newest record has it.
type guardItem struct {
	ref       feed.Ref // of its add
	newest    feed.Ref
	file      int
	hashes    []feed.Hash
	override  bool
	retracted bool
	doubted   bool // disputed at some time, or of a feed where what awaits approval may hold it: it may be held for more than we know
}

func newGuardModel() guardModel {
	return guardModel{own: map[int]bool{}, logs: map[feed.Origin]*guardLog{}}
}

// known says whether the operator's list has one of some hashes or its neighbour, and whether any list has.
func (m *guardModel) known(hashes []feed.Hash) (own, any bool) {
	for file, of := range guardFiles {
		if !m.own[file] && file >= builtinFiles {
			continue
		}
		for _, good := range of {
			for _, h := range hashes {
				if alike(good, h) {
					own, any = own || m.own[file], true
				}
			}
		}
	}
	return own, any
}

// alike tells whether two hashes are of the same file, or by their looks of the same picture.
func alike(a, b feed.Hash) bool {
	if a.Alg != b.Alg || a.Alg != feed.PDQ {
		return a.Alg == b.Alg && a.Value == b.Value
	}
	distance := 0
	for i := range len(a.Value) { // bytes, not runes
		distance += bits.OnesCount8(a.Value[i] ^ b.Value[i])
	}
	return distance <= 31
}

// items are those that have something, in the order in which they were listed.
func (m *guardModel) items(has func(*guardItem) bool) (list []*guardItem) {
	for _, name := range []feed.Name{"hotline.example/known", "hotline.example/private", sharedName, "other.example/known"} {
		if l := m.logs[name.Log(1)]; l != nil {
			for _, it := range l.order {
				if has(it) {
					list = append(list, it)
				}
			}
		}
	}
	return list
}

// read reads what a log has got since, and says what its publisher should have refused.
func (p *guardPlay) read(name feed.Name) error {
	origin := name.Log(1)
	l := p.model.logs[origin]
	if l == nil {
		l = &guardLog{byID: map[feed.ItemID]*guardItem{}, byRecord: map[feed.Ref]*guardItem{}}
		p.model.logs[origin] = l
	}
	if p.store.Size(origin) == uint64(l.records) {
		return nil
	}
	for r, err := range p.store.Records(origin, uint64(l.records), 1<<20) {
		if err != nil {
			return err
		}
		ref := feed.Ref{Origin: origin, Index: r.Index}
		l.records++
		head, err := feed.ParseHead(r.Head)
		if err != nil {
			return err
		}
		switch head.Op {
		case feed.OpDispute:
			if of := p.model.logs[head.Subject.Origin]; of != nil {
				of.byRecord[feed.Ref{Origin: head.Subject.Origin, Index: head.Subject.Index}].doubted = true
			}
			continue
		case feed.OpResolve:
			continue
		case feed.OpRetract:
			l.byID[head.Item].retracted = true
			continue
		}
		body, err := feed.ParseBody(r.Body)
		if err != nil {
			return err
		}
		it := l.byID[head.Item]
		if it == nil {
			it = &guardItem{ref: ref, doubted: name == sharedName}
			l.byID[head.Item], l.order = it, append(l.order, it)
		}
		l.byRecord[ref] = it
		it.newest, it.hashes, it.override = ref, body.Hashes, body.Facts.Override != 0
		it.retracted = it.retracted && !head.Reinstate
		it.file = slices.IndexFunc(guardFiles, func(f []feed.Hash) bool {
			return slices.ContainsFunc(f, func(h feed.Hash) bool { return h == body.Hashes[0] })
		})
		if _, known := p.model.known(it.hashes); known && !it.override && name.Publisher() == "hotline.example" {
			return fmt.Errorf("%s lists what is known good, and bears no override", ref)
		}
	}
	return nil
}

// check reads what is new in the logs, then asks for every file and every hash, and compares the answers with what the model knows.
func (p *guardPlay) check() error {
	for _, name := range []feed.Name{"other.example/known", "hotline.example/private", sharedName, "hotline.example/known"} {
		if p.viewNamed(name) == nil {
			continue // nothing was imported yet
		}
		if err := p.read(name); err != nil {
			return err
		}
	}
	for _, file := range guardFiles {
		questions := [][]feed.Hash{file}
		for _, h := range file {
			questions = append(questions, []feed.Hash{h})
		}
		for _, question := range questions {
			if err := p.at(doorAsk, func() error { return p.ask(question) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *guardPlay) ask(question []feed.Hash) error {
	verdicts, err := p.Match(p.t.Context(), question, true)
	if err != nil {
		return err
	}
	found := map[*guardItem]bool{}
	for _, m := range verdicts[0].Matches {
		ref, err := feed.ParseRef(m.Ref)
		if err != nil {
			return err
		}
		it := p.model.logs[ref.Origin].byRecord[ref]
		if it == nil || it.newest != ref || it.retracted {
			return fmt.Errorf("%s matches, and isn't in force", ref)
		}
		found[it] = true
		own, known := p.model.known(append(slices.Clone(question), it.hashes...))
		held := own || known && !it.override
		switch {
		case held && (m.State == policy.Active || m.Action == policy.Block):
			return fmt.Errorf("%s is %s, and its action is %s, though it is known good; override %v, own list %v", ref, m.State, m.Action, it.override, own)
		case it.doubted:
		case held != (m.State == policy.Held) || held != (m.Action == policy.Review):
			return fmt.Errorf("%s is %s, and its action is %s; known good %v, override %v, own list %v", ref, m.State, m.Action, known, it.override, own)
		}
	}
	for _, it := range p.model.items(func(it *guardItem) bool { return !it.retracted }) {
		if !found[it] && slices.ContainsFunc(it.hashes, func(h feed.Hash) bool { return slices.Contains(question, h) }) {
			return fmt.Errorf("%s isn't found", it.newest)
		}
	}
	return nil
}
