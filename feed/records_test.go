package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// bound is a field of the CDDL: values at and beyond each of its bounds.
type bound struct {
	key      int
	optional bool
	good     []any
	bad      []any
}

var (
	notUint   = []any{-1, "1", []byte{1}, true, []any{1}, []pair{{1, 1}}, uint64(1 << 63)}
	notOp     = notUint[:6] // for 2^63 is one, if of a later version
	itemGood  = []any{make([]byte, 16), made(1, 16)}
	itemBad   = []any{[]byte{}, make([]byte, 15), make([]byte, 17), strings.Repeat("a", 16), 0}
	digestBad = []any{[]byte{}, make([]byte, 31), make([]byte, 33), strings.Repeat("a", 32), 0}
	timeBound = bound{3, false, []any{0, 1, 1<<32 - 1}, append([]any{1 << 32}, notUint...)}
	formBound = bound{1, false, []any{1}, append([]any{0, 2}, notUint...)}
	targets   = struct{ good, bad []any }{
		[]any{[]any{1, 0}, []any{9999, 1<<40 - 1}},
		[]any{[]any{0, 0}, []any{10000, 0}, []any{1, 1 << 40}, []any{1}, []any{1, 0, 0}, []any{}, []any{"1", 0}, []any{1, -1}, 1, []pair{{1, 0}}},
	}
	refBound = bound{11, false,
		[]any{[]any{"a/b/1", 0, made(1, 32)}, []any{strings.Repeat("é", 70), 1<<40 - 1, made(1, 32)}},
		[]any{[]any{"a/b/", 0, made(1, 32)}, []any{strings.Repeat("a", 141), 0, made(1, 32)}, []any{"a/b/1", 1 << 40, made(1, 32)},
			[]any{"a/b/1", 0, made(1, 31)}, []any{"a/b/1", 0, made(1, 33)}, []any{"a/b/1", 0}, []any{"a/b/1", 0, made(1, 32), 1},
			[]any{[]byte("a/b/1"), 0, made(1, 32)}, "a/b/1", []any{}}}
)

func sequence(low, high int) (all []any) {
	for n := low; n <= high; n++ {
		all = append(all, n)
	}
	return all
}

func repeat(v any, n int) any { return slices.Repeat([]any{v}, n) }

// heads are all fields of all ops; the first good value of each required field makes the base head.
func heads() map[Op][]bound {
	item := bound{4, false, itemGood, itemBad}
	digest := bound{6, false, []any{make([]byte, 32), made(2, 32)}, digestBad}
	reason := func(good ...any) bound {
		bad := slices.Clone(notUint)
		for _, n := range append(sequence(0, 40), 128, 255, 256, 257) {
			if !slices.Contains(good, any(n)) {
				bad = append(bad, n)
			}
		}
		return bound{10, false, good, bad}
	}
	list := bound{9, false,
		[]any{repeat(targets.good[0], 1), repeat(targets.good[1], 64), []any{[]any{2, 0}, []any{1, 5}}}, // order is no matter of form
		[]any{repeat(targets.good[0], 0), repeat(targets.good[0], 65), 1, "x"}}
	for _, b := range targets.bad {
		list.bad = append(list.bad, []any{b}, []any{targets.good[0], b})
	}
	return map[Op][]bound{
		OpAdd: {formBound, {2, false, []any{1}, notOp}, timeBound, item, {5, false, []any{1}, append([]any{0, 2}, notUint...)}, digest},
		OpRevise: {formBound, {2, false, []any{2}, notOp}, timeBound, item, {5, false, []any{2, 64, 126}, append([]any{0, 1, 127, 128}, notUint...)}, digest,
			{7, false, targets.good, targets.bad}, {8, true, []any{true}, []any{false, 1, "true"}}},
		OpRetract: {formBound, {2, false, []any{3}, notOp}, timeBound, item, {5, false, []any{2, 127}, append([]any{0, 1, 128}, notUint...)}, list,
			reason(sequence(1, 6)...)},
		OpEndorse: {formBound, {2, false, []any{4}, notOp}, timeBound, refBound},
		OpDispute: {formBound, {2, false, []any{5}, notOp}, timeBound, refBound, reason(append(sequence(1, 6), sequence(16, 19)...)...),
			{12, true, itemGood, itemBad}},
		OpResolve: {formBound, {2, false, []any{6}, notOp}, timeBound, refBound, reason(32, 33)},
	}
}

