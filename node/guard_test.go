package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/knowngood"
	"hashfeed/node/policy"
)

// guardDoor is one of the ways on which a hash may come to act, or stop to.
type guardDoor string

const (
	doorPublish   guardDoor = "publish"
	doorApprove   guardDoor = "approve"
	doorWithdraw  guardDoor = "withdraw"
	doorImport    guardDoor = "import"
	doorRevise    guardDoor = "revise"
	doorReinstate guardDoor = "reinstate"
	doorRetract   guardDoor = "retract"
	doorDispute   guardDoor = "dispute"
	doorUphold    guardDoor = "uphold"
	doorForeign   guardDoor = "publish without a guard, elsewhere"
	doorTakeBack  guardDoor = "retract elsewhere"
	doorSync      guardDoor = "sync"
	doorAdd       guardDoor = "known good"
	doorRemove    guardDoor = "not known good any more"
	doorRestart   guardDoor = "restart"
	doorAsk       guardDoor = "ask" // after each of the others
)

// guardDoors are drawn from; some more often than others.
var guardDoors = []guardDoor{doorPublish, doorPublish, doorPublish, doorApprove, doorApprove, doorWithdraw, doorImport, doorImport, doorRevise, doorRevise,
	doorReinstate, doorReinstate, doorRetract, doorRetract, doorDispute, doorUphold, doorForeign, doorForeign, doorTakeBack, doorSync, doorSync, doorAdd, doorAdd, doorRemove, doorRestart}

// guardOp is one thing that happens.
type guardOp struct {
	Door     guardDoor
	Feed     string // own: known, shared or private
	File     int
	Parts    int // which hashes of the file, a bit each
	Pick     int // of the items that are there then
	Override string
	More     bool // again; or a list that is complete
}

func (o guardOp) String() string {
	return fmt.Sprintf("{%q, feed %s, file %d, parts %04b, pick %d, override %q, more %v}", string(o.Door), o.Feed, o.File, o.Parts, o.Pick, o.Override, o.More)
}

// guardPlans draws what happens: to few files and feeds at a time, so that what happens has to do with what happened.
var guardPlans = rapid.Custom(func(t *rapid.T) []guardOp {
	files := rapid.SliceOfN(rapid.IntRange(0, len(guardFiles)-1), 1, 3).Draw(t, "files")
	feeds := rapid.SliceOfN(rapid.SampledFrom([]string{"known", "shared", "private"}), 1, 2).Draw(t, "feeds")
	op := rapid.Custom(func(t *rapid.T) guardOp {
		return guardOp{
			Door: rapid.SampledFrom(guardDoors).Draw(t, "door"), Feed: rapid.SampledFrom(feeds).Draw(t, "feed"), File: rapid.SampledFrom(files).Draw(t, "file"),
			Parts: rapid.IntRange(1, 15).Draw(t, "parts"), Pick: rapid.IntRange(0, 9).Draw(t, "pick"), More: rapid.Bool().Draw(t, "more"),
			Override: rapid.SampledFrom([]string{"", "", "", "", "reviewed", "legal", "test"}).Draw(t, "override"),
		}
	})
	return rapid.SliceOfN(op, 10, 40).Draw(t, "ops")
})

// guardBug is a guard that fails at one door: what it asks knows nothing, or too little.
type guardBug struct {
	is   string
	door guardDoor
	set  func(knowngood.Set) knowngood.Set // what is known there
	ops  []guardOp                         // what must happen for it to show
}

func knowsNothing(knowngood.Set) knowngood.Set { return knowngood.Set{} }

