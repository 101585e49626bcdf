package feed

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// The tests' own encoder, which shares nothing with the package's: it writes any value, also what no head or body may hold.

// pair is an entry of a map, written in the order given.
type pair struct{ key, value any }

// verbatim is an encoding as it stands.
type verbatim []byte

func encodeAny(v any) []byte {
	head := func(major byte, n uint64) []byte {
		for i, most := range []uint64{math.MaxUint8, math.MaxUint16, math.MaxUint32, math.MaxUint64} {
			if n < 24 {
				return []byte{major<<5 | byte(n)}
			}
			if n <= most {
				b := []byte{major<<5 | byte(24+i)}
				for shift := 8<<i - 8; shift >= 0; shift -= 8 {
					b = append(b, byte(n>>shift))
				}
				return b
			}
		}
		panic("unreachable")
	}
	switch v := v.(type) {
	case verbatim:
		return v
	case bool:
		if v {
			return []byte{0xf5}
		}
		return []byte{0xf4}
	case int:
		if v < 0 {
			return head(1, uint64(-1-v))
		}
		return head(0, uint64(v))
	case uint64:
		return head(0, v)
	case []byte:
		return append(head(2, uint64(len(v))), v...)
	case string:
		return append(head(3, uint64(len(v))), v...)
	case []any:
		b := head(4, uint64(len(v)))
		for _, x := range v {
			b = append(b, encodeAny(x)...)
		}
		return b
	case []pair:
		b := head(5, uint64(len(v)))
		for _, p := range v {
			b = append(append(b, encodeAny(p.key)...), encodeAny(p.value)...)
		}
		return b
	}
	panic(fmt.Sprintf("encode %T", v))
}

// sorted returns the pairs in the order of their encoded keys.
func sorted(m []pair) []pair {
	m = slices.Clone(m)
	slices.SortStableFunc(m, func(a, b pair) int { return bytes.Compare(encodeAny(a.key), encodeAny(b.key)) })
	return m
}

// with returns the map with one key set to value, in its place; without returns it without.
func with(m []pair, key, value any) []pair {
	return sorted(append(without(m, key), pair{key, value}))
}

func without(m []pair, key any) []pair {
	return slices.DeleteFunc(slices.Clone(m), func(p pair) bool { return p.key == key })
}

// strictCBOR is fxamacker/cbor as strict as its options go; what they leave open, walkStrict and re-encoding decide.
var strictDec, strictEnc = func() (cbor.DecMode, cbor.EncMode) {
	d, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid,
		MaxNestedLevels: MaxCBORDepth, IntDec: cbor.IntDecConvertNone, BignumTag: cbor.BignumTagForbidden, NaN: cbor.NaNDecodeForbidden,
		Inf: cbor.InfDecodeForbidden,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	e, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return d, e
}()

func strictCBOR(b []byte) bool {
	var v any
	if strictDec.Unmarshal(b, &v) != nil || !walkStrict(v) {
		return false
	}
	again, err := strictEnc.Marshal(v)
	return err == nil && bytes.Equal(again, b)
}

func walkStrict(v any) bool {
	switch v := v.(type) {
	case bool, uint64, int64, big.Int, []byte, string:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool { return !walkStrict(x) })
	case map[any]any:
		for k, x := range v {
			switch k.(type) {
			case uint64, int64, big.Int, string:
			default:
				return false
			}
			if !walkStrict(x) {
				return false
			}
		}
		return true
	}
	return false // float, null, undefined, simple value, big integer
}

func TestCBORAgainstLibrary(t *testing.T) {
	check := func(b []byte) {
		t.Helper()
		if got, want := checkCBOR(b) == nil, strictCBOR(b); got != want {
			t.Errorf("checkCBOR(%x) accepts: got %v, want %v", b, got, want)
		}
	}
	check(nil)
	for a := range 256 {
		check([]byte{byte(a)})
		for b := range 256 {
			check([]byte{byte(a), byte(b)})
			for _, c := range []byte{0, 0x18, 0x61, 0x80, 0xf5} {
				check([]byte{byte(a), byte(b), c})
				check([]byte{0xa2, byte(a), byte(b), c, 0})
				check([]byte{byte(a), byte(b), c, 0, 0, 0, 1, 0, 0})
				check([]byte{0x62, byte(a), byte(b)})
			}
		}
	}
	for depth := 1; depth <= MaxCBORDepth+2; depth++ {
		for _, leaf := range []any{[]any{}, []pair{}, 1, "a"} {
			v, levels := leaf, depth
			switch leaf.(type) {
			case []any, []pair:
				levels--
			}
			for i := range levels {
				if i%2 == 0 {
					v = []any{v}
				} else {
					v = []pair{{"k", v}}
				}
			}
			b := encodeAny(v)
			if got, want := checkCBOR(b) == nil, depth <= MaxCBORDepth; got != want {
				t.Errorf("depth %d, innermost %T: accepted: got %v, want %v", depth, leaf, got, want)
			}
		}
	}
}

