package node

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// TestOutlook: it is kept while nothing changes, and no answer is given with an old one after something has.
func TestOutlook(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	n := opened(t, made(t), Options{Now: func() time.Time { return now }})
	last := n.outlookAt(now)
	changed := func(what string, want bool) {
		t.Helper()
		o := n.outlookAt(now)
		if (o != last) != want {
			t.Errorf("%s: got a new outlook: %v, want %v", what, o != last, want)
		}
		if n.outlookAt(now) != o {
			t.Errorf("%s: the outlook isn't kept", what)
		}
		// What is kept is what would be made.
		n.outlook.Store(nil)
		if fresh := n.outlookAt(now); !slices.Equal(fresh.misses.Heads(), o.misses.Heads()) || !slices.Equal(fresh.listed, o.listed) || fresh.reach != o.reach || fresh.policy != o.policy {
			t.Errorf("%s: got %+v, made anew it is %+v", what, o, fresh)
		}
		last = n.outlookAt(now)
	}
	changed("nothing", false)
	if err := list(n, 1); err != nil {
		t.Fatal(err)
	}
	changed("a publication within the second", true)
	if head := last.misses.Heads()[0]; head.Size != 1 || head.State != "ok" || !slices.Equal(last.listed, []feed.Alg{feed.MD5}) {
		t.Errorf("got %+v, listed %v", head, last.listed)
	}
	now = now.Add(time.Second - 1)
	changed("less than a second", false)
	now = now.Add(1)
	changed("a second", true)
	if head := last.misses.Heads()[0]; head.AgeS != 1 {
		t.Errorf("got %+v, want it a second old", head)
	}
	n.decide()
	changed("the policy", true)
	v := n.viewNamed(testNode + "/known")
	v.frozen.Store(&freeze{})
	changed("a freeze", true)
	if head := last.misses.Heads()[0]; head.State != "frozen" {
		t.Errorf("got %+v, want it frozen", head)
	}
	v.frozen.Store(nil)
	changed("its end", true)
}

// TestMatchedBody: a body is kept, and what an item says after a revise or a retract is not what it said before.
func TestMatchedBody(t *testing.T) {
	now := time.Now()
	n := opened(t, made(t), Options{Now: func() time.Time { return now }})
	const text = "md5:00112233445566778899aabbccddeeff"
	h, err := feed.ParseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	done, err := n.Publish(t.Context(), api.Publish{Items: []api.Item{{Hashes: []string{text}, Verdict: "national", Media: "image"}}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := feed.ParseRef(done[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() policy.Verdict {
		t.Helper()
		alone, err := n.Match(t.Context(), []feed.Hash{h}, false)
		if err != nil {
			t.Fatal(err)
		}
		file, err := n.Match(t.Context(), []feed.Hash{h}, true)
		if err != nil || alone[0].Decision == file[0].Decision && alone[0].Decision != "" {
			t.Fatalf("two answers have one id: %+v, %v", file, err)
		}
		file[0].Decision = alone[0].Decision
		if !reflect.DeepEqual(alone, file) {
			t.Fatalf("got %+v, as the only hash of a file %+v, %v", alone, file, err)
		}
		return alone[0]
	}
	if v := ask(); len(v.Matches) != 1 || v.Matches[0].Verdict != "national" {
		t.Fatalf("got %+v", v)
	}
	view := n.viewNamed(testNode + "/known")
	kept, err := n.bodyAt(view, ref.Position())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := n.bodyAt(view, ref.Position()); err != nil || again != kept {
		t.Errorf("the body was read again: %v", err)
	}
	if _, err := n.Revise(t.Context(), ref, api.Revision{Verdict: "baseline", VerifiedBy: 2}); err != nil {
		t.Fatal(err)
	}
	if v := ask(); len(v.Matches) != 1 || v.Matches[0].Verdict != "baseline" {
		t.Errorf("after a revise: got %+v", v)
	}
	if _, err := n.Retract(t.Context(), ref, feed.FalsePositive); err != nil {
		t.Fatal(err)
	}
	if v := ask(); len(v.Matches) != 0 || v.Verdict != policy.OutcomeAllow {
		t.Errorf("after a retract: got %+v", v)
	}
	// Another view of the same log has bodies of its own.
	if err := n.rebuild(view); err != nil {
		t.Fatal(err)
	}
	if again := n.viewNamed(testNode + "/known"); again.serial == view.serial {
		t.Error("the new view has the old one's serial")
	} else if body, err := n.bodyAt(again, ref.Position()); err != nil || body == kept {
		t.Errorf("the new view has the old one's body, or %v", err)
	}
}
