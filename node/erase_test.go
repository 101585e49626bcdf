package node

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// newHarmNode is newHandNode with another harm.
func newHarmNode(t *testing.T, name string, harm feed.Harm, clock *handClock) *handNode {
	t.Helper()
	h := &handNode{t: t, dir: filepath.Join(t.TempDir(), "node"), clock: clock}
	if _, err := Init(h.dir, InitOptions{Name: name, Role: RoleHotline, Harm: string(harm), Now: clock.now()}); err != nil {
		t.Fatal(err)
	}
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

// wantBody compares whether the body of a record is on a node's disk.
func (h *handNode) wantBody(ref feed.Ref, want bool) {
	h.t.Helper()
	r, err := h.store.Record(ref.Origin, ref.Index)
	h.must(err)
	if got := len(r.Body) > 0; got != want {
		h.t.Errorf("%s at %s: body there %v, want %v", ref, h.config.Load().Name, got, want)
	}
}

func (h *handNode) wantErased(p *handNode, want int) {
	h.t.Helper()
	if got := h.info(p).Erased; got != want {
		h.t.Errorf("%s: %d erased, want %d", h.config.Load().Name, got, want)
	}
}

func (h *handNode) alarm(code string) *api.Alarm {
	h.t.Helper()
	s, err := h.Status(h.t.Context())
	h.must(err)
	for _, a := range s.Alarms {
		if a.Code == code {
			return &a
		}
	}
	return nil
}

// TestEraseDue: the bodies of what is retracted go after 30 days on the publisher and on a follower, each by itself; of what is reinstated
// in time and of what isn't retracted they stay; proofs of all of them hold.
func TestEraseDue(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	var refs []feed.Ref
	for n := range 4 {
		refs = append(refs, p.lists(n))
	}
	for n := range 4 { // a full bundle
		made, err := p.Publish(t.Context(), api.Publish{Items: usedItems(1000+100*n, 100)})
		p.must(err)
		for _, m := range made {
			ref, err := feed.ParseRef(m.Ref)
			p.must(err)
			refs = append(refs, ref)
		}
	}
	x.follows(p, nil)
	gone := []feed.Ref{refs[0], refs[2], refs[250], refs[300]}
	clock.advance(time.Hour)
	for _, ref := range append([]feed.Ref{refs[1]}, gone...) {
		p.retracts(ref)
	}
	retracted := clock.unix.Load()
	clock.advance(10 * 24 * time.Hour)
	_, err := p.Revise(api.WithAlone(t.Context()), refs[1], api.Revision{Reinstate: true})
	p.must(err)
	x.carry(p)
	x.wantVerdict(1, policy.OutcomeBlock, policy.Active) // its body is in memory, too

	all := []*handNode{p, x}
	for _, c := range []struct {
		at     time.Duration
		erased bool
	}{{10 * 24 * time.Hour, false}, {eraseAfter - time.Second, false}, {eraseAfter, true}, {2 * eraseAfter, true}} {
		clock.unix.Store(retracted + int64(c.at/time.Second))
		for _, h := range all {
			h.erase(t.Context())
			for _, ref := range gone {
				h.wantBody(ref, !c.erased)
			}
			for _, ref := range []feed.Ref{refs[1], refs[3], refs[251]} {
				h.wantBody(ref, true)
			}
			h.wantErased(p, map[bool]int{true: len(gone)}[c.erased])
			for _, v := range *h.views.Load() {
				if v != nil && v.state != nil {
					if absent := v.state.Absent(); len(absent) > 0 {
						t.Errorf("%s: %v count as missing", h.config.Load().Name, absent)
					}
				}
			}
		}
	}
	for _, h := range all {
		h.reopen()
		h.wantErased(p, len(gone))
		h.wantVerdict(0, policy.OutcomeAllow, "")
		h.wantVerdict(1, policy.OutcomeBlock, policy.Active)
		for _, ref := range gone {
			if _, err := h.Prove(t.Context(), ref, true); err == nil || !strings.Contains(err.Error(), "erased") {
				t.Errorf("%s: prove an erased body: got %v", ref, err)
			}
			proof, err := h.Prove(t.Context(), ref, false)
			h.must(err)
			chain, _ := h.store.Chain(p.known())
			if _, err := feed.OpenProof(proof, chain.Anchor()); err != nil {
				t.Errorf("%s: the proof of the head: %v", ref, err)
			}
		}
		if findings := h.fsck(t); findings != "" {
			t.Errorf("fsck after an erasure: %s", findings)
		}
		h.erase(t.Context())
		for _, a := range []string{"erasure", alarmDamaged} {
			if got := h.alarm(a); got != nil {
				t.Errorf("got the alarm %+v", got)
			}
		}
	}

	// Who comes later gets no erased body, misses none, and says the same of each item.
	y := newHandNode(t, "y.example", RoleHost, clock)
	y.follows(p, nil)
	y.wantErased(p, len(gone))
	y.wantVerdict(1, policy.OutcomeBlock, policy.Active)
	if a, b := y.info(p), x.info(p); a.Active != b.Active || a.Retracted != b.Retracted || a.Pending != 0 || b.Pending != 0 {
		t.Errorf("a late follower has %+v, an early one %+v", a, b)
	}
	for _, ref := range gone {
		y.wantBody(ref, false)
		if err := y.store.SetBody(ref.Origin, ref.Index, []byte("x")); err == nil {
			t.Error("took another body")
		}
	}

	// A backup brings none back, and says that they were erased.
	var backup bytes.Buffer
	x.must(x.Backup(t.Context(), &backup))
	src, err := x.store.Mirror(p.known())
	x.must(err)
	data, err := src.Part(refs[0].Origin, feed.BodyPath(0, 256), x.info(p).Size)
	x.must(err)
	bodies, err := feed.SplitBundle(data, 256)
	x.must(err)
	if len(bodies[refs[0].Index]) != 0 || len(bodies[refs[1].Index]) == 0 {
		t.Error("a mirror has an erased body, or lacks one that is in force")
	}
}

func (h *handNode) fsck(t *testing.T) string {
	t.Helper()
	var all []string
	for f, err := range h.Fsck(t.Context(), false) {
		h.must(err)
		if f.State == api.FindingDamaged {
			all = append(all, f.Where+": "+f.Text)
		}
	}
	return strings.Join(all, "; ")
}

// TestEraseIntimate: of an intimate image's record the body goes at once; by the daemon's look, or when a command without a daemon ends.
func TestEraseIntimate(t *testing.T) {
	clock := newHandClock()
	p, x := newHarmNode(t, "hotline.example", feed.NCII, clock), newHandNode(t, "x.example", RoleHost, clock)
	first, second, third := p.lists(0), p.lists(1), p.lists(2)
	x.follows(p, nil)
	p.retracts(first)
	x.carry(p)
	for _, h := range []*handNode{p, x} {
		select {
		case <-h.eraseWake:
		default:
			t.Error("a retraction wakes nobody")
		}
		h.erase(t.Context())
		h.wantBody(first, false)
		h.wantBody(second, true)
	}
	p.retracts(second)
	x.carry(p)
	for _, h := range []*handNode{p, x} {
		h.reopen()
		h.wantBody(second, false)
		h.wantBody(third, true)
		h.wantErased(p, 2)
	}
	if _, err := p.Revise(api.WithAlone(t.Context()), second, api.Revision{Reinstate: true}); err == nil || !strings.Contains(err.Error(), "erased") {
		t.Errorf("reinstate what was erased: got %v", err)
	}
}

// TestEraseByStamp: a retraction that is dated back, by a stolen signer say, erases nothing earlier.
func TestEraseByStamp(t *testing.T) {
	clock := newHandClock()
	p := newHandNode(t, "hotline.example", RoleHotline, clock)
	ref := p.lists(0)
	x := newHandNode(t, "x.example", RoleHost, clock)
	x.follows(p, nil)
	clock.advance(7 * 24 * time.Hour)
	v, it, err := p.ownItem(ref)
	p.must(err)
	head := feed.Head{Op: feed.OpRetract, Time: 1, Item: it.ID(), Rev: 2, Targets: it.Records(), Reason: feed.FalsePositive}
	record, err := headRecord(head, nil)
	p.must(err)
	_, err = p.signOne(api.WithAlone(t.Context()), v, record)
	p.must(err)
	for _, c := range []struct {
		by    time.Duration
		there bool
	}{{0, true}, {eraseAfter - 7*24*time.Hour - time.Second, true}, {time.Second, false}} { // a week before, it wasn't there
		clock.advance(c.by)
		x.carry(p)
		for _, h := range []*handNode{p, x} {
			h.erase(t.Context())
			h.wantBody(ref, c.there)
		}
	}
}

// TestEraseFails: an erasure that the disk doesn't take is an alarm, and is made up for.
func TestEraseFails(t *testing.T) {
	clock := newHandClock()
	p := newHarmNode(t, "hotline.example", feed.NCII, clock)
	ref := p.lists(0)
	p.retracts(ref)
	p.Node.eraseAtEnd()
	p.wantBody(ref, false)
	ref = p.lists(1)
	p.close()
	full := false
	n, err := Open(p.dir, Options{Now: clock.now, Free: func(string) (uint64, error) {
		if full {
			return 0, nil
		}
		return 1 << 40, nil
	}})
	p.must(err)
	p.Node = n
	p.retracts(ref)
	full = true
	p.erase(t.Context())
	p.wantBody(ref, true)
	a := p.alarm("erasure")
	if a == nil || !strings.Contains(a.Remedy, "free disk space") || strings.Contains(a.Text, md5Of(1)[4:]) {
		t.Fatalf("got the alarm %+v", a)
	}
	full = false
	p.erase(t.Context()) // not yet: a minute hasn't passed
	p.wantBody(ref, true)
	clock.advance(eraseLook)
	p.erase(t.Context())
	p.wantBody(ref, false)
	if a := p.alarm("erasure"); a != nil {
		t.Errorf("got the alarm %+v", a)
	}
}
