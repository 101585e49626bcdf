package crypto

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// cosignedMessage is what a key of TypeCosignature signs (C2SP tlog-cosignature, Ed25519 form). It doesn't name the
// cosigner: with one key under two names either could pass off the other's cosignature, so a key has one name.
func cosignedMessage(text []byte, unix uint64) []byte {
	const head = "cosignature/v1\ntime "
	m := make([]byte, 0, len(head)+21+len(text))
	m = append(m, head...)
	m = strconv.AppendUint(m, unix, 10)
	m = append(m, '\n')
	return append(m, text...)
}

// MergeCosignatures keeps one line a key, the newest, in the order of name and key id. A key is told by name and id. A line
// without a time counts as the oldest; of two with one time the one whose signature is greater as bytes stays, so
// that all nodes keep the same whatever order lines arrive in.
//
// Lines must have been verified over one text: a forged line with a later time would displace a true one.
func MergeCosignatures(lines ...[]Line) []Line {
	type nameID struct {
		name string
		id   uint32
	}
	newest := make(map[nameID]Line)
	for _, some := range lines {
		for _, l := range some {
			at := nameID{l.Name, l.ID}
			if old, ok := newest[at]; !ok || compareAge(l, old) > 0 {
				newest[at] = l
			}
		}
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

func compareAge(a, b Line) int {
	at, aok := a.Time()
	bt, bok := b.Time()
	if aok != bok {
		if aok {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(at, bt), bytes.Compare(a.Signature, b.Signature))
}
