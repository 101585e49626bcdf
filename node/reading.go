package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// Log yields the records of a feed's logs in order, or of the one log that an origin names.
func (n *Node) Log(ctx context.Context, name string, from, count uint64) iter.Seq2[api.Record, error] {
	return func(yield func(api.Record, error) bool) {
		v, err := n.findView(name)
		if err != nil {
			yield(api.Record{}, err)
			return
		}
		log := v.reading.Load().chain.Newest().Log
		if o, err := feed.ParseOrigin(name); err == nil {
			log = o.Log()
		}
		if count == 0 {
			count = math.MaxUint64
		}
		origin := v.name.Log(log)
		size := n.store.Size(origin)
		if from >= size {
			return
		}
		at := feed.Position{Log: log, Index: from}
		for r, err := range n.store.Records(origin, from, min(count, size-from)) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(api.Record{}, err)
				return
			}
			if !yield(n.recordInfo(v, at, r.Record), nil) {
				return
			}
			at.Index++
		}
	}
}

// Record reads one record.
func (n *Node) Record(ctx context.Context, ref feed.Ref) (api.Record, error) {
	v := n.viewNamed(ref.Origin.Name())
	if v == nil {
		return api.Record{}, notFound("there is no feed %s here", ref.Origin.Name())
	}
	if ref.Index >= n.store.Size(ref.Origin) {
		return api.Record{}, notFound("there is no record %s", ref)
	}
	r, err := n.store.Record(ref.Origin, ref.Index)
	if err != nil {
		return api.Record{}, err
	}
	return n.recordInfo(v, ref.Position(), r), nil
}

// recordInfo is a record in words.
func (n *Node) recordInfo(v *view, at feed.Position, r feed.Record) api.Record {
	leaf := feed.LeafHash(r.Head)
	void, refused := v.state.Codes(at)
	info := api.Record{Ref: v.name.Ref(at).String(), Leaf: hex.EncodeToString(leaf[:]), Void: string(void), Refused: string(refused)}
	head, err := feed.ParseHead(r.Head)
	if err != nil {
		return info
	}
	info.Op = head.Op.String()
	if head.Op > feed.OpResolve {
		return info
	}
	info.Time, info.Rev = timeText(head.Time), head.Rev
	if head.Reason != 0 {
		info.Reason = head.Reason.String()
	}
	for _, t := range head.Targets {
		info.Targets = append(info.Targets, v.name.Ref(t).String())
	}
	if head.Subject.Origin != "" {
		info.Subject = feed.Ref{Origin: head.Subject.Origin, Index: head.Subject.Index}.String()
	}
	if item, ok := v.state.ItemAt(at); ok {
		info.Item = v.name.Ref(v.state.Item(item).First()).String()
		info.State = v.state.At(item, v.reading.Load().limit, n.unix()).Status.String()
	}
	body, err := feed.ParseBody(r.Body)
	if len(r.Body) == 0 || err != nil {
		return info
	}
	for _, h := range body.Hashes {
		info.Hashes = append(info.Hashes, h.Text())
	}
	info.Facts = factsInfo(body.Facts)
	if body.Source != nil {
		info.Source = body.Source.String()
	}
	return info
}

func factsInfo(f feed.Facts) *api.FactsInfo {
	info := &api.FactsInfo{Verdict: f.Verdict.String(), Media: f.Media.String(), Severity: int(f.Severity), AgeBand: ageBands[f.AgeBand],
		Virtual: f.Virtual, Size: f.Size, VerifiedBy: int(f.VerifiedBy), Override: int(f.Override)}
	if f.NotBefore != 0 {
		info.NotBefore = timeText(f.NotBefore)
	}
	return info
}

// Prove writes the proof that a record is in its feed: from the earliest kept checkpoint that covers it, which says
// since when.
func (n *Node) Prove(ctx context.Context, ref feed.Ref, withBody bool) ([]byte, error) {
	v := n.viewNamed(ref.Origin.Name())
	if v == nil {
		return nil, notFound("there is no feed %s here", ref.Origin.Name())
	}
	chain := v.reading.Load().chain
	if cut, closed := chain.Cut(ref.Origin.Log()); closed && ref.Index >= cut.Size {
		return nil, refused("%s lies past the cut of its log: it is void, and no proof of it counts", ref)
	}
	cp, ok := n.store.Covering(ref.Origin, ref.Index)
	if !ok {
		return nil, notFound("there is no record %s that a checkpoint covers", ref)
	}
	record, err := n.store.Record(ref.Origin, ref.Index)
	if err != nil {
		return nil, err
	}
	reader, err := n.store.HashReader(ref.Origin)
	if err != nil {
		return nil, err
	}
	hashes, err := tlog.ProveRecord(int64(cp.Size), int64(ref.Index), reader)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", ref, err)
	}
	var body []byte
	if withBody && len(record.Body) > 0 {
		body = record.Body
	}
	if _, promised := feed.PromisedBody(record.Head); withBody && promised && len(body) == 0 {
		return nil, conflict("the body of %s was erased, or is missing: --no-body proves the rest", ref)
	}
	inclusion := make([]feed.Digest, len(hashes))
	for i, h := range hashes {
		inclusion[i] = feed.Digest(h)
	}
	proof, err := feed.NewProof(chain, cp, ref.Index, record.Head, body, inclusion)
	if err != nil {
		return nil, refused("%v", err)
	}
	return proof.Bytes(), nil
}

// part reads a file of the public read path of a log (C2SP tlog-tiles): its newest checkpoint, with the lines of signers,
// stamp and named witnesses (WIRE §10), or a part of that tree. Bodies are never served there.
func (n *Node) part(origin feed.Origin, path string) ([]byte, error) {
	head, ok := n.store.Head(origin)
	if !ok {
		return nil, fs.ErrNotExist
	}
	if path == "checkpoint" {
		return head.Bytes(), nil
	}
	part, err := feed.ParsePartPath(path)
	if err != nil || part.Kind == feed.PartBody {
		return nil, fs.ErrNotExist
	}
	return n.store.Part(origin, path, head.Size)
}

func timeText(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// Ready is why the node should get no traffic: nil, or the reason.
func (n *Node) Ready() error {
	if err := n.store.Unwell(); err != nil {
		return err
	}
	if err := n.store.Room(); err != nil {
		return err
	}
	config := n.config.Load()
	for _, f := range config.Follow {
		if !f.Required {
			continue
		}
		v := n.viewNamed(feed.Name(f.Feed))
		if v == nil {
			return fmt.Errorf("required feed %s has not arrived", f.Feed)
		}
		r := v.reading.Load()
		if r.head.IsZero() {
			return fmt.Errorf("required feed %s has no checkpoint yet", f.Feed)
		}
		if r.age(n.now()) == policy.Overdue {
			return fmt.Errorf("required feed %s: %s", f.Feed, stampText(r.head.Stamp, n.now()))
		}
		if r.damage != nil {
			return errors.Join(fmt.Errorf("required feed %s is damaged", f.Feed), r.damage)
		}
	}
	return nil
}
