package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// block is a [[follow]] block of a candidate.
func (h *handNode) block(p *handNode, more string) string {
	chain, _ := p.store.Chain(p.known())
	return fmt.Sprintf("[[follow]]\nfeed = %q\nanchor = %q\n%s\n", p.known(), chain.Anchor(), more)
}

func (h *handNode) tests(r api.PolicyTest) api.PolicyTested {
	h.t.Helper()
	t, err := h.PolicyTest(h.t.Context(), r)
	h.must(err)
	return t
}

// TestCandidate replays the journal under whole configs: each key of [policy], [own] and [[follow]] that decides, and a feed that is followed no more.
func TestCandidate(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "host.example", RoleHost, clock)
	p.lists(1)
	_, err := p.Publish(api.WithAlone(t.Context()), api.Publish{Items: []api.Item{{Hashes: []string{pdqListed}, Verdict: "national", Media: "image"}}})
	p.must(err)
	x.lists(2)
	x.follows(p, func(f *Follow) {
		f.Action, f.ActionNear, f.ActionWeak = policy.Log, policy.Log, policy.Log
	})
	x.wantVerdict(1, policy.OutcomeLog, policy.Active)
	x.wantVerdict(2, policy.OutcomeBlock, policy.Active)
	if v := x.asks(pdqListed); v.Verdict != policy.OutcomeLog {
		t.Fatalf("got %+v", v)
	}
	if v := x.asks(pdqNear); v.Verdict != policy.OutcomeLog || v.Matches[0].Distance != 2 {
		t.Fatalf("got %+v", v)
	}
	whole, err := os.ReadFile(filepath.Join(x.dir, "hashfeed.toml"))
	x.must(err)
	const all = `verdicts = ["baseline", "national"]` + "\n"
	for _, c := range []struct {
		name, config  string
		block, review int // would
	}{
		{"the config in force", string(whole), 1, 0},
		{"as follow writes it", x.block(p, ""), 1, 0},
		{"weak ones are blocked", x.block(p, `action_weak = "block"`), 2, 0},
		{"national ones aren't trusted", x.block(p, `action = "block"`), 1, 0},
		{"exact ones are blocked", x.block(p, all+`action = "block"`), 2, 0},
		{"near ones are reviewed", x.block(p, all+"action = \"block\"\naction_near = \"review\""), 2, 1},
		{"near ones are too far away", x.block(p, all+"action = \"block\"\naction_near = \"review\"\nmax_distance = 1"), 2, 0},
		{"two must say it", x.block(p, all+"action = \"block\"\naction_weak = \"block\"") + "[policy]\nmin_publishers = 2\n", 1, 2},
		{"the own list is only reviewed", "[own]\naction_weak = \"review\"\n" + x.block(p, ""), 0, 1},
		{"no feed", "[policy]\nmin_publishers = 1\n", 1, 0},
		{"with a name and a role", "name = \"host.example\"\nrole = \"host\"\n" + x.block(p, `action_weak = "block"`), 2, 0},
	} {
		got := x.tests(api.PolicyTest{Config: c.config})
		if got.Decisions != 4 || got.Skipped != 0 || got.Block.Was != 1 || got.Review.Was != 0 || got.Block.Would != c.block || got.Review.Would != c.review {
			t.Errorf("%s: got %+v, want %d blocked and %d reviewed", c.name, got, c.block, c.review)
		}
		if !strings.Contains(got.Note, "[own]") {
			t.Errorf("%s: got note %q", c.name, got.Note)
		}
	}
	// What isn't followed matches nothing: it isn't even logged.
	got := x.tests(api.PolicyTest{Config: "[policy]\nmin_publishers = 1\n"})
	if len(got.Samples) != 3 || got.Samples[0].Would != policy.OutcomeAllow {
		t.Errorf("got %+v", got.Samples)
	}
	// Nothing is changed by a test.
	if after, err := os.ReadFile(filepath.Join(x.dir, "hashfeed.toml")); err != nil || string(after) != string(whole) {
		t.Error("the config was changed")
	}
	x.wantVerdict(1, policy.OutcomeLog, policy.Active)

	// The same by the flags and by a config.
	near := 1
	one := x.tests(api.PolicyTest{Actions: api.Actions{Action: "block", Near: "review"}, MaxDistance: &near})
	two := x.tests(api.PolicyTest{Config: x.block(p, all+"action = \"block\"\naction_near = \"review\"\nmax_distance = 1")})
	if one.Block != two.Block || one.Review != two.Review {
		t.Errorf("got %+v and %+v", one, two)
	}
}

