package crypto

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestCosignedMessage(t *testing.T) {
	// The example of C2SP tlog-cosignature.
	const want = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	got := cosignedMessage([]byte("example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"), 1679315147)
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(cosignedMessage([]byte("a\n"), 1<<64-1)); got != fmt.Sprintf("cosignature/v1\ntime %d\na\n", uint64(1<<64-1)) {
		t.Errorf("greatest time: got %q", got)
	}
}

func TestMergeCosignatures(t *testing.T) {
	w := func(name string, unix uint64) Line {
		return handmadeCosignature(testKey(name, TypeCosignature, 1), "a\n", unix)
	}
	stale := Line{Name: "b", ID: w("b", 0).ID, Signature: make([]byte, 64)}
	otherID := w("a", 5)
	otherID.ID++
	for _, test := range []struct {
		what  string
		lines [][]Line
		want  []Line
	}{
		{"nothing", nil, nil},
		{"one", [][]Line{{w("a", 1)}}, []Line{w("a", 1)}},
		{"newest last", [][]Line{{w("a", 1)}, {w("a", 2)}}, []Line{w("a", 2)}},
		{"newest first", [][]Line{{w("a", 2), w("a", 1)}}, []Line{w("a", 2)}},
		{"several keys, in order", [][]Line{{w("c", 1), w("a", 1)}, {w("b", 9), w("a", 3)}}, []Line{w("a", 3), w("b", 9), w("c", 1)}},
		{"one name, two ids", [][]Line{{otherID, w("a", 9)}}, []Line{w("a", 9), otherID}},
		{"times as unsigned numbers", [][]Line{{w("a", 1<<63), w("a", 1)}}, []Line{w("a", 1<<63)}},
		{"without a time", [][]Line{{stale}, {w("b", 0)}, {stale}}, []Line{w("b", 0)}},
		{"only without a time", [][]Line{{stale, stale}}, []Line{stale}},
	} {
		got := MergeCosignatures(test.lines...)
		if test.what == "one name, two ids" && otherID.ID < w("a", 9).ID {
			test.want[0], test.want[1] = test.want[1], test.want[0]
		}
		if len(got) != len(test.want) || (len(got) > 0 && !reflect.DeepEqual(got, test.want)) {
			t.Errorf("%s: got %v, want %v", test.what, got, test.want)
		}
	}
}

// Nodes that hear the same lines, in whatever order and however often, keep the same.
func TestMergeCosignaturesConverges(t *testing.T) {
	line := rapid.Custom(func(t *rapid.T) Line {
		n := rapid.SampledFrom([]int{1, 64, 72}).Draw(t, "length")
		sig := make([]byte, n)
		sig[min(7, n-1)] = rapid.Byte().Filter(func(b byte) bool { return b < 3 }).Draw(t, "time")
		sig[n-1] += rapid.Byte().Filter(func(b byte) bool { return b < 3 }).Draw(t, "tail")
		return Line{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), rapid.Uint32Range(1, 2).Draw(t, "id"), sig}
	})
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(line, 0, 12).Draw(t, "lines")
		want := MergeCosignatures(all)
		shuffled := rapid.Permutation(all).Draw(t, "order")
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		a, b := MergeCosignatures(shuffled[:cut]), MergeCosignatures(shuffled[cut:])
		for _, got := range [][]Line{MergeCosignatures(shuffled), MergeCosignatures(a, b), MergeCosignatures(b, a), MergeCosignatures(want, want)} {
			if len(got) != len(want) || (len(got) > 0 && !reflect.DeepEqual(got, want)) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		for _, l := range all {
			for _, kept := range want {
				if l.Name == kept.Name && l.ID == kept.ID && compareAge(l, kept) > 0 {
					t.Errorf("%v was kept, but %v is newer", kept, l)
				}
			}
		}
	})
}
