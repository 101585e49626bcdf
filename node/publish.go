package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

// Publish lists items in an own feed, in one batch with one checkpoint.
func (n *Node) Publish(ctx context.Context, r api.Publish) ([]api.Published, error) {
	v, err := n.ownView(r.Feed)
	if err != nil {
		return nil, err
	}
	charter := v.reading.Load().chain.Newest()
	switch {
	case len(r.Items) == 0:
		return nil, incomplete("nothing to publish: an item is missing")
	case len(r.Items) > maxPublishItems:
		return nil, &api.Error{Status: http.StatusRequestEntityTooLarge, Code: api.CodeTooLarge,
			Text: fmt.Sprintf("%d items at once: at most %d", len(r.Items), maxPublishItems)}
	case r.Harm != "" && r.Harm != string(charter.Harm):
		return nil, refused("harm %s: feed %s lists %s, and a feed lists one harm", r.Harm, v.name, charter.Harm)
	}
	items := make([]draft, len(r.Items))
	for i, item := range r.Items {
		if items[i], err = newDraft(item); err != nil {
			return nil, withItem(err, i, len(r.Items))
		}
	}

	n.signing.Lock()
	defer n.signing.Unlock()
	published := make([]api.Published, len(items))
	var records []feed.Record
	var places []int
	seen := map[feed.Hash]bool{} // exact hashes of this request
	for i, d := range items {
		if ref, ok := n.duplicate(v, d.hashes); ok && !r.Again {
			published[i] = api.Published{Duplicate: ref.String()}
			continue
		}
		if !r.Again && slices.ContainsFunc(d.hashes, func(h feed.Hash) bool { return seen[exactKey(h)] }) {
			published[i] = api.Published{Refused: "listed twice in this request"}
			continue
		}
		record, err := d.record(n.unix())
		if err == nil {
			err = n.vet(v, record, d.hashes, d.facts.Override)
		}
		if err != nil {
			published[i] = api.Published{Refused: guardText(err)}
			continue
		}
		for _, h := range d.hashes {
			if h.Alg.Exact() {
				seen[exactKey(h)] = true
			}
		}
		records, places = append(records, record), append(places, i)
	}
	if len(records) == 0 {
		return published, nil
	}
	done, err := n.sign(ctx, v, records)
	if err != nil {
		return nil, err
	}
	for k, i := range places {
		published[i] = api.Published{Ref: done.refs[k].String(), Hashes: hexByKind(items[i].hashes), Batch: done.batch}
	}
	return published, nil
}

// vet says why an own feed can't list a record with these hashes; v is nil for a feed that isn't made yet. Whatever lists hashes goes through here,
// one by one or by the list. override is Facts.Override.
func (n *Node) vet(v *view, r feed.Record, hashes []feed.Hash, override uint8) error {
	if err := check(v, r); err != nil { // what nobody may list is refused by that name, for no override helps it
		return err
	}
	return n.guardKnownGood(hashes, override)
}

// check says why a record would be void or refused in a feed, a new one where v is nil.
func check(v *view, r feed.Record) error {
	if v == nil {
		body, err := feed.ParseBody(r.Body)
		if err != nil {
			return err
		}
		return body.Judge(nil, false)
	}
	log := v.reading.Load().chain.Newest().Log
	return v.state.Check(log, v.state.Size(log), r)
}

// outcome is what came of records: where they stand, and the batch that they are proposed in where it awaits approval.
type outcome struct {
	refs  []feed.Ref
	batch string
}

// sign commits records to an own feed's current log under a new checkpoint; where several must sign, it proposes them. Without
// records it stamps the newest checkpoint anew, which takes no signer. The caller holds n.signing.
func (n *Node) sign(ctx context.Context, v *view, records []feed.Record) (o outcome, err error) {
	chain := v.reading.Load().chain
	charter := chain.Newest()
	origin := charter.Origin()
	if err := n.unexpired(v, records); err != nil {
		return o, err
	}
	if charter.Signer.K > 1 && len(records) > 0 {
		p, err := n.propose(v, records)
		if err != nil {
			return o, err
		}
		return outcome{refsFrom(origin, p.proposal.From(), len(records)), p.file.ID}, nil
	}
	if err := n.maySign(ctx, v); err != nil {
		return o, err
	}
	tree, ok := n.store.Tree(origin)
	last, hasHead := n.store.Head(origin)
	if !ok || !hasHead {
		return o, fmt.Errorf("sign for %s: its log is not open", v.name)
	}
	if err := ctx.Err(); err != nil {
		return o, err
	}
	batch, err := n.batchOf(chain, tree, last, records)
	if err != nil {
		return o, err
	}
	if err := n.store.Commit(batch); err != nil {
		return o, explainWrite(err)
	}
	return outcome{refs: refsFrom(origin, batch.From(), len(records))}, nil
}

