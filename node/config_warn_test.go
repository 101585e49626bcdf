package node

import (
	"strings"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// TestConfigWarnings: what is valid and hardly meant, each by itself; and a config that is meant has none.
func TestConfigWarnings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config, *Follow)
		use    feed.Use
		want   string
	}{
		{"as follow writes it", func(*Config, *Follow) {}, feed.UseMatch, ""},
		{"strict", func(_ *Config, f *Follow) {
			f.Action, f.ActionNear, f.ActionWeak = policy.Block, policy.Block, policy.Review
		}, feed.UseMatch, ""},
		{"no feed", func(c *Config, f *Follow) { f.Feed = "" }, "", "no feed is followed"},
		{"a hotline follows none", func(c *Config, f *Follow) { c.Role, f.Feed = RoleHotline, "" }, "", ""},
		{"block where the charter says review", func(_ *Config, f *Follow) { f.Action = policy.Block }, feed.UseReview, "use review"},
		{"review where the charter says review", func(_ *Config, f *Follow) { f.Action = policy.Review }, feed.UseReview, ""},
		{"block, and no charter yet", func(_ *Config, f *Follow) { f.Action = policy.Block }, "", ""},
		{"neighbours from afar", func(_ *Config, f *Follow) { f.Action, f.ActionNear, f.MaxDistance = policy.Block, policy.Block, 32 }, feed.UseMatch, "max_distance 32"},
		{"neighbours from afar are reviewed", func(_ *Config, f *Follow) { f.Action, f.ActionNear, f.MaxDistance = policy.Block, policy.Review, 48 }, feed.UseMatch, ""},
		{"no neighbour", func(_ *Config, f *Follow) { f.Action, f.ActionNear, f.MaxDistance = policy.Block, policy.Block, 0 }, feed.UseMatch, "no neighbour counts"},
		{"near is harsher", func(_ *Config, f *Follow) { f.Action, f.ActionNear = policy.Review, policy.Block }, feed.UseMatch, "action_near is block"},
		{"weak is harsher", func(_ *Config, f *Follow) { f.ActionWeak = policy.Review }, feed.UseMatch, "can be forged"},
		{"shared with nobody", func(_ *Config, f *Follow) { f.ShareCounts = true }, feed.UseMatch, "nothing is shared"},
		{"shared, and forgotten before", func(c *Config, f *Follow) { f.ShareCounts, f.Peer, c.Journal.Log = true, testPeer, 7 }, feed.UseMatch, "forgets within 8 days"},
		{"shared with its publisher", func(_ *Config, f *Follow) { f.ShareCounts, f.Peer = true, testPeer }, feed.UseMatch, ""},
		{"more publishers than there are", func(c *Config, _ *Follow) { c.Policy.MinPublishers = 2 }, feed.UseMatch, "min_publishers is 2, and feeds of 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := DefaultConfig(RoleHost)
			config.Name = "host.example"
			f := Follow{Feed: "eokm.example/known", Anchor: testAnchor}.withDefaults()
			c.change(&config, &f)
			if f.Feed != "" {
				config.Follow = []Follow{f}
			}
			if err := config.check(); err != nil {
				t.Fatal(err)
			}
			got := config.Warnings(func(Follow) feed.Use { return c.use })
			if c.want == "" && len(got) != 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestConfigWarningsByCharter: the pinned charter's file tells, with a node open on the directory and without.
func TestConfigWarningsByCharter(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	x.follows(p, nil)
	f := x.config.Load().Follow[0]
	if use, err := anchorUse(x.Node.dir, f); err != nil || use != feed.UseMatch {
		t.Errorf("got %q, %v", use, err)
	}
	f.Anchor = testAnchor
	if use, err := anchorUse(x.Node.dir, f); err == nil {
		t.Errorf("of another anchor: got %q", use)
	}
}