var guardBugs = []guardBug{
	{is: "publish doesn't ask", door: doorPublish, set: knowsNothing, ops: []guardOp{{Door: doorPublish, Feed: "known", Parts: 1}}},
	{is: "a list's rows aren't asked about", door: doorImport, set: knowsNothing, ops: []guardOp{{Door: doorImport, Feed: "private", File: 1, Parts: 4}}},
	{is: "a revision isn't asked about", door: doorRevise, set: knowsNothing, ops: []guardOp{{Door: doorPublish, Feed: "known", File: lookalike, Parts: 2},
		{Door: doorRevise, File: lookalike, Parts: 8}}},
	{is: "what is listed again isn't asked about", door: doorReinstate, set: knowsNothing, ops: []guardOp{{Door: doorPublish, Feed: "known", File: ordinaryFile, Parts: 3},
		{Door: doorRetract}, {Door: doorAdd, File: ordinaryFile}, {Door: doorReinstate}}},
	{is: "the last signer doesn't ask", door: doorApprove, set: knowsNothing, ops: []guardOp{{Door: doorPublish, Feed: "shared", File: ordinaryFile, Parts: 1},
		{Door: doorAdd, File: ordinaryFile}, {Door: doorApprove}}},
	{is: "answers don't ask", door: doorAsk, set: knowsNothing, ops: []guardOp{{Door: doorForeign, File: 0, Parts: 2}, {Door: doorSync}}},
	{is: "answers don't know the operator's list", door: doorAsk, set: func(s knowngood.Set) knowngood.Set { s.Own = nil; return s },
		ops: []guardOp{{Door: doorForeign, File: ordinaryFile, Parts: 2, Override: "legal"}, {Door: doorSync}, {Door: doorAdd, File: ordinaryFile}}},
	{is: "neighbours don't count", door: doorPublish, set: func(s knowngood.Set) knowngood.Set { s.Within = 0; return s },
		ops: []guardOp{{Door: doorPublish, Feed: "known", File: lookalike, Parts: 8}}},
	{is: "the operator's list doesn't outlive a restart", door: doorRestart,
		ops: []guardOp{{Door: doorAdd, File: ordinaryFile}, {Door: doorRestart}, {Door: doorPublish, Feed: "known", File: ordinaryFile, Parts: 1}}},
}

// guardPlay is a run: a node with three own feeds, and a hotline that it follows, which has no guard.
type guardPlay struct {
	*shared
	other *shared
	bug   guardBug
	model guardModel
}

// guardTemplate makes the folders of the two nodes, to be copied.
func guardTemplate(t *testing.T) string {
	t.Helper()
	s := newShared(t)
	other := &shared{t: t, dir: filepath.Join(t.TempDir(), "other"), now: s.now}
	_, err := Init(other.dir, InitOptions{Name: "other.example", Role: RoleHotline, Harm: "csam", Now: s.now})
	s.must(err)
	other.open()
	v, err := other.findView("")
	s.must(err)
	follow := Follow{Feed: string(v.name), Anchor: v.reading.Load().chain.Anchor().String(), Verdicts: []string{"national"},
		Action: policy.Block, ActionNear: policy.Block, ActionWeak: policy.Block}.withDefaults()
	s.must(AppendFollow(s.Node.dir.config(), follow))
	s.must(s.Close())
	s.must(other.Close())
	root := guardRoot(t)
	s.must(copyDir(filepath.Join(root, "template"), filepath.Dir(s.dir)))
	s.must(copyDir(filepath.Join(root, "template", "other"), other.dir))
	return root
}

// guardRoot is where the nodes lie: in memory, where there is such a place, since nothing here is about power cuts.
func guardRoot(t *testing.T) string {
	t.Helper()
	root, err := newSimRoot()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root.dir) })
	return root.dir
}