// bodyBounds are all fields of a body.
func bodyBounds() []bound {
	b := []bound{{1, false, itemGood, itemBad}, {2, false, nil, []any{[]any{}, 1, "x"}}, {3, false, nil, nil}, {4, true, nil, nil}}
	frame := []any{0, made(1, 32), 50}
	for _, h := range []struct {
		good, bad []any
	}{
		{[]any{[]any{1, made(1, 16)}}, []any{[]any{1, made(1, 15)}, []any{1, made(1, 17)}, []any{1, made(1, 16), 50}, []any{1}}},
		{[]any{[]any{2, made(1, 20)}}, []any{[]any{2, made(1, 19)}, []any{2, made(1, 21)}, []any{2, made(1, 20), 50}}},
		{[]any{[]any{3, made(1, 32)}}, []any{[]any{3, made(1, 31)}, []any{3, made(1, 33)}, []any{3, made(1, 32), 50}, []any{3, strings.Repeat("a", 32)}}},
		{[]any{[]any{4, made(1, 32), 50}, []any{4, made(1, 32), 100}},
			[]any{[]any{4, made(1, 32)}, []any{4, made(1, 32), 49}, []any{4, made(1, 32), 101}, []any{4, made(1, 31), 50}, []any{4, made(1, 33), 50}, []any{4, made(1, 32), 50, 1}}},
		{[]any{[]any{5, made(1, 32), 50}, []any{5, made(1, 32), 100}},
			[]any{[]any{5, made(1, 32)}, []any{5, made(1, 32), 49}, []any{5, made(1, 32), 101}, []any{5, made(1, 31), 50}}},
		{[]any{[]any{6, made(1, 144)}}, []any{[]any{6, made(1, 143)}, []any{6, made(1, 145)}, []any{6, made(1, 144), 50}}},
		{[]any{[]any{7, repeat(frame, 1)}, []any{7, repeat(frame, 64)}, []any{7, []any{[]any{1<<32 - 1, made(1, 32), 100}}}},
			[]any{[]any{7, repeat(frame, 0)}, []any{7, repeat(frame, 65)}, []any{7, repeat(frame, 1), 50}, []any{7, made(1, 32)}, []any{7, []any{[]any{0, made(1, 32)}}},
				[]any{7, []any{[]any{1 << 32, made(1, 32), 50}}}, []any{7, []any{[]any{0, made(1, 31), 50}}}, []any{7, []any{[]any{0, made(1, 32), 49}}},
				[]any{7, []any{[]any{0, made(1, 32), 101}}}, []any{7, []any{frame, 1}}, []any{7, []any{append(slices.Clone(frame), 1)}}}},
	} {
		for _, g := range h.good {
			b[1].good = append(b[1].good, []any{g})
		}
		for _, x := range h.bad {
			b[1].bad = append(b[1].bad, []any{x}, []any{h.good[0], x})
		}
	}
	b[1].good = append(b[1].good, repeat([]any{1, made(1, 16)}, 32), []any{[]any{3, made(1, 32)}, []any{1, made(1, 16)}}) // order is no matter of form
	b[1].bad = append(b[1].bad, repeat([]any{1, made(1, 16)}, 33), []any{[]any{0, made(1, 16)}}, []any{[]any{8, made(1, 16)}}, []any{[]any{"1", made(1, 16)}},
		[]any{[]pair{{1, made(1, 16)}}}, []any{1}, []any{[]any{}})

	facts := []pair{{1, 1}, {2, 1}}
	b[2].good = append(b[2].good, facts)
	for key, v := range []struct{ good, bad []any }{
		1: {sequence(1, 4), append([]any{0, 5}, notUint...)},
		2: {sequence(1, 2), append([]any{0, 3}, notUint...)},
		3: {sequence(1, 4), append([]any{0, 5}, notUint...)},
		4: {sequence(1, 5), append([]any{0, 6}, notUint...)},
		5: {[]any{true}, []any{false, 1}},
		6: {[]any{1, 1 << 40}, append([]any{0, 1<<40 + 1}, notUint...)},
		7: {[]any{1, 255}, append([]any{0, 256}, notUint...)},
		8: {[]any{0, 1, 1<<32 - 1}, append([]any{1 << 32}, notUint...)},
		9: {sequence(1, 3), append([]any{0, 4}, notUint...)},
	} {
		for _, g := range v.good {
			b[2].good = append(b[2].good, with(facts, key, g))
		}
		for _, x := range v.bad {
			b[2].bad = append(b[2].bad, with(facts, key, x))
		}
	}
	b[2].bad = append(b[2].bad, without(facts, 1), without(facts, 2), with(facts, 10, 1), with(facts, 64, 1), with(facts, "a", 1), with(facts, 0, 1), 1, []any{})
	b[3].good = []any{[]any{"ncmec", "A2"}, []any{strings.Repeat("-", 16), strings.Repeat("!", 32)}, []any{"z", "~:"}}
	b[3].bad = []any{[]any{"", "A"}, []any{"a", ""}, []any{strings.Repeat("a", 17), "A"}, []any{"a", strings.Repeat("A", 33)}, []any{"A", "A"}, []any{"a", "A "},
		[]any{"a", "\x7f"}, []any{"a_", "A"}, []any{"a"}, []any{"a", "A", "A"}, []any{[]byte("a"), "A"}, "a:A"}
	return b
}

