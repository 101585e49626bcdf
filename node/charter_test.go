package node

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// desk is a publisher's node in a directory of its own, whose clock a test moves.
type desk struct {
	*testing.T
	*Node
	dir   string
	clock time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, dir: filepath.Join(t.TempDir(), "node"), clock: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	if _, err := Init(d.dir, InitOptions{Name: "hotline.example", Role: RoleHotline, Harm: "csam", Now: d.clock}); err != nil {
		t.Fatal(err)
	}
	d.open()
	t.Cleanup(func() { d.Close() })
	return d
}

func (d *desk) open() {
	d.Helper()
	var err error
	if d.Node, err = Open(d.dir, Options{Now: func() time.Time { return d.clock }}); err != nil {
		d.Fatal(err)
	}
}

// reopen is a restart.
func (d *desk) reopen() {
	d.Helper()
	if err := d.Close(); err != nil {
		d.Fatal(err)
	}
	d.open()
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// hashOf is the md5 of the n'th thing that is listed.
func hashOf(n int) string { return fmt.Sprintf("md5:%x", md5.Sum(fmt.Appendf(nil, "thing %d", n))) }

// list publishes things by number and returns their references.
func (d *desk) list(things ...int) []string {
	d.Helper()
	var items []api.Item
	for _, n := range things {
		items = append(items, api.Item{Hashes: []string{hashOf(n)}, Verdict: "national", Media: "image"})
	}
	published, err := d.Publish(context.Background(), api.Publish{Items: items})
	d.must(err)
	var refs []string
	for _, p := range published {
		if p.Ref == "" {
			d.Fatalf("publish: %+v", p)
		}
		refs = append(refs, p.Ref)
	}
	return refs
}

func (d *desk) retract(text string) {
	d.Helper()
	ref, err := feed.ParseRef(text)
	d.must(err)
	_, err = d.Retract(context.Background(), ref, feed.FalsePositive)
	d.must(err)
}

// verdict is what the node says to a thing, and in what state the match is, if there is one.
func (d *desk) verdict(n int) string {
	d.Helper()
	h, err := feed.ParseHash(hashOf(n))
	d.must(err)
	verdicts, err := d.Match(context.Background(), []feed.Hash{h}, false)
	d.must(err)
	v := verdicts[0]
	if len(v.Matches) == 0 {
		return string(v.Verdict)
	}
	return fmt.Sprintf("%s %s", v.Verdict, v.Matches[0].State)
}

func (d *desk) want(what string, verdicts map[int]string) {
	d.Helper()
	for n, want := range verdicts {
		if got := d.verdict(n); got != want {
			d.Errorf("%s: thing %d: got %q, want %q", what, n, got, want)
		}
	}
}

// propose writes the next charter, signed by the root key that lies on the node.
func (d *desk) propose(r api.ProposeCharter) (api.ProposedCharter, string) {
	d.Helper()
	p, err := d.ProposeCharter(context.Background(), r)
	d.must(err)
	return p, d.sign(p.File)
}

func (d *desk) sign(file string) string {
	d.Helper()
	key, err := crypto.Load(RootKeyFile(d.dir, "hotline.example/known"), nil)
	d.must(err)
	return d.signWith(file, key)
}

func (d *desk) signWith(file string, key *crypto.PrivateKey) string {
	d.Helper()
	p, err := feed.ParseProposal([]byte(file))
	d.must(err)
	p, err = p.Sign(key)
	d.must(err)
	return string(p.Bytes())
}

func (d *desk) publishes(file string, repeat ...string) api.PublishedCharter {
	d.Helper()
	p, err := d.PublishCharter(context.Background(), api.PublishCharter{File: file, Repeat: repeat})
	d.must(err)
	return p
}

// refuses wants a charter not to be published, for a reason.
func (d *desk) refuses(what, file, why string, repeat ...string) {
	d.Helper()
	_, err := d.PublishCharter(context.Background(), api.PublishCharter{File: file, Repeat: repeat})
	var e *api.Error
	if !errors.As(err, &e) || !strings.Contains(e.Text, why) {
		d.Errorf("%s: got %v, want %q", what, err, why)
	}
}

func (d *desk) tables(kind string) int {
	d.Helper()
	s, err := d.Status(context.Background())
	d.must(err)
	return s.Tables[kind]
}

// TestCloseLog: a signer is stolen, nothing of ours lies past the cut. The next log goes on from what stood, suspensions in force included.
func TestCloseLog(t *testing.T) {
	d := newDesk(t)
	refs := d.list(0, 1, 2)
	d.retract(refs[1])
	suspended, err := feed.ParseRef(refs[2])
	d.must(err)
	_, err = d.Suspend(context.Background(), []feed.Ref{suspended})
	d.must(err)
	before := map[int]string{0: "block active", 1: "allow", 2: "review suspended"}
	d.want("before", before)
	// The thief's: one that begins in a week. (Signed by the stolen signer, it is as good as ours.)
	chain, _ := d.store.Chain("hotline.example/known")
	keys, err := d.keys.signing(chain)
	d.must(err)
	ahead, err := feed.SignSuspension(chain, []feed.Position{{Log: 1, Index: 0}}, d.clock.Unix()+7*86400, keys.Signers...)
	d.must(err)
	d.must(d.store.Suspend(ahead))

	p, file := d.propose(api.ProposeCharter{Close: true})
	if p.Past != nil || p.Version != 2 || len(p.Wants) != 2 {
		t.Errorf("proposed: got %+v", p)
	}
	d.want("proposed", before)
	answer := d.publishes(file)
	if !answer.Opened || answer.Suspensions != 1 || answer.Past != nil || answer.Origin != "hotline.example/known/2" {
		t.Errorf("published: got %+v", answer)
	}
	d.want("published", before)
	more := d.list(3)
	if more[0] != "hotline.example/known/2#0" {
		t.Errorf("got %s, want the first record of log 2", more[0])
	}
	d.retract(refs[0]) // of the first log, in the second
	after := map[int]string{0: "allow", 1: "allow", 2: "review suspended", 3: "block active"}
	d.want("listed and retracted in the next log", after)
	d.reopen()
	d.want("started again", after)
	d.clock = d.clock.Add(73 * time.Hour)
	d.want("73 hours on", map[int]string{2: "block active"}) // repeating is no renewal
	d.clock = d.clock.Add(5 * 24 * time.Hour)
	if d.unix() < ahead.Time || len(d.store.Suspensions("hotline.example/known")) != 2 {
		t.Fatal("the thief's suspension isn't due yet, or lost")
	}
	for _, s := range d.store.Suspensions("hotline.example/known") {
		if s.Sum == ahead.Sum && len(s.Signers) > 0 {
			t.Error("the thief's suspension that begins later was repeated")
		}
	}
	old := string(d.Node.dir.signerKey("hotline.example/known", 1))
	if _, err := os.Stat(old); err != nil {
		t.Errorf("the old signer's key: %v: it is evidence, and the operator's to remove", err)
	}
}

// TestCloseBefore: what lies past the cut loses its effect, and its hashes leave the tables; its retractions hold their items until they are repeated,
// or for 7 days.
func TestCloseBefore(t *testing.T) {
	d := newDesk(t)
	refs := d.list(0, 1, 2)
	d.retract(refs[0])
	d.list(3)
	d.retract(refs[1])
	if n := d.tables("md5"); n != 2 {
		t.Errorf("before: got %d in the table, want 2", n)
	}
	at := uint64(3)
	p, file := d.propose(api.ProposeCharter{Close: true, At: &at})
	if p.Past == nil || p.Past.Records != 3 || p.Past.Adds != 1 || len(p.Past.Retracts) != 2 || p.Past.Retracts[1].Item != refs[1] {
		t.Fatalf("got %+v", p.Past)
	}
	d.refuses("without a choice", file, "3 records lie past the cut")
	d.refuses("a wrong choice", file, "no retraction past the cut", "hotline.example/known/1#4")
	d.refuses("none and more", file, "no retraction past the cut", "none", p.Past.Retracts[0].Ref)
	if got := d.viewNamed("hotline.example/known").reading.Load().chain.Len(); got != 1 {
		t.Fatalf("refused, and yet there are %d charters", got)
	}
	answer := d.publishes(file, p.Past.Retracts[0].Ref)
	if !slices.Equal(answer.Retracted, []string{"hotline.example/known/2#0"}) {
		t.Errorf("got %+v", answer)
	}
	held := map[int]string{0: "allow", 1: "review held", 2: "block active", 3: "allow"}
	d.want("published", held)
	if n := d.tables("md5"); n != 2 { // 1 and 2: the retract of 1 holds, and 3 is gone
		t.Errorf("after: got %d in the table, want 2", n)
	}
	d.reopen()
	d.want("started again", held)
	d.clock = d.clock.Add(7*24*time.Hour - time.Second)
	d.want("not yet 7 days", map[int]string{1: "review held"})
	d.clock = d.clock.Add(time.Second)
	d.want("7 days", map[int]string{0: "allow", 1: "block active", 2: "block active", 3: "allow"})
	d.list(3) // what was honest is published anew
	d.want("published anew", map[int]string{3: "block active"})
}

// TestRepeatAll repeats what lies past the cut, and nothing twice.
func TestRepeatAll(t *testing.T) {
	d := newDesk(t)
	refs := d.list(0, 1, 2)
	d.retract(refs[0])
	d.retract(refs[1])
	d.retract(d.list(9)[0]) // which goes with its item
	at := uint64(3)
	_, file := d.propose(api.ProposeCharter{Close: true, At: &at})
	answer := d.publishes(file, "all")
	if len(answer.Retracted) != 2 || len(answer.Past.Retracts) != 2 || answer.Past.Records != 4 {
		t.Errorf("got %+v", answer)
	}
	d.want("published", map[int]string{0: "allow", 1: "allow", 2: "block active", 9: "allow"})
	d.refuses("again", file, "published already", "all")
	d.clock = d.clock.Add(8 * 24 * time.Hour)
	d.want("8 days on", map[int]string{0: "allow", 1: "allow", 2: "block active"})
}

// TestPublishGoesOn: after a crash between the steps the same call does what is left.
func TestPublishGoesOn(t *testing.T) {
	d := newDesk(t)
	refs := d.list(0, 1)
	suspended, err := feed.ParseRef(refs[1])
	d.must(err)
	_, err = d.Suspend(context.Background(), []feed.Ref{suspended})
	d.must(err)
	_, file := d.propose(api.ProposeCharter{Close: true})
	p, err := feed.ParseProposal([]byte(file))
	d.must(err)
	chain, _ := d.store.Chain("hotline.example/known")
	next, err := chain.Extend(p.Note())
	d.must(err)
	d.must(d.store.SetChain(next)) // and here the power fails
	d.reopen()
	d.want("cut off", map[int]string{1: "block active"})
	answer := d.publishes(file)
	if !answer.Opened || answer.Suspensions != 1 {
		t.Errorf("got %+v", answer)
	}
	d.want("done", map[int]string{0: "block active", 1: "review suspended"})
	d.refuses("again", file, "published already")
	d.list(2)
}

// TestTwoSigners: a log that two must sign is opened with the other's line, which came in the file.
func TestTwoSigners(t *testing.T) {
	d := newDesk(t)
	d.list(0)
	other, err := crypto.GenerateKey("hotline.example/known/2", crypto.TypeSignature)
	d.must(err)
	p, file := d.propose(api.ProposeCharter{Close: true, Signers: &api.KeyGroup{K: 2, VKeys: []string{other.Public().String()}}})
	if w := p.Wants[1]; w.Need != 2 || w.Have != 1 || !slices.Equal(w.Missing, []string{other.Public().String()}) {
		t.Errorf("got %+v", p.Wants)
	}
	d.refuses("without the other", file, "1 of 2 of the signers of log 2, by "+other.Public().String())
	answer := d.publishes(d.signWith(file, other))
	if !answer.Opened {
		t.Errorf("got %+v", answer)
	}
	head, ok := d.store.Head("hotline.example/known/2")
	if !ok || len(head.Lines()) != 3 {
		t.Errorf("got %v, %d lines, want two signers' and the stamp", ok, len(head.Lines()))
	}
}

// TestPublishRefuses: the reason comes in words, and nothing has changed.
func TestPublishRefuses(t *testing.T) {
	d := newDesk(t)
	d.list(0)
	unsigned, file := d.propose(api.ProposeCharter{Contact: "first@hotline.example"})
	_, second := d.propose(api.ProposeCharter{Contact: "second@hotline.example"})
	d.refuses("not signed", unsigned.File, "1 of 1 of the roots of version 2")
	d.refuses("no proposal", "text", "proposal")
	d.refuses("repeat where no log is closed", file, "closes no log", "all")
	d.publishes(file)
	d.refuses("another text of the version", second, "published already, with another text")
	d.refuses("the same again", file, "published already")
	chain, _ := d.store.Chain("hotline.example/known")
	first, _ := chain.Note(1)
	_, third := d.propose(api.ProposeCharter{Contact: "third@hotline.example"})
	d.publishes(third)
	d.refuses("an older one", file, "and so is version 3")
	d.refuses("the first", string(first), "and so is version 3")

	late, err := feed.ParseProposal([]byte(d.later(api.ProposeCharter{}, func(c *feed.Charter) { c.Version++ })))
	d.must(err)
	d.refuses("a version skipped", string(late.Bytes()), "version isn't the last + 1")
	d.refuses("expired already", d.later(api.ProposeCharter{}, func(c *feed.Charter) { c.Expires = d.clock.Unix() - 1 }), "the charter expired on")
	signer, err := crypto.GenerateKey("hotline.example/known/2", crypto.TypeSignature)
	d.must(err)
	d.refuses("closed where nothing was signed", d.later(api.ProposeCharter{}, func(c *feed.Charter) {
		c.Closed, c.Log = []feed.Cut{{Size: 1, Root: feed.Digest{1}}}, 2
		stamp, err := crypto.GenerateKey("hotline.example/known/2", crypto.TypeCosignature)
		d.must(err)
		c.Signer, c.Stamp = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signer.Public()}}, stamp.Public()
	}, signer), "was never signed")
	if got := d.viewNamed("hotline.example/known").reading.Load().chain.Newest().Contact; got != "third@hotline.example" {
		t.Errorf("got contact %q", got)
	}
}