// play does the ops one after the other, and says what doesn't hold after one of them.
func play(t *testing.T, root string, bug guardBug, ops []guardOp) error {
	t.Helper()
	dir, err := os.MkdirTemp(root, "run-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := copyDir(filepath.Join(dir, "run"), filepath.Join(root, "template")); err != nil {
		t.Fatal(err)
	}
	node := func(name string) *shared {
		s := &shared{t: t, dir: filepath.Join(dir, "run", name), now: time.Unix(1_795_424_400, 0)}
		s.Node, err = Open(s.dir, Options{Now: func() time.Time { return s.now }})
		s.must(err)
		return s
	}
	p := &guardPlay{shared: node("node"), other: node("other"), bug: bug, model: newGuardModel()}
	defer func() { p.Close(); p.other.Close() }()
	p.bob = p.key(1)
	for i, o := range ops {
		if err := p.do(o); err != nil {
			return fmt.Errorf("op %d %v: %w", i, o, err)
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("after op %d %v: %w", i, o, err)
		}
	}
	return nil
}

// at does something at a door, where the guard may be out of order.
func (p *guardPlay) at(door guardDoor, do func() error) error {
	if p.bug.set == nil || p.bug.door != door {
		return do()
	}
	right := p.good.Load()
	wrong := p.bug.set(*right)
	p.good.Store(&wrong)
	defer p.good.Store(right)
	return do()
}

// do does an op. What the node refuses is no error.
func (p *guardPlay) do(o guardOp) error {
	err := p.at(o.Door, func() error { return p.op(o) })
	var e *api.Error
	if errors.As(err, &e) && e.Status < 500 {
		return nil
	}
	return err
}

func (p *guardPlay) op(o guardOp) error {
	ctx := context.Background()
	hashes := partsOf(o.File, o.Parts)
	own := p.model.items(func(it *guardItem) bool {
		return it.ref.Origin.Publisher() == "hotline.example" && it.retracted == (o.Door == doorReinstate)
	})
	others := p.model.items(func(it *guardItem) bool { return it.ref.Origin.Publisher() != "hotline.example" && !it.retracted })
	switch o.Door {
	case doorPublish:
		return p.publishes(o, hashes)
	case doorApprove, doorWithdraw:
		list, err := p.Batches(ctx)
		if err != nil || len(list) == 0 {
			return err
		}
		if o.Door == doorWithdraw {
			return p.Withdraw(ctx, list[0].ID, "")
		}
		_, err = p.tryApprove(p.bob, list[0].ID)
		return err
	case doorImport:
		return p.imports(o)
	case doorRevise, doorReinstate:
		if len(own) == 0 {
			return nil
		}
		it := own[o.Pick%len(own)]
		r := api.Revision{OverrideKnownGood: o.Override, Reinstate: o.Door == doorReinstate}
		for _, h := range partsOf(it.file, o.Parts) {
			r.Hashes = append(r.Hashes, h.Text())
		}
		_, err := p.Revise(ctx, it.ref, r)
		return err
	case doorRetract:
		if len(own) == 0 {
			return nil
		}
		_, err := p.Retract(ctx, own[o.Pick%len(own)].ref, feed.PublisherError)
		return err
	case doorDispute, doorUphold:
		all := append(own, others...)
		if len(all) == 0 {
			return nil
		}
		it := all[o.Pick%len(all)]
		if o.Door == doorDispute {
			_, err := p.Dispute(ctx, it.ref, feed.FalsePositive)
			return err
		}
		_, err := p.Resolve(ctx, it.ref, api.Resolution{Uphold: true})
		return err
	case doorForeign:
		override, err := parseOverride(o.Override)
		if err == nil {
			_, err = force(p.other.Node, hashes, override)
		}
		return err
	case doorTakeBack:
		if len(others) == 0 {
			return nil
		}
		_, err := p.other.Retract(ctx, others[o.Pick%len(others)].ref, feed.PublisherError)
		return err
	case doorSync:
		return carryFeed(p.other.store, p.store, "other.example/known")
	case doorAdd:
		f := api.KnownFile{Name: fmt.Sprint(o.File)}
		for _, h := range guardFiles[o.File] {
			f.Hashes = append(f.Hashes, h.Text())
		}
		p.model.own[o.File] = true
		_, err := p.AddKnownGood(ctx, []api.KnownFile{f})
		return err
	case doorRemove:
		delete(p.model.own, o.File)
		_, err := p.RemoveKnownGood(ctx, guardFiles[o.File][0].Text())
		return err
	case doorRestart:
		if p.bug.door == doorRestart {
			if err := os.RemoveAll(p.Node.dir.known()); err != nil {
				return err
			}
		}
		p.open()
		return nil
	}
	return fmt.Errorf("no such door")
}

