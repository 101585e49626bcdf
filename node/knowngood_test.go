package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/digest"
	"hashfeed/node/policy"
)

// wordpress are some hashes of one of WordPress' pictures, wp-includes/images/media/code.png.
var wordpress = []string{
	"md5:2d6f96130cad55ca9310eed555a9555f", "sha1:4dba1dca777031747f9826e69c60eaeffb9ef01a",
	"sha256:ea983e02004db1a13828d04665935785e991b38cc540d92b6f970b106088917f",
	"pdq:25c6a52dbd2915a554a4be1eb69698b49ad4b2d7d9795969d3c2f5d2241a249a:100",
}

// force lists an item as a publisher does that has no guard.
func force(n *Node, hashes []feed.Hash, override uint8) (feed.Ref, error) {
	d := draft{hashes: hashes, facts: feed.Facts{Verdict: feed.National, Media: feed.Image, Override: override}}
	record, err := d.record(n.unix())
	if err != nil {
		return feed.Ref{}, err
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	v, err := n.ownView("")
	if err != nil {
		return feed.Ref{}, err
	}
	o, err := n.sign(context.Background(), v, []feed.Record{record})
	if err != nil {
		return feed.Ref{}, err
	}
	return o.refs[0], nil
}

// TestKnownGood draws items of known-good and other hashes. Without an override none with a known one can be published; and where somebody else's
// tools list it, no hash of it, its own or a neighbour's, is active or blocks.
func TestKnownGood(t *testing.T) {
	d := newDesk(t)
	ctx := context.Background()
	r := mathrand.New(mathrand.NewPCG(7, 7))
	unknown := func(alg feed.Alg) feed.Hash {
		h := feed.Hash{Alg: alg}
		b := make([]byte, alg.Size())
		rand.Read(b)
		if alg.Graded() {
			h.Quality = 100
			clear(b)
			for _, bit := range r.Perm(256)[:128] {
				b[bit/8] ^= 1 << (bit % 8)
			}
		}
		h.Value = string(b)
		return h
	}
	var own, builtin []feed.Hash
	for _, text := range wordpress {
		h, err := feed.ParseHash(text)
		d.must(err)
		builtin = append(builtin, h)
	}
	for _, alg := range []feed.Alg{feed.MD5, feed.SHA1, feed.SHA256, feed.PDQ} {
		own = append(own, unknown(alg))
	}
	var texts []string
	for _, h := range own {
		texts = append(texts, h.Text())
	}
	_, err := d.AddKnownGood(ctx, []api.KnownFile{{Name: "logo.png", Hashes: texts}})
	d.must(err)

	algs := []feed.Alg{feed.MD5, feed.SHA1, feed.SHA256, feed.PDQ}
	rapid.Check(t, func(t *rapid.T) {
		var hashes []feed.Hash
		isOwn, isGood := false, false
		for i, alg := range algs {
			h := unknown(alg)
			switch rapid.IntRange(0, 5).Draw(t, alg.String()) {
			case 0:
				h, isOwn = own[i], true
			case 1:
				h, isGood = builtin[i], true
			case 2:
				continue
			}
			if alg.Graded() && rapid.Bool().Draw(t, "neighbour") {
				b := h.Bytes()
				for _, bit := range r.Perm(256)[:rapid.IntRange(0, 31).Draw(t, "bits")] {
					b[bit/8] ^= 1 << (bit % 8)
				}
				h.Value = string(b)
			}
			hashes = append(hashes, h)
		}
		if len(hashes) == 0 {
			return
		}
		item := api.Item{Verdict: "national", Media: "image"}
		for _, h := range hashes {
			item.Hashes = append(item.Hashes, h.Text())
		}
		if isOwn || isGood {
			p, err := d.Publish(ctx, api.Publish{Again: true, Items: []api.Item{item}})
			if err != nil || p[0].Ref != "" || !strings.Contains(p[0].Refused, "known good") {
				t.Fatalf("publish without an override: got %+v, %v", p, err)
			}
		}
		override := rapid.SampledFrom([]string{"", "reviewed", "legal", "test"}).Draw(t, "override")
		var ref feed.Ref
		if override != "" {
			item.OverrideKnownGood = override
			p, err := d.Publish(ctx, api.Publish{Again: true, Items: []api.Item{item}})
			if err != nil || p[0].Ref == "" {
				t.Fatalf("publish with an override: got %+v, %v", p, err)
			}
			ref, err = feed.ParseRef(p[0].Ref)
			if err != nil {
				t.Fatal(err)
			}
		} else {
			var err error
			if ref, err = force(d.Node, hashes, 0); err != nil {
				t.Fatal(err)
			}
		}
		asked := [][]feed.Hash{hashes}
		for _, h := range hashes {
			asked = append(asked, []feed.Hash{h})
		}
		for _, question := range asked {
			verdicts, err := d.Match(ctx, question, true)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, m := range verdicts[0].Matches {
				if m.Ref != ref.String() {
					continue
				}
				found = true
				held := isOwn || isGood && override == ""
				if held == (m.State == policy.Active) || held == (m.Action == policy.Block) {
					t.Fatalf("own %v, built in %v, override %q, asked by %d hashes: got %s, %s", isOwn, isGood, override, len(question), m.State, m.Action)
				}
			}
			if !found {
				t.Fatalf("asked by %d hashes: the record isn't found", len(question))
			}
		}
		// So that the next ones aren't lost among them.
		if _, err := d.Retract(ctx, ref, feed.PublisherError); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReviseGuard: no way round by a revision, or by listing a retracted item again.
func TestReviseGuard(t *testing.T) {
	d := newDesk(t)
	ctx := context.Background()
	ref, err := force(d.Node, []feed.Hash{{Alg: feed.MD5, Value: "0123456789abcdef"}}, 0)
	d.must(err)
	for _, text := range wordpress {
		_, err = d.Revise(ctx, ref, api.Revision{Hashes: []string{text}})
		wantCode(t, err, api.CodeRefused)
	}
	_, err = d.Revise(ctx, ref, api.Revision{Hashes: wordpress, OverrideKnownGood: "because"})
	wantCode(t, err, api.CodeMalformed)
	_, err = d.Revise(ctx, ref, api.Revision{Severity: 2})
	d.must(err)

	h, err := feed.ParseHash(wordpress[0])
	d.must(err)
	ref, err = force(d.Node, []feed.Hash{h}, 0)
	d.must(err)
	_, err = d.Revise(ctx, ref, api.Revision{Severity: 2})
	wantCode(t, err, api.CodeRefused)
	_, err = d.Retract(ctx, ref, feed.FalsePositive) // which nothing may stop
	d.must(err)
	_, err = d.Revise(ctx, ref, api.Revision{Reinstate: true})
	wantCode(t, err, api.CodeRefused)
	_, err = d.Revise(ctx, ref, api.Revision{Reinstate: true, OverrideKnownGood: "legal"})
	d.must(err)
	record, err := d.Record(ctx, feed.Ref{Origin: ref.Origin, Index: ref.Index + 2})
	d.must(err)
	if record.Facts == nil || record.Facts.Override != int(feed.OverrideLegal) {
		t.Errorf("got %+v, want the override in the record", record.Facts)
	}
}

// TestBatchGuard: a list that has grown since a batch was proposed stops it; its signers see what is known good.
func TestBatchGuard(t *testing.T) {
	s := newShared(t)
	ctx := context.Background()
	p, err := s.tryPublish(wordpress[0])
	if err != nil || !strings.Contains(p.Refused, "known good") {
		t.Fatalf("propose what is known good: got %+v, %v", p, err)
	}
	p = s.propose(md5A)
	if b := s.pending(); b.KnownGood != 0 {
		t.Errorf("got %d known good, want none", b.KnownGood)
	}
	_, err = s.AddKnownGood(ctx, []api.KnownFile{{Name: "logo.png", Hashes: []string{md5A}}})
	s.must(err)
	r, err := ReviewBatch(ctx, s.Node, p.Batch)
	s.must(err)
	if b := r.Batch; b.KnownGood != 1 || b.Overrides != 0 || !strings.Contains(b.Sample[0].KnownGood, "logo.png") {
		t.Errorf("got %+v, want one that is known good", b)
	}
	_, err = s.tryApprove(s.bob, p.Batch)
	wantCode(t, err, api.CodeRefused)
	_, err = s.Approve(ctx, p.Batch, "")
	wantCode(t, err, api.CodeRefused)
	s.wantVerdict(md5A, policy.OutcomeAllow, "")
	s.must(s.Withdraw(ctx, p.Batch, ""))

	list, err := s.Publish(ctx, api.Publish{Feed: "shared", Items: []api.Item{{Hashes: []string{wordpress[0]}, Verdict: "national", Media: "image", OverrideKnownGood: "legal"}}})
	s.must(err)
	if b := s.pending(); b.KnownGood != 1 || b.Overrides != 1 {
		t.Errorf("got %d known good and %d overrides, want one of each", b.KnownGood, b.Overrides)
	}
	s.approve(s.carol, list[0].Batch)
	s.wantVerdict(wordpress[0], policy.OutcomeBlock, "active")
}

// TestKnownGoodReload: a filter that can't be used leaves the one before in force, with all of the config.
func TestKnownGoodReload(t *testing.T) {
	d := newDesk(t)
	ctx := context.Background()
	good, err := os.ReadFile("knowngood/testdata/hashlookup.bloom")
	d.must(err)
	path := filepath.Join(d.dir, "f.bloom")
	replace := func(data []byte) {
		d.Helper()
		d.must(os.WriteFile(path+".new", data, 0o600))
		d.must(os.Rename(path+".new", path))
	}
	text, err := os.ReadFile(d.Node.dir.config())
	d.must(err)
	sum := fileHashes(t, []byte("hashfeed bloom 0\n"))[0] // an md5
	_, err = force(d.Node, []feed.Hash{sum}, 0)
	d.must(err)
	want := func(when string, action policy.Action, state policy.State) {
		t.Helper()
		v, err := d.Match(ctx, []feed.Hash{sum}, false)
		d.must(err)
		if m := v[0].Matches[0]; m.Action != action || m.State != state {
			t.Errorf("%s: got %s, %s, want %s, %s", when, m.Action, m.State, action, state)
		}
	}
	want("without a filter", policy.Block, policy.Active)
	replace(good)
	d.must(os.WriteFile(d.Node.dir.config(), append(text, "\n[knowngood]\nbloom = [\"f.bloom\"]\nmax_distance = 7\n"...), 0o600))
	d.must(d.Reload())
	want("with one", policy.Review, policy.Held)
	for _, bad := range [][]byte{nil, good[:47], good[:len(good)-1], append([]byte{2}, good[1:]...)} {
		replace(bad)
		err := d.Reload()
		if err == nil || !strings.Contains(err.Error(), "f.bloom: byte ") {
			t.Errorf("a filter of %d bytes: got %v, want the byte that is wrong", len(bad), err)
		}
		want("with a bad one after it", policy.Review, policy.Held)
		if d.known().Within != 7 || len(d.config.Load().KnownGood.Bloom) != 1 {
			t.Error("the config isn't the one before")
		}
	}
	d.must(os.WriteFile(d.Node.dir.config(), text, 0o600))
	d.must(d.Reload())
	want("without it again", policy.Block, policy.Active)
	if d.known().Within != 31 {
		t.Errorf("got neighbours within %d bits, want the default", d.known().Within)
	}
}

// TestOwnKnownGood: what is added stays, once, over a restart; what isn't a file's hash is refused.
func TestOwnKnownGood(t *testing.T) {
	d := newDesk(t)
	ctx := context.Background()
	file := func(i int) api.KnownFile {
		f := api.KnownFile{Name: fmt.Sprintf("file %d", i)}
		for _, h := range fileHashes(t, []byte(f.Name)) {
			f.Hashes = append(f.Hashes, h.Text())
		}
		return f
	}
	c, err := d.AddKnownGood(ctx, []api.KnownFile{file(1), file(2), file(1)})
	if err != nil || c != (api.KnownChange{Added: 2, Known: 1, Files: 2}) {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []api.KnownFile{
		{Name: "none"}, {Name: "a\nb", Hashes: file(3).Hashes}, {Name: strings.Repeat("x", 256), Hashes: file(3).Hashes},
		{Hashes: []string{"md5:00"}}, {Hashes: []string{"photodna:" + strings.Repeat("00", 144)}}, {Hashes: make([]string, 9)},
	} {
		_, err := d.AddKnownGood(ctx, []api.KnownFile{file(3), bad})
		wantCode(t, err, api.CodeMalformed)
	}
	d.reopen()
	k, err := d.KnownGood(ctx)
	d.must(err)
	if len(k.Files) != 2 || k.Files[1].Name != "file 2" || k.Files[1].Added == "" || len(k.Sources) != 2 || k.Sources[1].Files < 30_000 {
		t.Errorf("got %+v", k)
	}
	for _, text := range file(2).Hashes {
		h, err := feed.ParseHash(text)
		d.must(err)
		if !d.known().HasOwn(h) {
			t.Errorf("%s isn't known after a restart", h.Alg)
		}
	}
	c, err = d.RemoveKnownGood(ctx, file(2).Hashes[0])
	if err != nil || c != (api.KnownChange{Removed: 1, Files: 1}) {
		t.Errorf("got %+v, %v", c, err)
	}
	_, err = d.RemoveKnownGood(ctx, file(2).Hashes[0])
	wantCode(t, err, api.CodeNotFound)
	_, err = d.RemoveKnownGood(ctx, "x")
	wantCode(t, err, api.CodeMalformed)

	// Each changed byte is noticed before it is used.
	path := d.Node.dir.known()
	data, err := os.ReadFile(path)
	d.must(err)
	for i := range data {
		bad := append([]byte{}, data...)
		bad[i] ^= 4
		d.must(os.WriteFile(path, bad, 0o600))
		if list, err := readJSONLines(path, maxKnownFile, knownGood.check); err == nil {
			t.Errorf("byte %d changed: got %+v", i, list)
		}
	}
	d.must(os.WriteFile(path, data, 0o600))
}

// TestNothingAssumed: nobody's verdict, media type or assessors are taken for granted, and what says nothing is refused.
func TestNothingAssumed(t *testing.T) {
	d := newDesk(t)
	good := api.Item{Hashes: []string{md5A}, Verdict: "national", Media: "image"}
	with := func(change func(*api.Item)) api.Item {
		item := good
		change(&item)
		return item
	}
	for _, c := range []struct {
		name   string
		item   api.Item
		status int // of the request, or 0: of the item
	}{
		{"no verdict", with(func(i *api.Item) { i.Verdict = "" }), http.StatusUnprocessableEntity},
		{"no media type", with(func(i *api.Item) { i.Media = "" }), http.StatusUnprocessableEntity},
		{"no hashes", with(func(i *api.Item) { i.Hashes = nil }), http.StatusUnprocessableEntity},
		{"verdict other", with(func(i *api.Item) { i.Verdict = "other" }), http.StatusBadRequest},
		{"media type other", with(func(i *api.Item) { i.Media = "other" }), http.StatusBadRequest},
		{"a reason that is none", with(func(i *api.Item) { i.OverrideKnownGood = "other" }), http.StatusBadRequest},
		{"low quality", with(func(i *api.Item) { i.Hashes = []string{strings.TrimSuffix(wordpress[3], "100") + "49"} }), http.StatusUnprocessableEntity},
		{"baseline of nobody", with(func(i *api.Item) { i.Verdict = "baseline" }), 0},
		{"baseline of one", with(func(i *api.Item) { i.Verdict, i.VerifiedBy = "baseline", 1 }), 0},
		{"doubtful in a feed that blocks", with(func(i *api.Item) { i.Verdict = "doubtful" }), 0},
		{"the empty file", with(func(i *api.Item) { i.Hashes = []string{"md5:d41d8cd98f00b204e9800998ecf8427e"} }), 0},
		{"zeros", with(func(i *api.Item) { i.Hashes = []string{"md5:" + strings.Repeat("0", 32)} }), 0},
	} {
		p, err := d.Publish(context.Background(), api.Publish{Items: []api.Item{c.item}})
		var e *api.Error
		if c.status == 0 {
			if err != nil || p[0].Ref != "" || p[0].Refused == "" {
				t.Errorf("%s: got %+v, %v, want it refused", c.name, p, err)
			}
		} else if !errors.As(err, &e) || e.Status != c.status {
			t.Errorf("%s: got %+v, %v, want status %d", c.name, p, err, c.status)
		}
	}
	_, err := d.Publish(context.Background(), api.Publish{Harm: "ncii", Items: []api.Item{good}})
	wantCode(t, err, api.CodeRefused)
	if size := d.store.Size("hotline.example/known/1"); size != 0 {
		t.Errorf("the log has %d records", size)
	}
}

// BenchmarkGuard is the guard's part of publishing one picture.
func BenchmarkGuard(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "node")
	if _, err := Init(dir, InitOptions{Name: testNode, Role: RoleHotline, Harm: "csam"}); err != nil {
		b.Fatal(err)
	}
	n, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	hashes := fileHashes(b, []byte("unknown"))
	n.guardKnownGood(hashes, 0)
	b.ReportAllocs()
	for b.Loop() {
		if err := n.guardKnownGood(hashes, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// fileHashes are the exact hashes of a file.
func fileHashes(t testing.TB, data []byte) []feed.Hash {
	t.Helper()
	sum, err := digest.Read(t.Context(), strings.NewReader(string(data)), digest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return QueryHashes(sum)
}