// shaped is an encoding, and whether it is of the CDDL.
type shaped struct {
	name string
	raw  []byte
	good bool
}

// shapes makes every value of bounds in its field of the base map, every required key missing, and every kind of key that isn't there.
func shapes(bounds []bound) (all []shaped) {
	var base []pair
	known := map[int]bool{}
	for _, b := range bounds {
		known[b.key] = true
		if !b.optional {
			base = append(base, pair{b.key, b.good[0]})
		}
	}
	base = sorted(base)
	add := func(name string, m []pair, good bool) { all = append(all, shaped{name, encodeAny(m), good}) }
	add("base", base, true)
	for _, b := range bounds {
		for i, v := range b.good {
			add(fmt.Sprintf("field %d good %d", b.key, i), with(base, b.key, v), true)
		}
		for i, v := range b.bad {
			add(fmt.Sprintf("field %d bad %d", b.key, i), with(base, b.key, v), false)
		}
		add(fmt.Sprintf("field %d absent", b.key), without(base, b.key), b.optional)
	}
	for _, k := range []int{0, 13, 15, 16, 23, 24, 63, 64, 100, 127, 128, 255, 256} {
		if !known[k] {
			add(fmt.Sprintf("key %d", k), with(base, k, 1), 64 <= k && k <= 127)
		}
	}
	add("nested extensions", with(with(base, 64, []any{[]pair{{"x", true}}}), 70, []byte{1}), true)
	for _, k := range []any{-1, "", "a", uint64(1<<64 - 1)} {
		add(fmt.Sprintf("key %#v", k), with(base, k, 1), false)
	}
	return all
}

// shape compares them with what accepts says, and tries every part of the base and a byte behind it.
func shape(t *testing.T, name string, bounds []bound, accepts func(raw []byte) error) {
	t.Helper()
	all := shapes(bounds)
	for _, s := range all {
		if err := accepts(s.raw); (err == nil) != s.good {
			t.Errorf("%s, %s, %x: got %v, want accepted %v", name, s.name, s.raw, err, s.good)
		}
	}
	raw := all[0].raw
	for n := range raw {
		if err := accepts(raw[:n]); err == nil {
			t.Errorf("%s: the first %d of %d bytes are accepted", name, n, len(raw))
		}
	}
	for c := range 256 {
		if err := accepts(append(bytes.Clone(raw), byte(c))); err == nil {
			t.Errorf("%s: byte %#x behind it is accepted", name, c)
		}
	}
}

