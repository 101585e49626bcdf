package node

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

// listKey makes the key of itemID from the store's: whoever has neither can't tell an item's id from a random one.
func listKey(seal crypto.SealKey) [32]byte {
	mac := hmac.New(sha256.New, seal[:])
	mac.Write([]byte("hashfeed import item ids"))
	return [32]byte(mac.Sum(nil))
}

// itemID is the id of the item that a source calls id, or that has a hash which it calls nothing. So the log itself is the memory of what was imported: nothing beside it can be lost, or go
// on without it when an import is interrupted. An item can't drop a hash (WIRE §2), so one whose hashes changed goes on as its next
// generation.
func (im *listImport) itemID(id string, generation int) feed.ItemID {
	if im.mac == nil {
		im.mac = hmac.New(sha256.New, im.n.listKey[:]) // once: a key costs as much as an id
	}
	im.mac.Reset()
	im.text = fmt.Appendf(im.text[:0], "%s\n%s\n%d\n%s", im.name, im.result.Source, generation, id)
	im.mac.Write(im.text)
	im.text = im.mac.Sum(im.text[:0])
	return feed.ItemID(im.text[:16])
}

// outcomeOfRow is what becomes of a row.
type outcomeOfRow int

const (
	rowRefused outcomeOfRow = iota
	rowSkipped
	rowUnchanged
	rowAdds
	rowRevises
	rowReplaces // it says less than the item, or something else: the item is retracted, and the row added anew
	rowRetracts
)

// judgedRow is a row with what becomes of it.
type judgedRow struct {
	outcomeOfRow
	n      int // of the row, from 1
	row    hashlist.Row
	draft  draft
	why    string      // of rowRefused and rowSkipped
	item   *feed.Item  // that it is about, nil of rowAdds
	body   feed.Body   // of the item, of rowRevises
	id     feed.ItemID // of rowAdds and rowReplaces
	reason feed.Reason // of rowReplaces and rowRetracts
}

func (j judgedRow) as(o outcomeOfRow, format string, args ...any) judgedRow {
	j.outcomeOfRow, j.why = o, fmt.Sprintf(format, args...)
	return j
}

// judge says what becomes of a row. The caller holds n.signing where that must still be so afterwards.
func (im *listImport) judge(row hashlist.Row) judgedRow {
	j := im.judgeRow(row)
	if j.outcomeOfRow == rowReplaces || j.outcomeOfRow == rowRetracts {
		k, _ := im.v.state.ItemAt(j.item.First())
		im.leaving.add(k)
	}
	return j
}

func (im *listImport) judgeRow(row hashlist.Row) judgedRow {
	j := judgedRow{row: row}
	if !im.fresh(row) {
		return j.as(rowSkipped, "the same item as an earlier row of the list")
	}
	item, found, next := im.find(row)
	if found {
		if im.seen.has(item) || item >= im.base {
			return j.as(rowSkipped, "the same item as an earlier row of the list")
		}
		j.item = im.v.state.Item(item)
	}
	switch row.State {
	case hashlist.Retracted:
		if found {
			im.seen.add(item)
		}
		switch {
		case !found:
			return j.as(rowSkipped, "retracted, and not listed here")
		case j.item.Retracted():
			return j.as(rowUnchanged, "")
		}
		j.reason = cmp.Or(row.Reason, feed.PublisherError)
		return j.as(rowRetracts, "")
	case hashlist.Pending, hashlist.Held:
		if found {
			im.seen.add(item)
		}
		return j.as(rowSkipped, "%s at its source", row.State)
	}
	if im.mapping != nil {
		skip, err := im.mapping.Apply(&j.row)
		if err != nil {
			return j.as(rowRefused, "%v", err)
		}
		if skip {
			return j.as(rowSkipped, "category %q is passed over by the map", row.Category)
		}
	} else if row.Category != "" {
		return j.as(rowRefused, "category %q: nothing says what it means (--map)", row.Category)
	}
	if found {
		im.seen.add(item)
	}
	if err := im.complete(&j); err != nil {
		return j.as(rowRefused, "%v", err)
	}
	if found {
		return im.compare(j, next)
	}
	if ref, ok := im.listed(j.draft.hashes, nil); ok {
		return j.as(rowSkipped, "listed already, as %s", ref)
	}
	j.id = next
	return j.as(rowAdds, "")
}

