package feed

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// testInvite is an invite with an address of each transport.
func testInvite() Invite {
	return Invite{
		Feed: testFeed, Anchor: firstCharter().Anchor(), Peer: PeerIDOf(rootKey(1).Public().Key),
		// /ip4/192.0.2.1/tcp/4480 and /ip4/192.0.2.1/udp/4480/quic-v1
		Addrs: [][]byte{{4, 192, 0, 2, 1, 6, 0x11, 0x80}, {4, 192, 0, 2, 1, 0x91, 2, 0x11, 0x80, 0xcd, 3}},
	}
}

// An inviteCase is the text of an invite. why: what the error says; "": none.
type inviteCase struct{ name, text, why string }

func inviteCases(t testing.TB) []inviteCase {
	in := testInvite()
	good, err := in.Text()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := inviteBase32.DecodeString(good[len(invitePrefix):])
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[:len(raw)-inviteCheck]
	seal := func(raw []byte) string {
		return invitePrefix + inviteBase32.EncodeToString(append(bytes.Clone(raw), inviteSum(raw)...))
	}
	text := func(change func(in *Invite)) string {
		in := testInvite()
		change(&in)
		s, err := in.Text()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// enc writes an invite as it is, right or wrong.
	enc := func(pairs int, feed string, anchor, peer []byte, addrs [][]byte, tail ...byte) string {
		b := appendCBORText(appendCBORUint(appendCBORMap(nil, pairs), 1), feed)
		b = appendCBORBytes(appendCBORUint(b, 2), anchor)
		b = appendCBORBytes(appendCBORUint(b, 3), peer)
		b = appendCBORArray(appendCBORUint(b, 4), len(addrs))
		for _, a := range addrs {
			b = appendCBORBytes(b, a)
		}
		return seal(append(b, tail...))
	}
	anchor, name := in.Anchor[:], string(in.Feed)
	if enc(4, name, anchor, in.Peer, in.Addrs) != good {
		t.Fatal("the invite isn't written as expected")
	}
	rsa := append([]byte{0x12, 0x20}, make([]byte, 32)...)
	long := bytes.Repeat([]byte{1}, MaxInvite)
	return []inviteCase{
		{"two addresses", good, ""},
		{"no address", text(func(in *Invite) { in.Addrs = nil }), ""},
		{"8 addresses", text(func(in *Invite) { in.Addrs = slicesOf(8) }), ""},
		{"an expiry", text(func(in *Invite) { in.Expiry = testNow }), ""},
		{"the last expiry", text(func(in *Invite) { in.Expiry = maxSecs }), ""},
		{"expiry 0", enc(5, name, anchor, in.Peer, in.Addrs, 5, 0), ""},

		{"empty", "", "doesn't begin"},
		{"prefix alone", invitePrefix, "truncated"},
		{"another prefix", "hashfeed2" + good[9:], "doesn't begin"},
		{"upper case", strings.ToUpper(good), "doesn't begin"},
		{"upper-case base32", invitePrefix + strings.ToUpper(good[9:]), "base32"},
		{"a space before it", " " + good, "doesn't begin"},
		{"a newline after it", good + "\n", "base32"},
		{"a newline in it", good[:40] + "\n" + good[40:], "base32"},
		{"padding", good + "=", "base32"},
		{"truncated by one", good[:len(good)-1], "invite: "},
		{"truncated by eight", good[:len(good)-8], "invite: "},
		{"stray bits", strayBits(good), "base32"},
		{"checksum without the prefix", invitePrefix + inviteBase32.EncodeToString(append(bytes.Clone(raw), 1, 2, 3, 4)), "checksum"},
		{"no CBOR", seal(nil), "CBOR"},
		{"trailing bytes", seal(append(bytes.Clone(raw), 0)), "CBOR"},
		{"a longer length", seal(append([]byte{0xb8, 4}, raw[1:]...)), "CBOR"},
		{"an array", seal(append([]byte{0x88}, raw[1:]...)), "not a map"},
		{"a key more", enc(5, name, anchor, in.Peer, in.Addrs, 6, 0), "not a map"},
		{"an extension key", enc(5, name, anchor, in.Peer, in.Addrs, 0x18, 64, 0), "not a map"},
		{"a text key", enc(5, name, anchor, in.Peer, in.Addrs, 0x61, 'a', 0), "not a map"},
		{"a negative key", enc(5, name, anchor, in.Peer, in.Addrs, 0x20, 0), "not a map"},
		{"no addresses key", seal(append([]byte{0xa3}, raw[1:bytes.LastIndex(raw, in.Peer)+PeerIDSize]...)), "not a map"},
		{"an origin for a feed", enc(4, name+"/1", anchor, in.Peer, in.Addrs), "name"},
		{"a reserved feed", enc(4, string(SelfTest), anchor, in.Peer, in.Addrs), "name"},
		{"a feed of 65 letters", enc(4, "a/"+strings.Repeat("b", 65), anchor, in.Peer, in.Addrs), "name"},
		{"a long feed", enc(4, strings.Repeat("b", 1000), anchor, in.Peer, in.Addrs), "feed"},
		{"an anchor of 31 bytes", enc(4, name, anchor[1:], in.Peer, in.Addrs), "anchor"},
		{"an RSA peer", enc(4, name, anchor, rsa, in.Addrs), "peer id"},
		{"a peer of another key type", enc(4, name, anchor, append([]byte{0, 36, 8, 2, 18, 32}, in.Peer[6:]...), in.Addrs), "peer id"},
		{"a peer of 39 bytes", enc(4, name, anchor, append(bytes.Clone(in.Peer), 0), in.Addrs), "peer id"},
		{"9 addresses", enc(4, name, anchor, in.Peer, slicesOf(9)), "addresses"},
		{"an empty address", enc(4, name, anchor, in.Peer, [][]byte{{}}), "address"},
		{"expiry 2^32", enc(5, name, anchor, in.Peer, in.Addrs, 5, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0), "expiry"},
		{"negative expiry", enc(5, name, anchor, in.Peer, in.Addrs, 5, 0x20), "expiry"},
		{"expiry true", enc(5, name, anchor, in.Peer, in.Addrs, 5, 0xf5), "expiry"},
		{"long", enc(4, name, anchor, in.Peer, [][]byte{long}), "longer than"},
	}
}

// strayBits changes bits of the last character that no byte has.
func strayBits(s string) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	for _, c := range alphabet {
		t := s[:len(s)-1] + string(c)
		a, err1 := inviteBase32.DecodeString(s[len(invitePrefix):])
		b, err2 := inviteBase32.DecodeString(t[len(invitePrefix):])
		if t != s && err1 == nil && err2 == nil && bytes.Equal(a, b) {
			return t
		}
	}
	panic("a whole number of bytes in the last character: use another invite")
}