// headForm returns the error of a head and checks that what comes of it is right in itself.
func headForm(t *testing.T, raw []byte) error {
	h, err := ParseHead(raw)
	var void VoidError
	if err != nil {
		if !errors.As(err, &void) || void.Code != VoidForm || !reflect.DeepEqual(h, Head{}) {
			t.Errorf("head %x: got %+v, %v, want nothing and a VoidError of form", raw, h, err)
		}
		return err
	}
	if h.Op >= opSkipped {
		if !reflect.DeepEqual(h, Head{Op: h.Op}) {
			t.Errorf("head %x of op %v: got %+v, want the op alone", raw, h.Op, h)
		}
		if again, err := h.Bytes(); err == nil {
			t.Errorf("op %v is encoded: %x", h.Op, again)
		}
		return nil
	}
	again, err := h.Bytes()
	if err != nil {
		t.Errorf("head %x: encode what was read: %v", raw, err)
		return nil
	}
	if f, _ := (&cborReader{raw}).fields(); !f.ext && !bytes.Equal(again, raw) {
		t.Errorf("head %x is encoded as %x", raw, again)
	}
	if h2, err := ParseHead(again); err != nil || !reflect.DeepEqual(h2, h) {
		t.Errorf("head %x: got %+v, then %+v, %v", raw, h, h2, err)
	}
	return nil
}

// bodyForm is headForm for bodies.
func bodyForm(t *testing.T, raw []byte) error {
	b, err := ParseBody(raw)
	var refused RefusedError
	if err != nil {
		if !errors.As(err, &refused) || refused.Code != RefusedForm || !reflect.DeepEqual(b, Body{}) {
			t.Errorf("body %x: got %+v, %v, want nothing and a RefusedError of form", raw, b, err)
		}
		return err
	}
	again, err := b.Bytes()
	if err != nil {
		t.Errorf("body %x: encode what was read: %v", raw, err)
		return nil
	}
	f, _ := (&cborReader{raw}).fields()
	facts, _ := f.key(3).fields()
	if !f.ext && !(facts.has(8) && b.Facts.NotBefore == 0) && !bytes.Equal(again, raw) {
		t.Errorf("body %x is encoded as %x", raw, again)
	}
	if b2, err := ParseBody(again); err != nil || !reflect.DeepEqual(b2, b) {
		t.Errorf("body %x: got %+v, then %+v, %v", raw, b, b2, err)
	}
	for _, h := range b.Hashes {
		if h.Alg == VPDQ {
			if frames, err := h.Frames(); err != nil {
				t.Errorf("body %x: its vpdq has no frames: %v", raw, err)
			} else if h2, err := NewVPDQ(frames); h2 != h || err != nil {
				t.Errorf("body %x: its vpdq is made again as %v, %v", raw, h2, err)
			}
		} else if h2, err := NewHash(h.Alg, h.Bytes(), int(h.Quality)); h2 != h || err != nil {
			t.Errorf("body %x: %v is made again as %v, %v", raw, h, h2, err)
		}
	}
	return nil
}

func TestHeadForm(t *testing.T) {
	for op, bounds := range heads() {
		shape(t, op.String(), bounds, func(raw []byte) error { return headForm(t, raw) })
	}
}

func TestBodyForm(t *testing.T) {
	shape(t, "body", bodyBounds(), func(raw []byte) error { return bodyForm(t, raw) })
}