// complete makes the draft of a row: what it says, and where it is silent what the import says.
func (im *listImport) complete(j *judgedRow) error {
	f := j.row.Facts
	f.Verdict, f.Media = cmp.Or(f.Verdict, im.verdict), cmp.Or(f.Media, im.media)
	f.VerifiedBy = cmp.Or(f.VerifiedBy, uint8(im.request.VerifiedBy))
	switch {
	case f.Media == 0:
		im.lacksMedia = true
		return fmt.Errorf("its media type is missing: image or video")
	case f.Verdict < im.highest:
		return fmt.Errorf("it says %s, and rows of this list may carry at most %s (--max-verdict)", f.Verdict, im.highest)
	case j.row.Harm != "" && j.row.Harm != im.harm:
		return fmt.Errorf("its harm is %s, and the feed lists %s", j.row.Harm, im.harm)
	}
	for _, h := range j.row.Hashes {
		if h.Alg.Graded() && h.Quality < minQuality {
			return fmt.Errorf("%s of quality %d: below %d it says too little to be listed", h.Alg, h.Quality, minQuality)
		}
	}
	j.draft = draft{hashes: j.row.Hashes, facts: f, source: &feed.Source{Scheme: im.result.Source, Code: sourceCode(j.row.Category)}}
	return nil
}

// sourceCode is a source's code as a record may bear it (WIRE §2), "-" where there is none.
func sourceCode(category string) string {
	code := strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return '_'
		}
		return r
	}, category)
	return cmp.Or(code[:min(len(code), 32)], "-")
}

// fresh says whether no earlier row of the list has the same id, or lists the same strongest hash. Of each it keeps eight bytes.
func (im *listImport) fresh(row hashlist.Row) bool {
	first := func(kind, key string) bool {
		sum := maphash.Comparable(im.hashSeed, [2]string{kind, key})
		_, seen := im.rows[sum]
		im.rows[sum] = struct{}{}
		return !seen
	}
	fresh := row.ID == "" || first("", row.ID)
	if row.State == hashlist.Active {
		h := strongest(row.Hashes)
		fresh = first(h.Alg.String(), h.Value) && fresh
	}
	return fresh
}

// strongest is the hash that tells a row from others best.
func strongest(hashes []feed.Hash) feed.Hash {
	best := hashes[0]
	for _, h := range hashes {
		if strength(h.Alg) > strength(best.Alg) {
			best = h
		}
	}
	return best
}

func strength(a feed.Alg) int {
	return slices.Index([]feed.Alg{feed.VPDQ, feed.PDQFull, feed.PDQ, feed.PhotoDNA, feed.MD5, feed.SHA1, feed.SHA256}, a)
}

// find returns the item that an import has made of a row like this, a retracted one too: with the source's own id of it, or with one of its hashes and no
// id. next is the id of an item that the row would add.
func (im *listImport) find(row hashlist.Row) (item uint32, found bool, next feed.ItemID) {
	hashes := slices.Clone(row.Hashes)
	slices.SortStableFunc(hashes, func(a, b feed.Hash) int { return strength(b.Alg) - strength(a.Alg) })
	if n := slices.IndexFunc(hashes, func(h feed.Hash) bool { return !h.Alg.Exact() }); n > 0 {
		hashes = hashes[:n] // two files of one picture are two items
	}
	var keys []string
	if row.ID != "" {
		keys = append(keys, "id\n"+row.ID)
	}
	for _, h := range hashes {
		keys = append(keys, h.Alg.String()+"\n"+h.Value)
	}
	for k, key := range keys {
		free := im.itemID(key, 0)
		for generation := 1; im.v != nil; generation++ {
			at, ok := im.v.state.ItemByID(free)
			if !ok {
				break
			}
			item, found = at, true
			free = im.itemID(key, generation)
		}
		if k == 0 {
			next = free
		}
		if found {
			return item, true, next
		}
	}
	if row.State != hashlist.Retracted {
		return 0, false, next
	}
	for _, h := range hashes {
		for k, body := range im.holding(h) {
			if im.ours(body) { // a tombstone need not say how the row was called
				return k, true, next
			}
		}
	}
	return 0, false, next
}

