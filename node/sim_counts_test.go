package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// TestCountsReachThePublisher plays two weeks of a hotline and three hosts, whole nodes on a simulated network: only what both sides want is told, only of
// weeks that are over, only sums, and no number below ten.
func TestCountsReachThePublisher(t *testing.T) {
	root, err := newSimRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root.dir)
	runSim(t, root, reachPlan(4), simBug{}, func(w *simWorld) {
		ctx := context.Background()
		hotline, one, two, shy := w.nodes[0], w.nodes[1], w.nodes[2], w.nodes[3]
		name := w.feeds[0].name
		sha := w.newHash(feed.SHA256)
		md5, err := feed.ParseHash(md5Of(1))
		w.must(err)
		for _, h := range []feed.Hash{sha, md5} {
			_, err := hotline.node.Publish(ctx, api.Publish{Items: []api.Item{{Hashes: []string{h.Text()}, Verdict: "baseline", Media: "image", VerifiedBy: 2}}})
			w.must(err)
		}
		ask := func(n *simNode, h feed.Hash, times int) (ids []string) {
			for range times {
				v, err := n.node.Match(ctx, []feed.Hash{h}, false)
				w.must(err)
				ids = append(ids, v[0].Decision)
			}
			return ids
		}
		act := func(n *simNode, done string, ids []string) {
			for _, id := range ids {
				_, err := n.node.Act(ctx, id, api.JournalAct{Done: []string{done}})
				w.must(err)
			}
		}
		to := func(at time.Time) { // with the nodes stopped: a week of pings is a minute of work
			for _, n := range w.nodes {
				w.must(n.stop())
			}
			time.Sleep(time.Until(at))
			for _, n := range w.nodes {
				w.must(n.start())
			}
			time.Sleep(5 * time.Second)
		}
		look := func() {
			for _, n := range w.nodes {
				w.must(n.node.shareDue(ctx))
			}
		}
		shared := func(n *simNode) string {
			s, err := n.node.SharedCounts(ctx, string(name))
			w.must(err)
			var all []string
			for _, week := range s.Weeks {
				if week.State != api.ShareRunning {
					all = append(all, week.State+" "+text(week.WeekCounts))
				}
			}
			return strings.Join(all, "; ")
		}
		taken := func() string {
			f, err := hotline.node.FeedCounts(ctx, "")
			w.must(err)
			var all []string
			for _, week := range f.Weeks {
				all = append(all, fmt.Sprintf("%d of %s", week.Members, text(week)))
			}
			return strings.Join(all, "; ")
		}
		want := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}

		w.await(time.Minute, "everybody has the items", func() bool {
			return !slices.ContainsFunc(w.nodes, func(n *simNode) bool { m, _ := n.head(name); return m.size != 2 })
		})
		for _, n := range []*simNode{one, two} {
			w.must(ReplaceFollow(n.node.dir.config(), Follow{Feed: string(name), ShareCounts: true}))
			w.must(n.node.Reload())
		}
		ask(one, sha, 50) // on the Saturday before
		look()
		to(time.Date(2000, 1, 4, 12, 0, 0, 0, time.UTC)) // a Tuesday
		act(one, "refused", ask(one, sha, 12)[:10])
		act(one, "false", ask(one, md5, 9)[:3])
		ask(two, sha, 30)
		ask(two, md5, 11)
		ask(shy, sha, 100)
		look()
		want("while the week runs", shared(one), "preview 1999-W52, baseline exact block 50")

		to(time.Date(2000, 1, 10, 13, 0, 0, 0, time.UTC))
		look()
		const first = "2000-W01, baseline exact block 12, refused 10"
		want("the hotline takes none", shared(one), "waiting "+first)
		want("nothing arrives", taken(), "")
		f, err := os.OpenFile(filepath.Join(hotline.dir, "hashfeed.toml"), os.O_APPEND|os.O_WRONLY, 0)
		w.must(err)
		_, err = f.WriteString("\n[own]\ntake_counts = true\n")
		w.must(err)
		w.must(f.Close())
		w.must(hotline.node.Reload())
		look()
		want("it isn't asked again at once", taken(), "")
		for _, n := range []*simNode{one, two} { // six hours of pings are half a minute of work
			if _, try := n.node.sharing.of(name); time.Until(try.next) <= shareAgain-time.Minute || time.Until(try.next) > shareAgain || try.why == "" {
				t.Errorf("%s is to try again at %v, for %q", n.name, try.next, try.why)
			}
			n.node.sharing.tried(name, shareTry{why: "past", next: time.Now()})
		}
		look()
		const sum = "2 of 2000-W01, baseline exact block 42, baseline weak log 11, refused 10"
		want("both", taken(), sum)
		want("sent", shared(one), "sent "+first)
		want("sent", shared(two), "sent 2000-W01, baseline exact block 30, baseline weak log 11")
		want("not switched on", shared(shy), "preview 2000-W01, baseline exact block 100")

		// Restarts, more uploads and more looks change nothing of it.
		ask(one, sha, 1)
		to(time.Now().Add(time.Hour))
		for range 3 {
			look()
		}
		want("once more", taken(), sum)

		// A host that was cut off sends when it is back, and the hotline forgets nobody.
		w.net.set(func(s *simNet) { s.cut = func(a, b string) bool { return a == two.ip || b == two.ip } })
		to(time.Date(2000, 1, 17, 13, 0, 0, 0, time.UTC))
		look()
		want("cut off", shared(two), "waiting 2000-W02; sent 2000-W01, baseline exact block 30, baseline weak log 11")
		want("one of two", taken(), "1 of 2000-W02; "+sum)
		w.net.set(func(s *simNet) { s.cut = nil })
		time.Sleep(time.Minute)
		look()
		want("back", taken(), "2 of 2000-W02; "+sum)
	})
}
