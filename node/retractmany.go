package node

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// RetractMany takes all items off an own list that fit: of a batch, of a source, added since a time. Where several must sign, the retractions await
// approval as one does, and as many as one signer may hold are held meanwhile.
func (n *Node) RetractMany(ctx context.Context, r api.RetractMany) (done api.RetractedMany, err error) {
	if r.Batch == "" && r.Source == "" && r.Since == "" {
		return done, incomplete("which items? a batch, a source or a time is missing")
	}
	if r.Reason == "" {
		return done, incomplete("the reason is missing")
	}
	reason, err := feed.ParseReason(r.Reason)
	if err != nil || !reason.Fits(feed.OpRetract) {
		return done, refused("reason %.40q is not one of a retraction", r.Reason)
	}
	v, err := n.ownView(r.Feed)
	if err != nil {
		return done, err
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	items, err := n.selectItems(ctx, v, r)
	if err != nil {
		return done, err
	}
	done = api.RetractedMany{Feed: string(v.name), Items: len(items), Refs: []string{}, DryRun: r.DryRun}
	for _, it := range items[:min(len(items), api.MaxRefs)] {
		done.Refs = append(done.Refs, v.name.Ref(it.First()).String())
	}
	if r.DryRun || len(items) == 0 {
		return done, nil
	}
	several := v.reading.Load().chain.Newest().Signer.K > 1
	if several && len(items) > feed.MaxBatch {
		return done, refused("%d items fit, and a batch that awaits approval has at most %d records: ask for fewer", len(items), feed.MaxBatch)
	}
	if p, err := n.pendingOf(v); several && err != nil {
		return done, err
	} else if several && p != nil {
		return done, n.waits(p)
	}
	done.Until, done.Held = n.holdMeanwhile(v, items...)
	for retracted := 0; len(items) > 0; {
		k := min(len(items), feed.MaxBatch)
		records := make([]feed.Record, k)
		for i, it := range items[:k] {
			if records[i], err = n.retraction(it, reason); err != nil {
				return done, err
			}
		}
		signed, err := n.sign(ctx, v, records)
		if err != nil && retracted > 0 {
			err = fmt.Errorf("%d are retracted, the others not: %w", retracted, err)
		}
		if err != nil {
			return done, stillHeld(err, done.Until)
		}
		done.Batch = signed.batch
		items, retracted = items[k:], retracted+k
	}
	return done, nil
}

// selectItems are the items of a view that aren't retracted and fit all that is asked for, in the order of their adds.
func (n *Node) selectItems(ctx context.Context, v *view, r api.RetractMany) (items []*feed.Item, err error) {
	var since int64
	if r.Since != "" {
		t, err := time.Parse(time.RFC3339, r.Since)
		if err != nil {
			return nil, badRequest(fmt.Errorf("since %.40q: want a time such as 2026-11-23T08:00:00Z", r.Since))
		}
		since = t.Unix()
	}
	from, to := feed.Position{}, feed.Position{Log: feed.MaxLog}
	if r.Batch != "" {
		if from, to, err = n.batchRange(v, r.Batch); err != nil {
			return nil, err
		}
	}
	if !sourcePattern.MatchString(r.Source) {
		return nil, badRequest(fmt.Errorf("source %.60q: want SCHEME or SCHEME:CODE", r.Source))
	}
	for i := range v.state.Items() {
		it := v.state.Item(i)
		if at := it.First(); it.Retracted() || at.Less(from) || !at.Less(to) {
			continue
		}
		if r.Since != "" && v.state.At(i, feed.MaxSize, n.unix()).Listed < since {
			continue
		}
		if r.Source != "" {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			body, ok, err := n.bodyHere(v, it)
			if err != nil {
				return nil, err
			}
			if !ok || body.Source == nil || !fromSource(*body.Source, r.Source) {
				continue
			}
		}
		items = append(items, it)
	}
	return items, nil
}

var sourcePattern = regexp.MustCompile(`^([a-z0-9-]{1,16}(:[!-~]{1,32})?)?$`)

// fromSource says whether a source is the one that is asked for, SCHEME:CODE, or any of SCHEME.
func fromSource(s feed.Source, asked string) bool {
	scheme, _, _ := strings.Cut(s.String(), ":")
	return s.String() == asked || scheme == asked
}

// batchRange is from where to where a batch reaches, which is named by its id or by any of its records.
func (n *Node) batchRange(v *view, name string) (from, to feed.Position, err error) {
	if ref, err := feed.ParseRef(name); err == nil {
		sizes := n.store.SeenSizes(ref.Origin)
		i, _ := slices.BinarySearch(sizes, ref.Index+1)
		if ref.Origin.Name() != v.name || i == len(sizes) {
			return from, to, notFound("there is no record %s in %s", ref, v.name)
		}
		return rangeOf(sizes, i, ref.Origin.Log())
	}
	for log := 1; log <= v.reading.Load().chain.Newest().Log; log++ {
		origin := v.name.Log(log)
		sizes := n.store.SeenSizes(origin)
		for i, size := range sizes {
			if cp, ok := n.store.Seen(origin, size); ok && cp.BatchID() == name {
				return rangeOf(sizes, i, log)
			}
		}
	}
	return from, to, notFound("there is no batch %.40q in %s: name it by a record that it listed", name, v.name)
}

// rangeOf is what the checkpoint of sizes[i] added to those before.
func rangeOf(sizes []uint64, i, log int) (from, to feed.Position, err error) {
	from, to = feed.Position{Log: log}, feed.Position{Log: log, Index: sizes[i]}
	if i > 0 {
		from.Index = sizes[i-1]
	}
	return from, to, nil
}