// later is a proposal, changed by hand, and signed by the root and others.
func (d *desk) later(r api.ProposeCharter, change func(*feed.Charter), others ...*crypto.PrivateKey) string {
	d.Helper()
	p, err := d.ProposeCharter(context.Background(), r)
	d.must(err)
	parsed, err := feed.ParseProposal([]byte(p.File))
	d.must(err)
	c := parsed.Charter()
	change(&c)
	text, err := c.Text()
	d.must(err)
	file := d.sign(string(text))
	for _, k := range others {
		file = d.signWith(file, k)
	}
	return file
}

// TestProposeRefuses: what no signature could make valid is told at once, and leaves no keys behind.
func TestProposeRefuses(t *testing.T) {
	d := newDesk(t)
	d.list(0, 1)
	d.list(2)
	size := func(n uint64) *uint64 { return &n }
	key := func(name string, kind crypto.Type) string {
		k, err := crypto.GenerateKey(name, kind)
		d.must(err)
		return k.Public().String()
	}
	signer := key("hotline.example/known/2", crypto.TypeSignature)
	for what, tt := range map[string]struct {
		r   api.ProposeCharter
		why string
	}{
		"a feed of nobody":           {api.ProposeCharter{Feed: "x.example/known"}, "no feed"},
		"a hundred years":            {api.ProposeCharter{Days: 36500}, "1 to 3650"},
		"a day before":               {api.ProposeCharter{Days: -1}, "1 to 3650"},
		"a contact of two lines":     {api.ProposeCharter{Contact: "a\nb"}, "printable"},
		"an answer in weeks":         {api.ProposeCharter{Answer: "2w"}, "term"},
		"soft after hard":            {api.ProposeCharter{SoftAge: "9d", HardAge: "3d"}, "soft is longer"},
		"an audience of all":         {api.ProposeCharter{Audience: []string{"everybody"}}, "audience"},
		"a root of 1 of 2":           {api.ProposeCharter{Root: &api.KeyGroup{K: 1, VKeys: []string{key("hotline.example/known/root", 1), key("hotline.example/known/root", 1)}}}, "2k > n"},
		"a root of another feed":     {api.ProposeCharter{Root: &api.KeyGroup{K: 1, VKeys: []string{key("hotline.example/other/root", 1)}}}, "wrong name or type"},
		"a root that is no key":      {api.ProposeCharter{Root: &api.KeyGroup{K: 1, VKeys: []string{"x"}}}, "vkey"},
		"a witness that is a signer": {api.ProposeCharter{Quorum: &api.KeyGroup{K: 1, VKeys: []string{signer}}}, "wrong name or type"},
		"an end without closing":     {api.ProposeCharter{At: size(2)}, "close"},
		"signers without closing":    {api.ProposeCharter{Signers: &api.KeyGroup{K: 2, VKeys: []string{signer}}}, "close"},
		"an end nobody signed":       {api.ProposeCharter{Close: true, At: size(1)}, "those nearest are 0 and 2"},
		"an end that is far":         {api.ProposeCharter{Close: true, At: size(99)}, "those nearest are 3"},
		"two signers of three, one":  {api.ProposeCharter{Close: true, Signers: &api.KeyGroup{K: 2}}, "2 of 1"},
		"signers of the old log":     {api.ProposeCharter{Close: true, Signers: &api.KeyGroup{K: 2, VKeys: []string{key("hotline.example/known/1", 1)}}}, "wrong name or type"},
	} {
		_, err := d.ProposeCharter(context.Background(), tt.r)
		if err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: got %v, want %q", what, err, tt.why)
		}
	}
	if _, err := os.Stat(d.Node.dir.logKeys("hotline.example/known", 2)); err == nil {
		t.Error("refused, and yet there are keys of log 2")
	}
	// Keys of a log are made once: what lay on the machine before may be stolen too.
	d.propose(api.ProposeCharter{Close: true})
	_, err := d.ProposeCharter(context.Background(), api.ProposeCharter{Close: true})
	var e *api.Error
	if !errors.As(err, &e) || e.Status != 409 || !strings.Contains(e.Hint, d.Node.dir.logKeys("hotline.example/known", 2)) {
		t.Errorf("again: got %v", err)
	}
}

