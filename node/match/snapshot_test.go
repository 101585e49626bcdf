package match

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// restarted is the tables that their snapshot gives, without a merger.
func restarted(t interface{ Fatal(...any) }, tables *Tables) *Tables {
	var out bytes.Buffer
	if err := tables.Snapshot().Write(&out); err != nil {
		t.Fatal(err)
	}
	size := int64(out.Len())
	loaded, err := load(&out, size, tables.opts, func(ID) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if out.Len() != 0 {
		t.Fatal("not all of it was read")
	}
	return loaded
}

// someTables have all that tables can have: lists, some of them empty, rows without a holder, segments, an exact table that is being made anew.
func someTables(t testing.TB, r *rand.Rand, count int) *Tables {
	tables := newTables(Options{DeltaRows: 64, CompactRows: 1 << 20})
	for i := range count {
		a := Alg(1 + r.IntN(6))
		v := make([]byte, a.Size())
		for k := range v {
			v[k] = byte(r.Uint32())
		}
		for range 1 + r.IntN(12)/11*r.IntN(20) {
			must(t, tables.Add(a, v, ID(r.IntN(50))))
		}
		if r.IntN(10) == 0 {
			must(t, tables.RemoveAll(ID(r.IntN(25)), ID(25+r.IntN(25))))
		}
		if i%100 == 99 {
			tables.settle()
		}
	}
	return tables
}

// TestSnapshotMoment: a snapshot tells of the moment at which it was taken, however long the writing takes.
func TestSnapshotMoment(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	tables := someTables(t, r, 400)
	s := tables.Snapshot()
	write := func() []byte {
		var out bytes.Buffer
		must(t, s.Write(&out))
		return out.Bytes()
	}
	before := write()
	for a := MD5; a <= PhotoDNA; a++ {
		must(t, tables.Add(a, modelValue(a, 1), 7))
	}
	must(t, tables.RemoveAll(0, 30))
	tables.settle()
	if !bytes.Equal(write(), before) {
		t.Error("what came later is in the snapshot")
	}
	// An item that isn't there, and any part of it, is an error.
	if _, err := load(bytes.NewReader(before), int64(len(before)), Options{}, func(id ID) bool { return id != 40 }); err == nil {
		t.Error("loaded an item that isn't there")
	}
	for n := 0; n < len(before); n += 1 + n/50 {
		if _, err := load(bytes.NewReader(before[:n]), int64(n), Options{}, func(ID) bool { return true }); err == nil {
			t.Errorf("loaded though cut off at %d of %d", n, len(before))
		}
	}
}

// FuzzLoad: no bytes make tables that break a lookup.
func FuzzLoad(f *testing.F) {
	for seed := range uint64(3) {
		var out bytes.Buffer
		must(f, someTables(f, rand.New(rand.NewPCG(seed, 4)), 40+int(seed)*300).Snapshot().Write(&out))
		f.Add(out.Bytes(), seed, byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint64, change byte) {
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[at%uint64(len(data))] ^= change // the fuzzer finds the magic's bytes, this the rest
		}
		tables, err := load(bytes.NewReader(data), int64(len(data)), Options{DeltaRows: 64}, func(id ID) bool { return id < 50 })
		if err != nil {
			return
		}
		for a := MD5; a <= PhotoDNA; a++ {
			for k := range 3 {
				for d := 0; d <= MaxDistance; d += 31 {
					hits, _, _ := tables.Lookup(nil, a, modelValue(a, k), d)
					for _, h := range hits {
						if h.ID >= 50 {
							t.Errorf("a hit of item %d, which there isn't", h.ID)
						}
					}
				}
				must(t, tables.Add(a, modelValue(a, k), ID(k)))
			}
		}
		must(t, tables.RemoveAll(0, 20))
		tables.settle()
	})
}
