package feed

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hashfeed/crypto"
)

// memberID returns the n'th of some peer ids, ascending in no order of n.
func memberID(t testing.TB, n int) string {
	t.Helper()
	id, err := FormatPeerID(PeerIDOf(testKey("member", crypto.TypeSignature, n).Public().Key))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func rosterCases(t testing.TB) []noteCase {
	c := testChain(t, 2)
	without := nextCharter(c.Newest())
	without.Roster = nil
	bare, err := c.Extend(signed(t, without, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	rotated := nextCharter(c.Newest())
	k := testKey(string(testFeed)+"/roster", crypto.TypeSignature, 2)
	*rotated.Roster = k.Public()
	other, err := c.Extend(signed(t, rotated, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	by := func(text string, keys ...*crypto.PrivateKey) []byte {
		if len(keys) == 0 {
			keys = []*crypto.PrivateKey{rosterKey()}
		}
		return signedText(t, text, keys...)
	}
	const date = "2026-12-23T00:00:00Z"
	head := "hashfeed-roster/v1\nfeed " + string(testFeed) + "\nversion 17\nexpires " + date + "\n"
	ids := make([]string, MaxMembers+1)
	for i := range ids {
		ids[i] = memberID(t, i)
	}
	a, b := min(ids[0], ids[1]), max(ids[0], ids[1])
	slices.Sort(ids)
	members := func(ids ...string) string {
		var s strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&s, "member %s %s\n", id, date)
		}
		return s.String()
	}
	text := head + members(a, b)
	stranger := crypto.Line{Name: "x", ID: 1, Signature: []byte{1}}
	n, err := crypto.ParseNote(by(text))
	if err != nil {
		t.Fatal(err)
	}
	own := n.Lines
	n.Lines = append(slices.Clone(own), stranger)
	more := n.Bytes()
	n.Lines = append(slices.Clone(own), own[0])
	twice := n.Bytes()
	n.Lines = []crypto.Line{lineOf(t, rosterKey(), text+"\n", testNow)}
	return []noteCase{
		{"two members", c, by(text), ""},
		{"nobody", c, by(head), ""},
		{"4,096 members", c, by(head + members(ids[:MaxMembers]...)), ""},
		{"version 1", c, by(strings.Replace(text, "version 17", "version 1", 1)), ""},
		{"version 999999999", c, by(strings.Replace(text, "version 17", "version 999999999", 1)), ""},
		{"a stranger's line", c, more, ""},
		{"the new roster key", other, by(text, k), ""},

		{"4,097 members", c, by(head + members(ids...)), "more than 4096"},
		{"descending", c, by(head + members(b, a)), "not ascending"},
		{"a member twice", c, by(head + members(a, a)), "not ascending"},
		{"the former roster key", other, by(text), "not signed by"},
		{"a charter without roster", bare, by(text), "no roster key"},
		{"signed by roots", c, by(text, rootKey(1), rootKey(2)), "not signed by"},
		{"signed by a signer", c, by(text, signerKey(1, 1)), "not signed by"},
		{"a line that fails", c, n.Bytes(), "doesn't verify"},
		{"signed twice", c, twice, "two lines of one known key"},
		{"another feed", c, by(strings.Replace(text, "known", "other", 1)), "another feed"},
		{"version 0", c, by(strings.Replace(text, "version 17", "version 0", 1)), "version"},
		{"version 017", c, by(strings.Replace(text, "version 17", "version 017", 1)), "version"},
		{"version 10^9", c, by(strings.Replace(text, "version 17", "version 1000000000", 1)), "version"},
		{"no version", c, by(strings.Replace(text, "version 17\n", "", 1)), "version"},
		{"expires on no date", c, by(strings.Replace(text, date, "2026-13-23T00:00:00Z", 1)), "date"},
		{"a member without date", c, by(head + "member " + a + "\n"), "date"},
		{"a member with two spaces", c, by(head + "member  " + a + " " + date + "\n"), "peer id"},
		{"a member with a name", c, by(head + "member " + a + " " + date + " host\n"), "date"},
		{"an RSA peer id", c, by(head + members("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")), "peer id"},
		{"a peer id of another case", c, by(head + members(strings.ToLower(a))), "peer id"},
		{"another line", c, by(text + "hidden " + a + "\n"), "lines after the last"},
		{"another format", c, by(strings.Replace(text, "/v1", "/v2", 1)), "not the line"},
		{"not a note", c, []byte(text), "malformed note"},
	}
}

func TestOpenRoster(t *testing.T) {
	for _, tt := range rosterCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			r, err := tt.chain.OpenRoster(tt.data)
			wantError(t, err, tt.why)
			if err != nil || tt.why != "" {
				return
			}
			again, err := tt.chain.OpenRoster(r.Bytes())
			if err != nil || !bytes.Equal(again.Bytes(), r.Bytes()) || !slices.Equal(again.Members, r.Members) {
				t.Errorf("opened again: got %+v, %v, want %+v", again, err, r)
			}
		})
	}
}