// TestAudience: a feed that gets an audience gets a roster, and one that is for nobody else loses it.
func TestAudience(t *testing.T) {
	d := newDesk(t)
	roster := func() *crypto.PublicKey {
		return d.viewNamed("hotline.example/known").reading.Load().chain.Newest().Roster
	}
	had := *roster()
	_, file := d.propose(api.ProposeCharter{Audience: []string{"none"}})
	d.publishes(file)
	if roster() != nil {
		t.Error("for nobody else, and yet there is a roster")
	}
	_, file = d.propose(api.ProposeCharter{Audience: []string{"police", "hosts"}, Days: 10})
	d.publishes(file)
	if got := roster(); got == nil || *got != had {
		t.Errorf("got %v, want the key that lies here", got)
	}
	info, err := d.Charter(context.Background(), "known")
	d.must(err)
	if info.Version != 3 || info.DaysLeft != 10 || len(info.Versions) != 3 || !strings.Contains(info.Text, "audience police,hosts\n") {
		t.Errorf("got %+v", info)
	}
}

// TestRebuild: what a view that was made anew had in the tables is taken out, however often that happens, and slots are used again.
func TestRebuild(t *testing.T) {
	d := newDesk(t)
	d.list(0, 1, 2)
	for range 2 * maxFeeds {
		d.must(d.rebuild(d.viewNamed("hotline.example/known")))
	}
	if n := d.tables("md5"); n != 3 {
		t.Errorf("got %d in the table, want 3", n)
	}
	d.want("rebuilt", map[int]string{0: "block active"})
	if n := len(*d.views.Load()); n != maxFeeds {
		t.Errorf("got %d slots, want %d", n, maxFeeds)
	}
	status, err := d.Status(context.Background())
	d.must(err)
	if len(status.Feeds) != 1 {
		t.Errorf("got %d feeds, want 1", len(status.Feeds))
	}
	if got := policy.Outcome(strings.Fields(d.verdict(0))[0]); got != policy.OutcomeBlock {
		t.Errorf("got %v", got)
	}
}