func slicesOf(n int) (out [][]byte) {
	for i := range n {
		out = append(out, []byte{4, 192, 0, 2, byte(i), 6, 0x11, 0x80})
	}
	return out
}

func TestParseInvite(t *testing.T) {
	for _, tt := range inviteCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			in, err := ParseInvite(tt.text)
			wantError(t, err, tt.why)
			if err == nil && in.String() != tt.text {
				t.Errorf("written again as %q, want %q", in, tt.text)
			}
		})
	}
}

func TestInviteFields(t *testing.T) {
	want := testInvite()
	want.Expiry = testNow
	in, err := ParseInvite(want.String())
	if err != nil || !reflect.DeepEqual(in, want) {
		t.Errorf("got %+v, %v, want %+v", in, err, want)
	}
	for d, want := range map[int64]bool{-1: false, 0: false, 1: true} {
		if got := in.Expired(testNow + d); got != want {
			t.Errorf("%d s after: got %v, want %v", d, got, want)
		}
	}
	in.Expiry = 0
	if in.Expired(maxSecs) {
		t.Error("an invite without expiry has expired")
	}
	for _, tt := range inviteCases(t) {
		if tt.name == "expiry 0" {
			if in, err := ParseInvite(tt.text); err != nil || !in.Expired(0) {
				t.Errorf("expiry 0: got %+v, %v", in, err)
			}
		}
	}
	in.Peer = nil
	if s := in.String(); s != "invalid invite" {
		t.Errorf("without a peer: got %q", s)
	}
}

// TestInviteMangled changes, leaves out and doubles each character: the checksum finds it.
func TestInviteMangled(t *testing.T) {
	good := testInvite().String()
	mangleAll([]byte(good), func(what string, m []byte) {
		if in, err := ParseInvite(string(m)); err == nil && string(m) != good {
			t.Errorf("%s: got %+v", what, in)
		}
	})
	for i := range len(good) - 1 {
		m := good[:i] + good[i+1:i+2] + good[i:i+1] + good[i+2:]
		if in, err := ParseInvite(m); err == nil && m != good {
			t.Errorf("characters %d and %d exchanged: got %+v", i, i+1, in)
		}
	}
}

func TestInviteRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := testInvite()
		in.Feed = Name(rapid.StringMatching(`[a-z0-9]{1,64}/[a-z0-9]{1,64}`).Draw(t, "feed"))
		copy(in.Anchor[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "anchor"))
		in.Addrs = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 100), 0, 8).Draw(t, "addrs")
		in.Expiry = rapid.Int64Range(0, maxSecs).Draw(t, "expiry")
		got, err := ParseInvite(in.String())
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", in) {
			t.Fatalf("got %+v, %v, want %+v", got, err, in)
		}
	})
}

func FuzzParseInvite(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if in, err := ParseInvite(s); err == nil && in.String() != s {
			t.Fatalf("%q written again as %q", s, in)
		}
		// The checksum keeps a fuzzer out: let it write the CBOR, too.
		raw := []byte(s)
		sealed := invitePrefix + inviteBase32.EncodeToString(append(raw, inviteSum(raw)...))
		if in, err := ParseInvite(sealed); err == nil && in.String() != sealed {
			t.Fatalf("%q written again as %q", sealed, in)
		}
	})
}