// batchOf signs records with this node's own signer, or stamps last anew without it.
func (n *Node) batchOf(chain *feed.Chain, tree feed.Tree, last feed.Checkpoint, records []feed.Record) (*feed.Batch, error) {
	if len(records) == 0 {
		stamp, err := n.keys.stamp(chain.Newest())
		if err != nil {
			return nil, err
		}
		return feed.Restamp(chain, tree, last, stamp, n.unix())
	}
	keys, err := n.keys.signing(chain)
	if err != nil {
		return nil, err
	}
	return feed.Sign(keys, tree, last, records, n.unix())
}

// unexpired refuses additions under a charter that has expired: they would not count.
func (n *Node) unexpired(v *view, records []feed.Record) error {
	if !v.reading.Load().chain.Newest().Expired(n.unix()) || !slices.ContainsFunc(records, func(r feed.Record) bool { return len(r.Body) > 0 }) {
		return nil
	}
	return refused("the charter of %s has expired: additions would not count", v.name)
}

func refsFrom(o feed.Origin, from uint64, n int) []feed.Ref {
	refs := make([]feed.Ref, n)
	for i := range refs {
		refs[i] = feed.Ref{Origin: o, Index: from + uint64(i)}
	}
	return refs
}

// draft is an item to be listed, checked as far as it can be by itself.
type draft struct {
	hashes []feed.Hash
	facts  feed.Facts
	source *feed.Source
}

func newDraft(item api.Item) (d draft, err error) {
	if item.Verdict == "" {
		return d, incomplete("the verdict is missing: nothing is listed without saying what it is")
	}
	if item.Media == "" {
		return d, incomplete("the media type is missing: image or video")
	}
	if len(item.Hashes) == 0 {
		return d, incomplete("the hashes are missing")
	}
	if d.hashes, err = parseHashes(item.Hashes); err != nil {
		return d, err
	}
	if d.facts.Verdict, err = feed.ParseVerdict(item.Verdict); err != nil {
		return d, badRequest(err)
	}
	if d.facts.Media, err = feed.ParseMedia(item.Media); err != nil {
		return d, badRequest(err)
	}
	if d.facts.Override, err = parseOverride(item.OverrideKnownGood); err != nil {
		return d, err
	}
	d.facts.Virtual, d.facts.Size = item.Virtual, item.Size
	d.source, err = setFacts(&d.facts, item.VerifiedBy, item.Severity, item.AgeBand, item.NotBefore, item.Source)
	return d, err
}

// record makes the add of a new item.
func (d draft) record(now int64) (feed.Record, error) {
	var id feed.ItemID
	rand.Read(id[:])
	return makeRecord(feed.Head{Op: feed.OpAdd, Time: now, Item: id, Rev: 1}, d.hashes, d.facts, d.source)
}

// makeRecord binds a head to a new body.
func makeRecord(head feed.Head, hashes []feed.Hash, facts feed.Facts, source *feed.Source) (feed.Record, error) {
	var salt [16]byte
	rand.Read(salt[:])
	body := feed.NewBody(salt, hashes, facts, source)
	raw, err := body.Bytes()
	if err != nil {
		return feed.Record{}, err
	}
	if head.Body, err = body.Digest(); err != nil {
		return feed.Record{}, err
	}
	return headRecord(head, raw)
}

func headRecord(head feed.Head, body []byte) (feed.Record, error) {
	raw, err := head.Bytes()
	return feed.Record{Head: raw, Body: body}, err
}