// TestExpiryAlarm: 30, 7 and 1 days before, and after; each is another alarm by its time.
func TestExpiryAlarm(t *testing.T) {
	expires := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	c := feed.Charter{Feed: "a.example/known", Expires: expires.Unix(), Contact: "desk@a.example"}
	const minute = time.Minute
	for _, tt := range []struct {
		left  time.Duration
		since string
		text  string
		days  int64
	}{
		{31 * 24 * time.Hour, "", "", 31},
		{30*24*time.Hour + time.Second, "", "", 30},
		{30 * 24 * time.Hour, "2027-01-01T12:00:00Z", "in 30 days", 30},
		{8 * 24 * time.Hour, "2027-01-01T12:00:00Z", "in 8 days", 8},
		{7 * 24 * time.Hour, "2027-01-24T12:00:00Z", "in 7 days", 7},
		{2*24*time.Hour - minute, "2027-01-24T12:00:00Z", "in 1 days", 1},
		{24*time.Hour - minute, "2027-01-30T12:00:00Z", "within a day", 0},
		{0, "2027-01-31T12:00:00Z", "within a day", 0},
		{-time.Second, "2027-01-31T12:00:00Z", "expired on 2027-01-31T12:00:00Z", -1},
		{-24 * time.Hour, "2027-01-31T12:00:00Z", "expired on", -1},
		{-25 * time.Hour, "2027-01-31T12:00:00Z", "expired on", -2},
	} {
		now := expires.Add(-tt.left).Unix()
		a, ok := expiryAlarm(c, false, now)
		if ok != (tt.since != "") || a.Since != tt.since || !strings.Contains(a.Text, tt.text) {
			t.Errorf("%v left: got %+v, %v", tt.left, a, ok)
		}
		if ok && !strings.Contains(a.Remedy, "desk@a.example") {
			t.Errorf("%v left: got remedy %q", tt.left, a.Remedy)
		}
		if own, _ := expiryAlarm(c, true, now); ok && !strings.Contains(own.Remedy, "feed charter propose known") {
			t.Errorf("%v left, an own feed: got remedy %q", tt.left, own.Remedy)
		}
		if got := daysLeft(c, now); got != tt.days {
			t.Errorf("%v left: got %d days, want %d", tt.left, got, tt.days)
		}
	}
}

// TestRootAlarm: the root key may lie on a node for its first days, and not when nobody else reads the feed.
func TestRootAlarm(t *testing.T) {
	d := newDesk(t)
	alarmed := func() bool {
		s, err := d.Status(context.Background())
		d.must(err)
		return slices.ContainsFunc(s.Alarms, func(a api.Alarm) bool { return a.Code == "root" })
	}
	if alarmed() {
		t.Error("an alarm on the first day")
	}
	d.clock = d.clock.AddDate(0, 0, 15)
	if !alarmed() {
		t.Error("no alarm after 15 days")
	}
	d.must(os.Remove(RootKeyFile(d.dir, "hotline.example/known")))
	if alarmed() {
		t.Error("an alarm, though the key is away")
	}
}