// publishes lists an item, and wants the guard to refuse what the model knows, and nothing else.
func (p *guardPlay) publishes(o guardOp, hashes []feed.Hash) error {
	item := api.Item{Verdict: "national", Media: "image", OverrideKnownGood: o.Override}
	for _, h := range hashes {
		item.Hashes = append(item.Hashes, h.Text())
	}
	feedName := o.Feed
	if feedName == "private" { // an import makes it
		feedName = "known"
	}
	made, err := p.Publish(context.Background(), api.Publish{Feed: feedName, Again: o.More, Items: []api.Item{item}})
	if err != nil {
		return err
	}
	_, known := p.model.known(hashes)
	if refused := strings.Contains(made[0].Refused, "known good"); made[0].Duplicate == "" && refused != (known && o.Override == "") {
		return fmt.Errorf("publish: got %+v, and the hashes are known good: %v", made[0], known)
	}
	return nil
}

// imports takes a list of two rows, of the file and of the one after it.
func (p *guardPlay) imports(o guardOp) error {
	r := api.Import{Format: "csv", Verdict: "national", Media: "image", Source: "s", Feed: o.Feed, Permission: "p", Partial: true, Complete: o.More, MaxRetract: 100}
	if o.Feed == "private" {
		r.Feed = ""
	}
	list := "id,md5,sha1,sha256,pdq\n"
	for k := range 2 {
		file := (o.File + k) % len(guardFiles)
		row := fmt.Sprint(file)
		if o.Pick > 4 {
			row = "" // known by its hashes
		}
		for i, h := range guardFiles[file] {
			row += ","
			if o.Parts&(1<<i) != 0 {
				_, text, _ := strings.Cut(h.Text(), ":")
				row += text
			}
		}
		list += row + "\n"
	}
	_, err := p.Import(context.Background(), r, strings.NewReader(list), nil)
	return err
}

// TestGuard: whatever happens, and in whatever order, no hash that is known good becomes active without an override in its record; and what becomes known
// good only afterwards blocks nothing from then on.
func TestGuard(t *testing.T) {
	root := guardTemplate(t)
	if raceEnabled {
		for n := range 10 {
			if err := play(t, root, guardBug{}, guardPlans.Example(n)); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	rapid.Check(t, func(rt *rapid.T) {
		if err := play(t, root, guardBug{}, guardPlans.Draw(rt, "ops")); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestGuardBugs puts the guard out of order at one door after the other, and demands that what TestGuard plays and compares notices it: by a plan that is
// made for it, and with HASHFEED_TEST by one of those that are drawn.
func TestGuardBugs(t *testing.T) {
	root := guardTemplate(t)
	for _, bug := range guardBugs {
		t.Run(bug.is, func(t *testing.T) {
			if err := play(t, root, guardBug{}, bug.ops); err != nil {
				t.Fatalf("without the bug: %v", err)
			}
			err := play(t, root, bug, bug.ops)
			if err == nil {
				t.Fatal("nothing was noticed")
			}
			t.Log(err)
			if os.Getenv("HASHFEED_TEST") == "" {
				return
			}
			for n := range 100 { // as many as TestGuard plays
				if err := play(t, root, bug, guardPlans.Example(n)); err != nil {
					t.Logf("drawn plan %d: %v", n+1, err)
					return
				}
			}
			t.Error("none of 100 drawn plans has noticed")
		})
	}
}