// notCBOR are values that the subset of CBOR does not know, or that are no values.
func notCBOR() map[string][]byte {
	return map[string][]byte{
		"nothing":                 {},
		"two values":              {0, 0},
		"23 in two bytes":         {0x18, 23},
		"255 in three bytes":      {0x19, 0, 255},
		"65535 in five bytes":     {0x1a, 0, 0, 255, 255},
		"2^32-1 in nine bytes":    {0x1b, 0, 0, 0, 0, 255, 255, 255, 255},
		"length in two bytes":     {0x58, 1, 0},
		"indefinite bytes":        {0x5f, 0x41, 0, 0xff},
		"indefinite array":        {0x9f, 0xff},
		"indefinite map":          {0xbf, 0xff},
		"break":                   {0xff},
		"tag":                     {0xc0, 0x60},
		"half float":              {0xf9, 0, 0},
		"float":                   {0xfa, 0, 0, 0, 0},
		"double":                  {0xfb, 0, 0, 0, 0, 0, 0, 0, 0},
		"null":                    {0xf6},
		"undefined":               {0xf7},
		"simple 0":                {0xe0},
		"simple 32":               {0xf8, 32},
		"true in two bytes":       {0xf8, 21},
		"truncated bytes":         {0x42, 0},
		"truncated array":         {0x82, 0},
		"array of 2^63":           {0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"bytes of 2^63":           {0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"map of 2^63":             {0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"keys unsorted":           {0xa2, 2, 0, 1, 0},
		"keys twice":              {0xa2, 1, 0, 1, 0},
		"text before integer":     {0xa2, 0x61, 'a', 0, 1, 0},
		"bytes as key":            {0xa1, 0x41, 0, 0},
		"array as key":            {0xa1, 0x80, 0},
		"true as key":             {0xa1, 0xf5, 0},
		"surrogate":               {0x63, 0xed, 0xa0, 0x80},
		"overlong slash":          {0x62, 0xc0, 0xaf},
		"above U+10FFFF":          {0x64, 0xf4, 0x90, 0x80, 0x80},
		"map with one value less": {0xa1, 1},
	}
}

func TestCBORRejects(t *testing.T) {
	for name, b := range notCBOR() {
		if checkCBOR(b) == nil {
			t.Errorf("%s: %x is accepted", name, b)
		}
	}
}

func TestCBORFields(t *testing.T) {
	ten := []pair{{1, 1}, {15, "x"}, {16, 0}}
	f, ok := (&cborReader{encodeAny(ten)}).fields()
	if !ok || !f.has(1) || !f.has(15) || f.has(2) || !f.unknown || f.ext {
		t.Errorf("fields of %v: got %v, %+v", ten, ok, f)
	}
	for _, k := range []any{16, 63, 128, 1 << 20, -1, "a", strings.Repeat("k", 300)} {
		f, ok := (&cborReader{encodeAny([]pair{{k, 1}})}).fields()
		if !ok || !f.unknown || f.ext || f.present != 0 {
			t.Errorf("key %v: got ok %v, unknown %v, ext %v", k, ok, f.unknown, f.ext)
		}
	}
	for _, k := range []int{64, 100, 127} {
		f, ok := (&cborReader{encodeAny([]pair{{k, 1}})}).fields()
		if !ok || f.unknown || !f.ext {
			t.Errorf("key %d: got ok %v, unknown %v, ext %v", k, ok, f.unknown, f.ext)
		}
	}
	if _, ok := (&cborReader{[]byte{0x80}}).fields(); ok {
		t.Error("an array is read as a map")
	}
}

func FuzzCBOR(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > MaxBody {
			return
		}
		if got, want := checkCBOR(b) == nil, strictCBOR(b); got != want {
			t.Errorf("checkCBOR(%x) accepts: got %v, want %v", b, got, want)
		}
	})
}