// ours says whether a body is of the source that is imported.
func (im *listImport) ours(b feed.Body) bool {
	return b.Source != nil && b.Source.Scheme == im.result.Source
}

// holding yields the items of the feed that aren't retracted and hold an equal hash.
func (im *listImport) holding(h feed.Hash) func(yield func(uint32, feed.Body) bool) {
	return func(yield func(uint32, feed.Body) bool) {
		if im.v == nil || !matchable(h.Alg) {
			return
		}
		hits, _, _ := im.n.tables.Lookup(im.hits[:0], match.Alg(h.Alg), []byte(h.Value), 0)
		im.hits = hits
		for _, hit := range slices.Clone(hits) {
			if im.n.viewOf(hit.ID) != im.v {
				continue
			}
			k := uint32(hit.ID)
			it := im.v.state.Item(k)
			if it == nil || it.Retracted() {
				continue
			}
			body, err := im.bodyOf(it)
			if err != nil || !slices.ContainsFunc(body.Hashes, func(e feed.Hash) bool { return exactKey(e) == exactKey(h) }) {
				continue
			}
			if !yield(k, body) {
				return
			}
		}
	}
}

// listed finds an item other than one that holds an equal exact hash: in the feed, or among the records that are about to be signed.
func (im *listImport) listed(hashes []feed.Hash, but *feed.Item) (string, bool) {
	for _, h := range hashes {
		if !h.Alg.Exact() {
			continue
		}
		if im.batch[exactKey(h)] {
			return "an item of an earlier row", true
		}
		for k := range im.holding(h) {
			if it := im.v.state.Item(k); it != but && !im.leaving.has(k) {
				im.blocked++
				return im.v.name.Ref(it.First()).String(), true
			}
		}
	}
	return "", false
}

// compare says what a row changes of its item. The item follows its row: what that no longer says is taken back.
func (im *listImport) compare(j judgedRow, next feed.ItemID) judgedRow {
	if j.item.Retracted() && im.taken[j.item.First()] { // by an import, whose list has it again
		j.item = nil
		if ref, ok := im.listed(j.draft.hashes, nil); ok {
			return j.as(rowSkipped, "listed already, as %s", ref)
		}
		j.id = next
		return j.as(rowAdds, "")
	}
	if j.item.Retracted() {
		return j.as(rowSkipped, "%s was retracted here: only a person lists it again (revise --reinstate)", im.v.name.Ref(j.item.First()))
	}
	was, err := im.bodyOf(j.item)
	if err != nil {
		return j.as(rowSkipped, "%s: its body isn't here", im.v.name.Ref(j.item.First()))
	}
	d := &j.draft
	holds := func(list []feed.Hash, h feed.Hash) bool {
		return slices.ContainsFunc(list, func(e feed.Hash) bool { return exactKey(e) == exactKey(h) })
	}
	drops := slices.ContainsFunc(was.Hashes, func(h feed.Hash) bool { return !holds(d.hashes, h) })
	lowers := d.facts.Verdict > was.Facts.Verdict || was.Facts.Verdict == feed.Test && d.facts.Verdict != feed.Test
	if drops || lowers {
		if j.reason = feed.PublisherError; !drops {
			j.reason = feed.Reclassified
		}
		if ref, ok := im.listed(d.hashes, j.item); ok {
			j.outcomeOfRow = rowRetracts // the other one stands for it
			j.why = "listed already, as " + ref
			return j
		}
		j.id = next
		return j.as(rowReplaces, "")
	}
	facts := d.facts
	facts.Severity, facts.AgeBand = cmp.Or(facts.Severity, was.Facts.Severity), cmp.Or(facts.AgeBand, was.Facts.AgeBand)
	facts.Virtual, facts.Size = facts.Virtual || was.Facts.Virtual, cmp.Or(facts.Size, was.Facts.Size)
	facts.VerifiedBy, facts.NotBefore = cmp.Or(facts.VerifiedBy, was.Facts.VerifiedBy), cmp.Or(facts.NotBefore, was.Facts.NotBefore)
	facts.Override = was.Facts.Override
	d.facts = facts
	grows := slices.ContainsFunc(d.hashes, func(h feed.Hash) bool { return !holds(was.Hashes, h) })
	if !grows && facts == was.Facts && im.ours(was) && *was.Source == *d.source {
		return j.as(rowUnchanged, "")
	}
	if grows {
		if ref, ok := im.listed(d.hashes, j.item); ok {
			return j.as(rowSkipped, "a hash of it is listed already, as %s", ref)
		}
	}
	if !grows { // the qualities that were listed stay
		d.hashes = was.Hashes
	}
	j.body = was
	return j.as(rowRevises, "")
}

