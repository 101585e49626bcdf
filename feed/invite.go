package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Invite says where a feed is and which charter to pin: one line to paste, "hashfeed1…". It is public knowledge and not a ticket, since
// reading rights come from the roster. After the prefix stands, in lower-case base32 without padding, deterministic CBOR and the first
// 4 bytes of SHA-256(prefix || CBOR), against slips of the hand.
type Invite struct {
	Feed   Name
	Anchor Anchor
	Peer   []byte   // the publisher's peer id: PeerIDSize bytes
	Addrs  [][]byte // where it listens: at most MaxAddrs multiaddrs in binary, not looked into here
	Expiry int64    // Unix seconds, 1 to 2^32-1; 0: none

	expired bool // the expiry is there and is 0: 1970
}

var errInvite = errors.New("invite")

const (
	invitePrefix = "hashfeed1"
	inviteCheck  = 4 // bytes of checksum
)

var inviteBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ParseInvite reads an invite. What it accepts, String writes again.
func ParseInvite(s string) (Invite, error) {
	bad := func(why string) (Invite, error) { return Invite{}, fmt.Errorf("%w: %s", errInvite, why) }
	if len(s) > MaxInvite {
		return bad(fmt.Sprintf("longer than %d characters", MaxInvite))
	}
	text, ok := strings.CutPrefix(s, invitePrefix)
	if !ok {
		return bad("doesn't begin with " + invitePrefix)
	}
	// The decoder skips newlines and ignores stray bits: encoding again doesn't.
	data, err := inviteBase32.DecodeString(text)
	if err != nil || inviteBase32.EncodeToString(data) != text {
		return bad("not canonical base32")
	}
	if len(data) < inviteCheck {
		return bad("truncated")
	}
	data, sum := data[:len(data)-inviteCheck], data[len(data)-inviteCheck:]
	if !bytes.Equal(inviteSum(data), sum) {
		return bad("checksum is wrong: a slip in copying it")
	}
	if err := checkCBOR(data); err != nil {
		return Invite{}, fmt.Errorf("%w: %w", errInvite, err)
	}
	f, ok := (&cborReader{data}).fields()
	if !ok || !f.only(keyBits(1, 2, 3, 4), keyBits(5), false) {
		return bad("not a map with the keys of an invite")
	}
	var in Invite
	name, ok := f.key(1).text(0, 2*MaxName+1)
	if !ok {
		return bad("feed")
	}
	if in.Feed, err = ParseName(string(name)); err != nil {
		return Invite{}, fmt.Errorf("%w: %w", errInvite, err)
	}
	anchor, ok := f.key(2).bytes(len(in.Anchor), len(in.Anchor))
	if !ok {
		return bad("anchor")
	}
	in.Anchor = Anchor(anchor)
	if in.Peer, ok = f.key(3).bytes(PeerIDSize, PeerIDSize); !ok || !bytes.HasPrefix(in.Peer, peerIDPrefix) {
		return bad("peer id is not that of an Ed25519 key")
	}
	in.Peer = slices.Clone(in.Peer)
	r := f.key(4)
	n, ok := r.array(0, MaxAddrs)
	if !ok {
		return bad("addresses")
	}
	for range n {
		addr, ok := r.bytes(1, len(data))
		if !ok {
			return bad("address")
		}
		in.Addrs = append(in.Addrs, slices.Clone(addr))
	}
	if f.has(5) {
		t, ok := f.key(5).uint(0, maxSecs)
		if !ok {
			return bad("expiry")
		}
		in.Expiry, in.expired = int64(t), t == 0
	}
	return in, nil
}

func inviteSum(data []byte) []byte {
	sum := sha256.Sum256(append([]byte(invitePrefix), data...))
	return sum[:inviteCheck]
}

// Expired reports whether the invite has expired at now, in Unix seconds.
func (in Invite) Expired(now int64) bool { return in.expired || in.Expiry != 0 && now > in.Expiry }

// Text returns the invite, or an error where ParseInvite would refuse it.
func (in Invite) Text() (string, error) {
	pairs := 4
	if in.Expiry != 0 || in.expired {
		pairs++
	}
	b := appendCBORMap(nil, pairs)
	b = appendCBORText(appendCBORUint(b, 1), string(in.Feed))
	b = appendCBORBytes(appendCBORUint(b, 2), in.Anchor[:])
	b = appendCBORBytes(appendCBORUint(b, 3), in.Peer)
	b = appendCBORArray(appendCBORUint(b, 4), len(in.Addrs))
	for _, a := range in.Addrs {
		b = appendCBORBytes(b, a)
	}
	if pairs == 5 {
		b = appendCBORUint(appendCBORUint(b, 5), uint64(in.Expiry))
	}
	s := invitePrefix + inviteBase32.EncodeToString(append(b, inviteSum(b)...))
	if _, err := ParseInvite(s); err != nil {
		return "", err
	}
	return s, nil
}

// String returns the invite, and of one that has none, "invalid invite".
func (in Invite) String() string {
	s, err := in.Text()
	if err != nil {
		return "invalid invite"
	}
	return s
}