// TestHeadOps tries what is no op of version 1: later versions' heads may hold anything.
func TestHeadOps(t *testing.T) {
	for _, c := range []struct {
		m    []pair
		want Op // 0: form
	}{
		{[]pair{{1, 1}, {2, 0}}, 0},
		{[]pair{{1, 1}, {2, -8}}, 0},
		{[]pair{{1, 1}, {2, "7"}}, 0},
		{[]pair{{1, 1}}, 0},
		{[]pair{{2, 7}}, 0},
		{[]pair{{1, 2}, {2, 7}}, 0},
		{[]pair{{1, true}, {2, 7}}, 0},
		{[]pair{{1, 1}, {2, 7}}, 7},
		{[]pair{{1, 1}, {2, 127}}, 127},
		{[]pair{{1, 1}, {2, 128}}, 128},
		{[]pair{{1, 1}, {2, uint64(1<<64 - 1)}}, 1<<64 - 1},
		{[]pair{{0, 1}, {1, 1}, {2, 9}, {3, "x"}, {6, 1}, {63, 1}, {128, 1}, {-1, 1}, {"a", []pair{{"b", true}}}}, 9},
	} {
		raw := encodeAny(c.m)
		h, err := ParseHead(raw)
		if h.Op != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("%v: got %v, %v, want op %d", c.m, h.Op, err, c.want)
		}
		headForm(t, raw)
	}
	for _, raw := range [][]byte{encodeAny([]any{1, 7}), encodeAny(7), {0xa2, 2, 7, 1, 1}, {0xa2, 1, 1, 2, 0x18, 7}} {
		if headForm(t, raw) == nil {
			t.Errorf("head %x is accepted", raw)
		}
	}
}

// TestHeadLength fills a head up to its cap and over it.
func TestHeadLength(t *testing.T) {
	for n := range 1300 {
		for _, m := range [][]pair{{{1, 1}, {2, 7}, {64, make([]byte, n)}}, {{1, 1}, {2, 4}, {3, 0}, {11, refBound.good[0]}, {64, make([]byte, n)}}} {
			raw := encodeAny(m)
			if _, err := ParseHead(raw); (err == nil) != (len(raw) <= 1200) {
				t.Errorf("head of %d bytes: %v", len(raw), err)
			}
		}
		raw := encodeAny([]pair{{6, made(1, 32)}, {64, make([]byte, n)}})
		if _, ok := PromisedBody(raw); ok != (len(raw) <= 1200) {
			t.Errorf("head of %d bytes promises a body: %v", len(raw), ok)
		}
	}
	if _, err := ParseHead(nil); err == nil {
		t.Error("an empty head is accepted")
	}
}

func TestBodyLength(t *testing.T) {
	for n := range 3300 {
		raw := encodeAny([]pair{{1, made(1, 16)}, {2, []any{[]any{1, made(1, 16)}}}, {3, []pair{{1, 1}, {2, 1}}}, {64, make([]byte, n)}})
		if _, err := ParseBody(raw); (err == nil) != (len(raw) <= 3200) {
			t.Errorf("body of %d bytes: %v", len(raw), err)
		}
	}
	long := Body{Facts: Facts{Verdict: National, Media: Image}, Hashes: slices.Repeat([]Hash{{PhotoDNA, string(made(1, 144)), 0}}, 32)}
	if _, err := long.Bytes(); err == nil {
		t.Error("a body of more than 3,200 bytes is encoded")
	}
}

func TestPromisedBody(t *testing.T) {
	d := made(9, 32)
	for _, c := range []struct {
		v    any
		want bool
	}{
		{[]pair{{6, d}}, true}, // whatever the op or code
		{[]pair{{1, 1}, {2, 200}, {6, d}}, true},
		{[]pair{{1, 1}, {2, 3}, {6, d}}, true},
		{[]pair{{6, d}, {"a", 1}}, true},
		{[]pair{{6, d[:31]}}, false},
		{[]pair{{6, append(bytes.Clone(d), 0)}}, false},
		{[]pair{{6, strings.Repeat("a", 32)}}, false},
		{[]pair{{"6", d}}, false},
		{[]pair{{-7, d}}, false},
		{[]pair{{1, d}, {6, 1}}, false},
		{[]pair{{6, d}, {1, 1}}, false},
		{[]any{6, d}, false},
		{[]pair{{1, []pair{{6, d}}}}, false},
	} {
		got, ok := PromisedBody(encodeAny(c.v))
		if ok != c.want || ok && !bytes.Equal(got[:], d) || !ok && got != (Digest{}) {
			t.Errorf("%v promises: got %v, %x, want %v", c.v, ok, got, c.want)
		}
	}
	if _, ok := PromisedBody(nil); ok {
		t.Error("an empty head promises a body")
	}
}

