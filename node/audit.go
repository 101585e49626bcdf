package node

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// Monitored are the own feeds that the [monitor] listener shows: those that the config names, else those that have readers. What
// others publish isn't ours to show, and whom we follow is nobody's business.
func (n *Node) Monitored() []feed.Name {
	wanted := n.config.Load().Monitor.Feeds
	names := []feed.Name{}
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil || !v.own {
			continue
		}
		if len(wanted) == 0 && len(v.reading.Load().chain.Newest().Audience) > 0 || slices.Contains(wanted, v.name.Short()) {
			names = append(names, v.name)
		}
	}
	return names
}

// PublicFile reads a file of the public part of a feed, laid out as a mirror (WIRE §10) without bodies.
func (n *Node) PublicFile(name feed.Name, path string) ([]byte, error) {
	chain, ok := n.store.Chain(name)
	if !ok {
		return nil, fs.ErrNotExist
	}
	first, rest, _ := strings.Cut(path, "/")
	if first == "charter" {
		for i, c := range chain.All() {
			if strconv.Itoa(c.Version) == rest {
				return chain.Notes()[i], nil
			}
		}
		return nil, fs.ErrNotExist
	}
	log, err := strconv.Atoi(first)
	if err != nil || log < 1 || log > chain.Newest().Log || strconv.Itoa(log) != first {
		return nil, fs.ErrNotExist
	}
	origin := name.Log(log)
	if text, ok := strings.CutPrefix(rest, "seen/"); ok {
		size, err := strconv.ParseUint(text, 10, 64)
		if err != nil || strconv.FormatUint(size, 10) != text {
			return nil, fs.ErrNotExist
		}
		cp, ok := n.store.Seen(origin, size)
		if !ok {
			return nil, fs.ErrNotExist
		}
		return cp.Bytes(), nil
	}
	return n.part(origin, rest)
}

// audit counts the heads of a feed by month. It goes on where it stopped, since a long log is counted once and not at each request.
type audit struct {
	mu     sync.Mutex
	next   feed.Position // the first head that isn't counted yet
	months map[string]*api.AuditMonth
	total  *api.AuditMonth
	count  uint64
	void   uint64
}

func newAuditMonth(month string) *api.AuditMonth {
	return &api.AuditMonth{Month: month, Retracted: map[string]uint64{}, Disputed: map[string]uint64{}, Resolved: map[string]uint64{}}
}

// Audit counts the heads of a feed, as far as it gets until ctx ends.
func (n *Node) Audit(ctx context.Context, name feed.Name) (api.Audit, error) {
	v := n.viewNamed(name)
	if v == nil {
		return api.Audit{}, notFound("there is no feed %s here", name)
	}
	r := v.reading.Load()
	charter := r.chain.Newest()
	a := &v.audit
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.goOn(ctx, n, v, charter.Log); err != nil {
		return api.Audit{}, fmt.Errorf("count the heads of %s: %w", name, err)
	}
	answer := api.Audit{Feed: string(name), Anchor: r.chain.Anchor().String(), Harm: string(charter.Harm), Contact: charter.Contact,
		Answer: charter.Answer.String(), Counted: a.count, Void: a.void, Total: cloneMonth(a.total), Months: []api.AuditMonth{}}
	for log := 1; log <= charter.Log; log++ {
		answer.Size += n.auditable(v, log)
	}
	for _, m := range a.months {
		answer.Months = append(answer.Months, cloneMonth(m))
	}
	slices.SortFunc(answer.Months, func(a, b api.AuditMonth) int { return strings.Compare(b.Month, a.Month) })
	return answer, nil
}

// auditable is how many heads of a log are signed for and here.
func (n *Node) auditable(v *view, log int) uint64 {
	head, _ := n.store.Head(v.name.Log(log))
	return head.Size
}

func (a *audit) goOn(ctx context.Context, n *Node, v *view, newest int) error {
	if a.months == nil {
		a.months, a.total, a.next = map[string]*api.AuditMonth{}, newAuditMonth(""), feed.Position{Log: 1}
	}
	for ; a.next.Log <= newest; a.next = (feed.Position{Log: a.next.Log + 1}) {
		end := n.auditable(v, a.next.Log)
		if end > a.next.Index {
			for r, err := range n.store.Records(v.name.Log(a.next.Log), a.next.Index, end-a.next.Index) {
				if err != nil {
					return err
				}
				if ctx.Err() != nil {
					return nil // the next one goes on
				}
				a.add(v, r.Head)
				a.next.Index++
			}
		}
		if a.next.Log == newest {
			return nil // it may grow
		}
	}
	return nil
}

// add counts the head at next.
func (a *audit) add(v *view, raw []byte) {
	a.count++
	h, err := feed.ParseHead(raw)
	at := a.next
	switch {
	case err != nil:
		a.void++
		return
	case h.Op == feed.OpAdd, h.Op == feed.OpRevise, h.Op == feed.OpRetract:
		if _, counts := v.state.ItemAt(at); !counts {
			a.void++
			return
		}
	case h.Op > feed.OpResolve || v.pastCut(at):
		a.void++
		return
	}
	month := time.Unix(h.Time, 0).UTC().Format("2006-01")
	m := a.months[month]
	if m == nil {
		m = newAuditMonth(month)
		a.months[month] = m
	}
	for _, m := range []*api.AuditMonth{m, a.total} {
		switch h.Op {
		case feed.OpAdd:
			m.Listed++
		case feed.OpRevise:
			m.Revised++
			if h.Reinstate {
				m.Reinstated++
			}
		case feed.OpRetract:
			m.Retracted[h.Reason.String()]++
		case feed.OpEndorse:
			m.Endorsed++
		case feed.OpDispute:
			m.Disputed[h.Reason.String()]++
		case feed.OpResolve:
			m.Resolved[h.Reason.String()]++
		}
	}
}

func cloneMonth(m *api.AuditMonth) api.AuditMonth {
	c := *m
	c.Retracted, c.Disputed, c.Resolved = maps.Clone(m.Retracted), maps.Clone(m.Disputed), maps.Clone(m.Resolved)
	return c
}