// TestCandidateRefused: a config that would not start the node is refused, with its line; so is one that isn't the whole policy.
func TestCandidateRefused(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "host.example", RoleHost, clock)
	x.follows(p, nil)
	path := filepath.Join(t.TempDir(), "other.toml")
	for _, c := range []struct{ name, config, says string }{
		{"not TOML", "[policy\n", ":2: "},
		{"unknown key", x.block(p, `acton = "block"`), `:4: unknown key "acton" in [follow]; did you mean "action"?`},
		{"unknown table", "[polizy]\n", ":1: "},
		{"wrong type", "[policy]\nmin_publishers = \"2\"\n", ":2: "},
		{"too far", x.block(p, "max_distance = 49"), `:4: [[follow]] "hotline.example/known": max_distance 49: want 0 to 48`},
		{"too far, in the second", x.block(p, "") + strings.Replace(x.block(p, "max_distance = 49"), "/known", "/more", 1), ":8: "},
		{"no such action", x.block(p, `action_near = "Block"`), ":4: "},
		{"no anchor", "[policy]\nmin_publishers = 1\n[[follow]]\nfeed = \"hotline.example/known\"\n", ":3: "},
		{"no publisher", "[policy]\nmin_publishers = 0\n", ":2: [policy] min_publishers 0"},
		{"own action", "[own]\naction = \"deny\"\n", ":2: [own]"},
		{"its own feed", strings.Replace(x.block(p, ""), "hotline.example", "host.example", 1), "own"},
		{"another node's", "name = \"x.example\"\nrole = \"host\"\n", "it is the config of x.example, and this node is host.example"},
		{"no such role", "name = \"host.example\"\nrole = \"hosts\"\n", ":2: role"},
		{"too large", strings.Repeat("#", maxConfig+1), "larger than"},
	} {
		_, err := x.PolicyTest(t.Context(), api.PolicyTest{Config: c.config})
		if statusOf(err) != 400 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
		x.must(os.WriteFile(path, []byte(c.config), 0o600))
		if _, err := ReadCandidate(x.dir, path); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) && c.name != "too large" {
			t.Errorf("%s: got %v, want %q", c.name, err, path+c.says)
		}
	}
	good := x.block(p, "")
	x.must(os.WriteFile(path, []byte(good), 0o600))
	if text, err := ReadCandidate(x.dir, path); err != nil || text != good {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := ReadCandidate(x.dir, path+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	n := 1
	for _, r := range []api.PolicyTest{{Feed: "hotline.example/known"}, {Actions: api.Actions{Weak: "log"}}, {MaxDistance: &n}, {MinPublishers: &n}, {Verdicts: []string{"baseline"}}} {
		r.Config = good
		if _, err := x.PolicyTest(t.Context(), r); statusOf(err) != 400 {
			t.Errorf("%+v: got %v", r, err)
		}
	}
}

// TestCandidateWarns: what is valid and hardly meant is told as at a start, and what the journal can't know of the feeds; under the policy in force
// with something in its stead, only what is new.
func TestCandidateWarns(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "host.example", RoleHost, clock)
	x.follows(p, func(f *Follow) { f.Action, f.ActionNear = policy.Review, policy.Review })
	config := func(more string) api.PolicyTest { return api.PolicyTest{Config: x.block(p, more)} }

	// A charter that says "use review", as it would lie here.
	reviewed := p.nextCharter(func(c *feed.Charter) { c.Version, c.Use = 1, feed.UseReview })
	x.must(os.WriteFile(filepath.Join(filepath.Dir(x.Node.dir.charter(p.known(), 1)), "9"), reviewed, 0o600))
	note, err := crypto.ParseNote(reviewed)
	x.must(err)
	anchor := feed.Anchor(sha256.Sum256(note.Text))
	review := fmt.Sprintf("[[follow]]\nfeed = %q\nanchor = %q\naction = \"block\"\n", p.known(), anchor)

	far, two := 40, 2
	for _, c := range []struct {
		name string
		test api.PolicyTest
		want []string
	}{
		{"none", config(""), nil},
		{"far", config("action = \"block\"\naction_near = \"block\"\nmax_distance = 40"), []string{"max_distance 40"}},
		{"weak is harsher", config(`action_weak = "block"`), []string{"can be forged"}},
		{"two publishers", api.PolicyTest{Config: "[policy]\nmin_publishers = 2\n" + x.block(p, "")}, []string{"feeds of 1 publishers"}},
		{"no feed", api.PolicyTest{Config: "[policy]\nbreaker = 1\n"}, []string{"no feed is followed", "would match nothing"}},
		{"another feed", api.PolicyTest{Config: x.block(p, "") + strings.Replace(x.block(p, ""), "hotline.example", "b.example", 1)}, []string{"b.example/known: it isn't followed"}},
		{"use review", api.PolicyTest{Config: review}, []string{`"use review"`, "its anchor is another"}},
		{"no flag", api.PolicyTest{}, nil},
		{"far by a flag", api.PolicyTest{Actions: api.Actions{Action: "block", Near: "block"}, MaxDistance: &far}, []string{"max_distance 40"}},
		{"two by a flag", api.PolicyTest{MinPublishers: &two}, []string{"feeds of 1 publishers"}},
	} {
		got := x.tests(c.test).Warnings
		if got == nil || len(got) != len(c.want) || slices.ContainsFunc(c.want, func(w string) bool { return !strings.Contains(strings.Join(got, "\n"), w) }) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzCandidate: a candidate that is taken is this node's, and valid; one that is a whole config is that config.
func FuzzCandidate(f *testing.F) {
	mine := DefaultConfig(RoleHost)
	mine.Name = "host.example"
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseCandidate("x", text, mine)
		if err != nil {
			return
		}
		if err := c.check(); err != nil || c.Name != mine.Name {
			t.Fatalf("%q is %+v: %v", text, c, err)
		}
		policyOf := c.policyOf([]feed.Name{"host.example/local"})
		if len(policyOf.Rules) != len(c.Follow)+1 || policyOf.MinPublishers < 1 {
			t.Fatalf("%q is %+v", text, policyOf)
		}
		if whole, err := parseConfig("x", text); err == nil && len(changedKeys(whole, c)) > 0 {
			t.Fatalf("%q: %q differ", text, changedKeys(whole, c))
		}
	})
}
