package feed

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// TestPeerIDLibp2p compares with libp2p, which feed itself doesn't import.
func TestPeerIDLibp2p(t *testing.T) {
	check := func(t interface {
		Helper()
		Errorf(string, ...any)
	}, key [32]byte) {
		t.Helper()
		id := PeerIDOf(key)
		text, err := FormatPeerID(id)
		theirs, err2 := peer.IDFromBytes(id)
		if err != nil || err2 != nil || text != theirs.String() {
			t.Errorf("%x: got %q, %v, want %q, %v", key, text, err, theirs, err2)
		}
		if back, err := ParsePeerID(text); err != nil || !bytes.Equal(back, id) {
			t.Errorf("%s: got %x, %v, want %x", text, back, err, id)
		}
	}
	check(t, [32]byte{})
	check(t, [32]byte(bytes.Repeat([]byte{0xff}, 32)))
	rapid.Check(t, func(t *rapid.T) {
		check(t, [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")))
	})
}

func TestPeerIDBad(t *testing.T) {
	good, err := FormatPeerID(PeerIDOf(rootKey(1).Public().Key))
	if err != nil || !strings.HasPrefix(good, "12D3KooW") {
		t.Fatalf("got %q, %v", good, err)
	}
	for _, s := range []string{
		"", "1", good[1:], good[:len(good)-1], good + "1", "1" + good, " " + good[1:], strings.Repeat("1", 52), strings.Repeat("z", 52), "1" + strings.Repeat("z", 51),
		strings.Replace(good, "K", "0", 1), strings.Replace(good, "K", "O", 1), strings.Replace(good, "K", "I", 1), strings.Replace(good, "K", "l", 1),
		"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",                    // RSA
		"16Uiu2HAmFNaqa8jMo7hMGSuhZaSwnxN4vQvF4t2Ef4e3nP8Fr6vn",             // secp256k1, nearly as long
		"bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3l", // CID
	} {
		if id, err := ParsePeerID(s); err == nil {
			t.Errorf("%q: got %x", s, id)
		}
	}
	id := PeerIDOf(rootKey(1).Public().Key)
	for _, bad := range [][]byte{nil, id[1:], append(bytes.Clone(id), 0), bytes.Repeat([]byte{1}, PeerIDSize)} {
		if s, err := FormatPeerID(bad); err == nil {
			t.Errorf("%s: got %q", hex.EncodeToString(bad), s)
		}
	}
}

func FuzzParsePeerID(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParsePeerID(s)
		theirs, err2 := peer.Decode(s)
		if err == nil && (err2 != nil || string(theirs) != string(id)) {
			t.Fatalf("%q: got %x, want %x, %v", s, id, string(theirs), err2)
		}
		if err != nil {
			return
		}
		if again, err := FormatPeerID(id); err != nil || again != s {
			t.Fatalf("%q: written again as %q, %v", s, again, err)
		}
	})
}