func TestLeafHash(t *testing.T) {
	for _, raw := range [][]byte{nil, {1}, made(1, 100)} {
		if got, want := LeafHash(raw), Digest(sha256.Sum256(append([]byte{0}, raw...))); got != want {
			t.Errorf("leaf hash of %x: got %x, want %x", raw, got, want)
		}
	}
}

// TestMangled changes every byte of one record of each kind to every value: it is void or refused, or it is read as what it now says.
func TestMangled(t *testing.T) {
	for op, bounds := range heads() {
		var base []pair
		for _, b := range bounds {
			base = append(base, pair{b.key, b.good[len(b.good)-1]})
		}
		if op == OpRetract {
			base = with(base, 9, []any{[]any{1, 2}, []any{2, 300}})
		}
		mangle(t, encodeAny(sorted(base)), func(raw []byte) { headForm(t, raw) })
	}
	facts := []pair{{1, 2}, {2, 1}, {3, 4}, {4, 5}, {5, true}, {6, 1 << 33}, {7, 3}, {8, 1795424400}, {9, 1}}
	mangle(t, encodeAny([]pair{{1, made(1, 16)}, {2, []any{[]any{1, made(1, 16)}, []any{4, made(2, 32), 100}, []any{7, []any{[]any{17, made(3, 32), 60}}}}}, {3, facts},
		{4, []any{"ncmec", "A2"}}}), func(raw []byte) { bodyForm(t, raw) })
}

func mangle(t *testing.T, raw []byte, form func([]byte)) {
	t.Helper()
	form(raw)
	changed := bytes.Clone(raw)
	for i := range raw {
		for c := range 256 {
			changed[i] = byte(c)
			form(changed)
		}
		changed[i] = raw[i]
	}
}

// TestHeadBytes makes heads that the CDDL doesn't know.
func TestHeadBytes(t *testing.T) {
	good := Head{Op: OpRetract, Time: 1, Rev: 2, Targets: []Position{{1, 0}}, Reason: Duplicate}
	for name, change := range map[string]func(*Head){
		"":                func(h *Head) {},
		"op 0":            func(h *Head) { h.Op = 0 },
		"op 7":            func(h *Head) { h.Op = 7 },
		"op 2^63":         func(h *Head) { h.Op = 1 << 63 },
		"time -1":         func(h *Head) { h.Time = -1 },
		"time 2^32":       func(h *Head) { h.Time = 1 << 32 },
		"rev 1":           func(h *Head) { h.Rev = 1 },
		"rev -1":          func(h *Head) { h.Rev = -1 },
		"no targets":      func(h *Head) { h.Targets = nil },
		"65 targets":      func(h *Head) { h.Targets = slices.Repeat(h.Targets, 65) },
		"a target of 0":   func(h *Head) { h.Targets = []Position{{}} },
		"a negative log":  func(h *Head) { h.Targets = []Position{{-1, 0}} },
		"reason 0":        func(h *Head) { h.Reason = 0 },
		"reason upheld":   func(h *Head) { h.Reason = Upheld },
		"endorse nothing": func(h *Head) { h.Op = OpEndorse },
		"dispute nothing": func(h *Head) { h.Op = OpDispute },
		"no UTF-8":        func(h *Head) { h.Op, h.Subject.Origin = OpEndorse, "a/b/\xff" },
	} {
		h := good
		change(&h)
		if raw, err := h.Bytes(); (err == nil) != (name == "") {
			t.Errorf("%q: got %x, %v", name, raw, err)
		}
	}
}