// records makes and vets what a judged row says in the feed. An addition comes last.
func (im *listImport) records(j judgedRow) (list []feed.Record, err error) {
	n := im.n
	head := feed.Head{Op: feed.OpAdd, Time: n.unix(), Item: j.id, Rev: 1}
	switch j.outcomeOfRow {
	case rowRetracts, rowReplaces:
		r, err := n.retraction(j.item, j.reason)
		if err != nil || j.outcomeOfRow == rowRetracts {
			return []feed.Record{r}, err
		}
		list = append(list, r)
	case rowRevises:
		at := j.item.Records()
		head = feed.Head{Op: feed.OpRevise, Time: n.unix(), Item: j.item.ID(), Rev: j.item.Rev() + 1, Target: at[len(at)-1]}
	}
	r, err := makeRecord(head, j.draft.hashes, j.draft.facts, j.draft.source)
	if err != nil {
		return nil, err
	}
	return append(list, r), im.vet(j, r)
}

// vet is Node.vet of a row, for which the guard is asked once: a later pass has the same rows, since the list is sealed, and so the same hashes to add. It is
// asked again where a list of known-good files is another one since.
func (im *listImport) vet(j judgedRow, r feed.Record) error {
	set := im.n.known()
	if set != im.clearedBy {
		im.cleared, im.clearedBy = nil, set
	}
	adds := j.outcomeOfRow == rowAdds || j.outcomeOfRow == rowReplaces
	if adds && im.cleared.has(uint32(j.n)) {
		return check(im.v, r)
	}
	err := im.n.vet(im.v, r, j.draft.hashes, j.draft.facts.Override)
	if adds && err == nil {
		im.cleared.add(uint32(j.n))
	}
	return err
}

// bodyOf is the newest body of an item. The bundle that it is in is kept: rows mostly come in the order in which they came before.
func (im *listImport) bodyOf(it *feed.Item) (feed.Body, error) {
	return listedBody(it, func(p feed.Position) (feed.Record, error) {
		at := feed.Position{Log: p.Log, Index: p.Index / bundleWidth * bundleWidth}
		if k := int(p.Index - at.Index); im.bundle != at || k >= len(im.bundled) {
			im.bundle, im.bundled = at, im.bundled[:0]
			for r, err := range im.n.store.Records(im.v.name.Log(p.Log), at.Index, bundleWidth) {
				if err != nil {
					im.bundle = feed.Position{}
					return feed.Record{}, err
				}
				im.bundled = append(im.bundled, r.Record)
			}
			if k >= len(im.bundled) {
				return feed.Record{}, fmt.Errorf("record %v is not there", p)
			}
		}
		return im.bundled[p.Index-at.Index], nil
	})
}

// bundleWidth is how many records the store opens at once.
const bundleWidth = 256

// bitmap is a set of items.
type bitmap []uint64

func (b bitmap) has(i uint32) bool { return int(i/64) < len(b) && b[i/64]&(1<<(i%64)) != 0 }

func (b *bitmap) add(i uint32) {
	for int(i/64) >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

// sampleOf is a row as a person may look at it.
func sampleOf(j judgedRow) api.SampleRow {
	s := api.SampleRow{Line: j.row.Line, ID: j.row.ID, Category: j.row.Category, Facts: factsInfo(j.draft.facts)}
	for _, h := range j.draft.hashes {
		s.Hashes = append(s.Hashes, h.Short())
	}
	return s
}

// firstLine is an error's text for a note.
func firstLine(text string) string {
	line, _, _ := bytes.Cut([]byte(text), []byte("\n"))
	return string(line[:min(len(line), 300)])
}