func TestRosterReads(t *testing.T) {
	c := testChain(t, 2)
	members := []Member{{memberID(t, 1), testNow + 50}, {memberID(t, 2), testNow + 500}, {memberID(t, 3), testNow - 1}}
	r, err := SignRoster(c, 3, testNow+100, members, rosterKey(), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if r.Feed != testFeed || r.Version != 3 || r.Expires != testNow+100 || len(r.Members) != 3 {
		t.Errorf("got %+v", r)
	}
	for _, tt := range []struct {
		member int
		now    int64
		want   bool
	}{
		{1, testNow, true}, {1, testNow + 50, true}, {1, testNow + 51, false},
		{2, testNow + 100, true}, {2, testNow + 101, false}, {3, testNow, false}, {4, testNow, false},
	} {
		if got := r.Reads(memberID(t, tt.member), tt.now); got != tt.want {
			t.Errorf("member %d, %d s on: got %v, want %v", tt.member, tt.now-testNow, got, tt.want)
		}
	}
	if (Roster{}).Reads(memberID(t, 1), testNow) {
		t.Error("nobody's roster lets somebody read")
	}
	_, err = SignRoster(c, 3, testNow+MaxRosterAge, nil, rosterKey(), testNow)
	wantError(t, err, "")
	_, err = SignRoster(c, 3, testNow+MaxRosterAge+1, nil, rosterKey(), testNow)
	wantError(t, err, "30 days")
	_, err = SignRoster(c, 0, testNow, nil, rosterKey(), testNow)
	wantError(t, err, "version")
	_, err = SignRoster(c, 3, testNow, append(members, members[0]), rosterKey(), testNow)
	wantError(t, err, "not ascending")
	_, err = SignRoster(c, 3, testNow, []Member{{"host", testNow}}, rosterKey(), testNow)
	wantError(t, err, "peer id")
	_, err = SignRoster(c, 3, testNow, members, rootKey(1), testNow)
	wantError(t, err, "not signed by")
	_, err = SignRoster(c, 3, testNow, members, stampKey(1), testNow)
	wantError(t, err, "wrong key for the job")
}

func TestRosterMangled(t *testing.T) {
	c := testChain(t, 2)
	r, err := SignRoster(c, 3, testNow+100, []Member{{memberID(t, 1), testNow}}, rosterKey(), testNow)
	if err != nil {
		t.Fatal(err)
	}
	mangleAll(r.Bytes(), func(what string, m []byte) {
		if _, err := c.OpenRoster(m); err == nil {
			t.Errorf("%s: got no error", what)
		}
	})
}

func FuzzOpenRoster(f *testing.F) {
	c := testChain(f, 2)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseRoster(data); err == nil && !bytes.Equal(rosterText(r.Feed, r.Version, r.Expires, r.Members), data) {
			t.Fatalf("%q written again as %q", data, rosterText(r.Feed, r.Version, r.Expires, r.Members))
		}
		r, err := c.OpenRoster(data)
		if err != nil {
			return
		}
		if again, err := c.OpenRoster(r.Bytes()); err != nil || !bytes.Equal(again.Bytes(), r.Bytes()) {
			t.Fatalf("opened again: got %+v, %v, want %+v", again, err, r)
		}
	})
}