func TestBodyBytes(t *testing.T) {
	good := Body{Hashes: []Hash{{MD5, string(made(1, 16)), 0}, {PDQ, string(made(2, 32)), 60}}, Facts: Facts{Verdict: National, Media: Video}, Source: &Source{"a", "B"}}
	for name, change := range map[string]func(*Body){
		"":                    func(b *Body) {},
		"no hashes":           func(b *Body) { b.Hashes = nil },
		"33 hashes":           func(b *Body) { b.Hashes = slices.Repeat(b.Hashes[:1], 33) },
		"alg 0":               func(b *Body) { b.Hashes = []Hash{{}} },
		"quality 49":          func(b *Body) { b.Hashes = []Hash{{PDQ, string(made(2, 32)), 49}} },
		"quality 101":         func(b *Body) { b.Hashes = []Hash{{PDQ, string(made(2, 32)), 101}} },
		"a short md5":         func(b *Body) { b.Hashes = []Hash{{MD5, "a", 0}} },
		"frames of an error":  func(b *Body) { b.Hashes = []Hash{{VPDQ, "a", 0}} },
		"no verdict":          func(b *Body) { b.Facts.Verdict = 0 },
		"no media":            func(b *Body) { b.Facts.Media = 0 },
		"severity 5":          func(b *Body) { b.Facts.Severity = 5 },
		"age band 6":          func(b *Body) { b.Facts.AgeBand = 6 },
		"size 2^40+1":         func(b *Body) { b.Facts.Size = 1<<40 + 1 },
		"override 4":          func(b *Body) { b.Facts.Override = 4 },
		"not before -1":       func(b *Body) { b.Facts.NotBefore = -1 },
		"not before 2^32":     func(b *Body) { b.Facts.NotBefore = 1 << 32 },
		"source without code": func(b *Body) { b.Source = &Source{"a", ""} },
	} {
		b := good
		b.Hashes = slices.Clone(b.Hashes)
		change(&b)
		raw, err := b.Bytes()
		if (err == nil) != (name == "") {
			t.Errorf("%q: got %x, %v", name, raw, err)
		}
		if d, err2 := b.Digest(); (err2 == nil) != (name == "") || err == nil && d != sha256.Sum256(raw) {
			t.Errorf("%q: digest %x, %v", name, d, err2)
		}
	}
}

// TestNewBody gives the hashes in any order and leaves the caller's slice as it was.
func TestNewBody(t *testing.T) {
	hashes := []Hash{{PDQ, string(made(2, 32)), 60}, {SHA256, string(made(2, 32)), 0}, {PDQ, string(made(1, 32)), 90}, {MD5, string(made(1, 16)), 0}}
	given := slices.Clone(hashes)
	b := NewBody([16]byte{1}, given, Facts{Verdict: National, Media: Image}, nil)
	if !slices.Equal(given, hashes) || !slices.IsSortedFunc(b.Hashes, Hash.compareKeys) || len(b.Hashes) != 4 {
		t.Errorf("got %v of %v", b.Hashes, given)
	}
	if err := b.Judge(nil, false); err != nil {
		t.Error(err)
	}
}

// judgement is a body and the code that it must get.
type judgement struct {
	name   string
	b      Body
	before *Body
	review bool
	want   RefuseCode // "": good
}