// parseHashes reads the hashes of one item; an error says which one is bad and doesn't repeat it.
func parseHashes(texts []string) ([]feed.Hash, error) {
	hashes := make([]feed.Hash, 0, len(texts))
	for i, text := range texts {
		h, err := feed.ParseHash(text)
		if err != nil {
			return nil, &api.Error{Status: http.StatusBadRequest, Code: api.CodeMalformed, Text: fmt.Sprintf("hash %d: %v", i, err), Index: i}
		}
		if h.Alg.Graded() && h.Quality < minQuality {
			return nil, refused("hash %d: %s of quality %d: below %d it says too little to be listed", i, h.Alg, h.Quality, minQuality)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// duplicate finds an item of the feed that isn't retracted and holds an equal exact hash. Where its body is no longer here, the table's
// word is enough: it is wrong once in a hundred million times, and then asks for --again.
func (n *Node) duplicate(v *view, hashes []feed.Hash) (feed.Ref, bool) {
	var hits []match.Hit
	for _, h := range hashes {
		if !h.Alg.Exact() {
			continue
		}
		hits, _, _ = n.tables.Lookup(hits[:0], match.Alg(h.Alg), []byte(h.Value), 0)
		for _, hit := range hits {
			if n.viewOf(hit.ID) != v {
				continue
			}
			it := v.state.Item(uint32(hit.ID))
			if it == nil || it.Retracted() {
				continue
			}
			body, err := n.latestBody(v, it)
			if err != nil || slices.ContainsFunc(body.Hashes, func(e feed.Hash) bool { return exactKey(e) == exactKey(h) }) {
				return v.name.Ref(it.First()), true
			}
		}
	}
	return feed.Ref{}, false
}

// exactKey is a hash by kind and value.
func exactKey(h feed.Hash) feed.Hash { return feed.Hash{Alg: h.Alg, Value: h.Value} }

func hexByKind(hashes []feed.Hash) map[string]string {
	m := make(map[string]string, len(hashes))
	for _, h := range hashes {
		m[h.Alg.String()] = hex.EncodeToString([]byte(h.Value))
	}
	return m
}

// ownView finds an own feed, which alone can be published in.
func (n *Node) ownView(name string) (*view, error) {
	v, err := n.findView(name)
	if err == nil && !v.own {
		return nil, refused("feed %s is not this node's own: it can be disputed or endorsed, not changed", v.name)
	}
	return v, err
}

// guardText says in words why a record would be void or refused.
func guardText(err error) string {
	var code feed.RefusedError
	if errors.As(err, &code) {
		switch code.Code {
		case feed.RefusedBaseline:
			return "baseline needs at least two who assessed it: --verified-by 2"
		case feed.RefusedDoubtful:
			return "doubtful records may only stand in a feed whose charter says \"use review\""
		case feed.RefusedDigest:
			return "a hash of nothing in particular: of the empty file, a placeholder, a flat picture"
		case feed.RefusedLowers:
			return "a revision may not drop a hash or lower the verdict: retract, and publish anew"
		}
	}
	return err.Error()
}

func refused(format string, args ...any) error {
	return &api.Error{Status: http.StatusUnprocessableEntity, Code: api.CodeRefused, Text: fmt.Sprintf(format, args...)}
}

func incomplete(format string, args ...any) error {
	return &api.Error{Status: http.StatusUnprocessableEntity, Code: api.CodeIncomplete, Text: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &api.Error{Status: http.StatusConflict, Code: api.CodeConflict, Text: fmt.Sprintf(format, args...)}
}

// withItem says which item of several an error is about.
func withItem(err error, i, of int) error {
	var e *api.Error
	if of > 1 && errors.As(err, &e) {
		c := *e
		c.Text = fmt.Sprintf("item %d: %s", i, e.Text)
		return &c
	}
	return err
}

// ageBands are the words for a record's age band, by number (WIRE §2).
var ageBands = []string{"", "undetermined", "infant", "prepubescent", "pubescent", "adult"}

// setFacts fills in what is said of an item besides its verdict; zero values keep what stands.
func setFacts(f *feed.Facts, verifiedBy, severity int, ageBand, notBefore, source string) (*feed.Source, error) {
	if verifiedBy < 0 || verifiedBy > 255 {
		return nil, refused("verified_by %d: must be 1 to 255", verifiedBy)
	}
	if severity < 0 || severity > 4 {
		return nil, refused("severity %d: must be 1 to 4", severity)
	}
	if verifiedBy > 0 {
		f.VerifiedBy = uint8(verifiedBy)
	}
	if severity > 0 {
		f.Severity = uint8(severity)
	}
	if ageBand != "" {
		band := slices.Index(ageBands, ageBand)
		if band < 1 {
			return nil, refused("age band %.20q: must be one of %v", ageBand, ageBands[1:])
		}
		f.AgeBand = uint8(band)
	}
	if notBefore != "" {
		t, err := time.Parse(time.RFC3339, notBefore)
		if err != nil || t.Unix() < 0 || t.Unix() >= 1<<32 {
			return nil, refused("not_before %.40q: must be a time such as 2026-11-23T08:00:00Z", notBefore)
		}
		f.NotBefore = t.Unix()
	}
	if source == "" {
		return nil, nil
	}
	s, err := feed.ParseSource(source)
	if err != nil {
		return nil, refused("source: %v", err)
	}
	return &s, nil
}