// judgements are bodies of each refuse code, and of which comes first.
func judgements() []judgement {
	md5, sha1, pdq := Hash{MD5, string(made(1, 16)), 0}, Hash{SHA1, string(made(1, 20)), 0}, Hash{PDQ, string(made(1, 32)), 50}
	pdq2, flat, hollow := Hash{PDQ, string(made(2, 32)), 50}, Hash{PDQ, string(make([]byte, 32)), 50}, Hash{MD5, string(make([]byte, 16)), 0}
	if pdq2.compareKeys(pdq) < 0 {
		pdq, pdq2 = pdq2, pdq
	}
	better := pdq
	better.Quality = 100
	body := func(v Verdict, by uint8, hashes ...Hash) Body {
		return Body{Hashes: hashes, Facts: Facts{Verdict: v, Media: Image, VerifiedBy: by}}
	}
	old := body(National, 0, md5, pdq)
	tested := body(Test, 0, md5)
	return []judgement{
		{"one", body(National, 0, md5), nil, false, ""},
		{"all sorted", body(Baseline, 2, md5, sha1, pdq, pdq2), nil, false, ""},
		{"two looks of one kind", body(National, 0, pdq, pdq2), nil, false, ""},
		{"unsorted kinds", body(National, 0, sha1, md5), nil, false, RefusedOrder},
		{"unsorted values", body(National, 0, pdq2, pdq), nil, false, RefusedOrder},
		{"twice", body(National, 0, md5, md5), nil, false, RefusedOrder},
		{"twice but for quality", body(National, 0, pdq, better), nil, false, RefusedOrder},
		{"two files", body(National, 0, Hash{MD5, string(made(0, 16)), 0}, Hash{MD5, "\xff" + string(made(0, 15)), 0}), nil, false, RefusedOrder},
		{"flat", body(National, 0, flat), nil, false, RefusedDigest},
		{"hollow", body(National, 0, hollow), nil, false, RefusedDigest},
		{"order before digest", body(National, 0, sha1, hollow), nil, false, RefusedOrder},
		{"same again", body(National, 0, md5, pdq), &old, false, ""},
		{"more", body(Baseline, 2, md5, sha1, pdq), &old, false, ""},
		{"another quality", body(National, 0, md5, better), &old, false, ""},
		{"drops one", body(National, 0, md5), &old, false, RefusedLowers},
		{"another one", body(National, 0, md5, pdq2), &old, false, RefusedLowers},
		{"lowers the verdict", body(Doubtful, 0, md5, pdq), &old, true, RefusedLowers},
		{"to test", body(Test, 0, md5, pdq), &old, false, RefusedLowers},
		{"from test", body(Baseline, 2, md5), &tested, false, RefusedLowers},
		{"test to test", body(Test, 0, md5, sha1), &tested, false, ""},
		{"digest before lowers", body(National, 0, hollow), &old, false, RefusedDigest},
		{"lowers before baseline", body(Baseline, 1, md5), &old, false, RefusedLowers},
		{"lowers before doubtful", body(Doubtful, 1, md5), &old, false, RefusedLowers},
		{"baseline by none", body(Baseline, 0, md5), nil, false, RefusedBaseline},
		{"baseline by one", body(Baseline, 1, md5), nil, false, RefusedBaseline},
		{"baseline by two", body(Baseline, 2, md5), nil, false, ""},
		{"doubtful", body(Doubtful, 2, md5), nil, false, RefusedDoubtful},
		{"doubtful in review", body(Doubtful, 0, md5), nil, true, ""},
		{"test", body(Test, 0, md5), nil, false, ""},
	}
}

func TestJudge(t *testing.T) {
	for _, c := range judgements() {
		err := c.b.Judge(c.before, c.review)
		var refused RefusedError
		errors.As(err, &refused)
		if refused.Code != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: got %v, want code %q", c.name, err, c.want)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		headForm(t, raw)
		if d, ok := PromisedBody(raw); ok && (len(raw) > MaxHead || !bytes.Contains(raw, d[:])) {
			t.Errorf("head %x promises %x", raw, d)
		}
	})
}

func FuzzParseBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bodyForm(t, raw) == nil {
			b, _ := ParseBody(raw)
			if err := b.Judge(nil, true); err == nil {
				if err := b.Judge(&b, true); err != nil {
					t.Errorf("body %x lowers itself: %v", raw, err)
				}
			}
		}
	})
}

func BenchmarkParseHead(b *testing.B) {
	raw, err := Head{Op: OpAdd, Time: 1795424400, Item: ItemID(made(1, 16)), Rev: 1, Body: Digest(made(2, 32))}.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHead(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseBody(b *testing.B) {
	raw, err := NewBody([16]byte{1}, []Hash{{MD5, string(made(1, 16)), 0}, {SHA1, string(made(1, 20)), 0}, {SHA256, string(made(1, 32)), 0}, {PDQ, string(made(1, 32)), 100},
		{PDQFull, string(made(1, 32)), 100}}, Facts{Verdict: Baseline, Media: Image, VerifiedBy: 2}, nil).Bytes()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		body, err := ParseBody(raw)
		if err != nil || body.Judge(nil, false) != nil {
			b.Fatal(err)
		}
	}
}
